"""Pushes under bad luck: stale, partial, refused, lost answers, guards."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import httpx2
import pytest

from devshop import products
from occ_app import clock
from occ_app.extensions import db
from occ_app.outbox.models import Mutation
from occ_app.shopify import client as shopify_client
from occ_app.shopify.client import Client
from occ_app.sync import approvals, modes
from occ_app.sync.models import PushLine, SyncState
from tests.support.bench import Bench


@pytest.fixture
def linked(bench: Bench) -> Bench:
    """10 released units each of A, B and C on sale."""
    for sku in "ABC":
        bench.product(sku, 0)
    bench.install()
    for sku in "ABC":
        bench.item(sku)
        bench.lot(sku, 10)
        bench.map(sku, "hub")
    bench.settle()
    assert [bench.available(sku) for sku in "ABC"] == [10, 10, 10]
    return bench


def before_each_write(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], None], times: int = 1) -> None:
    """`happens` comes between our reading and our write, so many times."""
    left = [times]
    original = Client.mutate

    def mutate(self: Client, name: str, variables: dict) -> object:  # type: ignore[type-arg]
        if name == "inventory_set" and left[0]:
            left[0] -= 1
            happens()
        return original(self, name, variables)

    monkeypatch.setattr(Client, "mutate", mutate)


def test_a_sale_between_reading_and_writing_is_not_undone(linked: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    before_each_write(monkeypatch, lambda: linked.sell_in("A", 10))
    linked.lot("A", 5)
    linked.settle()

    assert linked.available("A") == 5
    assert linked.show("A")["target"] == 5


@pytest.mark.parametrize("partial", [False, True])
def test_one_bad_row_stops_no_other(linked: Bench, partial: bool) -> None:
    linked.store.faults.fails_alone = partial
    linked.store.variant("B").is_bundle = True
    for sku in "ABC":
        linked.lot(sku, 5)
    linked.settle()

    assert [linked.available(sku) for sku in "ABC"] == [15, 10, 15]
    assert [linked.show(sku)["state"] for sku in "ABC"] == ["linked", "parked", "linked"]
    assert [linked.show(sku)["expected"] for sku in "ABC"] == [15, 10, 15]


def test_a_deleted_variant_is_parked_and_told(linked: Bench) -> None:
    products.delete_variant(linked.store, linked.store.variant("B"))
    linked.lot("B", 5)
    linked.lot("C", 5)
    linked.settle()

    assert linked.show("B")["state"] == "parked"
    assert "deleted" in linked.show("B")["cause"]
    assert linked.available("C") == 15


def test_a_location_switched_off_parks_and_comes_back_by_itself(linked: Bench) -> None:
    linked.place.is_active = False
    linked.lot("A", 5)
    linked.settle()
    assert linked.show("A")["state"] == "parked"
    linked.place.is_active = True
    linked.open("/home/sync", method="POST")
    linked.settle()

    assert linked.show("A")["state"] == "linked"
    assert linked.available("A") == 15


class LostAnswer(httpx2.BaseTransport):
    """Loses the answers of writes, after or before they were applied."""

    def __init__(self, inner: httpx2.BaseTransport, times: int, *, applied: bool) -> None:
        self.inner, self.left, self.applied = inner, times, applied

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if self.left and b"inventorySetQuantities" in request.read():
            self.left -= 1
            if self.applied:
                self.inner.handle_request(request)
            raise httpx2.ReadTimeout("lost", request=request)
        return self.inner.handle_request(request)


@pytest.mark.parametrize("applied", [True, False])
def test_a_lost_answer_is_asked_for_again_with_the_same_key(
    linked: Bench, applied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections = linked.app.extensions["occ_connections"]
    http = httpx2.Client(transport=LostAnswer(connections.transport, 1, applied=applied))
    monkeypatch.setitem(
        linked.app.extensions, "occ_connections", type(connections)(connections.config, connections.transport, http)
    )
    linked.lot("A", 5)
    linked.settle()
    linked.settle()

    assert linked.available("A") == 15
    assert linked.show("A")["expected"] == 15
    with linked.scope():
        last = db.session.scalars(db.select(Mutation).order_by(Mutation.id.desc())).first()
        assert last is not None
        assert (last.tries, last.state) == (2, "applied")


def test_where_keys_are_ignored_a_stale_retry_is_settled_by_a_reading(
    linked: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections = linked.app.extensions["occ_connections"]
    http = httpx2.Client(transport=LostAnswer(connections.transport, 1, applied=True))
    monkeypatch.setitem(
        linked.app.extensions, "occ_connections", type(connections)(connections.config, connections.transport, http)
    )
    linked.lot("A", 5)
    linked.drain()
    linked.store.idempotent.clear()
    linked.settle()

    assert linked.available("A") == 15
    assert linked.show("A")["expected"] == 15


def test_a_step_beyond_the_guard_waits_for_approval(linked: Bench) -> None:
    linked.lot("A", 500)
    linked.settle()
    assert linked.available("A") == 10
    assert linked.exceptions() == ["guard"]
    with linked.scope():
        approvals.approve([row.id for row in approvals.waiting()], actor="test", at=clock.now())
        db.session.commit()
    linked.settle()

    assert linked.available("A") == 510
    assert linked.exceptions() == []


def test_a_fall_does_not_wait_for_the_approval_of_a_rise(linked: Bench) -> None:
    big = linked.lot("A", 500)
    linked.settle()
    assert linked.exceptions() == ["guard"]
    linked.move(big, "scrap")
    linked.move(1, "on_hold", 2)
    linked.settle()

    assert linked.available("A") == 8
    assert linked.exceptions() == []


def test_a_call_that_never_gets_an_answer_stops_no_other(linked: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    connections = linked.app.extensions["occ_connections"]
    http = httpx2.Client(transport=LostAnswer(connections.transport, 3, applied=False))
    monkeypatch.setattr("occ_app.sync.answers.retry_after", lambda tries: timedelta(hours=1))
    monkeypatch.setitem(
        linked.app.extensions, "occ_connections", type(connections)(connections.config, connections.transport, http)
    )
    linked.lot("A", 5)
    linked.drain()
    linked.lot("B", 5)
    linked.drain()
    linked.settle()
    linked.settle()

    assert [linked.available(sku) for sku in "AB"] == [10, 15]
    with linked.scope():
        states = db.select(Mutation.state).where(Mutation.tries > 1).order_by(Mutation.id)
        assert db.session.scalars(states).all() == ["sent", "applied"]


def test_manual_approval_sends_nothing_by_itself(linked: Bench) -> None:
    with linked.scope():
        item = modes.states_of_item(1)[0].mapping.item
        modes.set_mode_of_item(item, "manual")
        db.session.commit()
    linked.lot("A", 5)
    linked.settle()
    assert linked.available("A") == 10
    assert linked.show("A")["state"] == "awaiting_approval"
    with linked.scope():
        approvals.approve([row.id for row in approvals.waiting()], actor="test", at=clock.now())
        db.session.commit()
    linked.settle()

    assert linked.available("A") == 15


def test_no_auto_sync_shows_the_number_and_sends_nothing(linked: Bench) -> None:
    with linked.scope():
        modes.set_mode_of_item(modes.states_of_item(1)[0].mapping.item, "none")
        db.session.commit()
    linked.lot("A", 5)
    linked.settle()

    assert linked.show("A")["target"] == 15
    assert linked.available("A") == 10


def test_a_lot_that_expires_lowers_the_number_with_no_other_event(
    linked: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    from datetime import timedelta

    tomorrow = (clock.now() + timedelta(days=1)).date()
    linked.lot("A", 4, expires_on=tomorrow)
    linked.settle()
    assert linked.available("A") == 14
    path = tmp_path / "clock"  # type: ignore[operator]
    path.write_text("90000")
    monkeypatch.setenv("OCC_CLOCK_FILE", str(path))
    linked.open("/home/sync", method="POST")
    linked.settle()

    assert linked.available("A") == 10


def test_every_write_was_a_row_before_it_was_a_call(linked: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def count() -> None:
        with db.engine.connect() as connection:
            seen.append(
                connection.exec_driver_sql("SELECT count(*) FROM push_line WHERE state = 'waiting'").scalar_one()
            )

    before_each_write(monkeypatch, count)
    linked.lot("A", 5)
    linked.settle()

    assert seen == [1]
    with linked.scope():
        assert set(db.session.scalars(db.select(PushLine.state))) == {"applied"}


def test_a_crash_between_call_and_answer_neither_repeats_nor_forgets(
    linked: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Crash(BaseException):
        pass

    def crash(*_: object) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr("occ_app.sync.answers._applied", crash)
        linked.lot("A", 5)
        with pytest.raises(Crash):
            linked.drain()
    assert linked.available("A") == 15
    linked.settle()

    assert linked.available("A") == 15
    assert linked.show("A")["expected"] == 15


def test_unmapping_leaves_shopifys_number_alone(linked: Bench) -> None:
    answer = linked.open("/mapping/1/end", method="POST")
    assert answer.status_code == 303
    linked.lot("A", 5)
    linked.settle()

    assert linked.available("A") == 10
    with linked.scope():
        assert db.session.get_one(SyncState, 1).state == "off"


def test_waits_for_points_are_taken_from_what_shopify_says(linked: Bench) -> None:
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        linked.world.clock.advance(seconds)

    connections = linked.app.extensions["occ_connections"]
    token = connections.access_token(1, linked.store.domain)
    client = Client(linked.store.domain, lambda force: token, connections.http, wait)
    client.query("shop_facts", {})
    asked = shopify_client.bucket_of(linked.store.domain).costs["shop_facts"]
    points = linked.store.bucket
    points.available, points.restore_rate, points.at = asked, 10.0, linked.world.clock.now()
    client.query("shop_facts", {})
    left = points.available
    client.query("shop_facts", {})

    assert waits[:2] == [0, 0]
    assert waits[2] == pytest.approx((asked - left) / 10, abs=0.5)


def test_two_errors_of_one_row_say_nothing_about_the_others(linked: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    linked.store.faults.fails_alone = True
    linked.store.variant("B").is_bundle = True
    original = Client.mutate

    def mutate(self: Client, name: str, variables: dict) -> object:  # type: ignore[type-arg]
        answer = original(self, name, variables)
        if name == "inventory_set":
            errors = answer.data["inventorySetQuantities"]["userErrors"]
            errors += [{**error, "code": "INVALID_INVENTORY_ITEM"} for error in errors]
        return answer

    monkeypatch.setattr(Client, "mutate", mutate)
    for sku in "ABC":
        linked.lot(sku, 5)
    linked.settle()

    assert [linked.available(sku) for sku in "ABC"] == [15, 10, 15]
    assert [linked.show(sku)["expected"] for sku in "ABC"] == [15, 10, 15]
