"""Alembic's environment, within the app's context: its engine, its tables."""

from __future__ import annotations

import importlib

from alembic import context
from flask import current_app

PACKAGES = (
    "work",
    "inbox",
    "outbox",
    "shops",
    "catalog",
    "stock",
    "production",
    "sync",
    "orders",
    "partners",
    "planning",
    "b2b",
    "routing",
)
importlib.import_module("occ_app.presses")
importlib.import_module("occ_app.stock.channel_models")
for package in PACKAGES:
    importlib.import_module(f"occ_app.{package}.models")


def run() -> None:
    """Migrations run online, each in a transaction."""
    database = current_app.extensions["migrate"].db
    with database.engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=database.metadata,
            transaction_per_migration=True,
            include_object=lambda object_, name, kind, reflected, compare_to: (
                not (kind == "table" and name.startswith("procrastinate_"))
            ),
        )
        with context.begin_transaction():
            context.run_migrations()


run()
