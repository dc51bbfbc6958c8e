"""The mirror of a partner's catalogue: all of it by one bulk operation, single products as they change."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from devshop import inventory, products
from devshop.world import Store
from occ_app import clock
from occ_app.extensions import db
from occ_app.partners import catalogue
from occ_app.partners.models import PartnerProduct, PartnerPull, PartnerVariant
from tests.partners.support import coffee, join, the_partner
from tests.support.bench import Bench


@pytest.fixture
def roaster(bench: Bench) -> Iterator[Store]:
    """A partner's store with two coffees, mirrored."""
    bench.install()
    store = join(bench)
    coffee(store, 1, 20)
    coffee(store, 2, 0, price="12.50", variant={"compare_at_price": "15.00"})
    bench.settle()
    yield store


def mirrored(bench: Bench, sku: str) -> dict[str, Any]:
    """What the mirror holds of a variant and its product."""
    with bench.scope():
        query = db.select(PartnerVariant, PartnerProduct).join(PartnerVariant.product).where(PartnerVariant.sku == sku)
        variant, product = db.session.execute(query.execution_options(populate_existing=True)).one()
        return {**vars(product), **{f"v_{name}": value for name, value in vars(variant).items()}}


def test_a_connected_partners_catalogue_is_mirrored_by_itself(bench: Bench, roaster: Store) -> None:
    found = mirrored(bench, "C-2")

    assert (found["title"], found["vendor"], found["product_type"]) == ("Coffee 2", "Northlight", "Single origin")
    assert (found["v_price"], found["v_compare_at_price"]) == (Decimal("12.50"), Decimal("15.00"))
    assert (found["variants"], found["least_price"], found["available"]) == (1, Decimal("12.50"), 0)
    assert mirrored(bench, "C-1")["v_available"] == 20
    assert mirrored(bench, "C-1")["options"] == [{"name": "Title", "values": ["Default Title"]}]


def test_a_change_of_a_product_is_read_once_and_kept(bench: Bench, roaster: Store) -> None:
    product = next(iter(roaster.products.values()))
    roaster.calls.clear()
    products.update(roaster, product, product.variants[0], {"price": "11.00"})
    bench.settle()

    assert mirrored(bench, "C-1")["v_price"] == Decimal("11.00")
    assert [call["operation"] for call in roaster.calls].count("partnerProduct") == 1


def test_a_new_product_is_mirrored_and_a_deleted_one_marked(bench: Bench, roaster: Store) -> None:
    coffee(roaster, 3)
    products.delete(roaster, next(iter(roaster.products.values())))
    bench.settle()

    assert mirrored(bench, "C-1")["deleted_at"] is not None
    assert mirrored(bench, "C-3")["deleted_at"] is None


def test_what_a_later_pull_does_not_find_is_gone_and_no_row_is_doubled(bench: Bench, roaster: Store) -> None:
    with bench.world.silence():
        products.delete(roaster, next(iter(roaster.products.values())))
        coffee(roaster, 3)
    with bench.scope():
        catalogue.want(the_partner(), clock.now())
        db.session.commit()
    bench.settle()

    assert mirrored(bench, "C-1")["deleted_at"] is not None
    with bench.scope():
        assert sorted(db.session.scalars(db.select(PartnerVariant.sku))) == ["C-1", "C-2", "C-3"]
        assert set(db.session.scalars(db.select(PartnerPull.cause))) == {None}


def test_units_at_locations_that_are_not_shared_are_not_counted(bench: Bench, roaster: Store) -> None:
    shop_floor = roaster.add_location("Shop floor")
    variant = roaster.variant("C-1")
    level = inventory.level(roaster, variant, shop_floor)
    inventory.set_available(roaster, level, 7, who="admin", why="test")
    bench.settle()
    assert mirrored(bench, "C-1")["v_available"] == 27
    with bench.scope():
        the_partner().location_gids = [shop_floor.gid]
        catalogue.want(the_partner(), clock.now())
        db.session.commit()
    bench.settle()

    assert mirrored(bench, "C-1")["v_available"] == 7
    assert mirrored(bench, "C-1")["available"] == 7


def test_texts_with_unusual_line_separators_are_taken_in_whole(bench: Bench) -> None:
    bench.install()
    store = join(bench)
    coffee(store, 1, description_html="<p>One\u2028two\x85three</p>")
    bench.settle()

    assert mirrored(bench, "C-1")["description_html"] == "<p>One\u2028two\x85three</p>"


def test_a_partner_that_refuses_us_does_not_stop_the_others(bench: Bench, roaster: Store) -> None:
    other = join(bench, "harbour-beans.myshopify.com", "Harbour Beans")
    coffee(other, 9, 5)
    roaster.tokens.clear()
    with bench.scope():
        for partner in db.session.scalars(db.select(catalogue.Partner)):
            catalogue.want(partner, clock.now())
        db.session.commit()
    bench.settle()

    assert mirrored(bench, "C-9")["v_available"] == 5
    with bench.scope():
        causes = db.session.scalars(db.select(PartnerPull.cause).order_by(PartnerPull.id)).all()
    assert len([cause for cause in causes if cause]) == 1
