"""The partner order in the partner's store: as Shopify's draft order and order, read and written. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from occ_app.routing.models import PartnerOrder
from occ_app.routing.rules import CUSTOM
from occ_app.shopify.client import Answer, Client

COMPLETED = "COMPLETED"
MOST_SHOWN = 180  # lines that the answer to an update or a completion shows; a draft of more is looked at before
Line = tuple[str, str, int]
Problem = tuple[tuple[str, ...], str]  # field path, message


@dataclass(frozen=True)
class Stock:
    """What the partner has of a variant: `available` without what is reserved."""

    available: int
    is_tracked: bool
    may_oversell: bool


@dataclass(frozen=True)
class Draft:
    """The draft as it is there. `lines`: variant gid (or `CUSTOM`), cost per unit, units; `gone`: units of lines whose variant was deleted."""

    gid: str
    name: str
    status: str
    at: datetime
    lines: Sequence[Line] = ()
    gone: int = 0
    stock: dict[str, Stock] = field(default_factory=dict)
    order_gid: str | None = None
    order_name: str | None = None


@dataclass(frozen=True)
class Parcel:
    """A parcel's head. `tracking`: company, number and url of each number."""

    gid: str
    status: str
    sent_at: datetime
    changed_at: datetime
    tracking: list[dict[str, Any]]


@dataclass(frozen=True)
class Placed:
    """The order that came of a draft. `ordered`: variant gid (or `CUSTOM`: a fee, or a variant that was deleted since) -> units as ordered;
    `current`: without what was taken off since."""

    gid: str
    name: str
    at: datetime
    ordered_at: datetime
    is_cancelled: bool
    ordered: dict[str, int]
    current: dict[str, int]
    lines: Sequence[Line]
    parcels: Sequence[Parcel]


@dataclass(frozen=True)
class Outcome:
    """What a mutation came to: what it made, or `problems`.

    `held`: of an update, the lines before it; of a completion, those of the order; None where they are too many for the answer.
    """

    at: datetime
    gid: str | None = None
    name: str | None = None
    order_gid: str | None = None
    order_name: str | None = None
    problems: tuple[Problem, ...] = ()
    held: Sequence[Line] | None = None

    @property
    def words(self) -> str:
        """The problems as a sentence."""
        return "; ".join(message for _, message in self.problems)[:500]


def find(client: Client, gid: str) -> Draft | None:
    """The draft with that id; None where it is not there any more."""
    lines: list[Line] = []
    stock: dict[str, Stock] = {}
    gone, after = 0, None
    while True:
        answer = client.query("partner_draft", {"id": gid, "after": after})
        node = answer.data["draftOrder"]
        if node is None:
            return None
        for row in node["lineItems"]["nodes"]:
            variant = row["variant"]
            line = _line(row)
            if line is None:
                gone += row["quantity"]
                continue
            lines.append(line)
            if variant is None:
                continue
            stock[variant["id"]] = Stock(
                variant["inventoryQuantity"] or 0,
                variant["inventoryItem"]["tracked"],
                variant["inventoryPolicy"] == "CONTINUE",
            )
        page = node["lineItems"]["pageInfo"]
        if not page["hasNextPage"]:
            break
        after = page["endCursor"]
    order = node["order"] or {}
    return Draft(
        node["id"], node["name"], node["status"], answer.at, lines, gone, stock, order.get("id"), order.get("name")
    )


def find_by_tag(client: Client, tag: str) -> list[str]:
    """The gids of the drafts that carry the tag, oldest first."""
    answer = client.query("partner_drafts_by_tag", {"query": f"tag:{tag}"})
    nodes = [node for node in answer.data["draftOrders"]["nodes"] if tag in node["tags"]]
    return sorted((node["id"] for node in nodes), key=lambda gid: int(gid.rsplit("/", 1)[1]))


def create(client: Client, order: PartnerOrder, content: dict[str, Any]) -> Outcome:
    """A draft with these lines was made there."""
    answer = client.mutate("partner_draft_create", {"input": _input(order, content)})
    return _outcome(answer, "draftOrderCreate")


def update(client: Client, order: PartnerOrder, content: dict[str, Any]) -> Outcome:
    """The draft has these lines and no others; the outcome says what it held until then."""
    given = {"id": order.draft_gid, "unchanged": {"poNumber": order.name}, "input": _input(order, content)}
    answer = client.mutate("partner_draft_update", given)
    before = answer.data["before"]["draftOrder"]
    return replace(_outcome(answer, "draftOrderUpdate"), held=_held(before))


def complete(client: Client, gid: str) -> Outcome:
    """An order has come of the draft, to be paid later; the outcome says what it holds."""
    answer = client.mutate("partner_draft_complete", {"id": gid})
    return replace(_outcome(answer, "draftOrderComplete"), held=_held(answer.data["draftOrderComplete"]["draftOrder"]))


def made(outcome: Outcome) -> Draft | None:
    """The draft as a completion's answer shows it; None where it was refused, or the answer does not show all."""
    if outcome.problems or outcome.held is None or outcome.gid is None:
        return None
    return Draft(
        outcome.gid,
        outcome.name or "",
        COMPLETED,
        outcome.at,
        outcome.held,
        order_gid=outcome.order_gid,
        order_name=outcome.order_name,
    )


def _held(draft: dict[str, Any] | None) -> Sequence[Line] | None:
    """The lines in an answer, without those whose variant was deleted."""
    if draft is None or draft["lineItems"]["pageInfo"]["hasNextPage"]:
        return None
    return [line for row in draft["lineItems"]["nodes"] if (line := _line(row)) is not None]


def _line(row: dict[str, Any]) -> Line | None:
    """A line in an answer; None where its variant was deleted."""
    if row["variant"] is None and not row["custom"]:
        return None
    return _gid(row), _money(row["approximateDiscountedUnitPriceSet"]), row["quantity"]


def _gid(row: dict[str, Any]) -> str:
    """What a line is of. One whose variant was deleted since is told from a fee by nothing but its title."""
    return str(row["variant"]["id"]) if row["variant"] else CUSTOM + row["title"]


def delete(client: Client, gid: str) -> Outcome:
    """The draft is not there any more."""
    return _outcome(client.mutate("partner_draft_delete", {"input": {"id": gid}}), "draftOrderDelete")


def find_placed(client: Client, gid: str) -> Placed | None:
    """The order with that id; None where it is not there any more."""
    ordered: dict[str, int] = {}
    current: dict[str, int] = {}
    lines: list[Line] = []
    after = None
    while True:
        answer = client.query("partner_order", {"id": gid, "after": after})
        node = answer.data["order"]
        if node is None:
            return None
        for row in node["lineItems"]["nodes"]:
            variant_gid = _gid(row)
            ordered[variant_gid] = ordered.get(variant_gid, 0) + row["quantity"]
            current[variant_gid] = current.get(variant_gid, 0) + row["currentQuantity"]
            lines.append((variant_gid, _money(row["discountedUnitPriceSet"]), row["quantity"]))
        page = node["lineItems"]["pageInfo"]
        if not page["hasNextPage"]:
            break
        after = page["endCursor"]
    parcels = [
        Parcel(row["id"], row["status"], _moment(row["createdAt"]), _moment(row["updatedAt"]), row["trackingInfo"])
        for row in node["fulfillments"]
    ]
    is_cancelled = node["cancelledAt"] is not None
    made_at = _moment(node["createdAt"])
    return Placed(node["id"], node["name"], answer.at, made_at, is_cancelled, ordered, current, lines, parcels)


def lines_of_parcel(client: Client, gid: str) -> dict[str, int]:
    """What is in the parcel: variant gid (or `CUSTOM`) -> units."""
    found: dict[str, int] = {}
    after = None
    while True:
        node = client.query("partner_parcel", {"id": gid, "after": after}).data["fulfillment"]
        if node is None:
            return found
        for row in node["fulfillmentLineItems"]["nodes"]:
            variant_gid = _gid(row["lineItem"])
            found[variant_gid] = found.get(variant_gid, 0) + row["quantity"]
        page = node["fulfillmentLineItems"]["pageInfo"]
        if not page["hasNextPage"]:
            return found
        after = page["endCursor"]


def _input(order: PartnerOrder, content: dict[str, Any]) -> dict[str, Any]:
    address = content["ship_to"]
    return {
        "lineItems": [
            _line_input(gid, quantity, {"amount": cost, "currencyCode": order.currency})
            for gid, cost, quantity in content["lines"]
        ],
        "tags": [order.tag, order.name],
        "note": f"{order.name}: one order for all our customers. Write {order.name} on the box.",
        "poNumber": order.name,
        "customAttributes": [{"key": "Reference", "value": order.name}],
        "reserveInventoryUntil": content["until"],
        "shippingAddress": {key: value for key, value in address.items() if key != "name" and value},
    }


def _line_input(gid: str, quantity: int, cost: dict[str, str]) -> dict[str, Any]:
    if gid.startswith(CUSTOM):
        return {"title": gid.removeprefix(CUSTOM), "quantity": quantity, "originalUnitPriceWithCurrency": cost}
    return {"variantId": gid, "quantity": quantity, "priceOverride": cost}


def _outcome(answer: Answer, name: str) -> Outcome:
    payload = answer.data[name]
    problems = tuple((tuple(map(str, row["field"] or ())), row["message"]) for row in payload["userErrors"])
    draft = payload.get("draftOrder") or {}
    order = draft.get("order") or {}
    return Outcome(answer.at, draft.get("id"), draft.get("name"), order.get("id"), order.get("name"), problems)


def _money(bag: dict[str, Any]) -> str:
    return str(Decimal(bag["shopMoney"]["amount"]).quantize(Decimal("0.01")))


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def total(lines: Iterable[Line]) -> Decimal:
    """What the lines cost."""
    return sum((Decimal(cost) * units for _, cost, units in lines), Decimal(0))
