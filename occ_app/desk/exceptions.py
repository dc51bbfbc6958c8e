from flask import Blueprint
blueprint = Blueprint("desk_exceptions", __name__)
def register(app): pass
