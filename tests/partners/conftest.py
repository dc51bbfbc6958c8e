"""Tests of partners do not wait for bulk operations: devshop's are done at the third look."""

from __future__ import annotations

from datetime import timedelta

import pytest

from occ_app.catalog import pull
from occ_app.partners import catalogue, making


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pull, "LOOK_EVERY", timedelta(0))
    monkeypatch.setattr(catalogue, "LOOK_EVERY", timedelta(0))
    monkeypatch.setattr(making, "LOOK_EVERY", 0.0)
