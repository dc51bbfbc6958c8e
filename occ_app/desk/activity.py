from flask import Blueprint
blueprint = Blueprint("desk_activity", __name__)
def register(app): pass
