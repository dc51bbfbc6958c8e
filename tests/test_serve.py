"""`occ serve`: the web server outlives its worker."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import URL

from occ_app.cli.children import next_pause
from occ_app.config import ROOT
from tests.support.product import Product, eventually


def started(log: Path) -> list[int]:
    """Process ids of the workers that were started, by the log."""
    return [int(pid) for pid in re.findall(r"worker started\s+pid=(\d+)", log.read_text())]


def test_a_killed_worker_is_started_again_and_the_pages_go_on(server_url: URL, template: str, tmp_path: Path) -> None:
    with Product(server_url, template, tmp_path) as product:
        command = [
            sys.executable,
            "-m",
            "occ_app.cli",
            "serve",
            "--workers",
            "1",
            "--port",
            product.app.rsplit(":", 1)[1],
        ]
        log = tmp_path / "serve.log"
        with open(log, "wb") as file:
            serve = subprocess.Popen(command, cwd=ROOT, env=product.environment, stdout=file, stderr=file)
        product.processes["serve"] = serve
        eventually(lambda: product._answers("serve", f"{product.app}/health"))
        [first] = started(log)
        os.kill(first, signal.SIGKILL)
        eventually(lambda: len(started(log)) == 2)

        assert "worker ended, it is started again" in log.read_text()
        assert product._answers("serve", f"{product.app}/health")
        os.kill(started(log)[1], 0)
        serve.terminate()
        assert serve.wait(60) == 0
        with pytest.raises(ProcessLookupError):
            os.kill(started(log)[1], 0)


def test_a_worker_that_keeps_dying_is_started_more_and_more_seldom() -> None:
    pauses = [1.0]
    for _ in range(7):
        pauses.append(next_pause(pauses[-1], lived=3))

    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    assert next_pause(60, lived=600) == 1
