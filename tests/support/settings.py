"""Settings of all tests, and the PostgreSQL server that they share."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import psycopg
from sqlalchemy import URL, Engine, make_url

from occ_app import database
from occ_app.config import ROOT, Config
from occ_app.extensions import db

INSTANCE = Path(os.environ.get("OCC_TEST_INSTANCE") or ROOT / "instance" / "test")
SECRET = "not-a-real-secret-only-for-tests"


def make_config() -> Config:
    """Settings of the tests; nothing is read from the environment but where the database is."""
    return Config(
        env="test",
        api_key="test-client-id",
        api_secret=SECRET,
        api_secret_old=None,
        app_url="http://127.0.0.1:8000",
        secret_key="tests",
        token_encryption_keys=(base64.b64decode("YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="),),
        database_url=None,
        standin_url="http://127.0.0.1:9290",
        app_bridge_url="http://127.0.0.1:9290/app-bridge.js",
        instance=INSTANCE,
    )


def find_server() -> URL:
    """The PostgreSQL server of the tests: that of `DATABASE_URL`, else the private one."""
    if os.environ.get("DATABASE_URL"):
        return make_url(os.environ["DATABASE_URL"]).set(drivername="postgresql+psycopg")
    return database.private_url(INSTANCE, "postgres")


def make_database(server: URL, name: str, template: str | None = None) -> URL:
    """A database of a test's own, a copy of `template` if given. It forgets its last commits if the machine fails, and is quicker for it."""
    database.create_if_missing(server, name, template=template)
    with psycopg.connect(database.conninfo(server), autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    return server.set(database=name)


def drop_database(server: URL, name: str) -> None:
    """The database is gone."""
    with psycopg.connect(database.conninfo(server), autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def empty_tables(engine: Engine) -> None:
    """No table of the app or its queue holds a row, and numbers begin at 1 again. Quicker than TRUNCATE, which makes new files of them all.
    Needs a superuser."""
    names = [table.name for table in db.metadata.sorted_tables]
    names += ["procrastinate_events", "procrastinate_periodic_defers", "procrastinate_jobs", "procrastinate_workers"]
    with engine.begin() as connection:
        connection.exec_driver_sql("SET LOCAL occ.erasing = 'yes'")
        connection.exec_driver_sql("SET LOCAL session_replication_role = 'replica'")  # no triggers, no foreign keys
        connection.exec_driver_sql(";".join(f'DELETE FROM "{name}"' for name in names))
        connection.exec_driver_sql(
            "SELECT setval(c.oid, 1, false) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind = 'S' AND n.nspname = 'public'"
        )
