"""The app and devshop in one process, under one virtual clock, with a wire between them that can be cut and a process that can be killed."""

from __future__ import annotations

import contextlib
import contextvars
import gc
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx2
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import URL, Engine, event, text
from sqlalchemy.orm import Session

from devshop import appconfig
from devshop.app import create_app as create_devshop
from devshop.webhooks import Sender
from devshop.world import World
from occ_app import clock, create_app
from occ_app.config import ROOT, Config
from occ_app.extensions import db
from occ_app.shopify import client as shopify_client
from occ_app.shopify.transport import StandinTransport
from occ_app.work import runner, ticks
from tests.support.bench import Bench
from tests.support.settings import drop_database, empty_tables, make_database

CALL_SECONDS = 0.2


def _prepare_early(connection: Any, _: Any) -> None:
    connection.prepare_threshold = 1


class Killed(BaseException):
    """The process is dead: no code of the app may catch this."""


class VirtualClock:
    """The one time of the simulation, in devshop and in the app. It moves only when told to, and a little with each call."""

    speed = 1.0

    def __init__(self, start: datetime) -> None:
        self._now = start

    def now(self) -> datetime:
        """The moment."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Time passes."""
        self._now += timedelta(seconds=seconds)


@dataclass
class Meanwhile:
    """Something that happens while the `calls`-th call from now is on its way: before it arrives, or before its answer does."""

    calls: int
    before: bool
    act: Callable[[], None]


@dataclass
class Rig:
    """All that one seed needs. Made once for a process, emptied by `begin` for each seed."""

    app: Flask
    world: World
    devshop: Flask
    bench: Bench = field(init=False)
    time: VirtualClock = field(init=False)
    kill_in: int | None = None
    meanwhiles: list[Meanwhile] = field(default_factory=list)
    engine: Engine = field(init=False)
    pulled_at: datetime | None = None
    ticked: dict[str, int] = field(default_factory=dict)
    tasks_running: int = 0
    kills: int = 0
    deadline: float = 0.0

    @classmethod
    @contextlib.contextmanager
    def open(cls, config: Config, server: URL) -> Iterator[Rig]:
        """A rig on a database of its own."""
        name = f"occ_simulation_{uuid.uuid4().hex[:10]}"
        make_database(server, name)
        world = World(config.api_key, config.api_secret)
        devshop = create_devshop(world)
        wire = Wire(httpx2.WSGITransport(app=devshop))
        url = server.set(database=name)
        transport = StandinTransport(config.standin_url or "", wire)
        app = create_app(config, database_url=url.render_as_string(hide_password=False), transport=transport)
        rig = cls(app, world, devshop)
        wire.rig, collecting = rig, gc.get_threshold()
        try:
            with app.app_context():
                with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                    connection.execute(text(f'ALTER DATABASE "{name}" SET synchronous_commit = off'))
                    connection.execute(text(f"ALTER DATABASE \"{name}\" SET lock_timeout = '3s'"))
                upgrade()
                db.session.remove()
                db.engine.dispose()
                db.engine.pool._pre_ping = False  # nobody but us ends its connections
                event.listen(db.engine, "connect", _prepare_early)  # and no pooler shares them
            gc.freeze()
            gc.set_threshold(100_000, 50, 50)  # SQLAlchemy makes many objects that live for a moment
            yield rig
        finally:
            gc.set_threshold(*collecting)
            gc.unfreeze()
            with app.app_context():
                db.session.remove()
                db.engine.dispose()
            drop_database(server, name)

    @contextlib.contextmanager
    def begin(self, start: datetime, time_zone: str) -> Iterator[Bench]:
        """A fresh world at `start`, with one store that has the app. The machine's clock stands still meanwhile."""
        self.world.reset()
        self.world.__init__("test-client-id", self.world.client_secret)  # type: ignore[misc]
        self.time = VirtualClock(start)
        self.world.clock = self.time  # type: ignore[assignment]
        self.world.config = appconfig.load(ROOT / "shopify.app.dev.toml", self.world.app_url)
        self.kill_in, self.meanwhiles, self.kills, self.pulled_at = None, [], 0, start
        self.ticked, self.tasks_running = {}, 0
        shopify_client._buckets.clear()
        sender = Sender(self.world, Intake(self, httpx2.WSGITransport(app=self.app)))
        self.devshop.extensions["devshop_sender"] = sender
        was = clock.now, time.sleep
        clock.now, time.sleep = self.time.now, self.time.advance  # type: ignore[assignment]
        commit = Session.commit

        def commit_between_touches(session: Session) -> None:
            self.touch()
            commit(session)
            self.touch()

        Session.commit = commit_between_touches  # type: ignore[method-assign]
        run_task = runner.run_task
        runner.run_task = lambda *of: self.at_work(run_task, *of)
        try:
            with self.app.app_context():
                self.engine = db.engine
                empty_tables(db.engine)
                self.bench = Bench(self.app, self.world, sender)
                self.bench.store.time_zone = time_zone
                yield self.bench
                db.session.remove()
        finally:
            clock.now, time.sleep = was
            Session.commit = commit  # type: ignore[method-assign]
            runner.run_task = run_task

    # What can happen to the process ---------------------------------------------------------------------------------------------

    def at_work(self, act: Callable[..., Any], *of: Any) -> Any:
        """A task, or the reception of a delivery: what is done in it touches the outside, and so does its end."""
        self.tasks_running += 1
        try:
            self.touch()
            return act(*of)
        finally:
            self.tasks_running -= 1

    def touch(self) -> None:
        """Between two statements of a task that touch the outside: here the process may die."""
        if self.kill_in is None or not self.tasks_running:
            return
        self.kill_in -= 1
        if self.kill_in <= 0:
            self.kill_in = None
            self.kills += 1
            raise Killed

    def survive(self, act: Callable[[], Any]) -> Any:
        """`act` is done; if the process dies in it, another one is there afterwards that remembers nothing."""
        try:
            return act()
        except Killed:
            db.session.remove()
            shopify_client._buckets.clear()
            return None

    def on_wire(self, request: httpx2.Request, before: bool) -> None:
        """A call is on its way, or its answer is: things happen elsewhere."""
        self.time.advance(CALL_SECONDS / 2)
        if not before and b"ordersChanged" in request.content:
            self.pulled_at = self.time.now()
        if "/graphql.json" not in request.url.path:
            return  # a renewal of access holds its row
        for planned in [each for each in self.meanwhiles if each.before == before]:
            planned.calls -= 1
            if planned.calls <= 0:
                self.meanwhiles.remove(planned)
                contextvars.Context().run(self._elsewhere, planned.act)

    def _elsewhere(self, act: Callable[[], None]) -> None:
        with self.app.app_context():
            act()
            db.session.remove()

    # What the machine does --------------------------------------------------------------------------------------------------------

    def deliver(self, everything: bool = False) -> None:
        """Webhooks that are due are sent, each once."""
        self.bench.sender.deliver_due(everything=everything)

    def work(self) -> None:
        """A worker does all that waits; the process may die in it."""
        self.survive(self._drain)

    def _drain(self) -> None:
        db.session.remove()
        runner.drain(self.app, 60)
        db.session.remove()

    def pass_time(self, seconds: float, ticking: bool = True) -> None:
        """Time passes, and the clock ticks as it would have: each tick whose turn has come, once."""
        self.time.advance(seconds)
        for tick in list(ticks._ticks) if ticking else ():
            slot = int(self.time.now().timestamp()) // tick.seconds
            if self.ticked.get(tick.name) != slot:
                self.ticked[tick.name] = slot
                ticks.fire(self.app, tick)


class Wire(httpx2.BaseTransport):
    """The wire from the app to devshop."""

    rig: Rig

    def __init__(self, inner: httpx2.BaseTransport) -> None:
        self._inner = inner

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.rig.touch()
        self.rig.on_wire(request, before=True)
        try:
            response = self._inner.handle_request(request)
        except ConnectionResetError as error:
            raise httpx2.ReadError("the answer is lost", request=request) from error
        self.rig.on_wire(request, before=False)
        self.rig.touch()
        return response


class Intake(httpx2.BaseTransport):
    """The wire from devshop to the app: an app that dies while it listens, or before it has answered, gives no answer."""

    def __init__(self, rig: Rig, inner: httpx2.BaseTransport) -> None:
        self.rig, self._inner = rig, inner

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        try:
            return contextvars.Context().run(self.rig.at_work, self._receive, request)
        except Killed as error:
            raise httpx2.ReadError("the app died", request=request) from error

    def _receive(self, request: httpx2.Request) -> httpx2.Response:
        response = self._inner.handle_request(request)
        self.rig.touch()
        return response
