"""How a partner stands, what follows for its goods, and the pages and commands that show and change it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from devshop import oauth, products
from devshop.world import Store
from occ_app import clock
from occ_app.extensions import across_shops, db
from occ_app.orders.models import Order
from occ_app.partners import health, invitations, joining, settings, standing
from occ_app.partners.models import CATALOGUE, STOCK, ImportedProduct, ImportedVariant, Partner, PartnerPull
from occ_app.shops.models import Shop
from tests.partners.support import ROASTER, add_good, add_partner, connect, read
from tests.support.bench import DOMAIN, Bench, Statements


@pytest.fixture
def roaster(bench: Bench) -> Iterator[Store]:
    """A store that joined as a partner by its own admin; the merchant sells its beans, 20 of them."""
    store = bench.add_store(ROASTER)
    for name in ("Roastery", "Shop"):
        store.add_location(name)
    products.create(store, {"title": "BEANS", "variants": [{"sku": "BEANS", "price": "6.00", "available": 20}]})
    bench.product("BEANS")
    bench.install()
    bench.install(store)
    with bench.scope():
        made = invitations.make(merchant(), "Northlight Coffee", "", actor="test", at=clock.now())
        invited = invitations.Invited(made, merchant())
        partner = joining.accept(invited, shop_of(ROASTER), clock.now())
        partner.read_at = clock.now()
        add_good(bench, partner, "BEANS", 20, source_of=store)
        db.session.commit()
    bench.settle()
    assert bench.available("BEANS") == 20
    yield store


def merchant() -> Shop:
    """The bench's own shop."""
    return shop_of(DOMAIN)


def shop_of(domain: str) -> Shop:
    """A shop's row."""
    return db.session.scalars(db.select(Shop).where(Shop.domain == domain)).one()


def partner_of(bench: Bench) -> Partner:
    """The one partner, as it is now."""
    db.session.remove()
    with bench.scope():
        return db.session.scalars(db.select(Partner)).one()


def post(bench: Bench, path: str, store: Store | None = None, **data: Any) -> Any:
    """A form was sent, and all that follows is done."""
    answer = bench.open(path, store, method="POST", data=data)
    bench.settle()
    return answer


def come_back(bench: Bench, store: Store) -> None:
    """The app is installed in the store, and opened there."""
    oauth.install(store)
    assert bench.open("/supplies", store).status_code == 200
    bench.settle()


def occ(bench: Bench, *arguments: Any) -> Result:
    """The command has run, in a session of its own."""
    db.session.remove()
    result = bench.app.test_cli_runner().invoke(args=[str(argument) for argument in arguments])
    db.session.remove()
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def later(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hours: float) -> None:
    """So much time has passed."""
    (tmp_path / "clock").write_text(str(hours * 3600))
    monkeypatch.setenv("OCC_CLOCK_FILE", str(tmp_path / "clock"))


def test_goods_of_a_partner_that_uninstalls_fall_to_0_and_come_back_with_it(bench: Bench, roaster: Store) -> None:
    oauth.uninstall(roaster)
    bench.settle()
    assert bench.available("BEANS") == 0
    assert (partner_of(bench).state, partner_of(bench).state_by) == ("left", "shopify")

    come_back(bench, roaster)

    assert bench.available("BEANS") == 20
    assert partner_of(bench).state == "connected"


def test_a_partner_whose_token_is_refused_needs_reconnecting_and_is_given_up_in_time(
    bench: Bench, roaster: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    roaster.faults.refuses_renewal = True
    roaster.tokens.clear()
    with across_shops():
        shop = shop_of(ROASTER)
        with pytest.raises(Exception, match="no token"):
            bench.app.extensions["occ_connections"].access_token(shop.id, shop.domain, force=True)
    bench.settle()
    assert partner_of(bench).state == "needs_reconnecting"
    assert bench.available("BEANS") == 20  # its last number is fresh
    shown = bench.open("/partners").text
    assert "Northlight Coffee: needs reconnecting" in shown
    assert "go to 0 in your shop" in shown

    later(monkeypatch, tmp_path, 6.1)
    bench.open("/home/sync", method="POST")
    bench.settle()
    assert bench.available("BEANS") == 0

    roaster.faults.refuses_renewal = False
    come_back(bench, roaster)
    with bench.scope():
        read(db.session.scalars(db.select(ImportedVariant.partner_variant_id)).one(), 18)
    bench.settle()
    assert partner_of(bench).state == "connected"
    assert bench.available("BEANS") == 18


def test_who_pauses_resumes(bench: Bench, roaster: Store) -> None:
    number = partner_of(bench).id
    post(bench, f"/supplies/{number}/pause", roaster)
    assert bench.available("BEANS") == 0
    assert post(bench, f"/partners/{number}/resume").status_code == 422
    post(bench, f"/supplies/{number}/resume", roaster)
    assert bench.available("BEANS") == 20

    post(bench, f"/partners/{number}/pause")
    assert bench.available("BEANS") == 0
    assert post(bench, f"/supplies/{number}/resume", roaster).status_code == 422
    post(bench, f"/partners/{number}/resume")

    assert bench.available("BEANS") == 20


@pytest.mark.parametrize("by", ["partner", "merchant"])
def test_either_side_ends_it_and_only_a_new_invitation_begins_it_again(bench: Bench, roaster: Store, by: str) -> None:
    number = partner_of(bench).id
    if by == "partner":
        post(bench, f"/supplies/{number}/leave", roaster)
    else:
        post(bench, f"/partners/{number}/remove")
    assert bench.available("BEANS") == 0
    come_back(bench, roaster)  # opening the app is no yes
    assert (partner_of(bench).state, partner_of(bench).state_by) == ("left", by)

    made = post(bench, f"/partners/{number}/reconnect").headers["Location"]
    waiting = bench.open("/supplies", roaster).text
    post(bench, "/supplies/accept", roaster, invitation=re.findall(r'name="invitation" value="(\d+)"', waiting)[0])

    assert partner_of(bench).state == "connected"
    assert bench.available("BEANS") == 20
    assert "It was used" in bench.open(made).text


def test_by_rule_goods_of_a_lost_partner_are_drafts_until_it_returns(bench: Bench, roaster: Store) -> None:
    ours = bench.store.products[bench.store.variant("BEANS").product_id]
    number = partner_of(bench).id
    with bench.scope():
        db.session.scalars(db.select(ImportedProduct)).one().product_gid = ours.gid
        db.session.commit()
    post(bench, f"/partners/{number}/settings", when_gone="draft")
    assert ours.status == "ACTIVE"
    post(bench, f"/partners/{number}/pause")
    assert (ours.status, bench.available("BEANS")) == ("DRAFT", 0)

    post(bench, f"/partners/{number}/resume")

    assert (ours.status, bench.available("BEANS")) == ("ACTIVE", 20)
    oauth.uninstall(roaster)
    bench.settle()
    assert ours.status == "DRAFT"
    products.update(bench.store, ours, None, {"status": "ARCHIVED"})  # the merchant is done with it
    bench.settle()
    come_back(bench, roaster)
    assert ours.status == "ARCHIVED"


def test_the_partner_chooses_the_locations_that_are_shared(bench: Bench, roaster: Store) -> None:
    number = partner_of(bench).id
    page = bench.open("/supplies", roaster).text
    gids = re.findall(r'value="(gid://shopify/Location/\d+)" checked', page)
    assert len(gids) == 2

    assert post(bench, f"/supplies/{number}/locations", roaster, location=gids[0]).status_code == 200
    assert partner_of(bench).location_gids == [gids[0]]
    assert post(bench, f"/supplies/{number}/locations", roaster).status_code == 422
    foreign = "gid://shopify/Location/1"
    assert post(bench, f"/supplies/{number}/locations", roaster, location=foreign).status_code == 422
    post(bench, f"/supplies/{number}/locations", roaster, location=gids)

    assert partner_of(bench).location_gids == []


def test_nobody_else_sees_or_changes_a_partnership(bench: Bench, roaster: Store) -> None:
    other = bench.add_store("second-roaster.myshopify.com")
    bench.install(other)
    number = partner_of(bench).id

    for path in (f"/supplies/{number}/pause", f"/supplies/{number}/leave", f"/partners/{number}/remove"):
        assert post(bench, path, other).status_code == 404
    assert bench.open(f"/partners/{number}/settings", other).status_code == 404
    assert "Cocoa" not in bench.open("/supplies", other).text

    assert partner_of(bench).state == "connected"


def test_the_orders_of_a_store_that_only_supplies_are_none_of_our_business(bench: Bench, roaster: Store) -> None:
    products.create(roaster, {"title": "Beans", "variants": [{"sku": "OWN", "price": "6.50", "available": 9}]})
    bench.sell_in("OWN", 1, roaster)
    bench.settle()

    with across_shops():
        assert db.session.scalars(db.select(Order)).all() == []
    assert bench.open("/", roaster).headers["Location"] == "/supplies"


def test_erasing_a_partners_store_leaves_the_merchant_its_goods_and_books(bench: Bench, roaster: Store) -> None:
    from occ_app.shops import privacy

    bench.sell_in("BEANS", 2)
    bench.settle()
    oauth.uninstall(roaster)
    bench.settle()

    privacy.erase(ROASTER)
    db.session.commit()
    bench.settle()

    assert partner_of(bench).partner_shop_id is None
    assert bench.open("/partners").status_code == 200
    assert bench.show("BEANS")["sellable"] <= 0


def test_the_light_says_what_matters_most(bench: Bench) -> None:
    bench.install()
    at = clock.now()
    with bench.scope():
        _, old, lost, failing = (add_partner(f"p{n}.myshopify.com", f"P{n}") for n in range(4))
        never = add_partner("p5.myshopify.com", "P5", catalogue_read_at=at)
        never.read_at, never.cause = None, "Shopify did not answer."
        old.read_at, lost.read_at = at - timedelta(hours=3), at - timedelta(hours=7)
        for n in range(5):
            cause = "Shopify did not answer." if n < 2 else None
            row = {"kind": STOCK if n else CATALOGUE, "started_at": at, "finished_at": at, "cause": cause}
            db.session.add(PartnerPull(partner_id=failing.id, **row))
        standing.pause(add_partner("p4.myshopify.com", "P4"), "merchant", at)
        db.session.commit()
    listed = json.loads(occ(bench, "partner", "list", "--shop", DOMAIN, "--json").output)

    assert {row["name"]: row["health"] for row in listed} == {
        "P0": "Healthy",
        "P1": "Old reading",
        "P2": "Not read",
        "P3": "Many errors",
        "P4": "Paused",
        "P5": "Not read",
    }


def test_the_page_costs_the_same_statements_for_any_number_of_partners(bench: Bench) -> None:
    bench.install()
    counts = []
    for number in range(1, 31):
        with bench.scope():
            add_partner(f"p{number}.myshopify.com", f"P{number}")
            db.session.commit()
        if number in (1, 30):
            with Statements() as statements:
                assert bench.open("/partners").status_code == 200
            counts.append(len(statements.texts))

    assert counts[0] == counts[1]


def test_settings_are_saved_together_or_not_at_all(bench: Bench, roaster: Store) -> None:
    number = partner_of(bench).id
    path = f"/partners/{number}/settings"
    assert post(bench, path, name="Northlight", safety_stock="3", cutoff_time="17:30").status_code == 200
    assert bench.available("BEANS") == 17

    wrong = post(bench, path, name="Northlight", safety_stock="5", exchange_rate="minus one")

    assert wrong.status_code == 422
    assert "Give a number from 0.000001" in wrong.text
    assert bench.available("BEANS") == 17
    kept = partner_of(bench).settings
    assert (kept["safety_stock"], kept["cutoff_time"], "exchange_rate" in kept) == (3, "17:30", False)


def test_a_setting_costs_the_partner_no_reading_and_shared_locations_one(bench: Bench, roaster: Store) -> None:
    number = partner_of(bench).id
    gid = next(iter(roaster.locations.values())).gid
    roaster.calls.clear()
    for name, value in (
        ("markup_percent", "55"),
        ("follow_price", "follow"),
        ("safety_stock", "2"),
        ("cadence", "daily"),
    ):
        assert post(bench, f"/partners/{number}/settings", **{name: value}).status_code == 200
    assert [call["operation"] for call in roaster.calls] == []

    post(bench, f"/supplies/{number}/locations", roaster, location=gid)

    asked = [call["operation"] for call in roaster.calls]
    assert (asked.count("variantsBulk"), asked.count("partnerLevels")) == (1, 1), asked


def test_an_invitation_is_made_shown_and_taken_back(bench: Bench, roaster: Store) -> None:
    refused = bench.open("/partners/invitations", method="POST", data={"name": "X", "domain": "evil.com"})
    assert refused.status_code == 422
    assert "Give the store" in refused.text
    form = {"name": "Severn Tea <Company>", "domain": "severn-tea"}
    made = bench.open("/partners/invitations", method="POST", data=form).headers["Location"]
    shown = bench.open(made).text
    link = re.findall(r"http://127.0.0.1:8000(/partners/join/[\w.-]+)", shown)[0]
    assert "Severn Tea &lt;Company&gt;" in shown
    assert "data:image/svg+xml" in shown
    assert bench.visit(link).status_code == 200

    bench.open(made + "/revoke", method="POST")
    bench.open(made + "/revoke", method="POST")  # a second press

    assert bench.visit(link).status_code == 410
    assert link not in bench.open(made).text


def test_a_setting_is_given_to_every_partner_or_to_none(bench: Bench, roaster: Store) -> None:
    other = bench.add_store("severn-tea.myshopify.com")
    connect(bench, other, "Severn Tea")
    at = ("--shop", DOMAIN)
    result = occ(bench, "partner", "set", *at, "safety_stock", "4")
    wrong = occ(bench, "partner", "set", *at, "safety_stock", "many")
    with bench.scope():
        given = [settings.get(partner, "safety_stock") for partner in standing.everybody()]
    nobody = occ(bench, "partner", "set", "--shop", other.domain, "safety_stock", "4")

    assert result.exit_code == 0
    assert sorted(line.partition(": ")[2] for line in result.stdout.splitlines()) == ["safety_stock = 4"] * 2
    assert "Severn Tea: safety_stock = 4" in result.stdout
    assert (wrong.exit_code, given) == (1, [4, 4])
    assert (nobody.exit_code, "There is no partner yet" in nobody.stderr) == (1, True)


def test_the_commands_do_what_the_pages_do(bench: Bench, roaster: Store) -> None:
    made = occ(bench, "partner", "invite", "--shop", DOMAIN, "--partner", "severn-tea.myshopify.com")
    assert bench.visit(made.output.strip().removeprefix("http://127.0.0.1:8000")).status_code == 200
    known = occ(bench, "partner", "invite", "--shop", DOMAIN, "--partner", ROASTER)
    assert (known.exit_code, "partner already" in known.stderr) == (1, True)
    of = ("--shop", DOMAIN, "--partner", ROASTER)
    assert occ(bench, "partner", "set", *of, "safety_stock", "4").exit_code == 0
    assert "The settings are" in occ(bench, "partner", "set", *of, "mark", "4").stderr
    bench.settle()
    assert bench.available("BEANS") == 16
    for verb, number in (("pause", 0), ("resume", 16), ("remove", 0)):
        assert occ(bench, "partner", verb, *of).exit_code == 0
        bench.settle()
        assert bench.available("BEANS") == number


def test_the_next_cutoff_is_on_no_skipped_day(bench: Bench, roaster: Store) -> None:
    with bench.scope():
        partner = db.session.scalars(db.select(Partner)).one()
        for name, value in {"cutoff_weekday": "thursday", "time_zone": "UTC", "skip_dates": "2026-12-24"}.items():
            settings.put(partner, name, value)
        (one,) = health.of_all(datetime(2026, 12, 22, tzinfo=UTC))

        assert f"{one.next_cutoff:%Y-%m-%d}" == "2026-12-31"
