"""Sales from before we listened: past orders of Shopify's, read once by a bulk operation at install. Nothing of the customer is kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from occ_app import clock
from occ_app.errors import RuleError
from occ_app.extensions import current_shop_id, db
from occ_app.orders.rules import is_b2b
from occ_app.planning.forecasting import MOST_DAYS
from occ_app.planning.models import ItemPlan, PastSale, PlanState, SalesPull
from occ_app.shopify.client import Client, operation_text
from occ_app.shopify.errors import ShopifyRefusedError
from occ_app.shops.models import ShopToken

LOOK_EVERY = timedelta(seconds=1)
WITHOUT_SCOPE = 60  # days of orders that Shopify shows without `read_all_orders`
PER_INSERT = 1000
WORKING = ("CREATED", "RUNNING", "CANCELING")


def newest() -> SalesPull | None:
    """The shop's newest reading of past orders, finished or not."""
    return db.session.scalar(select(SalesPull).order_by(SalesPull.id.desc()).limit(1))


def unfinished() -> SalesPull | None:
    """The one that is under way."""
    return db.session.scalar(select(SalesPull).where(SalesPull.finished_at.is_(None)))


def days_allowed() -> int:
    """How far back Shopify shows us orders."""
    token = db.session.get(ShopToken, current_shop_id())
    return MOST_DAYS if token is not None and "read_all_orders" in token.scopes.split(",") else WITHOUT_SCOPE


def start(at: datetime) -> None:
    """A reading of past orders is under way. Raises RuleError where one is already."""
    row = {"shop_id": current_shop_id(), "days": days_allowed(), "started_at": at, "next_look_at": at}
    row |= {"objects_found": 0, "orders": 0, "lines": 0}
    statement = insert(SalesPull).values(row).returning(SalesPull.id)
    waits = SalesPull.finished_at.is_(None)
    once = statement.on_conflict_do_nothing(index_elements=["shop_id"], index_where=waits)
    if db.session.scalar(once) is None:
        raise RuleError("Past orders are being read already.")


def advance(client: Client) -> bool:
    """The reading under way is a step further. True while there is more to do. Commits each step."""
    pull = unfinished()
    if pull is None:
        return False
    at = clock.now()
    if pull.bulk_operation_gid is None:
        _begin(client, pull, at)
        return True
    operation = client.query("bulk_operation", {"id": pull.bulk_operation_gid}).data["bulkOperation"]
    if operation and operation["status"] in WORKING:
        pull.objects_found, pull.next_look_at = int(operation["objectCount"]), at + LOOK_EVERY
        db.session.commit()
        return True
    if operation is None or operation["status"] != "COMPLETED":
        code = (operation or {}).get("errorCode") or "unknown"
        pull.finished_at, pull.cause = at, f"Shopify ended the bulk operation: {code}."
        db.session.commit()
        return False
    _take(client, pull, operation["url"])
    return False


def _begin(client: Client, pull: SalesPull, at: datetime) -> None:
    pull.days = days_allowed()
    since = f"created_at:>='{at - timedelta(days=pull.days):%Y-%m-%dT%H:%M:%SZ}'"
    pull.expected = int((client.query("orders_count", {"query": since}).data["ordersCount"] or {}).get("count") or 0)
    text = operation_text("past_orders").replace("$query", since)
    answer = client.mutate("variants_bulk", {"query": text}).data["bulkOperationRunQuery"]
    if answer["userErrors"]:
        said = "; ".join(error["message"] for error in answer["userErrors"])
        raise ShopifyRefusedError(f"Shopify did not start the bulk operation: {said}")
    pull.bulk_operation_gid = str(answer["bulkOperation"]["id"])
    db.session.commit()


def _take(client: Client, pull: SalesPull, url: str | None) -> None:
    """The file's lines are ours. An order stands before its lines; those of tests and of what was cancelled are left out."""
    order: dict[str, Any] = {}
    rows: list[dict[str, Any]] = []
    for text in client.download_lines(url).iter_lines() if url else ():
        node = json.loads(text)
        if "__parentId" not in node:
            order = node
            pull.orders += 1
        elif node.get("variant") and order.get("id") == node["__parentId"] and not order["test"]:
            rows.append(_row(order, node))
        if len(rows) == PER_INSERT:
            pull.lines += _keep(rows)
            rows = []
    pull.lines += _keep(rows)
    pull.finished_at = clock.now()
    db.session.execute(update(PlanState).values(replanned_on=None))
    db.session.execute(update(ItemPlan).values(due_at=clock.now()))
    db.session.commit()


def _row(order: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    return {
        "shop_id": current_shop_id(),
        "line_gid": node["id"],
        "variant_gid": node["variant"]["id"],
        "sold_at": datetime.fromisoformat(order["createdAt"].replace("Z", "+00:00")),
        "quantity": 0 if order["cancelledAt"] else max(0, int(node["currentQuantity"])),
        "is_b2b": is_b2b(order["tags"]),
    }


def _keep(rows: Sequence[dict[str, Any]]) -> int:
    if not rows:
        return 0
    statement = insert(PastSale).values(rows)
    again = {name: statement.excluded[name] for name in ("quantity", "is_b2b", "variant_gid", "sold_at")}
    db.session.execute(statement.on_conflict_do_update(index_elements=["shop_id", "line_gid"], set_=again))
    return len(rows)
