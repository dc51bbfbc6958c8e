"""Syncs that somebody asked for over the API: each is a row to follow, done by a worker, one at a time per shop."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select

from occ_app import clock
from occ_app.b2b.models import DONE, FAILED, RUNNING, WAITING, AskedSync
from occ_app.catalog.models import Item, Mapping
from occ_app.errors import NotFoundError
from occ_app.extensions import current_shop_id, db
from occ_app.shopify.client import Client
from occ_app.shopify.errors import ShopifyError
from occ_app.sync import push, reconcile
from occ_app.sync.answers import PullOrders
from occ_app.sync.models import SyncState
from occ_app.work import tasks

NOT_MAPPED = "The item is not mapped to a variant in Shopify."


def ask(item: Item | None, *, actor: str, at: datetime) -> AskedSync:
    """A sync of the item (None: of all) is due. One that waits already is joined."""
    item_id = item.id if item else None
    same = AskedSync.item_id.is_(None) if item_id is None else AskedSync.item_id == item_id
    query = select(AskedSync).where(AskedSync.state == WAITING, same).order_by(AskedSync.id)
    run = db.session.scalar(query.limit(1))
    if run is None:
        run = AskedSync(item_id=item_id, asked_by=actor, asked_at=at, state=WAITING, looked_at=0, changed=0)
        db.session.add(run)
        db.session.flush()
    tasks.ask("asked_sync", current_shop_id())
    return run


def get(run_id: int) -> AskedSync:
    """The sync that was asked for. Raises NotFoundError."""
    run = db.session.scalar(select(AskedSync).where(AskedSync.id == run_id))
    if run is None:
        raise NotFoundError(f"There is no sync run {run_id} here.")
    return run


def find(before: int | None, limit: int) -> Sequence[AskedSync]:
    """Syncs that were asked for, newest first; `before`: only those with a lower id."""
    query = select(AskedSync).order_by(AskedSync.id.desc()).limit(limit)
    return db.session.scalars(query.where(AskedSync.id < before) if before is not None else query).all()


def work_off(client: Client, pull_orders: PullOrders) -> None:
    """Every sync that waits has been done or has failed with its cause. Commits between them; one that a kill left under way begins anew."""
    query = select(AskedSync.id).where(AskedSync.finished_at.is_(None)).order_by(AskedSync.id)
    for run_id in list(db.session.scalars(query)):
        run = get(run_id)
        run.state, run.started_at = RUNNING, clock.now()
        db.session.commit()
        try:
            looked_at, changed, cause = _sync(client, pull_orders, run.item_id)
        except ShopifyError as error:
            db.session.rollback()
            looked_at, changed, cause = 0, 0, str(error)
        run = get(run_id)
        run.looked_at, run.changed, run.cause = looked_at, changed, cause
        run.state, run.finished_at = FAILED if cause else DONE, clock.now()
        db.session.commit()


def _sync(client: Client, pull_orders: PullOrders, item_id: int | None) -> tuple[int, int, str | None]:
    """(mappings looked at, mappings changed, why it failed)."""
    ids = None
    if item_id is not None:
        mapped = select(SyncState.mapping_id).join(Mapping, Mapping.id == SyncState.mapping_id)
        ids = list(db.session.scalars(mapped.where(Mapping.item_id == item_id, Mapping.ended_at.is_(None))))
        if not ids:
            return 0, 0, NOT_MAPPED
    run = reconcile.reconcile(client, pull_orders, ids)
    sent = push.push_due(client, pull_orders)
    cause = run.cause or (sent.cause if sent else None)
    return run.looked_at, sent.changed if sent else 0, cause
