"""What all tests stand on: a migrated PostgreSQL of their own, the app on it, and devshop as its Shopify."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta

import httpx2
import pytest
from flask import Flask
from flask_migrate import upgrade
from hypothesis import HealthCheck, settings
from sqlalchemy import URL
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from devshop import appconfig
from devshop.app import create_app as create_devshop
from devshop.webhooks import Sender
from devshop.world import World
from occ_app import create_app
from occ_app.catalog import pull
from occ_app.config import ROOT, Config
from occ_app.extensions import db
from occ_app.shopify import client as shopify_client
from occ_app.shopify.transport import StandinTransport
from tests.support.bench import Bench
from tests.support.settings import SECRET, drop_database, empty_tables, find_server, make_config, make_database

settings.register_profile(  # how busy the machine is proves nothing, and a run finds what the last one found
    "same", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("same")


class ByFile(LoadFileScheduling):
    """A file's tests run in one worker, and all that drive a browser in the same one: they share one running product."""

    def _split_scope(self, nodeid: str) -> str:
        return "tests/browser" if nodeid.startswith("tests/browser/") else str(super()._split_scope(nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    """Which worker runs what."""
    return ByFile(config, log)


class Wire(httpx2.WSGITransport):
    """devshop in this process, whose broken connections look as those of a network do."""

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        try:
            return super().handle_request(request)
        except ConnectionError as error:
            raise httpx2.ReadError(str(error), request=request) from error


@pytest.fixture(autouse=True)
def _push_request_context() -> None:
    """pytest-flask's own keeps one request context over a whole test, and so hides what leaks between two requests."""


@pytest.fixture(scope="session")
def config() -> Config:
    """Settings of the tests; nothing is read from the environment but where the database is."""
    return make_config()


@pytest.fixture(scope="session")
def server_url() -> URL:
    """The PostgreSQL server of the tests: that of `DATABASE_URL`, else the private one."""
    return find_server()


@pytest.fixture(scope="session")
def template(server_url: URL, config: Config) -> Iterator[str]:
    """A migrated, empty database to copy."""
    name = f"occ_template_{uuid.uuid4().hex[:10]}"
    make_database(server_url, name)
    url = server_url.set(database=name)
    app = create_app(config, database_url=url.render_as_string(hide_password=False))
    with app.app_context():
        upgrade()
        db.session.remove()
        db.engine.dispose()
    yield name
    drop_database(server_url, name)


@pytest.fixture(scope="session")
def database_url(server_url: URL, template: str) -> Iterator[URL]:
    """This worker's database, a copy of the template."""
    name = f"occ_test_{uuid.uuid4().hex[:10]}"
    make_database(server_url, name, template)
    yield server_url.set(database=name)
    drop_database(server_url, name)


@pytest.fixture(scope="session")
def world_app() -> Iterator[tuple[World, Flask]]:
    """devshop, in this process."""
    world = World("test-client-id", SECRET)
    yield world, create_devshop(world)


@pytest.fixture(scope="session")
def app_of_session(config: Config, database_url: URL, world_app: tuple[World, Flask]) -> Iterator[Flask]:
    """The app on this worker's database, with devshop as its Shopify."""
    transport = StandinTransport(config.standin_url or "", Wire(app=world_app[1]))
    app = create_app(config, database_url=database_url.render_as_string(hide_password=False), transport=transport)
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def world(world_app: tuple[World, Flask], app_of_session: Flask) -> World:
    """An empty world that delivers its webhooks to the app when asked to."""
    world, devshop = world_app
    world.reset()
    world.__init__("test-client-id", SECRET)  # type: ignore[misc]
    world.config = appconfig.load(ROOT / "shopify.app.dev.toml", world.app_url)
    devshop.extensions["devshop_sender"] = Sender(world, httpx2.WSGITransport(app=app_of_session))
    return world


@pytest.fixture
def app(app_of_session: Flask, world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """The app with empty tables."""
    monkeypatch.delenv("OCC_CLOCK_FILE", raising=False)
    monkeypatch.setattr(pull, "LOOK_EVERY", timedelta(milliseconds=5))  # else each installation waits two seconds
    shopify_client._buckets.clear()
    with app_of_session.app_context():
        empty_tables(db.engine)
        yield app_of_session
        db.session.remove()


@pytest.fixture
def bench(app: Flask, world: World, world_app: tuple[World, Flask]) -> Bench:
    """A store in devshop, the app, and the few moves that most tests make."""
    return Bench(app, world, world_app[1].extensions["devshop_sender"])
