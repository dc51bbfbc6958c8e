"""The database session, and the wall between shops: every query of a tenant's table is narrowed to the shop in scope.

`with shop_scope(shop_id):` says for whom the code below works. A query on a tenant's table outside of any scope is refused;
work that really spans shops says so with `across_shops()`.
Source: SQLAlchemy "Adding global WHERE / ON criteria" (ORM query events, with_loader_criteria).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import DateTime, ForeignKey, MetaData, TypeDecorator, event
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Mapper,
    ORMExecuteState,
    Session,
    declared_attr,
    mapped_column,
    registry,
    with_loader_criteria,
)
from sqlalchemy.sql import visitors

NAMES = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
EVERY_SHOP = -1
_shop: ContextVar[int | None] = ContextVar("shop", default=None)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment, kept and returned in UTC; a naive one is a bug and is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        return value.astimezone(UTC) if value is not None else None


class Base(DeclarativeBase):
    """All tables of the app."""

    registry = registry(
        metadata=MetaData(naming_convention=NAMES),
        type_annotation_map={datetime: UtcDateTime, dict[str, Any]: JSONB, list[Any]: JSONB},
    )


class ShopScoped:
    """A row that belongs to one shop. Mixed into every tenant's table."""

    @declared_attr
    def shop_id(cls) -> Mapped[int]:
        return mapped_column(ForeignKey("shop.id", ondelete="CASCADE"), index=True)


class NoShopInScopeError(RuntimeError):
    """A tenant's table was touched without saying whose. A bug: wrap the work in `shop_scope`."""


db = SQLAlchemy(model_class=Base, disable_autonaming=True)
migrate = Migrate()


@contextmanager
def shop_scope(shop_id: int) -> Iterator[None]:
    """Within the block every query sees the rows of this shop only, and new rows become its."""
    token = _shop.set(shop_id)
    try:
        yield
    finally:
        _shop.reset(token)


def across_shops() -> Any:
    """Within the block queries see all shops. For sweeps, audits and operators; never for a request of a shop."""
    return shop_scope(EVERY_SHOP)


def current_shop_id() -> int:
    """The shop in scope. Raises NoShopInScopeError where there is none, or where the work spans shops."""
    shop_id = _shop.get()
    if shop_id is None or shop_id == EVERY_SHOP:
        raise NoShopInScopeError("no single shop is in scope")
    return shop_id


@event.listens_for(Session, "do_orm_execute")
def _narrow_to_shop(state: ORMExecuteState) -> None:
    shop_id = _shop.get()
    if shop_id == EVERY_SHOP or not _touches_tenants(state):
        return
    if shop_id is None:
        raise NoShopInScopeError("a tenant's table was queried outside of any shop_scope")
    narrowed = with_loader_criteria(ShopScoped, lambda cls: cls.shop_id == shop_id, include_aliases=True)
    state.statement = state.statement.options(narrowed)


def _touches_tenants(state: ORMExecuteState) -> bool:
    if state.is_relationship_load or state.is_column_load:
        return False
    if any(issubclass(mapper.class_, ShopScoped) for mapper in state.all_mappers):
        return True
    # A count names no column of a model: what it counts stands in its FROM or WHERE alone. Such a statement is looked through.
    return any(issubclass(mapper.class_, ShopScoped) for mapper in _mappers_within(state.statement))


def _mappers_within(statement: Any) -> Iterator[Mapper[Any]]:
    """The models that a statement touches anywhere, subqueries included."""
    for element in visitors.iterate(statement):
        mapper = getattr(element, "_annotations", {}).get("parentmapper")
        if mapper is not None:
            yield mapper


@event.listens_for(Session, "before_flush")
def _new_rows_belong_to_shop(session: Session, *_: Any) -> None:
    shop_id = _shop.get()
    for row in session.new:
        if not isinstance(row, ShopScoped):
            continue
        if shop_id is None:
            raise NoShopInScopeError(f"a {type(row).__name__} was added outside of any shop_scope")
        if row.shop_id is None and shop_id != EVERY_SHOP:
            row.shop_id = shop_id
        if shop_id not in (EVERY_SHOP, row.shop_id):
            raise NoShopInScopeError(
                f"a {type(row).__name__} of shop {row.shop_id} was added while shop {shop_id} is in scope"
            )
