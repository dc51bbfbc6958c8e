from flask import Blueprint
blueprint = Blueprint("desk_words", __name__)
def register(app): pass
