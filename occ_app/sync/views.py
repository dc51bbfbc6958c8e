from flask import Blueprint
blueprint = Blueprint("sync_views", __name__)
def register(app): pass
