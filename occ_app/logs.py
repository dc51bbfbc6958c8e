"""Logs: one line a fact, JSON in production. Tracebacks without the values of variables, which may be secrets."""

from __future__ import annotations

import logging
import secrets

import structlog

from occ_app.errors import OccError

log = structlog.get_logger()


def start(env: str) -> None:
    """Log lines look alike in every process, and the libraries below speak only when something is wrong."""
    is_json = env == "production"
    renderer = (
        structlog.processors.JSONRenderer()
        if is_json
        else structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([structlog.processors.format_exc_info] if is_json else []),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=False,
    )
    for name in ("procrastinate", "apscheduler", "httpx2", "httpcore", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)


def tell(what: str, error: Exception, **facts: object) -> str:
    """The error being handled is in the log as a whole; returns the sentence about it that a merchant may read.

    Our own errors speak for themselves. Any other is a bug, whose details are not for a page: a number leads to them in the log.
    """
    number = secrets.token_hex(4)
    log.exception(what, number=number, **facts)
    if isinstance(error, OccError) and str(error):
        return str(error)[:500]
    return f"An error on our side. It is tried again; its number for support is {number}."
