"""The OCC Inventory Hub: keeps a store's stock numbers true, wherever the goods come from."""

from __future__ import annotations

from flask import Flask
from sqlalchemy import event
from sqlalchemy.orm import Session

from occ_app import config as settings
from occ_app import database, logs
from occ_app.config import ROOT, Config
from occ_app.extensions import db, migrate


def create_app(config: Config | None = None, *, database_url: str | None = None, transport: object = None) -> Flask:
    """The app. The table of contents: settings, database, the way to Shopify, wiring, pages, commands.

    `database_url` and `transport` are the edges at which tests put their own.
    """
    config = config or settings.load()
    logs.start(config.env)
    app = Flask(
        __name__, template_folder=str(ROOT / "templates"), static_folder=str(ROOT / "static"), static_url_path="/static"
    )
    app.extensions["occ_config"] = config
    app.config.update(SECRET_KEY=config.secret_key, MAX_CONTENT_LENGTH=8 * 1024 * 1024, TESTING=config.env == "test")
    _open_database(app, database_url or str(database.url_of(config).render_as_string(hide_password=False)))
    _wire(app, config, transport)
    _add_pages(app)
    return app


def _open_database(app: Flask, url: str) -> None:
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {
        "pool_pre_ping": True,
        "pool_use_lifo": True,  # the one used last knows its statements
        "pool_size": 5,  # kept open by each process
        "max_overflow": 20,  # as many more at the same time as there are threads
        "connect_args": {"prepare_threshold": None, "options": "-c timezone=UTC -c jit=off"},
    }
    db.init_app(app)
    migrate.init_app(app, db, directory=str(ROOT / "migrations"))


def _wire(app: Flask, config: Config, transport: object) -> None:
    from occ_app.shops.connection import Connections
    from occ_app.stock.ledger import forget_locks
    from occ_app.wiring import wire
    from occ_app.work.tasks import forget_asked

    app.extensions["occ_connections"] = Connections.make(config, transport)  # type: ignore[arg-type]
    wire(app)
    for name in ("after_commit", "after_rollback"):
        if not event.contains(Session, name, forget_asked):
            event.listen(Session, name, forget_asked)
    for name in ("after_commit", "after_rollback", "after_soft_rollback"):
        if not event.contains(Session, name, forget_locks):
            event.listen(Session, name, forget_locks)


def _add_pages(app: Flask) -> None:
    from occ_app import web
    from occ_app.b2b import access_pages, channel_pages, gate, market_pages, order_pages
    from occ_app.b2b import api as _api  # noqa: F401  its views stand on the gate's blueprint, as the next one's do
    from occ_app.b2b import order_api as _orders  # noqa: F401
    from occ_app.cli import occ
    from occ_app.desk import activity, connection, exceptions, home, recall_pages, trace_pages
    from occ_app.inbox.intake import blueprint as inbox
    from occ_app.partners import browse_views as partner_goods
    from occ_app.partners import join_views, price_views, supply_views
    from occ_app.partners import views as partners
    from occ_app.planning import item_views, setting_views
    from occ_app.planning import views as planning
    from occ_app.production import formula_pages, history, ingredient_pages
    from occ_app.production import views as production
    from occ_app.routing import delivery_views as partner_delivery
    from occ_app.routing import statement_views as partner_statements
    from occ_app.routing import supplier_views as supplied_orders
    from occ_app.routing import views as partner_orders
    from occ_app.shops.admission import admit
    from occ_app.shops.views import auth, health
    from occ_app.stock import checks, labels, lot_views
    from occ_app.stock import views as lots
    from occ_app.sync import (
        approval_views,
        archive_views,
        mapping_views,
        mode_views,
        settings_views,
        upload_pages,
        words,
    )
    from occ_app.sync import views as products

    web.start(app, admit)
    app.extensions["occ_api_problem"] = gate.http_problem
    words.register(app)
    for blueprint in (
        inbox,
        auth,
        health,
        home.blueprint,
        products.blueprint,
        archive_views.blueprint,
        mapping_views.blueprint,
        settings_views.blueprint,
        mode_views.blueprint,
        approval_views.blueprint,
        lots.blueprint,
        lot_views.blueprint,
        checks.blueprint,
        labels.blueprint,
        history.blueprint,
        upload_pages.blueprint,
        production.blueprint,
        ingredient_pages.blueprint,
        formula_pages.blueprint,
        planning.blueprint,
        setting_views.blueprint,
        item_views.blueprint,
        exceptions.blueprint,
        activity.blueprint,
        connection.blueprint,
        trace_pages.blueprint,
        recall_pages.blueprint,
        partners.blueprint,
        partner_goods.blueprint,
        partner_orders.blueprint,
        partner_statements.blueprint,
        partner_delivery.blueprint,
        supplied_orders.blueprint,
        join_views.blueprint,
        price_views.blueprint,
        supply_views.blueprint,
        gate.blueprint,
        channel_pages.blueprint,
        market_pages.blueprint,
        order_pages.blueprint,
        access_pages.blueprint,
    ):
        app.register_blueprint(blueprint)
    for name, command in occ.commands.items():
        app.cli.add_command(command, name)
