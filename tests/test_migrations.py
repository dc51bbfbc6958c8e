"""Migrations go up and down, and end where the models are."""

from __future__ import annotations

import contextvars
import uuid

from flask import Flask
from flask_migrate import check, downgrade, upgrade
from sqlalchemy import URL, inspect

from occ_app import create_app
from occ_app.config import Config
from occ_app.extensions import db
from occ_app.wiring import NOT_MIGRATED
from tests.support.settings import drop_database, make_database


def reasons(app: Flask) -> list[str]:
    """Why the app says that it is not ready."""
    answer = contextvars.Context().run(lambda: app.test_client().get("/health/ready"))
    return list(answer.get_json()["reasons"])


def test_up_down_and_up_again_is_the_models_schema(server_url: URL, config: Config) -> None:
    name = f"occ_migrations_{uuid.uuid4().hex[:10]}"
    make_database(server_url, name)
    app = create_app(config, database_url=server_url.set(database=name).render_as_string(hide_password=False))
    try:
        with app.app_context():
            upgrade(revision="0001")
            assert NOT_MIGRATED in reasons(app)
            upgrade()
            assert NOT_MIGRATED not in reasons(app)
            downgrade(revision="base")
            assert reasons(app) == [NOT_MIGRATED]
            left = set(inspect(db.engine).get_table_names())
            upgrade()
            check()
            db.engine.dispose()
    finally:
        drop_database(server_url, name)

    assert left <= {"alembic_version"}
