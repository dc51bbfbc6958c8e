from flask import Blueprint
blueprint = Blueprint("stock_views", __name__)
def register(app): pass
