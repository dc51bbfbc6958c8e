"""A partner's goods go through the sync rule like any other: readings of the partner and orders of the store decide the number."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from devshop import orders
from occ_app import clock
from occ_app.errors import RuleError
from occ_app.extensions import across_shops, current_shop_id, db
from occ_app.orders.models import OrderLine
from occ_app.partners import readings, settings, standing
from occ_app.partners.models import (
    BY_PARTNER_ORDER,
    CONNECTED,
    LEFT,
    MERCHANT,
    ImportedVariant,
    Partner,
    Reflection,
)
from occ_app.shops import settings as shop_settings
from occ_app.shops.models import Shop
from occ_app.stock import ledger
from occ_app.stock.models import Balance, StockMove
from occ_app.sync import settle
from occ_app.sync.models import SyncException
from occ_app.wiring import reconcile_now
from tests.partners.support import add_good, add_partner, read
from tests.support.bench import DOMAIN, Bench, Statements


@pytest.fixture
def roaster(bench: Bench) -> Iterator[Bench]:
    """A store that sells a partner's beans, 20 of them, in Shopify too."""
    bench.product("BEANS")
    bench.install()
    with bench.scope():
        add_good(bench, add_partner(), "BEANS", 20)
        db.session.commit()
    bench.settle()
    yield bench
    db.session.rollback()
    with across_shops():
        assert ledger.audit() == []


def partner() -> Partner:
    """The one partner."""
    return db.session.scalars(db.select(Partner)).one()


def imported() -> ImportedVariant:
    """The one imported variant."""
    return db.session.scalars(db.select(ImportedVariant)).one()


def read_again(bench: Bench, available: int | None) -> None:
    """The partner was read, and all that follows is done."""
    with bench.scope():
        read(imported().partner_variant_id, available)
    bench.settle()


def terms(bench: Bench) -> dict[str, int]:
    """The terms behind the number."""
    return {term["name"]: term["quantity"] for term in bench.show("BEANS")["terms"]}


def test_the_first_link_sets_shopify_to_what_the_partner_has(roaster: Bench) -> None:
    assert roaster.available("BEANS") == 20
    assert roaster.exceptions() == []


def test_the_stores_number_follows_the_partners(roaster: Bench) -> None:
    read_again(roaster, 400)
    assert roaster.available("BEANS") == 400  # no guard: it is no number of ours
    read_again(roaster, 1)

    assert roaster.available("BEANS") == 1
    assert roaster.exceptions() == []


def test_a_sale_takes_from_the_partner_and_needs_no_push(roaster: Bench) -> None:
    roaster.sell_in("BEANS", 3)
    roaster.settle()

    assert roaster.available("BEANS") == 17
    shown = roaster.show("BEANS")
    assert (shown["target"], shown["expected"], shown["drift"]) == (17, 17, 0)
    assert terms(roaster) == {"partner_available": 20, "unreflected": -3}
    with roaster.scope():
        moves = db.session.execute(db.select(StockMove.from_place, StockMove.to_place, StockMove.quantity)).all()
        assert [tuple(move) for move in moves] == [("partner", "committed", 3)]
    assert roaster.exceptions() == []


def test_units_not_yet_ordered_stay_off_the_partners_next_reading(roaster: Bench) -> None:
    roaster.sell_in("BEANS", 3)
    roaster.settle()

    read_again(roaster, 18)

    assert roaster.available("BEANS") == 15


def test_what_was_shipped_shows_in_the_partners_next_reading_and_not_before(roaster: Bench) -> None:
    order = roaster.sell_in("BEANS", 3)
    roaster.settle()
    orders.fulfil(roaster.store, order)
    roaster.settle()
    assert roaster.available("BEANS") == 17

    read_again(roaster, 17)

    assert roaster.available("BEANS") == 17
    assert terms(roaster) == {"partner_available": 17}


def test_a_cancelled_sale_goes_back_to_the_partner(roaster: Bench) -> None:
    order = roaster.sell_in("BEANS", 3)
    roaster.settle()
    orders.cancel(roaster.store, order, restock=True)
    roaster.settle()

    assert roaster.available("BEANS") == 20
    with roaster.scope():
        assert set(db.session.scalars(db.select(Balance.quantity).where(Balance.place == "partner"))) == {0}
        assert db.session.scalars(db.select(OrderLine.from_partner)).one() == 0


def test_a_sale_given_up_without_restock_is_free_again_with_the_next_reading(roaster: Bench) -> None:
    order = roaster.sell_in("BEANS", 2)
    roaster.settle()
    orders.cancel(roaster.store, order, restock=False)
    roaster.settle()
    assert roaster.available("BEANS") == 18

    read_again(roaster, 20)

    assert roaster.available("BEANS") == 20


def test_goods_that_customers_return_are_sold_from_the_own_shelf_first(roaster: Bench) -> None:
    order = roaster.sell_in("BEANS", 2)
    roaster.settle()
    orders.fulfil(roaster.store, order)
    roaster.settle()
    read_again(roaster, 18)
    orders.refund(roaster.store, order, [{"line_item_id": order.lines[0].id, "quantity": 1, "restock_type": "return"}])
    roaster.settle()
    assert terms(roaster) == {"partner_available": 18, "released": 1}

    roaster.sell_in("BEANS", 2)
    roaster.settle()

    assert terms(roaster) == {"partner_available": 18, "unreflected": -1}
    assert roaster.available("BEANS") == 17


def test_units_on_a_partner_order_count_once_it_shows(roaster: Bench) -> None:
    roaster.sell_in("BEANS", 3)
    roaster.settle()
    with roaster.scope():
        line = db.session.scalars(db.select(OrderLine)).one()
        at = clock.now()
        for _ in range(2):  # a repeated report is one
            readings.reflect(line, imported().item_id, 3, reason=BY_PARTNER_ORDER, source="partner_order:1:1", at=at)
        db.session.commit()
        read(imported().partner_variant_id, 20, at)  # of the same second: it may not show yet
        assert db.session.scalars(db.select(Reflection.shown_at)).one() is None

    read_again(roaster, 17)

    assert roaster.available("BEANS") == 17
    assert terms(roaster) == {"partner_available": 17}


def test_more_sold_than_the_partner_has_is_on_the_desk_until_the_numbers_fit(roaster: Bench) -> None:
    read_again(roaster, 1)
    roaster.sell_in("BEANS", 1)  # the last one, and the partner sells it too
    roaster.settle()

    read_again(roaster, 0)

    assert roaster.available("BEANS") == 0
    assert roaster.exceptions() == ["missing"]
    with roaster.scope():
        facts = db.session.scalars(db.select(SyncException.facts)).all()[-1]
    assert (facts["units"], facts["partner"]) == (1, "Northlight Coffee")
    assert b"1 of Beans BEANS sold that Northlight Coffee no longer has" in roaster.open("/exceptions").data
    read_again(roaster, 5)
    assert roaster.exceptions() == []


def test_an_older_reading_changes_nothing(roaster: Bench) -> None:
    with roaster.scope():
        read(imported().partner_variant_id, 3, clock.now() - timedelta(hours=1))
    roaster.settle()

    assert roaster.available("BEANS") == 20


def test_safety_stock_widens_with_the_age_of_the_reading_until_nothing_is_sold(
    roaster: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with roaster.scope():
        settings.put(partner(), "safety_stock", "2")
        db.session.commit()
    seen = []
    for minutes in (0, 121, 181, 361):
        (tmp_path / "clock").write_text(str(minutes * 60))
        monkeypatch.setenv("OCC_CLOCK_FILE", str(tmp_path / "clock"))
        seen.append(roaster.show("BEANS")["sellable"])

    assert seen == [18, 17, 16, 0]


def test_goods_of_a_partner_that_left_fall_to_0_and_come_back(roaster: Bench) -> None:
    for state, by, expected in ((LEFT, MERCHANT, 0), (CONNECTED, None, 20)):
        with roaster.scope():
            standing.put(partner(), state, by, None, clock.now())
            db.session.commit()
        roaster.settle()

        assert roaster.available("BEANS") == expected


def test_goods_that_the_partner_does_not_count_have_the_number_that_the_merchant_gives(roaster: Bench) -> None:
    with roaster.scope():
        settings.put(partner(), "untracked_units", "7")
        db.session.commit()

    read_again(roaster, None)

    assert roaster.available("BEANS") == 7


def test_shopifys_number_is_never_taken_for_a_partners_goods(roaster: Bench) -> None:
    with roaster.scope():
        shop = db.session.scalars(db.select(Shop).where(Shop.domain == DOMAIN)).one()
        for name, value in (("drift_rule", "shopify"), ("drift_grace_seconds", "0")):
            shop_settings.put(shop, name, value)
        db.session.commit()
    roaster.edit_by_hand("BEANS", 25)
    roaster.settle()

    with roaster.scope():
        reconcile_now(current_shop_id())
        found = db.session.scalars(db.select(SyncException).where(SyncException.settled_at.is_(None))).one()
        assert found.kind == "drift"
        with pytest.raises(RuleError, match="partner's stock"):
            settle.settle(found.id, "shopify", actor="test", at=clock.now())
        db.session.rollback()
        settle.settle(found.id, "hub", actor="test", at=clock.now())
        db.session.commit()
    roaster.settle()
    assert roaster.available("BEANS") == 20


def test_a_whole_reading_costs_the_same_statements_for_any_number_of_goods(roaster: Bench) -> None:
    for number in range(2, 12):
        roaster.product(f"BEANS-{number}")
    roaster.settle()
    counts = []
    with roaster.scope():
        for number in range(2, 12):
            add_good(roaster, partner(), f"BEANS-{number}", 5, number)
        db.session.commit()
        ids = list(db.session.scalars(db.select(ImportedVariant.partner_variant_id)))
        for some in (ids[:2], ids):
            at = clock.now() + timedelta(seconds=len(some))
            with Statements() as statements:
                readings.keep(partner(), dict.fromkeys(some, 9 - len(some) % 5), at)
                readings.keep_whole(partner(), at)
                db.session.commit()
            counts.append(len(statements.texts))

    assert counts[1] <= counts[0] + 2
