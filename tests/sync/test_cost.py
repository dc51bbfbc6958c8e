"""What runs cost, counted."""

from __future__ import annotations

import pytest

from devshop import products
from occ_app import clock
from occ_app.catalog import pull
from occ_app.catalog.models import Item, Mapping, Variant
from occ_app.extensions import db
from occ_app.stock import ledger
from occ_app.sync import files, link, targets
from occ_app.sync.models import SyncState
from tests.support.bench import Bench, Statements


def many(bench: Bench, number: int, units: int) -> None:
    """`number` items with `units` released each, mapped and linked with our number."""
    products.generate(bench.store, number, units)
    bench.install()
    with bench.scope():
        place = pull.find_location(bench.place.gid)
        assert place is not None
        now = clock.now()
        variants = db.session.scalars(db.select(Variant).order_by(Variant.id)).all()
        items = [Item(sku=v.sku, name=v.product_title, unit="piece", safety_stock=0, created_at=now) for v in variants]
        db.session.add_all(items)
        db.session.flush()
        mappings = [
            Mapping(
                item_id=i.id,
                variant_id=v.id,
                location_id=place.id,
                units_per_variant=1,
                sync_enabled=True,
                created_at=now,
            )
            for i, v in zip(items, variants, strict=True)
        ]
        db.session.add_all(mappings)
        db.session.flush()
        for mapping in mappings:
            targets.new_state(mapping).link_choice = link.CHOICES[0]
        book(items, place.id, units, "opening")
        db.session.commit()
    bench.drain()


def book(items: list[Item], place_id: int, units: int, cause: str) -> None:
    """So many units more of each item are released."""
    moves = [
        ledger.Move(item.id, None, place_id, "opening", "released", units, "opening", f"test:{cause}:{item.id}")
        for item in items
    ]
    ledger.book(moves, actor="test", at=clock.now())


@pytest.fixture
def nine_hundred(bench: Bench) -> Bench:
    """900 linked mappings."""
    bench.store.bucket.maximum = bench.store.bucket.available = 100_000
    many(bench, 900, 20)
    with bench.scope():
        assert db.session.scalar(db.select(db.func.count()).where(SyncState.state == "linked")) == 900
    bench.store.calls.clear()
    return bench


def kinds(bench: Bench) -> tuple[int, int]:
    """(reads, writes) so far."""
    return (
        sum(call["kind"] == "query" for call in bench.store.calls),
        sum(call["kind"] == "mutation" for call in bench.store.calls),
    )


def test_a_push_of_900_changes_takes_4_reads_and_4_writes(nine_hundred: Bench) -> None:
    with nine_hundred.scope():
        items = list(db.session.scalars(db.select(Item)))
        place = pull.find_location(nine_hundred.place.gid)
        assert place is not None
        book(items, place.id, 3, "more")
        db.session.commit()
    nine_hundred.drain()

    reads, writes = kinds(nine_hundred)
    assert reads <= 4
    assert writes <= 4
    assert {nine_hundred.available(f"GEN-{n:05}") for n in (1, 450, 900)} == {23}


def test_a_quiet_full_reconciliation_of_900_takes_4_reads_and_no_write(nine_hundred: Bench) -> None:
    nine_hundred.open("/home/sync", method="POST")
    nine_hundred.drain()

    reads, writes = kinds(nine_hundred)
    assert (reads <= 4, writes) == (True, 0)


def test_an_import_of_many_lots_takes_as_many_statements_as_one_of_a_few(bench: Bench) -> None:
    bench.install()
    taken = {}
    for number in (3, 300):
        skus = [f"I{number}-{n}" for n in range(number)]
        take(bench, "items", "sku,name", [f"{sku},Bar" for sku in skus])
        taken[number] = take(bench, "lots", "lot_number,item_sku,quantity", [f"L-{sku},{sku},25" for sku in skus])

    assert taken[300] == taken[3]


def test_an_import_of_many_mappings_takes_at_most_two_statements_each(bench: Bench) -> None:
    products.generate(bench.store, 300, 20)
    bench.install()
    skus = [f"GEN-{n:05}" for n in range(1, 301)]
    take(bench, "items", "sku,name", [f"{sku},Bar" for sku in skus])

    taken = take(bench, "mappings", "item_sku,variant_sku,first_link", [f"{sku},{sku},hub" for sku in skus])

    assert taken <= 600


def take(bench: Bench, kind: str, header: str, lines: list[str]) -> int:
    """The file has been taken in; with how many statements."""
    with bench.scope(), Statements() as statements:
        files.KINDS[kind].take("\n".join([header, *lines]).encode(), "test", clock.now())
        db.session.commit()
    return len([text for text in statements.texts if not text.startswith(("SAVEPOINT", "RELEASE"))])


def test_the_products_page_at_10_000_mappings_takes_12_statements_and_no_moves(bench: Bench) -> None:
    bench.store.bucket.maximum = bench.store.bucket.available = 1_000_000
    products.generate(bench.store, 10_000, 5)
    bench.install()
    with bench.scope():
        assert db.session.scalar(db.select(db.func.count()).select_from(Variant)) == 10_000
        db.session.execute(
            db.text(
                "INSERT INTO item (shop_id, sku, name, unit, safety_stock, created_at)"
                " SELECT shop_id, sku, product_title, 'piece', 0, now() FROM variant"
            )
        )
        db.session.execute(
            db.text(
                "INSERT INTO mapping (shop_id, item_id, variant_id, location_id, units_per_variant, sync_enabled, created_at)"
                " SELECT v.shop_id, i.id, v.id, (SELECT min(id) FROM location), 1, true, now()"
                " FROM variant v JOIN item i ON i.sku = v.sku"
            )
        )
        db.session.execute(
            db.text(
                "INSERT INTO sync_state (mapping_id, shop_id, state, sellable, target, expected, baseline_at, booked_committed, drift,"
                " drift_looks, tries, is_pushed) SELECT id, shop_id, 'linked', 5, 5, 5, now(), 0, 0, 0, 0, true FROM mapping"
            )
        )
        db.session.commit()
    for path in ("/products", "/products?q=00042", "/products?view=attention", "/products?sort=sellable&page=150"):
        with Statements() as statements:
            answer = bench.open(path)

        assert answer.status_code == 200
        assert len([text for text in statements.texts if not text.startswith(("SAVEPOINT", "RELEASE"))]) <= 12
        assert not any("stock_move" in text for text in statements.texts)
