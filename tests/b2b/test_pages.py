"""The pages of channels and wholesale, as a browser asks for them."""

from __future__ import annotations

import pytest

from occ_app import clock
from occ_app.catalog.models import Item
from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.stock import channels, markets
from occ_app.stock.channel_models import AllocationRule
from occ_app.stock.sharing import Claim
from occ_app.sync import modes
from tests.b2b.conftest import HALF, SKU, System, split
from tests.support.bench import DOMAIN, Bench


def text(bench: Bench, path: str, **options: object) -> tuple[int, str]:
    """Status and text of a page."""
    answer = bench.open(path, **options)
    return answer.status_code, answer.get_data(as_text=True)


def item_id(bench: Bench) -> int:
    """The bar's id."""
    with bench.scope():
        return db.session.scalars(db.select(Item.id).where(Item.sku == SKU)).one()


PAGES = (
    "/channels",
    "/channels?view=pool&q=bar",
    "/channels?view=short",
    "/channels/log",
    "/channels/log.csv",
    "/channels/markets",
    "/channels/samples",
    "/wholesale",
    "/wholesale/new",
    "/settings/api",
    "/api/v1/docs",
)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_opens(system: System, path: str) -> None:
    split(system.bench, SKU, HALF)
    system.order(5)
    status, said = text(system.bench, path)

    assert status == 200
    assert said


def test_an_item_is_split_by_rules_after_a_look_at_what_they_do(system: System) -> None:
    bench, one = system.bench, item_id(system.bench)
    form = {"kind-wholesale": "share", "units-wholesale": "40", "kind-shopify": "rest"}
    _, preview = text(bench, f"/channels/items/{one}/rules/preview", method="POST", data=form)
    before = system.stock()
    bench.open(f"/channels/items/{one}/rules/split", method="POST", data=form)
    bench.settle()

    assert "Nothing has changed yet" in preview
    assert (before, system.stock(), bench.available(SKU)) == ((100, 100), (40, 60), 60)


def test_the_border_is_moved_undone_and_given_back(system: System) -> None:
    bench, one = system.bench, item_id(system.bench)
    split(bench, SKU, HALF)
    bench.open(f"/channels/items/{one}/amounts", method="POST", data={"shopify": "50", "wholesale": "50"})
    moved = system.stock()
    bench.open("/channels/changes/2/undo", method="POST", data={"item": one})
    undone = system.stock()
    bench.open(f"/channels/items/{one}/back", method="POST", data={"channel": "wholesale"})
    bench.settle()

    assert (moved, undone, system.stock(), bench.available(SKU)) == ((50, 50), (40, 60), (0, 100), 100)


def test_shopifys_own_rule_takes_no_day_on_which_it_gives_back(system: System) -> None:
    bench, one = system.bench, item_id(system.bench)
    form = {"kind-wholesale": "share", "units-wholesale": "40", "kind-shopify": "share", "units-shopify": "60"}
    form |= {"back-wholesale": "2030-01-01"}
    wrong = text(
        bench, f"/channels/items/{one}/rules/split", method="POST", data={**form, "back-shopify": "2030-01-01"}
    )
    status, shown = text(bench, f"/channels/items/{one}/rules/split", method="POST", data=form)

    assert wrong[0] == 422
    assert "Unsold units go back to Shopify, so its own rule has no such day." in wrong[1]
    assert (status, system.stock()) == (200, (40, 60))
    assert 'name="back-wholesale"' in shown
    assert 'name="back-shopify"' not in shown


def test_a_split_and_the_way_back_are_not_undone_by_their_rows(system: System) -> None:
    bench, one = system.bench, item_id(system.bench)
    split(bench, SKU, HALF)
    _, shown = text(bench, f"/channels/items/{one}")
    tried = [text(bench, "/channels/changes/1/undo", method="POST", data={"item": one})]
    still = system.stock()
    bench.open(f"/channels/items/{one}/pool", method="POST")
    tried.append(text(bench, "/channels/changes/2/undo", method="POST", data={"item": one}))
    bench.settle()

    assert "Undo the change" not in shown
    assert [status for status, _ in tried] == [422, 422]
    assert "Put the item back into the pool instead" in tried[0][1]
    assert "Split it by rules again instead" in tried[1][1]
    assert (still, system.stock(), bench.available(SKU)) == ((40, 60), (100, 100), 100)


@pytest.mark.parametrize("amount", ["61", "-1", "1.5", "x", "1000000000000", ""])
def test_a_wrong_amount_is_told_beside_its_field_and_changes_nothing(system: System, amount: str) -> None:
    bench, one = system.bench, item_id(system.bench)
    split(bench, SKU, HALF)
    form = {"shopify": "60", "wholesale": amount}
    status, said = text(bench, f"/channels/items/{one}/amounts", method="POST", data=form)

    assert status == 422
    assert 'aria-invalid="true"' in said
    assert system.stock() == (40, 60)


def test_a_comma_parts_thousands_and_is_no_decimal_point(system: System) -> None:
    bench, one = system.bench, item_id(system.bench)
    bench.lot(SKU, 1900, number="L-2")
    split(bench, SKU, HALF)
    path = f"/channels/items/{one}/amounts"
    moved, _ = text(bench, path, method="POST", data={"shopify": "750", "wholesale": "1,250"})
    refused = [text(bench, path, method="POST", data={"shopify": "1875", "wholesale": n}) for n in ("12,5", "1,25,0")]

    assert moved == 200
    assert [status for status, _ in refused] == [422, 422]
    assert "A comma only parts thousands" in refused[0][1]
    assert system.stock() == (1250, 750)


def test_an_order_of_rules_that_is_no_number_comes_last(system: System) -> None:
    bench, one = system.bench, item_id(system.bench)
    form = {"kind-wholesale": "share", "units-wholesale": "40", "order-wholesale": "²", "kind-shopify": "rest"}
    status, _ = text(bench, f"/channels/items/{one}/rules/preview", method="POST", data=form)

    assert status == 200


def test_a_market_count_of_odd_digits_is_refused_on_the_command_line(system: System) -> None:
    bench = system.bench
    bench.open("/channels/markets", method="POST", data={"name": "Saturday market", "held_on": "2026-11-21"})
    bench.open("/channels/markets/1/out", method="POST", data={"item": SKU, "quantity": "20"})
    words = ["market", "close", "--shop", DOMAIN, "1", "--count", f"{SKU}=²,12"]
    run = bench.app.test_cli_runner().invoke(args=words)

    assert run.exit_code == 1
    assert "is no count" in run.stderr


def test_channels_of_like_names_have_keys_of_their_own_and_only_the_same_name_is_refused(system: System) -> None:
    bench = system.bench
    given = ("Market hall", "Farm shop", "Farm-shop", "Markets!", "farm SHOP", "Wholesale")
    made = [bench.open("/channels", method="POST", data={"name": name}).status_code for name in given]
    with bench.scope():
        own = list(channels.names())[5:]

    assert made == [303, 303, 303, 303, 422, 422]
    assert own == ["own-market-hall", "farm-shop", "farm-shop-2", "markets-2"]


def test_an_own_channel_is_renamed_and_removed_once_it_holds_nothing(system: System) -> None:
    bench, one = system.bench, item_id(system.bench)
    for name in ("Farm shop", "Cafe"):
        bench.open("/channels", method="POST", data={"name": name})
    bench.open(f"/channels/items/{one}/amounts", method="POST", data={"farm-shop": "7"})

    assert text(bench, "/channels/own/farm-shop/rename", method="POST", data={"name": "cafe"})[0] == 422
    assert "Give a name of 1" in text(bench, "/channels/own/farm-shop/rename", method="POST", data={"name": " "})[1]
    bench.open("/channels/own/farm-shop/rename", method="POST", data={"name": "Farm Shop & Yard"})
    status, said = text(bench, "/channels/own/farm-shop/remove", method="POST")
    assert (status, "Farm Shop &amp; Yard holds 7 units. Give them back first" in said) == (422, True)
    bench.open(f"/channels/items/{one}/back", method="POST", data={"channel": "farm-shop"})
    split(bench, SKU, (Claim("shopify"), Claim("farm-shop", share_percent=0)))
    assert text(bench, "/channels/own/farm-shop/remove", method="POST")[0] == 303

    with bench.scope():
        assert [channel.key for channel in channels.own()] == ["cafe"]
        assert [rule.channel for rule in db.session.scalars(db.select(AllocationRule))] == ["shopify"]
    assert "Farm" not in text(bench, f"/channels/items/{one}")[1].split("History")[0]
    assert text(bench, "/channels/log")[0] == 200
    for path in ("own/wholesale/remove", "own/none/remove"):
        assert text(bench, f"/channels/{path}", method="POST")[0] == 422


def test_back_in_the_pool_everybody_sells_the_same_units(system: System) -> None:
    bench, one = system.bench, item_id(system.bench)
    split(bench, SKU, HALF)
    bench.open(f"/channels/items/{one}/pool", method="POST")
    bench.settle()

    assert (system.stock(), bench.available(SKU)) == ((100, 100), 100)


def test_in_the_pool_shopify_is_given_nothing_of_its_own(system: System) -> None:
    bench, one = system.bench, item_id(system.bench)
    _, shown = text(bench, f"/channels/items/{one}")
    status, said = text(
        bench, f"/channels/items/{one}/amounts", method="POST", data={"shopify": "30", "wholesale": "10"}
    )
    form = {"kind-wholesale": "share", "units-wholesale": "40", "kind-shopify": "rest"}
    shared = bench.open(f"/channels/items/{one}/rules/share", method="POST", data=form)
    untouched = system.stock()
    bench.open(f"/channels/items/{one}/amounts", method="POST", data={"wholesale": "10"})
    bench.settle()

    assert 'id="f-amount-wholesale"' in shown
    assert 'id="f-amount-shopify"' not in shown
    assert (status, shared.status_code, untouched) == (422, 422, (100, 100))
    assert "In the pool Shopify sells what is free" in said
    assert (system.stock(), bench.available(SKU)) == ((100, 90), 90)


@pytest.mark.parametrize("mode", ["manual", "completed", None])
def test_back_in_the_pool_an_item_has_the_mode_from_before(system: System, mode: str | None) -> None:
    bench, one = system.bench, item_id(system.bench)
    with bench.scope():
        modes.set_mode_of_item(db.session.get_one(Item, one), mode)
        db.session.commit()
    form = {"kind-wholesale": "share", "units-wholesale": "40", "kind-shopify": "rest"}
    bench.open(f"/channels/items/{one}/rules/split", method="POST", data=form)
    bench.open(f"/channels/items/{one}/pool", method="POST")
    with bench.scope():
        item = db.session.get_one(Item, one, populate_existing=True)
        after = (item.sync_mode, item.mode_before_split)

    assert after == (mode, None)


def test_an_order_by_hand_goes_through_its_steps(system: System) -> None:
    bench = system.bench
    form = {"customer": "Corner Deli", "item-0": SKU, "quantity-0": "5", "draft": "yes"}
    made = bench.open("/wholesale", method="POST", data=form)
    untouched = system.stock()
    _, confirmed = text(bench, "/wholesale/1/confirm", method="POST")
    _, shipped = text(bench, "/wholesale/1/ship", method="POST")
    again, _ = text(bench, "/wholesale/1/ship", method="POST")
    late, told = text(bench, "/wholesale/1/cancel", method="POST")

    assert (made.status_code, untouched, system.stock()) == (303, (100, 100), (95, 95))
    assert "L-1" in confirmed
    assert "Shipped" in shipped
    assert (again, late) == (200, 422)
    assert "What has left cannot be cancelled" in told


def test_a_market_day_is_counted(system: System) -> None:
    bench, one = system.bench, item_id(system.bench)
    bench.open("/channels/markets", method="POST", data={"name": "Saturday market", "held_on": "2026-11-21"})
    bench.open("/channels/markets/1/out", method="POST", data={"item": SKU, "quantity": "20"})
    out = system.stock()
    wrong, _ = text(bench, "/channels/markets/1/close", method="POST", data={f"back-{one}": "10", f"sold-{one}": "11"})
    _, said = text(bench, "/channels/markets/1/close", method="POST", data={f"back-{one}": "7", f"sold-{one}": "12"})

    assert (out, wrong, system.stock()) == ((80, 80), 422, (87, 87))
    assert "1 missing" in said


@pytest.mark.parametrize("given", [(), ("back",), ("sold",)])
def test_a_market_day_with_an_item_that_nobody_counted_stays_open(system: System, given: tuple[str, ...]) -> None:
    bench, one = system.bench, item_id(system.bench)
    bench.open("/channels/markets", method="POST", data={"name": "Saturday market", "held_on": "2026-11-21"})
    bench.open("/channels/markets/1/out", method="POST", data={"item": SKU, "quantity": "20"})
    counted = {f"{way}-{one}": "5" if way in given else " " for way in ("back", "sold")}
    status, said = text(bench, "/channels/markets/1/close", method="POST", data=counted)
    with bench.scope():
        is_open = markets.get(1).closed_at is None
        with pytest.raises(RuleError, match=f"Item {SKU} is not counted"):
            markets.close(markets.get(1), {}, actor="test", at=clock.now())

    assert (status, is_open) == (422, True)
    assert "Give how many came back and how many were sold; 0 where none were." in said


def test_samples_leave_with_what_they_are_for(system: System) -> None:
    form = {"item": SKU, "quantity": "6", "purpose": "Tasting at the fair", "channel": "samples"}
    _, said = text(system.bench, "/channels/samples", method="POST", data=form)

    assert "Tasting at the fair" in said
    assert system.stock() == (94, 94)


def test_what_is_carried_out_of_the_house_leaves_shopify_and_waits_for_no_guard(system: System) -> None:
    bench, one = system.bench, item_id(system.bench)
    bench.open("/channels/markets", method="POST", data={"name": "Saturday market", "held_on": "2026-11-21"})
    bench.open("/channels/markets/1/out", method="POST", data={"item": SKU, "quantity": "60"})
    bench.settle()
    out = bench.available(SKU)
    form = {"item": SKU, "quantity": "25", "purpose": "Tasting at the fair", "channel": "samples"}
    bench.open("/channels/samples", method="POST", data=form)
    bench.settle()
    given = bench.available(SKU)
    bench.open("/channels/markets/1/close", method="POST", data={f"back-{one}": "10", f"sold-{one}": "50"})
    bench.settle()

    assert (out, given, bench.available(SKU), bench.exceptions()) == (40, 15, 25, [])


def test_a_count_before_shopify_has_heard_waits_for_no_guard(system: System) -> None:
    bench, one = system.bench, item_id(system.bench)
    bench.open("/channels/markets", method="POST", data={"name": "Saturday market", "held_on": "2026-11-21"})
    bench.open("/channels/markets/1/out", method="POST", data={"item": SKU, "quantity": "90"})
    bench.open("/channels/markets/1/close", method="POST", data={f"back-{one}": "10", f"sold-{one}": "80"})
    bench.settle()

    assert (bench.available(SKU), bench.exceptions()) == (20, [])


def test_the_log_is_filtered_and_is_a_file(system: System) -> None:
    split(system.bench, SKU, HALF)
    system.order(5)
    _, file = text(system.bench, "/channels/log.csv?channel=wholesale&cause=order_take")
    lines = file.splitlines()

    assert lines[0].startswith("at,sku,item,channel,cause,change")
    assert [line.split(",")[1:6] for line in lines[1:]] == [[SKU, f"Item {SKU}", "wholesale", "order_take", "-5"]]
