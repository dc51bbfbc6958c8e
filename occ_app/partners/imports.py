"""Importing: what was picked is refused with a reason or wanted, and then made product by product. A run that was interrupted goes on.

A wanted product is a committed row before Shopify is asked (`making`), so killing a run at any moment neither doubles nor loses one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select, update

from occ_app import clock
from occ_app.catalog import mapping as mappings
from occ_app.catalog import models as catalog
from occ_app.catalog.models import Item
from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import current_shop_id, db
from occ_app.logs import tell
from occ_app.partners import making, stock
from occ_app.partners import models as m
from occ_app.partners.models import ImportedProduct, ImportedVariant, ImportRun, Partner, PartnerProduct, PartnerVariant
from occ_app.partners.price_rules import Prices
from occ_app.partners.prices import Rule, offer
from occ_app.partners.rules import handle_for, number_of, sku_for
from occ_app.shopify.client import Client
from occ_app.shopify.errors import NoAnswerError, ShopifyAccessError, ShopifyError, ShopifyUnavailableError
from occ_app.work import tasks

MOST_PRODUCTS = 5_000
MOST_VARIANTS = 2_048
MOST_TRIES = 5
REST = timedelta(seconds=30)
ECHO = timedelta(seconds=2)
LONGEST = timedelta(hours=24)
PER_LOAD = 500
STATUSES = ("draft", "active")


@dataclass(frozen=True)
class Choices:
    """How the picked products are made. `channels` None: the online store, where there is one. `rule` None: the kept rules."""

    status: str = "draft"
    channels: tuple[str, ...] | None = None
    collections: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    rule: Rule | None = None

    def as_json(self) -> dict[str, Any]:
        """For the run's row; the rule goes to the products."""
        channels = None if self.channels is None else list(self.channels)
        return {
            "status": self.status,
            "channels": channels,
            "collections": list(self.collections),
            "tags": list(self.tags),
        }


@dataclass(frozen=True)
class Progress:
    """How far a run is, in products."""

    total: int
    imported: int
    failed: int

    @property
    def done(self) -> int:
        """Imported or failed."""
        return self.imported + self.failed


# What was picked ------------------------------------------------------------------------------------------------------------------


def pick_variants(partner: Partner, variant_gids: Collection[str]) -> dict[int, set[int]]:
    """The partner's variants of those Shopify ids, by product. Raises RuleError that names the unknown ones."""
    wanted = list(dict.fromkeys(variant_gids))
    query = select(PartnerVariant.variant_gid, PartnerVariant.partner_product_id, PartnerVariant.id)
    query = query.where(PartnerVariant.partner_id == partner.id, PartnerVariant.variant_gid.in_(wanted))
    found = {gid: (product_id, number) for gid, product_id, number in db.session.execute(query)}
    unknown = [gid for gid in wanted if gid not in found]
    if unknown:
        shown = ", ".join(unknown[:5])
        raise RuleError(f"{partner.name} has no variant {shown}. List theirs with: occ partner products")
    picked: dict[int, set[int]] = {}
    for product_id, number in found.values():
        picked.setdefault(product_id, set()).add(number)
    return picked


def start(
    partner: Partner, picked: Mapping[int, Collection[int] | None], choices: Choices, *, actor: str, at: datetime
) -> ImportRun:
    """These products (id here -> ids of the variants wanted of it, None: all) are wanted; what cannot be imported is left out with its
    reason. Raises RuleError where nothing can be."""
    _check_partner(partner, choices)
    if not picked:
        raise RuleError("Pick at least one product.", field="picked")
    if len(picked) > MOST_PRODUCTS:
        raise RuleError(f"Pick at most {MOST_PRODUCTS:,} products at a time.", field="picked")
    db.session.scalars(select(Partner.id).where(Partner.id == partner.id).with_for_update()).one()
    prices = Prices(partner)
    good, left_out = _sort_out(partner, picked, prices, choices.rule)
    if not good:
        raise RuleError("None of these can be imported. " + " ".join(f"{title}: {why}" for title, why in left_out[:5]))
    run = ImportRun(partner_id=partner.id, total=len(good), calls=0, points=0, started_by=actor, started_at=at)
    run.choices = {**choices.as_json(), "left_out": left_out[:200]}
    db.session.add(run)
    db.session.flush()
    _want(partner, run, good, choices.rule, prices, at)
    tasks.ask("partner_import", current_shop_id())
    return run


def _check_partner(partner: Partner, choices: Choices) -> None:
    if partner.state != m.CONNECTED:
        raise RuleError(f"{partner.name} is not connected at the moment, so nothing of theirs can be imported.")
    if choices.status not in STATUSES:
        raise RuleError("Import as draft or as active.", field="status")
    if making.place_of(partner) is None:
        raise RuleError(
            "Say at which of your locations their goods are counted: choose a default location in Settings."
        )
    prices = Prices(partner)
    if prices.rate is None:
        words = f"{partner.name} sells in {prices.theirs}. Say what 1 {prices.theirs} is in {prices.ours} first (exchange_rate)."
        raise RuleError(words, field="exchange_rate")


Good = tuple[PartnerProduct, list[PartnerVariant], ImportedProduct | None]


def _sort_out(
    partner: Partner, picked: Mapping[int, Collection[int] | None], prices: Prices, rule: Rule | None
) -> tuple[list[Good], list[tuple[str, str]]]:
    """What can be imported, and the titles of the rest with the reasons."""
    good: list[Good] = []
    left_out: list[tuple[str, str]] = []
    for product, variants, copy in _load(partner, list(picked)):
        chosen = picked[product.id]
        wanted = [variant for variant in variants if chosen is None or variant.id in chosen]
        why = why_not(product, wanted, copy) or _price_problem(product, wanted, copy, prices, rule)
        if why:
            left_out.append((product.title, why))
        else:
            good.append((product, wanted, copy))
    return good, left_out


def _load(
    partner: Partner, product_ids: Sequence[int]
) -> Iterable[tuple[PartnerProduct, list[PartnerVariant], ImportedProduct | None]]:
    """These products with their living variants and our copies, three statements per 500."""
    for begin in range(0, len(product_ids), PER_LOAD):
        part = product_ids[begin : begin + PER_LOAD]
        query = select(PartnerProduct).where(PartnerProduct.partner_id == partner.id, PartnerProduct.id.in_(part))
        products = db.session.scalars(query.order_by(PartnerProduct.id)).all()
        if len(products) < len(set(part)):
            raise NotFoundError("One of these products is not this partner's.")
        rows = select(PartnerVariant).where(
            PartnerVariant.partner_product_id.in_(part), PartnerVariant.deleted_at.is_(None)
        )
        variants: dict[int, list[PartnerVariant]] = {}
        for variant in db.session.scalars(rows.order_by(PartnerVariant.position, PartnerVariant.id)):
            variants.setdefault(variant.partner_product_id, []).append(variant)
        own = select(ImportedProduct).where(ImportedProduct.partner_product_id.in_(part))
        copies = {copy.partner_product_id: copy for copy in db.session.scalars(own)}
        for product in products:
            yield product, variants.get(product.id, []), copies.get(product.id)


def why_not(product: PartnerProduct, wanted: Sequence[PartnerVariant], copy: ImportedProduct | None) -> str | None:
    """Why the product cannot be imported, in words; None where it can, its price apart."""
    if product.deleted_at is not None:
        return "They no longer have it."
    if product.is_bundle:
        return "It is a bundle: Shopify counts it by its parts, and so its stock cannot be followed."
    if not wanted:
        return "It has no variants to import."
    if len(wanted) > MOST_VARIANTS:
        return f"It has {len(wanted):,} variants; Shopify keeps {MOST_VARIANTS:,} at most."
    if copy is not None and copy.state in (m.WANTED, m.CREATING):
        return "It is being imported already."
    return None


def _price_problem(
    product: PartnerProduct,
    wanted: Sequence[PartnerVariant],
    copy: ImportedProduct | None,
    prices: Prices,
    rule: Rule | None,
) -> str | None:
    pricing = prices.pricing(product.product_type, copy, rule)
    found = ((variant, offer(variant.price, variant.compare_at_price, pricing).problem) for variant in wanted)
    return next(
        (f"{variant.title}: {problem}" if variant.title else problem for variant, problem in found if problem), None
    )


def _want(
    partner: Partner, run: ImportRun, good: Sequence[Good], rule: Rule | None, prices: Prices, at: datetime
) -> None:
    taken, before = _taken_skus(partner), _skus_before(partner)
    imported = _imported_variants([variant.id for _, wanted, _ in good for variant in wanted])
    for product, wanted, copy in good:
        if copy is None:
            handle = handle_for(product.title, partner.domain, number_of(product.product_gid))
            copy = ImportedProduct(partner_id=partner.id, partner_product_id=product.id, handle=handle, created_at=at)
            copy.source, copy.partner = product, partner
            db.session.add(copy)
        copy.state, copy.import_run_id, copy.tries, copy.cause = m.WANTED, run.id, 0, None
        missing = [variant for variant in wanted if variant.id not in imported]
        copy.wanted = [[v.id, before[v.id]] if v.id in before else _wanted(partner, v, taken) for v in missing]
        if rule is not None:  # without one, the product's own stays
            is_kept = rule == prices.rule(product.product_type)
            copy.price_kind, copy.price_value = (None, None) if is_kept else (rule.kind, rule.value)
    db.session.flush()


def _wanted(partner: Partner, variant: PartnerVariant, taken: set[str]) -> list[Any]:
    sku = sku_for(partner.domain, variant.sku, number_of(variant.variant_gid), taken)
    taken.add(sku.lower())
    return [variant.id, sku]


def _skus_before(partner: Partner) -> dict[int, str]:
    """Partner variant id -> the SKU of its item, of what was imported once and is gone from the merchant's shop."""
    query = select(ImportedVariant.partner_variant_id, Item.sku).join(Item, Item.id == ImportedVariant.item_id)
    gone = query.join(ImportedVariant.imported_product).where(ImportedProduct.state == m.GONE)
    found = db.session.execute(gone.where(ImportedVariant.partner_id == partner.id))
    return {row.partner_variant_id: row.sku for row in found}


def _taken_skus(partner: Partner) -> set[str]:
    """SKUs, in lower case, that are items' or are kept free for products that are still to be made."""
    begin = sku_for(partner.domain, "", "", ())
    taken = {sku.lower() for sku in db.session.scalars(select(Item.sku).where(Item.sku.ilike(f"{begin}%")))}
    waiting = select(ImportedProduct.wanted).where(ImportedProduct.state.in_((m.WANTED, m.CREATING)))
    return taken | {sku.lower() for wanted in db.session.scalars(waiting) for _, sku in wanted}


def _imported_variants(variant_ids: Sequence[int]) -> set[int]:
    """Which of these sell here already."""
    found: set[int] = set()
    for begin in range(0, len(variant_ids), 10_000):
        part = variant_ids[begin : begin + 10_000]
        query = select(ImportedVariant.partner_variant_id).where(
            ImportedVariant.partner_variant_id.in_(part), ImportedVariant.variant_gid.is_not(None)
        )
        living = query.join(ImportedVariant.imported_product).where(ImportedProduct.state != m.GONE)
        found |= set(db.session.scalars(living))
    return found


# Making -------------------------------------------------------------------------------------------------------------------------------


def unfinished(at: datetime) -> Sequence[ImportRun]:
    """The shop's runs that are to go on now."""
    query = select(ImportRun).where(ImportRun.finished_at.is_(None))
    may = ImportRun.next_try_at.is_(None) | (ImportRun.next_try_at <= at)
    return db.session.scalars(query.where(may).order_by(ImportRun.id)).all()


def advance(client: Client, run: ImportRun) -> None:
    """The run is at its end, or rests with its cause. `client` is the merchant's own. Commits product by product."""
    partner = db.session.get_one(Partner, run.partner_id)
    run_id, before = run.id, (client.calls, client.points)
    run.next_try_at, run.cause = None, None
    db.session.commit()
    try:
        _make_all(client, partner, run)
    except (NoAnswerError, ShopifyUnavailableError) as error:
        db.session.rollback()
        _rest(run_id, str(error), clock.now())
    except ShopifyAccessError as error:
        db.session.rollback()
        _end(run_id, f"{error} Open the app in your Shopify admin, grant what it asks for, and import these again.")
    run = db.session.get_one(ImportRun, run_id)
    run.calls, run.points = run.calls + client.calls - before[0], run.points + client.points - before[1]
    db.session.commit()


def _make_all(client: Client, partner: Partner, run: ImportRun) -> None:
    query = select(ImportedProduct.id).where(
        ImportedProduct.import_run_id == run.id, ImportedProduct.state.in_((m.WANTED, m.CREATING))
    )
    shop_of_run = making.Maker(client, partner, run)
    for copy_id in db.session.scalars(query.order_by(ImportedProduct.id)).all():
        db.session.refresh(partner)
        if partner.state in (m.LEFT, m.PAUSED):
            words = "has left" if partner.state == m.LEFT else "is paused"
            return _end(run.id, f"{partner.name} {words}. What was imported already shows 0 until they are back.")
        _make_one(shop_of_run, copy_id)
    return _end(run.id, None)


def _make_one(maker: making.Maker, copy_id: int) -> None:
    """The product is made, or has failed with its cause; one that fails stops no other."""
    copy = db.session.get_one(ImportedProduct, copy_id)
    if copy.tries >= MOST_TRIES:
        return _fail(copy_id, "It was tried five times, and Shopify did not answer.")
    tries = copy.tries
    copy.tries += 1  # committed with whatever `make` does first: what kills its process does so five times at most
    try:
        maker.make(copy)
    except (NoAnswerError, ShopifyAccessError):
        raise
    except ShopifyUnavailableError:
        db.session.rollback()
        db.session.get_one(ImportedProduct, copy_id).tries = tries  # waiting is no failure of the product
        db.session.commit()
        raise
    except (ShopifyError, RuleError) as error:
        db.session.rollback()
        _fail(copy_id, str(error))
    except Exception as error:  # a bug, but one product's alone
        db.session.rollback()
        _fail(copy_id, tell("product not imported", error, imported_product=copy_id))
    return None


def _fail(copy_id: int, cause: str) -> None:
    copy = db.session.get_one(ImportedProduct, copy_id)
    copy.state, copy.cause = m.FAILED, cause
    db.session.commit()


def _rest(run_id: int, cause: str, at: datetime) -> None:
    """Shopify is busy: the run goes on in half a minute, for a day at most."""
    run = db.session.get_one(ImportRun, run_id)
    if at - run.started_at > LONGEST:
        return _end(run_id, f"{cause} It was tried for a day; import what is missing again.")
    run.cause, run.next_try_at = cause, at + REST
    db.session.commit()
    return None


def _end(run_id: int, cause: str | None) -> None:
    """The run has ended; with a cause, what is not made yet has failed for it. What was made is read from the partner at once."""
    run = db.session.get_one(ImportRun, run_id)
    if cause:
        query = select(ImportedProduct).where(
            ImportedProduct.import_run_id == run_id, ImportedProduct.state.in_((m.WANTED, m.CREATING))
        )
        for copy in db.session.scalars(query):
            copy.state, copy.cause = m.FAILED, cause
    run.finished_at, run.cause, run.next_try_at = clock.now(), cause, None
    stock.want(db.session.get_one(Partner, run.partner_id), clock.now())
    tasks.ask("partner_stock", current_shop_id())
    db.session.commit()


def is_echo(product_gid: str, told: datetime | None) -> bool:
    """Whether news of a product of the merchant's is of our own making: we made it, and its variants are here from the answer."""
    copy = db.session.scalar(select(ImportedProduct).where(ImportedProduct.product_gid == product_gid))
    if copy is None or told is None:
        return False
    return copy.state == m.CREATING or (copy.imported_at is not None and told <= copy.imported_at + ECHO)


def is_gone(product_gid: str, at: datetime) -> None:
    """The merchant deleted our copy of a partner's product: its items sell nowhere any more, and it may be imported anew."""
    copy = db.session.scalar(select(ImportedProduct).where(ImportedProduct.product_gid == product_gid))
    if copy is None:
        return
    copy.state, copy.product_gid, copy.imported_at, copy.seen = m.GONE, None, None, {}
    variants = select(ImportedVariant.variant_id).where(ImportedVariant.imported_product_id == copy.id)
    query = select(catalog.Mapping).where(catalog.Mapping.variant_id.in_(variants), catalog.Mapping.ended_at.is_(None))
    for mapping in db.session.scalars(query).all():
        mappings.end(mapping, at)
    moot = update(m.PartnerChange).where(
        m.PartnerChange.imported_product_id == copy.id, m.PartnerChange.settled_at.is_(None)
    )
    db.session.execute(moot.values(settled_at=at, settled_by="by itself", is_accepted=False))
    db.session.flush()


def progress(run: ImportRun) -> Progress:
    """How far the run is. Once it has ended its products may belong to a newer one, so that counts its own."""
    query = select(ImportedProduct.state, func.count()).where(ImportedProduct.import_run_id == run.id)
    counts = {state: number for state, number in db.session.execute(query.group_by(ImportedProduct.state))}  # noqa: C416
    return Progress(run.total, counts.get(m.IMPORTED, 0), counts.get(m.FAILED, 0))


def get_run(partner: Partner, run_id: int) -> ImportRun:
    """The partner's run with that id. Raises NotFoundError."""
    run = db.session.scalar(select(ImportRun).where(ImportRun.id == run_id, ImportRun.partner_id == partner.id))
    if run is None:
        raise NotFoundError("There is no such import here.")
    return run


def failed_of(run: ImportRun) -> Sequence[tuple[str, str]]:
    """Titles of the run's products that failed, with the causes."""
    query = select(PartnerProduct.title, ImportedProduct.cause).join(
        ImportedProduct, ImportedProduct.partner_product_id == PartnerProduct.id
    )
    query = query.where(ImportedProduct.import_run_id == run.id, ImportedProduct.state == m.FAILED)
    return [
        (title, cause or "") for title, cause in db.session.execute(query.order_by(PartnerProduct.title).limit(200))
    ]


def again(partner: Partner, run: ImportRun, *, actor: str, at: datetime) -> ImportRun:
    """What failed in that run is wanted again, with the same choices. Raises RuleError where nothing did."""
    query = select(ImportedProduct.partner_product_id, ImportedProduct.wanted).where(
        ImportedProduct.import_run_id == run.id, ImportedProduct.state == m.FAILED
    )
    # The variants that were still wanted; None where all are there and a later step failed.
    picked = {row.partner_product_id: {number for number, _ in row.wanted} or None for row in db.session.execute(query)}
    given = run.choices
    channels = None if given["channels"] is None else tuple(given["channels"])
    wish = Choices(given["status"], channels, tuple(given["collections"]), tuple(given["tags"]))
    return start(partner, picked, wish, actor=actor, at=at)


def newest(partner: Partner) -> ImportRun | None:
    """The partner's newest run."""
    query = select(ImportRun).where(ImportRun.partner_id == partner.id).order_by(ImportRun.id.desc()).limit(1)
    return db.session.scalar(query)
