"""No shop sees another's data: every tenant's table has its shop, and every query is narrowed to the one in scope."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from occ_app import clock
from occ_app.catalog.models import Item
from occ_app.extensions import Base, NoShopInScopeError, ShopScoped, across_shops, db, shop_scope
from occ_app.shops.models import Shop

# Tables of the whole installation: no row of them belongs to a shop's books.
SHARED = {"shop", "tick_slot", "privacy_request"}
MODELS = sorted((mapper.class_ for mapper in Base.registry.mappers), key=lambda model: model.__tablename__)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__tablename__)
def test_every_tenants_table_names_its_shop(model: type) -> None:
    table = model.__table__  # type: ignore[attr-defined]

    assert table.name in SHARED or "shop_id" in table.columns


@pytest.fixture
def two_shops(app: Flask) -> tuple[int, int]:
    """Two shops with an item each."""
    ids = []
    for name in ("one", "two"):
        shop = Shop(domain=f"{name}.myshopify.com", installed_at=clock.now())
        db.session.add(shop)
        db.session.flush()
        with shop_scope(shop.id):
            db.session.add(Item(sku=name, name=name, created_at=clock.now()))
            db.session.flush()
        ids.append(shop.id)
    db.session.commit()
    return ids[0], ids[1]


@pytest.mark.parametrize(
    "model", [m for m in MODELS if issubclass(m, ShopScoped)], ids=lambda model: model.__tablename__
)
def test_a_query_carries_the_shop_of_the_scope(app: Flask, two_shops: tuple[int, int], model: type) -> None:
    seen: list[str] = []

    def note(connection: object, cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    db.event.listen(db.engine, "before_cursor_execute", note)
    try:
        with shop_scope(two_shops[0]):
            db.session.execute(db.select(model)).all()
    finally:
        db.event.remove(db.engine, "before_cursor_execute", note)

    assert f"{model.__tablename__}.shop_id = " in seen[-1]  # type: ignore[attr-defined]


def test_reading_changing_and_deleting_reach_only_the_own_rows(two_shops: tuple[int, int]) -> None:
    one, two = two_shops
    with shop_scope(one):
        assert [item.sku for item in db.session.scalars(db.select(Item))] == ["one"]
        assert db.session.scalar(db.select(Item).where(Item.sku == "two")) is None
        db.session.execute(db.update(Item).values(name="changed"))
        db.session.commit()
    with shop_scope(two):
        assert db.session.scalars(db.select(Item.name)).one() == "two"
        db.session.execute(db.delete(Item))
        db.session.commit()
    with across_shops():
        assert list(db.session.scalars(db.select(Item.sku))) == ["one"]


def test_getting_by_id_does_not_cross_the_wall(two_shops: tuple[int, int]) -> None:
    with across_shops():
        other = db.session.scalars(db.select(Item.id).where(Item.sku == "two")).one()
    db.session.expunge_all()
    with shop_scope(two_shops[0]):
        assert db.session.get(Item, other) is None


def test_a_query_outside_of_any_scope_is_refused(two_shops: tuple[int, int]) -> None:
    with pytest.raises(NoShopInScopeError):
        db.session.scalars(db.select(Item)).all()


def test_a_row_for_another_shop_is_refused(two_shops: tuple[int, int]) -> None:
    with shop_scope(two_shops[0]):
        db.session.add(Item(shop_id=two_shops[1], sku="x", name="x", created_at=clock.now()))
        with pytest.raises(NoShopInScopeError):
            db.session.flush()
    db.session.rollback()


@pytest.mark.parametrize(
    "query",
    [
        db.select(db.func.count()).select_from(Item),
        db.select(db.func.count()).where(Item.sku != ""),
        db.select(db.func.count()).select_from(db.select(Item).subquery()),
        db.select(db.func.count()).select_from(db.select(Item.id, Item.sku).subquery()),
        db.select(db.func.count(1)).where(db.select(Item.id).where(Item.sku == "one").exists()),
    ],
    ids=["from", "where", "subquery", "columns", "exists"],
)
def test_a_count_sees_only_the_own_rows(two_shops: tuple[int, int], query: Any) -> None:
    with shop_scope(two_shops[0]):
        assert db.session.scalar(query) == 1
    with pytest.raises(NoShopInScopeError):
        db.session.scalar(query)
