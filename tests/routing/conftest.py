"""Tests of partner orders begin on a Monday, with a merchant and a roaster."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from occ_app.catalog import pull
from occ_app.partners import catalogue, making
from tests.routing.support import Trade
from tests.simulation.conftest import rig, session_rig
from tests.support.bench import Bench

__all__ = ["rig", "session_rig"]


@pytest.fixture
def trade(bench: Bench, app: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Trade]:
    """A merchant without roasters yet."""
    monkeypatch.setattr(pull, "LOOK_EVERY", timedelta(0))
    monkeypatch.setattr(catalogue, "LOOK_EVERY", timedelta(0))
    monkeypatch.setattr(making, "LOOK_EVERY", 0.0)
    made = Trade(bench, tmp_path, monkeypatch)
    bench.install()
    yield made
    made.check_books()
