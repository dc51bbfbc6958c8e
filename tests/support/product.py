"""The whole product as processes on one machine: devshop, the web server, workers, commands; a database of its own.

Every process leads a process group of its own and writes to `<instance>/<name>.log`.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import psycopg
from sqlalchemy import URL

from occ_app import database
from occ_app.config import ROOT
from tests.support.settings import SECRET, drop_database, make_database

DOMAIN = "cocoa-bristol.myshopify.com"
PATIENCE = 60.0


def eventually(is_true: Callable[[], object], seconds: float = PATIENCE, every: float = 0.1) -> None:
    """The condition holds before the time is up. Raises TimeoutError."""
    end = time.monotonic() + seconds
    while not is_true():
        if time.monotonic() > end:
            raise TimeoutError(f"it did not come true within {seconds:g} s")
        time.sleep(every)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Product:
    """The processes by name, and the ways to each of them: devshop's control API, pages, commands, the database."""

    server: URL
    template: str | None  # the migrated database to copy; None: an empty one is migrated
    instance: Path
    name: str = field(default_factory=lambda: f"occ_product_{uuid.uuid4().hex[:10]}")
    web_processes: int = 1
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __enter__(self) -> Product:
        """The database is there, devshop runs, and nothing else does yet."""
        make_database(self.server, self.name, self.template)
        self.devshop, self.app = f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}"
        self.http = httpx2.Client(timeout=600, trust_env=False)
        if self.template is None:
            self.occ("migrate")
        self.start("devshop")
        return self

    def __exit__(self, *_: object) -> None:
        for name in reversed(list(self.processes)):
            self.stop(name)
        self.http.close()
        drop_database(self.server, self.name)

    @property
    def environment(self) -> dict[str, str]:
        """What all processes are told."""
        url = self.server.set(drivername="postgresql", database=self.name)
        return {
            **os.environ,
            "OCC_ENV": "test",
            "OCC_INSTANCE": str(self.instance),
            "DATABASE_URL": url.render_as_string(hide_password=False),
            "SHOPIFY_API_KEY": "test-client-id",
            "SHOPIFY_API_SECRET": SECRET,
            "SHOPIFY_APP_URL": self.app,
            "SHOPIFY_STANDIN_URL": self.devshop,
            "APP_BRIDGE_URL": f"{self.devshop}/app-bridge.js",
            "PYTHONUNBUFFERED": "1",
        }

    # Processes --------------------------------------------------------------------------------------------------------------------

    def start(self, name: str) -> None:
        """The process runs: `devshop`, `web`, or a worker under any other name. devshop and the web answer, too."""
        with open(self.instance / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen(
                self._command(name),
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        health = {"devshop": f"{self.devshop}/_devshop/health", "web": f"{self.app}/health"}.get(name)
        if health:
            eventually(lambda: self._answers(name, health))

    def _command(self, name: str) -> list[str]:
        occ = [sys.executable, "-m", "occ_app.cli"]
        if name == "devshop":
            config = ["--config", "shopify.app.dev.toml", "--app-url", self.app]
            return [sys.executable, "-m", "devshop", "--port", self.devshop.rsplit(":", 1)[1], *config]
        if name == "web":
            return [
                *occ,
                "serve",
                "--no-worker",
                "--workers",
                str(self.web_processes),
                "--port",
                self.app.rsplit(":", 1)[1],
            ]
        return [*occ, "worker"]

    def _answers(self, name: str, url: str) -> bool:
        if self.processes[name].poll() is not None:
            raise RuntimeError(f"{name} ended: {self.log(name)[-2000:]}")
        try:
            return self.http.get(url).status_code == 200
        except httpx2.HTTPError:
            return False

    def kill(self, name: str) -> None:
        """The process and all of its children are gone without a chance to say anything."""
        process = self.processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self, name: str) -> None:
        """The process was asked to end, and did; if not within some seconds it was killed."""
        process = self.processes[name]
        process.terminate()
        try:
            process.wait(20)
            self.processes.pop(name)
        except subprocess.TimeoutExpired:
            self.kill(name)

    def log(self, name: str) -> str:
        """What the process has written, over all of its lives."""
        return (self.instance / f"{name}.log").read_text(errors="replace")

    # Ways in ----------------------------------------------------------------------------------------------------------------------

    def occ(self, *words: str, given: str = "", fails: bool = False) -> str:
        """What a command prints. Raises RuntimeError where it does not end as it should."""
        command = [sys.executable, "-m", "occ_app.cli", *words]
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, input=given, capture_output=True, text=True, check=False
        )
        if (done.returncode != 0) != fails:
            raise RuntimeError(f"occ {' '.join(words)} ended with {done.returncode}: {done.stdout} {done.stderr}")
        return done.stdout

    def control(self, path: str, body: object = None, method: str = "POST") -> Any:
        """A request to devshop's control API: about the store, or with a leading slash about all of devshop."""
        url = self.devshop + (f"/_devshop{path}" if path.startswith("/") else f"/_devshop/shops/{DOMAIN}/{path}")
        answer = self.http.request(method, url, json=body if method == "POST" else None)
        if answer.status_code != 200:
            raise RuntimeError(f"devshop says {answer.status_code} to {path}: {answer.text}")
        return answer.json()

    def page(self, path: str, form: dict[str, Any] | None = None) -> int:
        """The status of a page, or of a form sent, as the shop's owner. Raises httpx2.HTTPError where no answer came."""
        token = self.control("id-token", {})["id_token"]
        headers = {"Authorization": f"Bearer {token}"}
        method = "GET" if form is None else "POST"
        return self.http.request(method, self.app + path, data=form, headers=headers).status_code

    def connect(self) -> psycopg.Connection[Any]:
        """A connection of the test's own."""
        return psycopg.connect(database.conninfo(self.server.set(database=self.name)), autocommit=True)

    # First steps ------------------------------------------------------------------------------------------------------------------

    def open_store(self, plan: str = "plus", **products: Any) -> None:
        """The store is there with its goods (`generate`: so many, or `products`: rows) and has the app, by its first page."""
        store = {"domain": DOMAIN, "name": "Cocoa Bristol", "plan": plan, "time_zone": "Europe/London"}
        self.control("/shops", {**store, "currency": "GBP", "locations": ["Bristol workshop"]})
        for path, rows in products.items():
            self.control({"generate": "products/generate"}.get(path, path), rows)
        self.control("install", {})
        status = self.page("/")
        if status != 200:
            raise RuntimeError(f"the first page answers {status}")
