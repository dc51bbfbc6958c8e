"""The whole product as a person meets it: devshop and `occ serve` with its worker as processes, and a real Chromium."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Browser, Frame, Page, expect, sync_playwright
from sqlalchemy import URL

from devshop import past
from occ_app.config import ROOT
from tests.support.settings import SECRET, drop_database, make_database

SHOP = "cocoa-bristol.myshopify.com"
ROASTER = "harbour-roasters"
DOMAIN = f"{ROASTER}.myshopify.com"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SHOTS = ROOT / "shots"
expect.set_options(timeout=60_000)  # a busy machine is no wrong page


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Stack:
    """The running product. `post` and `get` speak to devshop's control API about the store, `occ` runs a command."""

    devshop: str
    app: str
    environment: dict[str, str]
    app_process: subprocess.Popen[bytes] | None = None

    def start_app(self) -> None:
        """The app serves, with its worker."""
        command = [sys.executable, "-m", "occ_app.cli", "serve", "--port", self.app.rsplit(":", 1)[1], "--workers", "1"]
        self.app_process = subprocess.Popen(command, cwd=ROOT, env=self.environment, start_new_session=True)
        wait_for(f"{self.app}/health")

    def stop_app(self) -> None:
        """Neither the app nor its worker runs."""
        if self.app_process is not None:
            self.app_process.send_signal(signal.SIGTERM)
            self.app_process.wait(30)
            self.app_process = None

    def post(self, path: str, body: object) -> dict[str, object]:
        """A request to devshop's control API."""
        url = f"{self.devshop}/_devshop/shops/{SHOP}/{path}" if not path.startswith("/") else self.devshop + path
        request = Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
        return json.loads(urlopen(request, timeout=20).read())

    def available(self, sku: str) -> int:
        """Shopify's number."""
        rows = json.loads(urlopen(f"{self.devshop}/_devshop/shops/{SHOP}/inventory", timeout=20).read())
        return int(next(row["available"] for row in rows if row["sku"] == sku))

    def occ(self, *words: str) -> str:
        """What a command prints."""
        command = [sys.executable, "-m", "occ_app.cli", *words]
        done = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


def wait_for(url: str) -> None:
    """The address answers."""
    eventually(lambda: _answers(url))


def _answers(url: str) -> bool:
    try:
        return urlopen(url, timeout=2).status == 200
    except (URLError, ConnectionError, TimeoutError):
        return False


def eventually(is_true: object, seconds: float = 90) -> None:
    """The condition comes true. How soon is measured elsewhere: here others may keep the machine busy."""
    end = time.monotonic() + seconds
    while not is_true():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.1)


@pytest.fixture(scope="session")
def stack(server_url: URL, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """devshop and the app, with the demo's store, its items, lots and mappings."""
    name = f"occ_browser_{uuid.uuid4().hex[:10]}"
    make_database(server_url, name, template)
    devshop, app = f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}"
    environment = {
        **os.environ,
        "OCC_ENV": "test",
        "OCC_INSTANCE": str(tmp_path_factory.mktemp("instance")),
        "DATABASE_URL": server_url.set(drivername="postgresql", database=name).render_as_string(hide_password=False),
        "SHOPIFY_API_KEY": "test-client-id",
        "SHOPIFY_API_SECRET": SECRET,
        "SHOPIFY_APP_URL": app,
        "SHOPIFY_STANDIN_URL": devshop,
        "APP_BRIDGE_URL": f"{devshop}/app-bridge.js",
    }
    options = [
        "--port",
        devshop.rsplit(":", 1)[1],
        "--app-url",
        app,
        "--config",
        "shopify.app.dev.toml",
        "--seed",
        "devshop/seed/demo.json",
    ]
    shopify = subprocess.Popen([sys.executable, "-m", "devshop", *options], cwd=ROOT, env=environment)
    stack = Stack(devshop, app, environment)
    try:
        wait_for(f"{devshop}/_devshop/health")
        stack.start_app()
        fill(stack)
        yield stack
    finally:
        stack.stop_app()
        shopify.terminate()
        shopify.wait(20)
        drop_database(server_url, name)


def fill(stack: Stack) -> None:
    """The store has opened the app; its items, lots and mappings are there and linked."""
    stack.post("orders/past", {"orders": list(past.orders(datetime.now(UTC).date(), days=59))})
    stack.post("install", {})
    token = stack.post("id-token", {})["id_token"]
    urlopen(Request(f"{stack.app}/", headers={"Authorization": f"Bearer {token}"}), timeout=20).read()
    eventually(lambda: "default_location = gid" in stack.occ("settings", "show", "--shop", SHOP))
    eventually(lambda: "EC85" in _variant_skus(stack))
    stack.occ("settings", "set", "--shop", SHOP, "drift_grace_seconds", "0")
    stack.occ(
        "settings", "set", "--shop", SHOP, "guard_units", "1000"
    )  # the tests share a store; their steps are bigger than a day's
    for kind in ("items", "lots", "mappings"):
        stack.occ("import", kind, f"devshop/seed/{kind}.csv", "--shop", SHOP)
    eventually(lambda: all(row["expected"] == row["target"] for row in shown(stack) if row["variant_gid"]))
    kitchen = [sys.executable, str(ROOT / "scripts" / "kitchen.py"), SHOP]
    subprocess.run(kitchen, cwd=ROOT, env={**stack.environment, "PYTHONPATH": str(ROOT)}, check=True)


def _variant_skus(stack: Stack) -> str:
    command = [sys.executable, "-m", "occ_app.cli", "import", "mappings", "-", "--shop", SHOP, "--dry-run"]
    lines = "item_sku,variant_sku\nnone,CB-BAR-EC85-80\n"
    done = subprocess.run(
        command, cwd=ROOT, env=stack.environment, input=lines, capture_output=True, text=True, check=False
    )
    pulled = stack.occ("work", "status")
    return "EC85" if "variants" not in pulled and "none" in done.stderr else ""


def shown(stack: Stack) -> list[dict[str, object]]:
    """`occ stock show`."""
    return json.loads(stack.occ("stock", "show", "--shop", SHOP, "--json"))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A Chromium that is installed."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ.get("OCC_CHROMIUM") or _chromium(), args=FLAGS)
        yield browser
        browser.close()


def _chromium() -> str:
    return subprocess.run(
        [str(ROOT / "scripts" / "browser")], capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.fixture(scope="session")
def partner(chromium: Browser, stack: Stack) -> str:
    """The path of the partner's pages: a roaster with 180 products, joined by the link. One for all files, as a store joins once."""
    stack.post("/_devshop/roasters", {})
    link = stack.occ("partner", "invite", "--shop", SHOP, "--name", "Harbour Roasters").strip()
    context = chromium.new_context()
    tab = context.new_page()
    tab.goto(link)
    tab.get_by_label("Your store’s address").fill(ROASTER)
    tab.get_by_role("button", name="Continue to Shopify").click()
    tab.get_by_role("button", name="Install").click()
    expect(tab.get_by_role("heading", name="You supply")).to_be_visible()
    app = open_app(tab, stack, "/partners")
    path = app.get_by_role("link", name="Harbour Roasters", exact=True).get_attribute("href") or ""
    context.close()
    assert len(products(stack)) > 100  # the command waits until they have been read
    return path.removesuffix("/products")


def products(stack: Stack) -> list[dict[str, object]]:
    """`occ partner products`."""
    return json.loads(stack.occ("partner", "products", "--shop", SHOP, "--partner", DOMAIN, "--json"))


@pytest.fixture
def tab(chromium: Browser, stack: Stack) -> Iterator[Page]:
    """A fresh tab of a desktop."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    yield context.new_page()
    context.close()


def open_app(tab: Page, stack: Stack, path: str = "") -> Frame:
    """The app's page in the admin, loaded; its frame."""
    tab.goto(f"{stack.devshop}/store/cocoa-bristol/apps/occ-inventory-hub-dev{path}")
    tab.frame_locator("#app").locator("h1").first.wait_for()
    return next(frame for frame in tab.frames if frame.url.startswith(stack.app))


def keep_shot(tab: Page, name: str) -> Path:
    """A picture of the tab, to be looked at."""
    SHOTS.mkdir(exist_ok=True)
    path = SHOTS / f"{name}.png"
    tab.screenshot(path=path)
    return path
