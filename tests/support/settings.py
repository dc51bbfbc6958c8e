"""Settings of all tests, and the PostgreSQL server that they share."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import psycopg
from sqlalchemy import URL, make_url

from occ_app import database
from occ_app.config import ROOT, Config

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


def drop_database(server: URL, name: str) -> None:
    """The database is gone."""
    with psycopg.connect(database.conninfo(server), autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
