"""News of products: noted as they come, however often, and read together later, so that no other news waits for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import case, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from occ_app.catalog.models import ProductNews
from occ_app.extensions import current_shop_id, db

PER_TURN = 250
LONGEST_REST = 3600  # seconds between two tries


def note(product_gid: str, told_at: datetime | None, at: datetime) -> None:
    """The product is to be read. `told_at`: when Shopify says that it changed; unknown counts as newer than any."""
    row = {"product_gid": product_gid, "told_at": told_at, "noted_at": at, "tries": 0, "next_try_at": at}
    statement = insert(ProductNews).values(shop_id=current_shop_id(), **row)
    is_unknown = statement.excluded.told_at.is_(None) | ProductNews.told_at.is_(None)
    newest = case((is_unknown, None), else_=func.greatest(ProductNews.told_at, statement.excluded.told_at))
    again = {**{name: statement.excluded[name] for name in ("noted_at", "tries", "next_try_at")}, "told_at": newest}
    db.session.execute(statement.on_conflict_do_update(index_elements=["shop_id", "product_gid"], set_=again))


def due(at: datetime) -> list[ProductNews]:
    """The shop's news that may be looked at now, oldest first, as many as fit in one turn."""
    query = select(ProductNews).where(ProductNews.next_try_at <= at).order_by(ProductNews.noted_at, ProductNews.id)
    return list(db.session.scalars(query.limit(PER_TURN).execution_options(populate_existing=True)))


def settle(product_gid: str, noted_at: datetime) -> None:
    """It has been read after `noted_at`; what was noted since stays."""
    found = delete(ProductNews).where(ProductNews.product_gid == product_gid, ProductNews.noted_at <= noted_at)
    db.session.execute(found)


def rest(product_gids: Sequence[str], at: datetime) -> None:
    """They are tried again later, ever more seldom: after 15 s, doubled each time, an hour at most."""
    query = select(ProductNews).where(ProductNews.product_gid.in_(product_gids)).order_by(ProductNews.id)
    for row in db.session.scalars(query.with_for_update().execution_options(populate_existing=True)):
        row.next_try_at = at + timedelta(seconds=min(LONGEST_REST, 15 * 2 ** min(row.tries, 10)))
        row.tries += 1
