"""What privacy law asks through Shopify's compliance topics, done and recorded.

We store no names, addresses, mails or phones: orders are kept by id with what stock needs. So a data request is answered with what is
kept of the named orders (nothing that says who bought), a customer's erasure forgets nothing because nothing is kept, and a shop's
erasure removes every row of the shop. Source: Shopify, "Privacy law compliance".
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import delete, text
from sqlalchemy.dialects.postgresql import insert

from occ_app.extensions import db
from occ_app.shops.models import PrivacyRequest, Shop

TOPICS = ("customers/data_request", "customers/redact", "shop/redact")


def answer(
    topic: str, domain: str, webhook_id: str, payload: dict[str, Any], *, received_at: datetime, at: datetime
) -> str:
    """The request is done and recorded; returns the sentence of the record. A repeated request is recorded once."""
    orders = payload.get("orders_requested") or payload.get("orders_to_redact") or []
    if topic == "shop/redact":
        outcome = erase(domain)
    elif topic == "customers/redact":
        outcome = f"Nothing that names a customer is kept; {len(orders)} orders were named and hold no personal data."
    else:
        outcome = f"Of {len(orders)} named orders we keep order number, goods and quantities; no personal data."
    record = {
        "shop_domain": domain,
        "topic": topic,
        "webhook_id": webhook_id,
        "request_gid": (payload.get("data_request") or {}).get("id"),
        "received_at": received_at,
        "done_at": at,
        "outcome": outcome,
    }
    db.session.execute(insert(PrivacyRequest).values(record).on_conflict_do_nothing(index_elements=["webhook_id"]))
    return outcome


def erase(domain: str) -> str:
    """No row of the shop is left, unless it is installed again by now; then nothing is touched."""
    shop = db.session.scalar(db.select(Shop).where(Shop.domain == domain).with_for_update())
    if shop is None:
        return "Nothing of this store was kept."
    if shop.uninstalled_at is None:
        return "The store has installed the app again since; its data was kept."
    db.session.execute(text("SET LOCAL occ.erasing = 'yes'"))  # lets the moves' trigger pass, for this transaction only
    db.session.execute(delete(Shop).where(Shop.id == shop.id))
    return "Every row of this store was erased."
