"""Migrations go up and down, and end where the models are."""

from __future__ import annotations

import uuid

from flask_migrate import check, downgrade, upgrade
from sqlalchemy import URL, inspect

from occ_app import create_app, database
from occ_app.config import Config
from occ_app.extensions import db
from tests.support.settings import drop_database


def test_up_down_and_up_again_is_the_models_schema(server_url: URL, config: Config) -> None:
    name = f"occ_migrations_{uuid.uuid4().hex[:10]}"
    database.create_if_missing(server_url, name)
    app = create_app(config, database_url=server_url.set(database=name).render_as_string(hide_password=False))
    try:
        with app.app_context():
            upgrade()
            downgrade(revision="base")
            left = set(inspect(db.engine).get_table_names())
            upgrade()
            check()
            db.engine.dispose()
    finally:
        drop_database(server_url, name)

    assert left <= {"alembic_version"}
