"""A form that makes something is done once, whatever the browser, the network or an impatient finger does."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from occ_app import clock, presses
from occ_app.b2b.models import WholesaleOrder
from occ_app.extensions import across_shops, db
from occ_app.stock.channel_models import Handout
from tests.support.bench import Bench

FORMS = (
    "/wholesale/new",
    "/channels/samples",
    "/channels/markets",
    "/lots/new",
    "/production/runs/new",
    "/partners",
)


@pytest.fixture
def shop(bench: Bench) -> Bench:
    """The bench with 40 bars that the webshop sells."""
    bench.product("BAR", available=40)
    bench.install()
    bench.item("BAR")
    bench.lot("BAR", 40, number="L-1")
    bench.settle()
    bench.map("BAR")
    bench.settle()
    return bench


def once(bench: Bench, path: str) -> str:
    """What the form on that page sends along."""
    return re.findall(r'name="once" value="([^"]+)"', bench.open(path).get_data(as_text=True))[0]


def orders(bench: Bench) -> int:
    """How many wholesale orders there are."""
    with bench.scope():
        return db.session.scalar(db.select(db.func.count()).select_from(WholesaleOrder)) or 0


def an_order(bench: Bench) -> dict[str, str]:
    """The form of an order, filled in."""
    return {
        "once": once(bench, "/wholesale/new"), "customer": "Corner Deli", "item-0": "BAR", "quantity-0": "3"
    }  # fmt: skip


@pytest.mark.parametrize("path", FORMS)
def test_each_rendering_of_a_form_is_another(shop: Bench, path: str) -> None:
    assert len({once(shop, path) for _ in range(3)}) == 3


def test_a_form_that_is_sent_again_is_told_and_not_done_again(shop: Bench) -> None:
    form = an_order(shop)
    first, second = (shop.open("/wholesale", method="POST", data=form) for _ in range(2))

    assert (first.status_code, second.status_code, orders(shop)) == (303, 422, 1)
    assert "was not done again" in second.get_data(as_text=True)


def test_ten_presses_at_the_same_moment_are_one_order(shop: Bench) -> None:
    form = an_order(shop)
    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(lambda _: shop.open("/wholesale", method="POST", data=form).status_code, range(10)))

    assert sorted(answers) == [303] + [422] * 9
    assert orders(shop) == 1


def test_a_form_that_was_refused_can_be_sent_again(shop: Bench) -> None:
    form = an_order(shop) | {"quantity-0": "500"}
    refused = shop.open("/wholesale", method="POST", data=form)
    shop.lot("BAR", 500, number="L-2")
    shop.settle()
    done = shop.open("/wholesale", method="POST", data=form)

    assert (refused.status_code, done.status_code, orders(shop)) == (422, 303, 1)


def test_a_form_that_was_gone_back_to_and_changed_is_another_one(shop: Bench) -> None:
    form = an_order(shop)
    shop.open("/wholesale", method="POST", data=form)
    shop.open("/wholesale", method="POST", data=form | {"quantity-0": "4"})

    assert orders(shop) == 2


def test_units_given_away_count_once(shop: Bench) -> None:
    form = {
        "once": once(shop, "/channels/samples"),
        "item": "BAR",
        "quantity": "2",
        "purpose": "Fair",
        "channel": "samples",
    }
    for _ in range(2):
        shop.open("/channels/samples", method="POST", data=form)
    with shop.scope():
        given = db.session.scalar(db.select(db.func.sum(Handout.quantity)))

    assert given == 2


def test_old_presses_are_forgotten(shop: Bench) -> None:
    shop.open("/wholesale", method="POST", data=an_order(shop))
    left = []
    for days in (1, 3):
        with across_shops():
            presses.forget_old(clock.now() + timedelta(days=days))
            left.append(db.session.scalar(db.select(db.func.count()).select_from(presses.Press)))
            db.session.rollback()

    assert left == [1, 0]
