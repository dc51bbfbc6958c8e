"""What a batch costs: calls do not grow with lines, and one partner's lines are in memory at a time."""

from __future__ import annotations

import gc

import pytest

from devshop import oauth, products
from occ_app import clock
from occ_app.catalog.models import PARTNER, Item
from occ_app.extensions import across_shops, current_shop_id, db
from occ_app.orders.models import Order, OrderLine
from occ_app.partners import settings
from occ_app.partners.models import Partner, PartnerProduct, PartnerVariant
from occ_app.routing.batch import Batch
from occ_app.routing.models import PENDING, PartnerBatch, PartnerLine
from occ_app.shops import install
from occ_app.shops.models import Shop
from occ_app.wiring import send_now
from tests.routing.support import Trade

PARTNERS, LINES, GOODS = 30, 5_000, 8
MORE = PARTNERS * GOODS


def fill(trade: Trade) -> None:
    """Thirty connected partners with eight goods each, and 5,000 lines of customers that may go."""
    now = clock.now()
    for n in range(PARTNERS):
        store = trade.bench.world.add_store(f"roaster-{n}.myshopify.com", f"Roaster {n}", plan="plus", currency="GBP")
        store.add_location("Roastery")
        with trade.bench.world.silence():
            rows = [{"sku": f"G-{n}-{k}", "price": "5.00", "available": 10_000} for k in range(GOODS)]
            for row in rows:
                products.create(store, {"title": row["sku"], "variants": [row]})
        oauth.install(store)
        assert trade.bench.open("/", store).status_code == 200
        shop = install.find(store.domain)
        assert shop is not None
        shop.currency = "GBP"
        with trade.bench.scope():
            _lines_of(n, store, shop, now)
    db.session.commit()


def _lines_of(n: int, store, shop: Shop, now) -> None:  # type: ignore[no-untyped-def]
    partner = Partner(domain=store.domain, name=f"Roaster {n}", connected_at=now, read_at=now, partner_shop_id=shop.id)
    partner.settings = {"hold_minutes": 0}
    order = Order(order_gid=f"gid://shopify/Order/{n}", name=f"#{n}", placed_at=now, financial_status="PAID")
    order.currency = "GBP"
    db.session.add_all([partner, order])
    db.session.flush()
    goods = []
    for k in range(GOODS):
        theirs = store.variant(f"G-{n}-{k}")
        product = PartnerProduct(
            partner_id=partner.id,
            product_gid=f"gid://shopify/Product/{theirs.product_id}",
            title=theirs.sku,
            changed_at=now,
            read_at=now,
        )
        item = Item(sku=theirs.sku, name=theirs.sku, kind=PARTNER, created_at=now)
        db.session.add_all([product, item])
        db.session.flush()
        variant = PartnerVariant(
            partner_id=partner.id,
            partner_product_id=product.id,
            variant_gid=theirs.gid,
            inventory_item_gid=theirs.item_gid,
            changed_at=now,
        )
        db.session.add(variant)
        db.session.flush()
        goods.append((variant.id, item.id))
    db.session.flush()
    add_lines(partner.id, order.id, goods, 0, LINES // PARTNERS + (1 if n < LINES % PARTNERS else 0))


def add_lines(partner_id: int, order_id: int, goods: list[tuple[int, int]], turn: int, share: int) -> None:
    """So many captured lines of customers, one unit each. In the bench's scope."""
    shop_id, now = current_shop_id(), clock.now()
    numbers = [(turn * 10_000 + partner_id) * 1000 + k for k in range(share)]
    rows = [
        {"shop_id": shop_id, "order_id": order_id, "line_gid": f"gid://shopify/LineItem/{number}"}
        | {"line_number": number, "quantity": 1, "taken": 1, "from_partner": 1, "title": "", "sku": ""}
        for number in numbers
    ]
    ids = db.session.scalars(db.insert(OrderLine).returning(OrderLine.id), rows).all()
    captured = [
        {"shop_id": shop_id, "partner_id": partner_id, "order_line_id": line_id, "turn": 1, "quantity": 1}
        | {"partner_variant_id": goods[k % GOODS][0], "item_id": goods[k % GOODS][1], "state": PENDING}
        | {"unit_cost": "5.00", "currency": "GBP", "captured_at": now}
        for k, line_id in enumerate(ids)
    ]
    db.session.execute(db.insert(PartnerLine), captured)


def buy_more(trade: Trade, turn: int) -> None:
    """Customers buy one more of each partner's goods."""
    with trade.bench.scope():
        query = db.select(
            PartnerLine.partner_id, OrderLine.order_id, PartnerLine.partner_variant_id, PartnerLine.item_id
        )
        goods: dict[tuple[int, int], set[tuple[int, int]]] = {}
        for partner_id, order_id, *good in db.session.execute(query.join(PartnerLine.order_line).distinct()):
            goods.setdefault((partner_id, order_id), set()).add((good[0], good[1]))
        for (partner_id, order_id), found in goods.items():
            add_lines(partner_id, order_id, sorted(found), turn, GOODS)
        db.session.commit()


def batch(trade: Trade, kind: str) -> tuple[int, int]:
    """A batch for all partners: the calls that it made, and the lines that it placed."""
    with trade.bench.scope():
        shop_id, ids = current_shop_id(), list(db.session.scalars(db.select(Partner.id).order_by(Partner.id)))
        db.session.commit()
    before = sum(len(store.calls) for store in trade.bench.world.stores.values())
    made = send_now(shop_id, ids, kind)
    calls = sum(len(store.calls) for store in trade.bench.world.stores.values()) - before
    assert [one["cause"] for one in made] == [None] * PARTNERS
    return calls, sum(one["placed"] for one in made)


def ordered_units(trade: Trade) -> int:
    """Units on orders in the partners' stores."""
    orders = [order for store in trade.bench.world.stores.values() if store.drafts for order in store.orders.values()]
    return sum(line.quantity for order in orders for line in order.lines)


@pytest.mark.long
def test_five_thousand_lines_of_thirty_partners_need_a_call_each_and_one_for_the_address(
    trade: Trade, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(trade)
    most = 0
    ends = Batch._steps

    def counted(self: Batch) -> None:
        nonlocal most
        ends(self)
        gc.collect()
        in_memory = {row.partner_id for row in db.session.identity_map.values() if isinstance(row, PartnerLine)}
        most = max(most, len(in_memory))

    monkeypatch.setattr(Batch, "_steps", counted)
    assert batch(trade, "now") == (PARTNERS + 1, LINES)  # a new week

    buy_more(trade, 1)
    assert batch(trade, "now") == (PARTNERS + 1, MORE)  # a week that grows
    drafts = [draft for store in trade.bench.world.stores.values() for draft in store.drafts.values()]
    assert len(drafts) == PARTNERS
    assert sum(line.quantity for draft in drafts for line in draft.lines) == LINES + MORE
    assert batch(trade, "close") == (PARTNERS + 1, 0)  # its cutoff
    assert ordered_units(trade) == LINES + MORE

    with trade.bench.scope():
        for partner in db.session.scalars(db.select(Partner)):
            settings.put(partner, "cadence", "daily")
        db.session.commit()
    buy_more(trade, 2)
    assert batch(trade, "daily") == (PARTNERS + 1, MORE)
    assert batch(trade, "cutoff") == (PARTNERS + 1, 0)  # a turn later the drafts are complete
    assert ordered_units(trade) == LINES + 2 * MORE
    assert most <= 1
    with across_shops():
        assert sum(db.session.scalars(db.select(PartnerBatch.calls))) == 5 * PARTNERS
