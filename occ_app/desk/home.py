from flask import Blueprint
blueprint = Blueprint("desk_home", __name__)
def register(app): pass

@blueprint.get("/")
def home():
    return "ok"
