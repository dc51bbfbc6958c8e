"""Checks of a shop's connection: what is so, how bad it is, and what to do. Nothing is changed, here or at Shopify.

A check that needs Shopify's answer says so where there was none; the cause stands in the check `shopify`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import func, select, text

from occ_app import clock
from occ_app.catalog import pull
from occ_app.catalog.models import Location
from occ_app.config import API_VERSION
from occ_app.desk import news
from occ_app.errors import NotConfiguredError
from occ_app.extensions import db
from occ_app.inbox.models import PARKED as PARKED_DELIVERY
from occ_app.inbox.models import WAITING, Delivery
from occ_app.orders.models import Order
from occ_app.orders.pull import MOST_TRIES
from occ_app.outbox.models import READY, SENT, Mutation
from occ_app.shopify.client import Answer
from occ_app.shopify.errors import RetiredVersionError, ShopifyAccessError, ShopifyError
from occ_app.shopify.versions import days_left, end_of_support
from occ_app.shops import settings, subscriptions
from occ_app.shops.connection import Connections
from occ_app.shops.models import ACTIVE, PAUSED, Shop, ShopToken
from occ_app.sync.models import PARKED, SyncState
from occ_app.work.models import TaskFailure
from occ_app.work.runner import PARKED_FROM

OK, WARN, BAD = "ok", "warn", "bad"
VERSION_SOON = 90  # days
REFRESH_SOON = timedelta(days=30)
SKEW_FELT, SKEW_BAD = (
    timedelta(seconds=10),
    timedelta(seconds=60),
)  # an ID token is good for a minute, with 10 s of leeway
DUE_LATE, DUE_BAD = timedelta(minutes=2), timedelta(minutes=10)
BEAT = timedelta(seconds=30)
DAY = timedelta(days=1)
NOT_KNOWN = "Not known, because Shopify did not answer as it should."
OPEN_APP = "Open the app in the store's Shopify admin."
NEWER = "Update the hub to a release that speaks a newer version."


@dataclass(frozen=True)
class Check:
    """One check: its name, `ok`, `warn` or `bad`, what is so, and what to do (empty where there is nothing to do)."""

    name: str
    state: str
    says: str
    remedy: str = ""


@dataclass
class Asked:
    """What Shopify said, as far as it did. `skew`: our clock minus Shopify's."""

    error: Exception | None = None
    skew: timedelta | None = None
    version: str | None = None
    supported: dict[str, bool] = field(default_factory=dict)
    scopes: list[str] | None = None
    made: list[subscriptions.Made] | None = None
    locations: dict[str, tuple[str, bool]] | None = None  # gid -> name, whether it is on


def examine(connections: Connections, shop: Shop, at: datetime) -> list[Check]:
    """All checks of the shop, in the order in which one looks. From here on the transaction can only read."""
    db.session.execute(text("SET TRANSACTION READ ONLY"))
    asked = _ask(connections, shop)
    return [
        _shop(shop),
        _token(connections, shop, at),
        _shopify(shop, asked, at),
        _version(asked, at),
        _scopes(connections, shop, asked),
        _clock(asked),
        _locations(shop, asked),
        _worker(),
        _due(shop, at),
        webhooks(shop, asked, at),
        _deliveries(shop, at),
        _parked(shop),
    ]


def is_bad(checks: Sequence[Check]) -> bool:
    """Whether anything must be done."""
    return any(check.state == BAD for check in checks)


# Shopify --------------------------------------------------------------------------------------------------------------------------


def _ask(connections: Connections, shop: Shop) -> Asked:
    asked = Asked()
    try:
        client = connections.looking_client(shop)
        answer = client.query("connection_facts", {})
        _keep(asked, answer)
        if {"read_locations", "read_products"} <= _with_reading(asked.scopes or []):
            nodes = pull.all_locations(client, client.query("shop_facts", {}).data["locations"])
            asked.locations = {node["id"]: (node["name"], node["isActive"]) for node in nodes}
    except (ShopifyError, NotConfiguredError) as error:
        asked.error = error
        told = getattr(error, "facts", {}).get("at")
        asked.skew = clock.now() - told if told else asked.skew
    return asked


def _keep(asked: Asked, answer: Answer) -> None:
    data = answer.data
    asked.skew, asked.version = clock.now() - answer.at, answer.version
    asked.supported = {row["handle"]: row["supported"] for row in data["publicApiVersions"]}
    asked.scopes = [row["handle"] for row in data["currentAppInstallation"]["accessScopes"]]
    asked.made = subscriptions.made(data["webhookSubscriptions"]["nodes"])


def _shop(shop: Shop) -> Check:
    if shop.status == ACTIVE:
        return Check("shop", OK, "The store is connected.")
    if shop.status == PAUSED:
        return Check("shop", WARN, "The store is paused: nothing is sent or read.", "Resume it when you want to go on.")
    says = {"needs_reconnecting": "The store must be connected again", "uninstalled": "The app is not installed"}
    return Check("shop", BAD, f"{says[shop.status]}. {shop.status_reason or ''}".strip(), OPEN_APP)


def _token(connections: Connections, shop: Shop, at: datetime) -> Check:
    token = db.session.get(ShopToken, shop.id)
    if token is None:
        return Check("token", BAD, "There is no access token.", OPEN_APP)
    try:
        connections.looking_client(shop)
    except NotConfiguredError:
        remedy = "Put the key it was made with back into TOKEN_ENCRYPTION_KEYS."
        return Check("token", BAD, "The access token cannot be read.", remedy)
    if token.access_expires_at is None:
        says = "The access token never expires. Shopify refuses such tokens of public apps from 2027-01-01."
        return Check("token", WARN, says, "Install the app anew in the store; nothing is lost.")
    return _renewal(token, token.access_expires_at, at)


def _renewal(token: ShopToken, expires_at: datetime, at: datetime) -> Check:
    if token.refresh_token is None or (token.refresh_expires_at and token.refresh_expires_at <= at):
        return Check("token", BAD, "Access cannot be renewed any more.", OPEN_APP)
    left = (token.refresh_expires_at - at) if token.refresh_expires_at else None
    renewable = f", renewable for {left.days} days" if left else ""
    if left and left < REFRESH_SOON:
        return Check(
            "token",
            WARN,
            f"Access can be renewed for {left.days} more days only.",
            "Start a worker: it renews access every day.",
        )
    if expires_at <= at:
        says = f"The access token expired {_span(at - expires_at)} ago{renewable}."
        return Check("token", WARN, says, "A worker renews it with its next work. See the check of workers.")
    return Check("token", OK, f"Access is good for {_span(expires_at - at)}{renewable}.")


def _shopify(shop: Shop, asked: Asked, at: datetime) -> Check:
    if asked.error is None:
        return Check("shopify", OK, "Shopify answers.")
    if isinstance(asked.error, RetiredVersionError):
        return Check("shopify", BAD, "Shopify knows the store, but not our API version.", NEWER)
    if isinstance(asked.error, ShopifyAccessError):
        token = db.session.get(ShopToken, shop.id)
        if (
            asked.error.facts.get("status") == 401
            and token
            and token.access_expires_at
            and token.access_expires_at <= at
        ):
            return Check(
                "shopify", WARN, "Shopify was asked with an expired token and refused it.", "A worker renews it."
            )
        return Check("shopify", BAD, str(asked.error), OPEN_APP)
    if getattr(asked.error, "facts", {}).get("throttled"):
        return Check("shopify", WARN, str(asked.error), "Check again in a minute.")
    if isinstance(asked.error, NotConfiguredError):
        return Check(
            "shopify", BAD, "Shopify was not asked, as the token cannot be read.", "See the check of the token."
        )
    remedy = (
        "Look at shopifystatus.com. If all is well there, look at this server's way out: name service, firewall, proxy."
    )
    return Check("shopify", BAD, str(asked.error), remedy)


def _version(asked: Asked, at: datetime) -> Check:
    ends, left = end_of_support(API_VERSION), days_left(API_VERSION, at.date())
    until = f"supported until {ends:%Y-%m-%d}, {left} days left" if left > 0 else f"support ended on {ends:%Y-%m-%d}"
    if isinstance(asked.error, RetiredVersionError):
        return Check("api-version", BAD, str(asked.error), NEWER)
    if asked.version and asked.version != API_VERSION:
        says = f"We ask for API version {API_VERSION}, and Shopify answers with {asked.version}; {until}."
        return Check("api-version", BAD, says, NEWER)
    if left <= 0 or asked.supported.get(API_VERSION) is False:
        says = f"API version {API_VERSION} is still served, but not supported; {until}."
        return Check("api-version", BAD, says, NEWER)
    answered = "" if asked.version else " Shopify did not say which version answered."
    state = WARN if left < VERSION_SOON else OK
    return Check("api-version", state, f"{API_VERSION}, {until}.{answered}", NEWER if state == WARN else "")


def _scopes(connections: Connections, shop: Shop, asked: Asked) -> Check:
    token = db.session.get(ShopToken, shop.id)
    kept = [scope for scope in (token.scopes if token else "").split(",") if scope]
    held = _with_reading(asked.scopes if asked.scopes is not None else kept)
    missing = [scope for scope in connections.config.scopes if scope not in held]
    source = "" if asked.scopes is not None else " This is what was granted when access was last given or renewed."
    if missing:
        says = (
            f"{len(missing)} of {len(connections.config.scopes)} permissions are missing: {', '.join(missing)}.{source}"
        )
        return Check("scopes", BAD, says, f"{OPEN_APP} It asks for them.")
    return Check("scopes", OK, f"All {len(connections.config.scopes)} permissions are granted.{source}")


def _with_reading(scopes: Sequence[str]) -> set[str]:
    """The scopes, with the reading that writing brings along."""
    return set(scopes) | {scope.replace("write_", "read_", 1) for scope in scopes}


def _clock(asked: Asked) -> Check:
    if asked.skew is None:
        return Check("clock", WARN, NOT_KNOWN)
    off = abs(asked.skew)
    if off < SKEW_FELT:
        return Check("clock", OK, "This server's clock agrees with Shopify's.")
    way = "ahead of" if asked.skew > timedelta(0) else "behind"
    says = f"This server's clock is {_span(off)} {way} Shopify's; people may be refused."
    return Check("clock", BAD if off >= SKEW_BAD else WARN, says, "Let the server set its clock by NTP.")


def _locations(shop: Shop, asked: Asked) -> Check:
    live = asked.locations
    if live is None:
        live = {row.location_gid: (row.name, row.is_active) for row in db.session.scalars(select(Location))}
    chosen = settings.get(shop, "default_location")
    on = sum(1 for _, is_on in live.values() if is_on)
    if not chosen:
        return Check("locations", BAD, f"No location is chosen; {on} are active.", "Choose one under Settings.")
    if chosen not in live:
        return Check("locations", BAD, "The chosen location does not exist any more.", "Choose another under Settings.")
    name, is_on = live[chosen]
    if not is_on:
        remedy = "Activate it in Shopify, or choose another under Settings."
        return Check("locations", BAD, f"The chosen location {name} is switched off in Shopify.", remedy)
    return Check("locations", OK, f"{name} is chosen and active ({on} active in all).")


# Work -----------------------------------------------------------------------------------------------------------------------------


def _worker() -> Check:
    query = "SELECT extract(epoch FROM now() - max(last_heartbeat)) FROM procrastinate_workers"
    seconds = db.session.execute(text(query)).scalar()
    if seconds is None:
        return Check("worker", BAD, "No worker runs, so nothing is sent or read.", "Start one: occ worker")
    passed = timedelta(seconds=float(seconds))
    if passed > BEAT:
        return Check("worker", BAD, f"No worker was seen for {_span(passed)}.", "Start one: occ worker")
    return Check("worker", OK, "A worker is at work.")


def _due(shop: Shop, at: datetime) -> Check:
    waiting = {
        "news": select(func.min(Delivery.received_at)).where(
            Delivery.shop_id == shop.id, Delivery.state == WAITING, Delivery.next_try_at <= at
        ),
        "orders": select(func.min(Order.due_at))
        .select_from(Order)
        .where(
            Order.due_at.is_not(None),
            (Order.next_try_at.is_(None)) | (Order.next_try_at <= at),
            Order.tries < MOST_TRIES,
        ),
        "calls": select(func.min(Mutation.created_at)).select_from(Mutation).where(Mutation.state.in_((READY, SENT))),
        "readings": select(func.min(SyncState.look_at)).select_from(SyncState).where(SyncState.look_at <= at),
    }
    oldest = {name: moment for name, query in waiting.items() if (moment := db.session.scalar(query))}
    if not oldest:
        return Check("due", OK, "Nothing waits.")
    name = min(oldest, key=lambda each: oldest[each])
    age = at - oldest[name]
    state = BAD if age >= DUE_BAD else WARN if age >= DUE_LATE else OK
    remedy = "Look at the checks of workers and of parked work." if state != OK else ""
    return Check("due", state, f"The oldest work ({name}) has waited for {_span(age)}.", remedy)


def webhooks(shop: Shop, asked: Asked, at: datetime) -> Check:
    """Which topics come in, which are missing, and what mends them."""
    made = asked.made or []
    found = news.verdicts(shop, made, at)
    todo = news.to_do(shop, made, found, at)
    ill = [one for one in found if one.state in (subscriptions.MISSING, subscriptions.DEAF)]
    counts = _counts(found, len(ill))
    listed = "" if asked.made is not None else " The store's own subscriptions are not known."
    if ill:
        names = ", ".join(f"{one.topic} ({one.untold} changes were found without news)" for one in ill)
        is_ = "is" if len(ill) == 1 else "are"
        return Check("webhooks", BAD, f"{counts} {len(ill)} of them {is_} missing: {names}.{listed}", _way_out(ill))
    if todo.delete:
        names = ", ".join(one.topic for one in todo.delete)
        return Check(
            "webhooks", WARN, f"{counts} Subscribed twice: {names}.{listed}", "Repair the webhooks under Settings."
        )
    elsewhere = [one.uri for one in made if one not in news.leading_here(made)]
    if elsewhere:
        says = f"{counts} {len(elsewhere)} more lead elsewhere: {', '.join(sorted(set(elsewhere)))}."
        return Check("webhooks", WARN, says, "Delete them in Shopify if nothing of yours listens there.")
    return Check("webhooks", OK, counts + listed)


def _counts(found: Sequence[subscriptions.Verdict], ill: int) -> str:
    """How many topics proved that they work. Silence proves nothing, so it is not counted as working."""
    comes = sum(1 for one in found if one.state == subscriptions.COMES)
    quiet = len(found) - comes - ill
    rest = f"; {quiet} had nothing to tell that we know of" if quiet else ""
    return f"{comes} of {len(found)} topics came in within {subscriptions.WINDOW.days} days{rest}."


def _way_out(ill: Sequence[subscriptions.Verdict]) -> str:
    if all(one.state == subscriptions.DEAF for one in ill):
        return (
            "They are subscribed, and yet nothing arrives. Check that Shopify can reach SHOPIFY_APP_URL from outside."
        )
    return (
        "Numbers stay right, only later. Press Repair under Settings; then run: shopify app deploy. "
        "Topics of orders need access to protected customer data in Shopify's Dev Dashboard."
    )


def _deliveries(shop: Shop, at: datetime) -> Check:
    recent = select(
        func.count(),
        func.count().filter(Delivery.state == WAITING),
        func.count().filter(Delivery.state == PARKED_DELIVERY),
        func.max(Delivery.received_at),
    ).where(Delivery.shop_id == shop.id, Delivery.received_at >= at - DAY)
    number, waiting, parked, last_at = db.session.execute(recent).one()
    if not number:
        return Check("deliveries", OK, "Shopify told us nothing in the last 24 hours.")
    says = f"{number} in 24 hours, the last {_span(at - last_at)} ago; {waiting} wait, {parked} are parked."
    version = db.session.scalar(
        select(Delivery.api_version).where(Delivery.shop_id == shop.id).order_by(Delivery.id.desc()).limit(1)
    )
    if version and version != API_VERSION:
        remedy = f"Set api_version under [webhooks] in shopify.app.toml to {API_VERSION} and run: shopify app deploy"
        return Check("deliveries", WARN, f"{says} They are of API version {version}.", remedy)
    return Check("deliveries", OK, says)


def _parked(shop: Shop) -> Check:
    counts = {
        ("delivery", "deliveries"): select(func.count()).where(
            Delivery.shop_id == shop.id, Delivery.state == PARKED_DELIVERY
        ),
        ("order", "orders"): select(func.count()).where(Order.due_at.is_not(None), Order.tries >= MOST_TRIES),
        ("task", "tasks"): select(func.count()).where(TaskFailure.shop_id == shop.id, TaskFailure.tries >= PARKED_FROM),
        ("number", "numbers"): select(func.count()).where(SyncState.state == PARKED),
    }
    found = {words: number for words, query in counts.items() if (number := db.session.scalar(query))}
    if not found:
        return Check("parked", OK, "Nothing is parked.")
    says = ", ".join(f"{number} {words[number > 1]}" for words, number in found.items())
    return Check("parked", WARN, f"Parked: {says}.", "See their causes under Activity, Parked, and under Exceptions.")


def _span(passed: timedelta) -> str:
    """A length of time as people say it: 12 s, 4 min, 3 h, 9 days."""
    seconds = int(passed.total_seconds())
    for size, name in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {name}"
    return f"{seconds} s"
