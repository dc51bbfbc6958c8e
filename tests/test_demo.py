"""The demo's app can be stopped and started while the store goes on; its lots have days."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from occ_app.config import ROOT

sys.path.insert(0, str(ROOT / "scripts"))
import demo

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]


def until(is_true: object) -> None:
    """The condition comes true."""
    end = time.monotonic() + 90
    while not is_true():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def parts(tmp_path: Path):  # type: ignore[no-untyped-def]
    """Two running parts, devshop and the app, watched by the demo; and the file that pauses it."""
    children = [subprocess.Popen(SLEEPER), subprocess.Popen(SLEEPER)]
    devshop, app = children
    paused = tmp_path / "paused"
    watch = threading.Thread(target=demo._keep_running, args=(children, SLEEPER, {}, paused))
    watch.start()
    yield children, paused, watch
    paused.unlink(missing_ok=True)
    devshop.kill()
    watch.join(30)
    for child in (*children, devshop, app):
        child.kill()
        child.wait()


def test_a_pause_stops_the_app_alone_and_a_resume_starts_it_again(parts) -> None:  # type: ignore[no-untyped-def]
    children, paused, _ = parts
    devshop, app = children
    paused.touch()
    until(lambda: app.poll() is not None and children == [devshop])

    assert devshop.poll() is None

    paused.unlink()
    until(lambda: len(children) == 2)

    assert children[1].poll() is None
    assert children[1].pid != app.pid


def test_the_demo_ends_when_a_part_ends_by_itself(parts) -> None:  # type: ignore[no-untyped-def]
    children, _, watch = parts
    children[1].kill()
    watch.join(30)

    assert not watch.is_alive()


def test_every_lot_of_the_demo_has_a_day_on_which_it_was_made() -> None:
    file = (ROOT / "devshop/seed/lots.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(demo._with_days(file))))

    assert len(rows) == len(list(csv.DictReader(io.StringIO(file)))) + 1
    assert all(row["made_on"] for row in rows)
