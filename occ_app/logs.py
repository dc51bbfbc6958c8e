"""Logs: one line a fact, JSON in production. Tracebacks without the values of variables, which may be secrets."""

from __future__ import annotations

import logging

import structlog


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
