"""Drift: found, explained or named, kept as it is until somebody decides."""

from __future__ import annotations

import pytest

from devshop import inventory
from occ_app import clock
from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.shops import settings
from occ_app.shops.models import Shop
from occ_app.stock import ledger
from occ_app.sync import settle
from occ_app.sync.models import SyncException
from tests.support.bench import Bench


@pytest.fixture
def linked(bench: Bench) -> Bench:
    """10 released units of SSD on sale; a drift needs no grace."""
    bench.product("SSD", 0)
    bench.install()
    bench.item("SSD")
    bench.lot("SSD", 10)
    bench.map("SSD", "hub")
    bench.settle()
    rule(bench, drift_grace_seconds="0")
    return bench


def rule(bench: Bench, **values: str) -> None:
    """The shop has these settings."""
    with bench.scope():
        shop = db.session.scalars(db.select(Shop).where(Shop.domain == bench.store.domain)).one()
        for name, value in values.items():
            settings.put(shop, name, value)
        db.session.commit()


def answer(bench: Bench, remedy: str) -> None:
    """Somebody settles the open drift."""
    with bench.scope():
        found = db.session.scalars(db.select(SyncException).where(SyncException.settled_at.is_(None))).one()
        settle.settle(found.id, remedy, actor="test", at=clock.now())
        db.session.commit()
    bench.settle()


def test_a_hand_edit_is_named_and_stays(linked: Bench) -> None:
    linked.edit_by_hand("SSD", 14)
    linked.settle()

    assert linked.exceptions() == ["drift"]
    assert linked.available("SSD") == 14
    assert linked.show("SSD")["drift"] == 4


def test_an_edit_right_after_a_link_that_owed_nothing_is_named_too(bench: Bench) -> None:
    bench.product("SSD", 10)
    bench.install()
    bench.item("SSD")
    bench.lot("SSD", 10)
    bench.map("SSD", "hub")
    bench.settle()
    rule(bench, drift_grace_seconds="0")
    bench.world.clock.advance(1)  # Shopify's moments are whole seconds
    bench.edit_by_hand("SSD", 14)
    bench.settle()

    assert bench.exceptions() == ["drift"]
    assert bench.available("SSD") == 14


def test_until_it_is_settled_our_writes_only_lower(linked: Bench) -> None:
    linked.edit_by_hand("SSD", 14)
    linked.settle()
    lot = linked.lot("SSD", 5)
    linked.settle()
    assert linked.available("SSD") == 14
    linked.move(lot, "scrap")
    first = linked.lot("SSD", 1)
    linked.move(first, "scrap")
    with linked.scope():
        from occ_app.stock import lots
        from occ_app.stock.models import Lot

        lots.move(db.session.get_one(Lot, 1), "on_hold", 2, actor="test", at=clock.now())
        db.session.commit()
    linked.settle()

    assert linked.available("SSD") == 12


@pytest.mark.parametrize(("remedy", "ours", "theirs"), [("hub", 10, 10), ("shopify", 14, 14)])
def test_each_remedy_makes_both_sides_agree(linked: Bench, remedy: str, ours: int, theirs: int) -> None:
    linked.edit_by_hand("SSD", 14)
    linked.settle()
    answer(linked, remedy)

    shown = linked.show("SSD")
    assert (shown["target"], shown["expected"], linked.available("SSD")) == (ours, ours, theirs)
    assert linked.exceptions() == []
    with linked.scope():
        assert ledger.audit() == []


@pytest.mark.parametrize(("drift_rule", "number"), [("hub", 10), ("shopify", 4)])
def test_the_shops_rule_settles_without_asking(linked: Bench, drift_rule: str, number: int) -> None:
    rule(linked, drift_rule=drift_rule)
    linked.edit_by_hand("SSD", 4)
    linked.settle()

    assert (linked.show("SSD")["target"], linked.available("SSD")) == (number, number)
    assert linked.exceptions() == []


def test_a_drift_that_goes_by_itself_withdraws_its_exception(linked: Bench) -> None:
    linked.edit_by_hand("SSD", 14)
    linked.settle()
    linked.edit_by_hand("SSD", 10)
    linked.open("/home/sync", method="POST")
    linked.settle()

    assert linked.exceptions() == []


def test_what_the_other_states_say_is_told(linked: Bench) -> None:
    inventory.move(linked.store, linked.level("SSD"), "available", "damaged", 3, who="admin")
    linked.settle()
    with linked.scope():
        found = db.session.scalars(db.select(SyncException)).one()

    assert found.facts["why"] == "Somebody moved 3 to damaged in Shopify."


def test_the_second_person_to_press_is_told_that_it_is_settled(linked: Bench) -> None:
    linked.edit_by_hand("SSD", 14)
    linked.settle()
    with linked.scope():
        found = db.session.scalars(db.select(SyncException)).one()
        settle.settle(found.id, "hub", actor="Ada", at=clock.now())

        with pytest.raises(RuleError, match="settled already, by Ada"):
            settle.settle(found.id, "shopify", actor="Bob", at=clock.now())


def test_the_echo_of_our_own_write_books_nothing(linked: Bench) -> None:
    linked.lot("SSD", 5)
    linked.settle()
    linked.store.calls.clear()
    echo = next(d for d in reversed(linked.sender.deliveries) if d.topic == "inventory_levels/update")
    echo.webhook_id = "another-id"
    linked.sender.send(echo)
    linked.drain()

    assert linked.store.calls == []
    assert linked.show("SSD")["expected"] == 15
