"""One rig for all simulations of a test worker."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog
from sqlalchemy import URL

from occ_app.config import Config
from tests.simulation.rig import Rig


@pytest.fixture(scope="session")
def session_rig(config: Config, server_url: URL) -> Iterator[Rig]:
    """The rig, on a database of its own."""
    with Rig.open(config, server_url) as rig:
        yield rig


@pytest.fixture
def rig(session_rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """The rig; the thousand failures that it causes on purpose are not logged."""
    monkeypatch.delenv("OCC_CLOCK_FILE", raising=False)
    was = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)
    yield session_rig
    logging.disable(logging.NOTSET)
    structlog.configure(**was)
