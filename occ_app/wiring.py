"""Who answers what: topic -> handler, task -> function, clock -> task, and the few calls that go upward. The only file that knows everyone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import structlog
from flask import Flask, current_app
from sqlalchemy import DateTime, bindparam, literal, select, text, union
from sqlalchemy.exc import ProgrammingError

from occ_app import clock, presses
from occ_app.b2b import answers, asked, levels, needed, notices, outside
from occ_app.b2b import orders as wholesale
from occ_app.b2b.models import WAITING as NOTICE_WAITING
from occ_app.b2b.models import AskedSync, Notice
from occ_app.catalog import archiving
from occ_app.catalog import mapping as mappings
from occ_app.catalog import news as product_news
from occ_app.catalog import pull as catalog_pull
from occ_app.catalog.models import PARTNER, Item, Mapping, ProductNews, Variant, VariantPull
from occ_app.database import newest_migration
from occ_app.desk import news
from occ_app.errors import RuleError
from occ_app.extensions import across_shops, current_shop_id, db, shop_scope
from occ_app.inbox import working
from occ_app.inbox.models import PARKED, WAITING, Delivery
from occ_app.orders import backorders, booking, naming
from occ_app.orders import pull as orders_pull
from occ_app.orders.models import Order, OrderLine
from occ_app.outbox.models import READY, SENT, Mutation
from occ_app.partners import catalogue, goods, imports, joining, readings, standing, supplies, turns, withdrawal
from occ_app.partners import stock as partner_stock
from occ_app.partners.models import (
    CATALOGUE,
    CONNECTED,
    LEFT,
    STOCK,
    ImportedProduct,
    ImportRun,
    Partner,
    PartnerChange,
    PartnerPull,
    PartnerVariant,
)
from occ_app.planning import history, mails, replan
from occ_app.planning.models import ItemPlan, PlanMail, PlanState, SalesPull
from occ_app.production import costs, runs
from occ_app.routing import capture, deciding
from occ_app.routing import turns as partner_orders
from occ_app.shopify.client import Client
from occ_app.shopify.errors import ShopifyAccessError, ShopifyUnavailableError
from occ_app.shops import install, privacy
from occ_app.shops.connection import Connections
from occ_app.shops.models import ACTIVE, Shop, ShopToken
from occ_app.stock import ledger, listing, lots, splits
from occ_app.stock.channel_models import AllocationRule
from occ_app.sync import approvals, desk, explain, link, push, reasons, reconcile, settle, targets
from occ_app.sync.models import AWAITING_LINK, LINKED, OFF, PushUndo, SyncException, SyncRun, SyncState
from occ_app.sync.rules import retry_after
from occ_app.work import runner, tasks, ticks
from occ_app.work.models import TaskFailure
from occ_app.work.tasks import turn

log = structlog.get_logger()
Task = Callable[[Shop, Client], Any]
LONGEST_DUE = timedelta(minutes=10)
PATIENCE = 10.0  # seconds that a press of a button waits for a batch under way
NOT_MIGRATED = "The database is not at the newest migration. Bring it there with: occ migrate"


# Topics ---------------------------------------------------------------------------------------------------------------------------


def _news_of_order(delivery: Delivery, payload: dict[str, Any]) -> None:
    number = payload.get("order_id") or (payload.get("order_edit") or {}).get("order_id") or payload.get("id")
    told = payload.get("updated_at") or payload.get("created_at") or (payload.get("order_edit") or {}).get("created_at")
    news_of = clock.told(told)
    news_of = news_of.replace(microsecond=0) if news_of else None
    _news_for_merchants(delivery, f"gid://shopify/Order/{int(number)}", is_draft=False)  # type: ignore[arg-type]
    if supplies.only_supplies(delivery.shop_id or 0):
        return
    booking.note(f"gid://shopify/Order/{int(number)}", clock.now(), news_of)  # type: ignore[arg-type]
    tasks.ask("orders", delivery.shop_id or 0)


def _news_of_draft(delivery: Delivery, payload: dict[str, Any]) -> None:
    _news_for_merchants(delivery, f"gid://shopify/DraftOrder/{int(payload['id'])}", is_draft=True)


def _news_for_merchants(delivery: Delivery, gid: str, *, is_draft: bool) -> None:
    """A draft or order of this store that is a merchant's order to it is to be looked at."""
    with across_shops():
        merchants = partner_orders.hear(delivery.shop_id or 0, gid, clock.now(), is_draft=is_draft)
        db.session.flush()
    for shop_id in merchants:
        tasks.ask("partner_orders", shop_id)


def _nudge_to_read(delivery: Delivery, payload: dict[str, Any]) -> None:
    """A level changed: its mappings are read, unless the number is what we expect anyway (the echo of our own write)."""
    item_gid = f"gid://shopify/InventoryItem/{int(payload['inventory_item_id'])}"
    query = (
        select(SyncState)
        .join(Mapping, Mapping.id == SyncState.mapping_id)
        .join(Variant, Variant.id == Mapping.variant_id)
        .where(Variant.inventory_item_gid == item_gid, Mapping.ended_at.is_(None))
    )
    for shop_id in _merchants_nudged(delivery, payload, item_gid):
        tasks.ask("partner_stock", shop_id)
    unexpected = [state.mapping_id for state in db.session.scalars(query) if state.expected != payload.get("available")]
    if unexpected:
        reconcile.nudge(unexpected, clock.now())


def _merchants_nudged(delivery: Delivery, payload: dict[str, Any], item_gid: str) -> set[int]:
    """Merchants who mirror this number of the shop."""
    with across_shops():
        location_gid = f"gid://shopify/Location/{int(payload['location_id'])}"
        return partner_stock.nudge(delivery.shop_id or 0, item_gid, location_gid, clock.now())


def _product_changed(delivery: Delivery, payload: dict[str, Any]) -> None:
    """Only what is known is kept fresh; new products are read too, but never make items. Read by a task: other news need not wait for it."""
    product_gid = f"gid://shopify/Product/{int(payload['id'])}"
    told = clock.told(payload.get("updated_at"))
    product_news.note(product_gid, told, clock.now())
    tasks.ask("products", delivery.shop_id or 0)
    if delivery.topic == "products/delete":
        imports.is_gone(product_gid, clock.now())


def _bulk_finished(delivery: Delivery, payload: dict[str, Any]) -> None:
    tasks.ask("variants", delivery.shop_id or 0)
    if history.unfinished() is not None:
        tasks.ask("past_sales", delivery.shop_id or 0)
    with across_shops():
        merchants = select(Partner.shop_id).join(PartnerPull, PartnerPull.partner_id == Partner.id)
        at_it = merchants.where(Partner.partner_shop_id == delivery.shop_id, PartnerPull.finished_at.is_(None))
        for shop_id in db.session.scalars(at_it.distinct()):
            tasks.ask("partner_catalogue", shop_id)


def _locations_changed(delivery: Delivery, payload: dict[str, Any]) -> None:
    shop = db.session.get_one(Shop, delivery.shop_id)
    catalog_pull.pull_facts(connections().client(shop))
    tasks.ask("reconcile", shop.id)


def _uninstalled(delivery: Delivery, payload: dict[str, Any]) -> None:
    """Unless the shop came back after this was triggered: then it is old news."""
    shop = db.session.get_one(Shop, delivery.shop_id)
    if delivery.triggered_at is None or delivery.triggered_at >= shop.installed_at:
        install.uninstalled(shop, clock.now())
        standing.follow_all(clock.now())


def _scopes_changed(delivery: Delivery, payload: dict[str, Any]) -> None:
    token = db.session.get(ShopToken, delivery.shop_id)
    if token is not None:
        token.scopes = ",".join(payload.get("current") or [])


def _privacy(delivery: Delivery, payload: dict[str, Any]) -> None:
    if delivery.topic == "shop/redact":
        _hear_of_uninstall(delivery.shop_domain)
    privacy.answer(
        delivery.topic,
        delivery.shop_domain,
        delivery.webhook_id,
        payload,
        received_at=delivery.received_at,
        at=clock.now(),
    )


def _hear_of_uninstall(domain: str) -> None:
    """The shop counts as uninstalled if Shopify refuses our access: the news of it need not have come.

    A store that is frozen or locked (402, 423) is not known to have left: that raises, and Shopify is asked again later.
    """
    shop = install.find(domain)
    if shop is None or shop.uninstalled_at is not None:
        return
    try:
        connections().client(shop).query("shop_id", {})
    except ShopifyAccessError as error:
        if error.facts.get("status") in (402, 423):
            raise
        install.uninstalled(shop, clock.now())


TOPICS: dict[str, working.Handler] = {
    **dict.fromkeys(
        ("orders/create", "orders/updated", "orders/paid", "orders/cancelled", "orders/edited"), _news_of_order
    ),
    **dict.fromkeys(("refunds/create", "fulfillments/create", "fulfillments/update"), _news_of_order),
    **dict.fromkeys(("draft_orders/update", "draft_orders/delete"), _news_of_draft),
    "inventory_levels/update": _nudge_to_read,
    **dict.fromkeys(("products/create", "products/update", "products/delete"), _product_changed),
    "bulk_operations/finish": _bulk_finished,
    **dict.fromkeys(
        [f"locations/{verb}" for verb in ("create", "update", "activate", "deactivate", "delete")], _locations_changed
    ),
    "app/uninstalled": _uninstalled,
    "app/scopes_update": _scopes_changed,
    **dict.fromkeys(privacy.TOPICS, _privacy),
}


# Tasks ----------------------------------------------------------------------------------------------------------------------------


def connections() -> Connections:
    """The way to Shopify of this process."""
    return current_app.extensions["occ_connections"]  # type: ignore[no-any-return]


def for_active_shop(task: Task, kind: str) -> Callable[[int], None]:
    """The task works for one shop, alone in its kind, and rests while the shop is not active or its access is refused."""

    def run(shop_id: int) -> None:
        with turn(db.engine, kind, shop_id) as is_ours:
            if not is_ours:
                return  # whoever is at it ends soon, and the sweep finds what it left
            with shop_scope(shop_id):
                shop = db.session.get(Shop, shop_id)
                if shop is None or shop.status != ACTIVE:
                    return
                try:
                    task(shop, connections().client(shop))
                except ShopifyAccessError:
                    db.session.rollback()
                    db.session.refresh(shop)
                    if shop.status == ACTIVE:
                        raise

    return run


def _inbox(shop_id: int) -> None:
    """Works for shops in any state: news of an uninstall or an erasure must be heard."""
    with turn(db.engine, "inbox", shop_id) as is_ours:
        if is_ours:
            with shop_scope(shop_id):
                working.work_off(shop_id, TOPICS)


def of_own_stock(task: Task) -> Task:
    """Not done for a store that only supplies others: its orders and its numbers are none of our business."""

    def run(shop: Shop, client: Client) -> Any:
        return None if supplies.only_supplies(shop.id) else task(shop, client)

    return run


@of_own_stock
def _orders(shop: Shop, client: Client) -> None:
    orders_pull.book_due(client)


def _push(shop: Shop, client: Client) -> None:
    push.push_due(client, orders_pull.pull_changed)


def _link(shop: Shop, client: Client) -> None:
    link.link_waiting(client, orders_pull.pull_for_link, orders_pull.pull_changed)


def _reconcile(shop: Shop, client: Client) -> SyncRun:
    link.link_waiting(client, orders_pull.pull_for_link, orders_pull.pull_changed)
    return reconcile.reconcile(client, orders_pull.pull_changed)


def _look(shop: Shop, client: Client) -> None:
    reconcile.look_due(client, orders_pull.pull_changed)


@of_own_stock
def _hourly(shop: Shop, client: Client) -> None:
    orders_pull.pull_changed(client)
    orders_pull.book_due(client)
    _reconcile(shop, client)


def _variants(shop: Shop, client: Client) -> None:
    """The pull of variants is at its end."""
    _to_the_end(catalog_pull.advance, client)


@of_own_stock
def _past_sales(shop: Shop, client: Client) -> None:
    """The reading of past orders is at its end, and what follows from them is replanned."""
    _to_the_end(history.advance, client)
    tasks.ask("replan", shop.id)


def _to_the_end(advance: Callable[[Client], bool], client: Client) -> None:
    """A bulk operation is done and taken in. Shopify is asked every second, or when it says that it is done."""
    import time

    end = time.monotonic() + 240
    while advance(client):
        if time.monotonic() > end:
            return  # the sweep asks again
        time.sleep(catalog_pull.LOOK_EVERY.total_seconds())


@of_own_stock
def _replan(shop: Shop, client: Client) -> None:
    replan.replan_due(clock.now())
    replan.catch_up(clock.now())
    db.session.commit()


@of_own_stock
def _digest(shop: Shop, client: Client) -> None:
    at = clock.now()
    if mails.is_digest_due(shop, replan.state(), at):
        replan.replan_due(at)
        mails.write_digest(shop, replan.state(), at)
    db.session.commit()
    mails.send_due(at)


def reconcile_now(shop_id: int) -> None:
    """The shop has been reconciled, and what is due has been pushed.

    Raises RuleError where the shop rests or another run is at it, ShopifyError where Shopify does not do its part.
    """
    with turn(db.engine, "sync", shop_id) as is_ours, shop_scope(shop_id):
        shop = db.session.get_one(Shop, shop_id)
        if shop.status != ACTIVE:
            words = f"{shop.domain} is {shop.status.replace('_', ' ')}. {shop.status_reason or ''}".strip()
            raise RuleError(f"{words} Its numbers rest until somebody opens the app in its admin.")
        if not is_ours:
            raise RuleError(f"Another sync of {shop.domain} is under way. Try again in a minute.")
        client = connections().client(shop)
        for run in (_reconcile(shop, client), push.push_due(client, orders_pull.pull_changed)):
            if run is not None and run.cause:
                raise ShopifyUnavailableError(run.cause)


def partner_work_now(shop_id: int, kind: str) -> bool:
    """What is due of that kind (partner_catalogue, partner_stock, partner_import, partner_changes) has been done, without waiting for a worker.

    False where a worker is at it. Raises RuleError where the shop rests.
    """
    with turn(db.engine, kind, shop_id) as is_ours, shop_scope(shop_id):
        shop = db.session.get_one(Shop, shop_id)
        if shop.status != ACTIVE:
            raise RuleError(f"{shop.domain} is {shop.status.replace('_', ' ')}. {shop.status_reason or ''}".strip())
        if is_ours:
            _PARTNER_TASKS[kind](shop, connections().client(shop))
        return is_ours


def push_now(shop_id: int) -> None:
    """What is due has been pushed; where a worker is at it, it does so."""
    with turn(db.engine, "sync", shop_id) as is_ours, shop_scope(shop_id):
        shop = db.session.get_one(Shop, shop_id)
        if is_ours and shop.status == ACTIVE:
            _link(shop, connections().client(shop))
            _push(shop, connections().client(shop))


def _partner_goods(shop: Shop, client: Client) -> None:
    withdrawal.settle(client, clock.now())


def _audit(shop: Shop, client: Client) -> None:
    found = ledger.audit(shop.id)
    subject = f"shop:{shop.id}"
    if found:
        desk.raise_(desk.AUDIT, subject, {"differences": len(found)}, clock.now())
    else:
        desk.withdraw(desk.AUDIT, subject, clock.now())


def _keep_alive(shop: Shop, client: Client) -> None:
    connections().access_token(shop.id, shop.domain)


@of_own_stock
def _subscriptions(shop: Shop, client: Client) -> None:
    for step in news.mend(client, shop, clock.now()):
        log.info("subscription", shop=shop.domain, step=step)


@of_own_stock
def _asked_sync(shop: Shop, client: Client) -> None:
    link.link_waiting(client, orders_pull.pull_for_link, orders_pull.pull_changed)
    asked.work_off(client, orders_pull.pull_changed)


def _notices(shop: Shop, client: Client) -> None:
    loopback = notices.config().notices_to_loopback
    notices.send_due(lambda url, body, headers: outside.post(url, body, headers, loopback_allowed=loopback))


def _give_back(shop: Shop, client: Client) -> None:
    for item_id in sorted(splits.give_back_due(clock.now())):
        targets.let_change(item_id)  # whoever made the rule has decided
    db.session.commit()


@of_own_stock
def _recount(shop: Shop, client: Client) -> None:
    orders_pull.recount(client)


def _first_day(shop: Shop, client: Client) -> None:
    """A new shop: its facts, then all of its variants."""
    catalog_pull.pull_facts(client)
    catalog_pull.start(clock.now())
    tasks.ask("variants", shop.id)
    if history.newest() is None and not supplies.only_supplies(shop.id):
        history.start(clock.now())
        tasks.ask("past_sales", shop.id)


def _products(shop: Shop, client: Client) -> None:
    turns.read_changed_products(shop, client, connections().client)


def _partner_catalogue(shop: Shop, client: Client) -> None:
    turns.pull_catalogues(connections().client)


def _partner_stock(shop: Shop, client: Client) -> None:
    turns.pull_stock(connections().client)


def _partner_import(shop: Shop, client: Client) -> None:
    turns.run_imports(client)


def _partner_changes(shop: Shop, client: Client) -> None:
    turns.carry_changes(client)


def _partner_orders(shop: Shop, client: Client) -> None:
    partner_orders.run(client, connections().client)


def send_now(shop_id: int, partner_ids: Sequence[int], kind: str) -> list[Any]:
    """These partners got a batch (`now`, `close` or `daily`) at once. Raises RuleError where the shop rests or a worker is at it."""
    with turn(db.engine, "partner_orders", shop_id, PATIENCE) as is_ours, shop_scope(shop_id):
        shop = db.session.get_one(Shop, shop_id)
        if shop.status != ACTIVE:
            raise RuleError(f"{shop.domain} is {shop.status.replace('_', ' ')}. {shop.status_reason or ''}".strip())
        if not is_ours:
            raise RuleError("A batch is under way. Try again in a minute.")
        made = partner_orders.now(connections().client(shop), connections().client, partner_ids, kind)
        return [
            {"partner": row.partner_id, "placed": row.placed, "orders": row.orders, "cause": row.cause} for row in made
        ]


_PARTNER_TASKS: dict[str, Task] = {
    "partner_orders": _partner_orders,
    "partner_catalogue": _partner_catalogue,
    "partner_stock": _partner_stock,
    "partner_import": _partner_import,
    "partner_changes": _partner_changes,
}


def register_tasks() -> None:
    """Every task has its function. Push, link and reconciliation share one turn: one sync per shop at a time."""
    tasks.register("inbox", _inbox, "inbox")
    for name, task, kind in (
        ("orders", _orders, "orders"),
        ("push", _push, "sync"),
        ("link", _link, "sync"),
        ("reconcile", _reconcile, "sync"),
        ("look", _look, "sync"),
        ("hourly", _hourly, "sync"),
        ("variants", _variants, "variants"),
        ("products", _products, "products"),
        ("partner_goods", _partner_goods, "partner_goods"),
        ("audit", _audit, "audit"),
        ("past_sales", _past_sales, "past_sales"),
        ("replan", _replan, "replan"),
        ("digest", _digest, "digest"),
        ("recount", _recount, "orders"),
        ("asked_sync", _asked_sync, "sync"),
        ("give_back", _give_back, "give_back"),
        ("notices", _notices, "notices"),
        ("keep_alive", _keep_alive, "keep_alive"),
        ("subscriptions", _subscriptions, "subscriptions"),
        ("first_day", _first_day, "variants"),
        *((name, task, name) for name, task in _PARTNER_TASKS.items()),
    ):
        tasks.register(name, for_active_shop(task, kind), kind)


# Clock ----------------------------------------------------------------------------------------------------------------------------


def _ask_all(name: str, condition: Any = None) -> Callable[[], None]:
    def fire() -> None:
        query = select(Shop.id).where(Shop.status == ACTIVE)
        for shop_id in db.session.scalars(query if condition is None else query.where(condition)):
            tasks.ask(name, shop_id)

    return fire


def _ask_giving_back() -> None:
    """Shops with rules that end on a day. Days begin in their own time zones, so tomorrow's are looked at too."""
    tomorrow = clock.now().date() + timedelta(days=1)
    for shop_id in db.session.scalars(
        select(AllocationRule.shop_id).where(AllocationRule.give_back_on <= tomorrow).distinct()
    ):
        tasks.ask("give_back", shop_id)


def _ask_daily_batches() -> None:
    """Merchants whose daily batch is due: lines wait, or orders grow, and the hour has come."""
    at = clock.now()
    for shop_id in set(db.session.scalars(partner_orders.shops_with_work())):
        with shop_scope(shop_id):
            if partner_orders.is_daily_due(db.session.get_one(Shop, shop_id), at):
                tasks.ask("partner_orders", shop_id)


def _ask_drafting() -> None:
    """Merchants whose partners' products become drafts by rule, or are drafts by it: readings grow old with no other event."""
    by_rule = select(Partner.shop_id).where(withdrawal.drafts_by_rule())
    drafted = select(ImportedProduct.shop_id).where(ImportedProduct.status_before.is_not(None))
    for shop_id in db.session.scalars(by_rule.union(drafted)):
        tasks.ask("partner_goods", shop_id)


def _ask_planning() -> None:
    """Shops where a new day began, and those whose hour of the digest has come."""
    at = clock.now()
    rows = db.session.execute(
        select(Shop, PlanState).outerjoin(PlanState, PlanState.shop_id == Shop.id).where(Shop.status == ACTIVE)
    )
    for shop, row in list(rows):
        tasks.ask("replan", shop.id)
        if mails.is_digest_due(shop, row, at):
            tasks.ask("digest", shop.id)


def sweep() -> None:
    """Whatever is due and was forgotten is asked for: deliveries, orders, pushes, calls without answer, pulls, links.

    Deliveries of unknown shops, which no task belongs to, are settled here. That commits.
    """
    standing.follow_all(clock.now())
    working.settle_unknown(dict.fromkeys(privacy.TOPICS, _privacy))
    at = clock.now()
    catalogue.want_due(at)
    partner_stock.want_due(at)
    _ask_daily_batches()
    for name, shop_id in _due(at):
        tasks.ask(name, shop_id)
    failures = runner.failures()
    tell_stopped(at, failures)
    for failure in failures:
        if failure.failed_at + retry_after(failure.tries) <= at:
            tasks.ask(failure.task, failure.shop_id)


def _due(at: datetime) -> list[tuple[str, int]]:
    """Tasks and the shops that they are due for. One statement, whatever their number."""
    names, query = _due_query()
    return [(names[n], shop_id) for n, shop_id in sorted(map(tuple, db.session.execute(query, {"at": at})))]


@cache
def _due_query() -> tuple[list[str], Any]:
    """The names of tasks, and the statement that finds (index of the name, shop id) of what is due at `at`. Made once: it is long."""
    at: Any = bindparam("at", type_=DateTime(timezone=True))
    due: dict[str, Any] = {
        "partner_orders": partner_orders.shops_due(at),
        "inbox": select(Delivery.shop_id).where(
            Delivery.state == WAITING, Delivery.next_try_at <= at, Delivery.shop_id.is_not(None)
        ),
        "orders": select(Order.shop_id).where(
            Order.due_at.is_not(None),
            (Order.next_try_at.is_(None)) | (Order.next_try_at <= at),
            Order.tries < orders_pull.MOST_TRIES,
        ),
        "push": select(SyncState.shop_id)
        .where(
            SyncState.state == LINKED,
            SyncState.is_pushed,
            SyncState.target != SyncState.expected,
            (SyncState.next_try_at.is_(None)) | (SyncState.next_try_at <= at),
        )
        .union(
            select(Mutation.shop_id).where(Mutation.state.in_((READY, SENT))),
            select(PushUndo.shop_id).where(PushUndo.settled_at.is_(None)),
        ),
        "link": select(SyncState.shop_id).where(
            SyncState.state == AWAITING_LINK,
            SyncState.link_choice.is_not(None),
            (SyncState.next_try_at.is_(None)) | (SyncState.next_try_at <= at),
        ),
        "look": select(SyncState.shop_id).where(SyncState.look_at <= at, SyncState.state != OFF),
        "variants": select(VariantPull.shop_id).where(
            VariantPull.finished_at.is_(None), VariantPull.next_look_at <= at
        ),
        "products": select(ProductNews.shop_id)
        .join(Shop, Shop.id == ProductNews.shop_id)
        .where(ProductNews.next_try_at <= at, Shop.status == ACTIVE)
        .distinct(),
        "past_sales": select(SalesPull.shop_id).where(SalesPull.finished_at.is_(None), SalesPull.next_look_at <= at),
        "replan": select(ItemPlan.shop_id).where(ItemPlan.due_at.is_not(None)).distinct(),
        "digest": select(PlanMail.shop_id)
        .where(PlanMail.sent_at.is_(None), PlanMail.given_up_at.is_(None), PlanMail.next_try_at <= at)
        .distinct(),
        "partner_catalogue": select(PartnerPull.shop_id).where(
            PartnerPull.kind == CATALOGUE, PartnerPull.finished_at.is_(None), PartnerPull.next_look_at <= at
        ),
        "partner_stock": select(PartnerPull.shop_id)
        .where(PartnerPull.kind == STOCK, PartnerPull.finished_at.is_(None))
        .union(_shops_to_look(at)),
        "asked_sync": select(AskedSync.shop_id).where(AskedSync.finished_at.is_(None)),
        "notices": select(Notice.shop_id).where(Notice.state == NOTICE_WAITING, Notice.next_try_at <= at),
        "partner_changes": select(PartnerChange.shop_id).where(
            PartnerChange.settled_at.is_(None), PartnerChange.is_accepted
        ),
        "partner_import": select(ImportRun.shop_id).where(
            ImportRun.finished_at.is_(None), (ImportRun.next_try_at.is_(None)) | (ImportRun.next_try_at <= at)
        ),
    }
    names = list(due)
    parts = [query.subquery() for query in due.values()]
    each = [select(literal(n), *part.c) for n, part in enumerate(parts)]
    return names, union(*each)


def _shops_to_look(at: Any) -> Any:
    """Merchants who are to read single variants of a connected partner."""
    query = select(PartnerVariant.shop_id).join(PartnerVariant.partner)
    return query.where(PartnerVariant.look_at <= at, Partner.state == CONNECTED)


def tell_stopped(at: datetime, failures: Sequence[TaskFailure]) -> None:
    """Deliveries, orders and tasks that have stopped are on the desk, and leave it when they flow again."""
    stopped: dict[tuple[int, str, str], dict[str, Any]] = {}
    deliveries = select(Delivery.shop_id, Delivery.id, Delivery.topic, Delivery.cause)
    for row in db.session.execute(deliveries.where(Delivery.state == PARKED, Delivery.shop_id.is_not(None))):
        stopped[row.shop_id, desk.DELIVERY, f"delivery:{row.id}"] = {"topic": row.topic, "cause": row.cause or ""}
    orders = select(Order.shop_id, Order.order_gid, Order.name, Order.cause)
    for row in db.session.execute(orders.where(Order.due_at.is_not(None), Order.tries >= orders_pull.MOST_TRIES)):
        facts = {"name": row.name or row.order_gid, "cause": row.cause or ""}
        stopped[row.shop_id, desk.ORDER, f"order:{row.order_gid}"] = facts
    for failure in failures:
        if failure.tries >= runner.PARKED_FROM:
            facts = {"task": failure.task, "cause": failure.cause}
            stopped[failure.shop_id, desk.TASK, f"task:{failure.task}"] = facts
    kinds = (desk.DELIVERY, desk.ORDER, desk.TASK)
    query = select(SyncException.shop_id, SyncException.kind, SyncException.subject)
    told = set(
        map(tuple, db.session.execute(query.where(SyncException.kind.in_(kinds), SyncException.settled_at.is_(None))))
    )
    for shop_id, kind, subject in stopped.keys() - told:
        with shop_scope(shop_id):
            desk.raise_(kind, subject, stopped[shop_id, kind, subject], at)
    for shop_id, kind, subject in told - stopped.keys():
        with shop_scope(shop_id):
            desk.withdraw(kind, subject, at)


def _delivery_again(number: str, at: datetime) -> None:
    working.try_again(current_shop_id(), int(number), at)
    tasks.ask("inbox", current_shop_id())


def _order_again(order_gid: str, at: datetime) -> None:
    order = db.session.scalars(select(Order).where(Order.order_gid == order_gid).with_for_update()).one()
    order.tries, order.due_at, order.next_try_at = 0, at, None
    tasks.ask("orders", order.shop_id)


def _task_again(name: str, at: datetime) -> None:
    runner.forget_failure(name, current_shop_id())
    tasks.ask(name, current_shop_id())


def _count_again(subject: str, at: datetime) -> None:
    tasks.ask("audit", current_shop_id())


def _tidy() -> None:
    working.forget_old(clock.now())
    runner.forget_old_jobs()
    partner_stock.forget_old_runs(clock.now())
    joining.forget_old_attempts(clock.now())
    answers.forget_old(clock.now())
    presses.forget_old(clock.now())


def set_clock() -> None:
    """What the clock does. Ticks only ask for tasks that merge."""
    ticks.at_start("catch_up", _ask_all("hourly"))
    ticks.every(5, "sweep", sweep)
    ticks.every(300, "reconcile", _ask_all("reconcile"))
    ticks.every(3600, "hourly", _ask_all("hourly"))
    ticks.every(300, "partner_goods", _ask_drafting)
    ticks.every(300, "planning", _ask_planning)
    ticks.every(300, "give_back", _ask_giving_back)
    ticks.every(86_400, "audit", _ask_all("audit"))
    ticks.every(86_400, "recount", _ask_all("recount"))
    ticks.every(86_400, "keep_alive", _ask_all("keep_alive"))
    ticks.every(86_400, "subscriptions", _ask_all("subscriptions"))
    ticks.every(86_400, "tidy", _tidy)


# Upward calls ---------------------------------------------------------------------------------------------------------------------


def _stock_changed(item_ids: set[int], is_typed: bool) -> None:
    backorders.fill(item_ids)
    backorders.tell(item_ids)
    wholesale.fill(item_ids)
    targets.refresh(item_ids, let=targets.NONE_FALL if is_typed else targets.ALL_FALL)
    replan.note(item_ids, clock.now())


def _exception_raised(kind: str, mapping_id: int | None, facts: dict[str, Any]) -> None:
    """Other systems hear of an item that cannot be sent."""
    if kind == desk.PARKED and mapping_id is not None:
        mapping = db.session.get_one(Mapping, mapping_id)
        notices.sync_failed(db.session.get_one(Item, mapping.item_id), str(facts.get("cause", "")))


def _partner_line_booked(line: OrderLine, mapping: Mapping) -> None:
    """What customers took of a partner's goods: what has left is expected to show at the partner, what is missing there is told."""
    readings.reflect_what_left(line, mapping.item_id, clock.now())
    capture.follow(line, mapping.item_id, clock.now())
    goods.tell_missing([mapping.item_id], clock.now())


def _partner_changed(partner: Partner) -> None:
    """Its goods stand as it does, and orders to one that left; who is connected (again), or shares other locations, is read at once."""
    tasks.ask("partner_goods", partner.shop_id)
    if partner.state == LEFT:
        tasks.ask("partner_orders", partner.shop_id)
    if partner.state == CONNECTED and partner.catalogue_read_at is not None:
        catalogue.want(partner, clock.now())
        partner_stock.want(partner, clock.now())
        for task in ("partner_catalogue", "partner_stock"):
            tasks.ask(task, partner.shop_id)


def _mappings_made(made: Sequence[Mapping]) -> None:
    committed = booking.booked_committed(made)
    for state in targets.new_states(made):
        state.booked_committed = committed.get((state.mapping.variant_id, state.mapping.location_id), 0)
    targets.refresh(mapping.item_id for mapping in made)
    booking.book_waiting([mapping.variant.variant_gid for mapping in made], clock.now())
    tasks.ask("link", made[0].shop_id)


def _mapping_ended(mapping: Mapping) -> None:
    state = db.session.get(SyncState, mapping.id)
    if state is not None:
        state.state, state.cause = OFF, "Unmapped."
        approvals.forget([mapping.id], clock.now())
    desk.withdraw_all(mapping.id, clock.now(), by="unmapping")


def _after_install(shop: Shop) -> None:
    standing.follow_all(clock.now())
    tasks.ask("first_day", shop.id)
    tasks.ask("inbox", shop.id)
    tasks.ask("hourly", shop.id)


def readiness() -> Sequence[str]:
    """Why the app is not ready; empty when it is."""
    reasons = []
    try:
        with across_shops():
            is_late = select(Delivery.id).where(
                Delivery.state == WAITING, Delivery.next_try_at < clock.now() - LONGEST_DUE
            )
            late = db.session.scalar(is_late.limit(1))
            migration = db.session.scalar(text("SELECT version_num FROM alembic_version"))
            beat = db.session.scalar(
                text("SELECT max(last_heartbeat) > now() - interval '30 seconds' FROM procrastinate_workers")
            )
    except ProgrammingError:  # a table or column is not there
        db.session.rollback()
        return [NOT_MIGRATED]
    except Exception as error:  # whatever it is, the answer is "not ready" with its name
        db.session.rollback()
        return [f"The database does not answer as it should: {type(error).__name__}"]
    if not beat:
        reasons.append("No worker has been seen for 30 seconds. Start one with: occ worker")
    if migration != newest_migration():
        reasons.append(NOT_MIGRATED)
    if late is not None:
        reasons.append("A delivery has been due for more than 10 minutes.")
    return reasons


def wire(app: Flask) -> None:
    """Everybody knows whom to call."""
    register_tasks()
    set_clock()
    ledger.after_release(splits.distribute)
    ledger.after_booking(_stock_changed)
    targets.after_refresh(levels.refresh)
    explain.claims_come_from(levels.claims_of)
    reasons.named_by("order_line", naming.of_lines)
    reasons.named_by("b2b_line", wholesale.names_of_lines)
    levels.after_change(notices.levels_changed)
    wholesale.after_backorder(notices.order_waits)
    desk.after_raising(_exception_raised)
    listing.cost_comes_from(costs.of_lots)
    targets.terms_come_from(PARTNER, goods.terms_of)
    standing.after_change(_partner_changed)
    booking.after_partner_line(_partner_line_booked)
    mappings.after_mapping(_mappings_made, _mapping_ended)
    for why in (lots.why_needed, runs.why_needed, needed.why_needed):
        archiving.still_needed(why)
    again = {desk.DELIVERY: _delivery_again, desk.ORDER: _order_again, desk.TASK: _task_again, desk.AUDIT: _count_again}
    for kind, function in again.items():
        settle.tries_again(kind, function)
    for kind in deciding.KINDS:
        settle.decides(kind, deciding.settle, deciding.lock)
    app.extensions["occ_send_now"] = send_now
    app.extensions["occ_after_install"] = [_after_install]
    app.extensions["occ_readiness"] = readiness
