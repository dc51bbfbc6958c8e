"""Mutations of the Admin API. What stands nowhere here is not modelled, and says so by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from graphql import GraphQLError, GraphQLResolveInfo, get_directive_values

from devshop import bulk, inventory, oauth, orders
from devshop.resolvers import Typed, connection, iso, number_of, on, store_of
from devshop.world import DevshopError, Level, Store

REASONS = [
    "correction",
    "cycle_count_available",
    "damaged",
    "movement_created",
    "movement_updated",
    "movement_received",
    "movement_canceled",
    "other",
    "promotion",
    "quality_control",
    "received",
    "reservation_created",
    "reservation_updated",
    "reservation_deleted",
    "restock",
    "safety_stock",
    "shrinkage",
]
MOST_ROWS = 250
HIGHEST = 1_000_000_000
Problem = tuple[list[str], str, str]  # field path, code, message


def idempotent(payload: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The mutation needs `@idempotent(key:)`; the same key with the same input gives the stored answer, with another an error.

    Source: Shopify, "Implementing idempotency".
    """

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        def run(_: Any, info: GraphQLResolveInfo, **arguments: Any) -> Any:
            key = _key_of(info)
            if key is None:
                raise GraphQLError(
                    f"The @idempotent directive is required for the {info.field_name} mutation",
                    extensions={"code": "BAD_REQUEST"},
                )
            fingerprint = info.field_name + json.dumps(arguments, sort_keys=True, default=str)
            known = store_of(info).idempotent.get(key)
            if store_of(info).faults.forgets_keys:
                known = None
            if known and known[0] != fingerprint:
                mismatch = (["input"], "IDEMPOTENCY_KEY_PARAMETER_MISMATCH", "The key was used with other parameters.")
                return _answer(payload, None, [mismatch])
            if known:
                return known[1]
            result = function(store_of(info), info, **arguments)
            store_of(info).idempotent[key] = (fingerprint, result)
            return result

        return run

    return wrap


def _key_of(info: GraphQLResolveInfo) -> str | None:
    directive = info.schema.get_directive("idempotent")
    values = get_directive_values(directive, info.field_nodes[0], info.variable_values) if directive else None
    return values["key"] if values else None


def _answer(payload: str, group: Typed | None, problems: list[Problem]) -> Typed:
    errors = [
        Typed(payload.replace("Payload", "UserError"), {"field": field, "code": code, "message": message})
        for field, code, message in problems
    ]
    return Typed(payload, {"inventoryAdjustmentGroup": group, "userErrors": errors})


@on("Mutation", "inventorySetQuantities")
@idempotent("InventorySetQuantitiesPayload")
def _set_quantities(store: Store, info: GraphQLResolveInfo, input: dict[str, Any]) -> Typed:
    payload, rows = "InventorySetQuantitiesPayload", input["quantities"]
    _limit(rows, "quantities")
    if input["name"] not in ("available", "on_hand"):
        return _answer(
            payload,
            None,
            [(["input", "name"], "INVALID_NAME", "The quantity name must be either 'available' or 'on_hand'.")],
        )
    if input["reason"] not in REASONS:
        return _answer(payload, None, [(["input", "reason"], "INVALID_REASON", "The specified reason is invalid.")])
    problems = [_check(store, n, row, input["name"]) for n, row in enumerate(rows)]
    problems += _doubles(rows)
    bad = [problem for problem in problems if problem]
    if bad and not store.faults.fails_alone:
        return _answer(payload, None, bad)
    changed = 0
    for row, problem in zip(rows, problems, strict=False):
        if problem is None:
            changed += 1
            _set(store, row, input)
    return _answer(payload, _group(store, input) if changed else None, bad)


def _check(store: Store, n: int, row: dict[str, Any], name: str) -> Problem | None:
    path = ["input", "quantities", str(n)]
    if "changeFromQuantity" not in row:
        raise GraphQLError(
            "changeFromQuantity must be given; null skips the comparison", extensions={"code": "BAD_REQUEST"}
        )
    variant = store.items.get(number_of(row["inventoryItemId"], "InventoryItem"))
    location = store.locations.get(number_of(row["locationId"], "Location"))
    if variant is None:
        return [*path, "inventoryItemId"], "INVALID_INVENTORY_ITEM", "The specified inventory item could not be found."
    if location is None or not location.is_active:
        return [*path, "locationId"], "INVALID_LOCATION", "The specified location could not be found."
    if variant.is_bundle:
        return (
            [*path, "inventoryItemId"],
            "NON_MUTABLE_INVENTORY_ITEM",
            "The specified inventory item is not allowed to be adjusted.",
        )
    if row["quantity"] < 0:
        return [*path, "quantity"], "INVALID_QUANTITY_NEGATIVE", "The quantity can't be negative."
    if row["quantity"] > HIGHEST:
        return [*path, "quantity"], "INVALID_QUANTITY_TOO_HIGH", "The quantity can't be higher than 1,000,000,000."
    found = store.levels.get((variant.item_id, location.id))
    there = found.quantity(name) if found else 0
    if row["changeFromQuantity"] is not None and row["changeFromQuantity"] != there:
        return (
            [*path, "changeFromQuantity"],
            "CHANGE_FROM_QUANTITY_STALE",
            "The changeFromQuantity does not match the persisted quantity.",
        )
    return None


def _doubles(rows: list[dict[str, Any]]) -> list[Problem | None]:
    seen: set[tuple[str, str]] = set()
    found: list[Problem | None] = []
    for n, row in enumerate(rows):
        pair = (row["inventoryItemId"], row["locationId"])
        if pair in seen:
            code = "NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR"
            found.append(
                (["input", "quantities", str(n)], code, "The combination of inventory item and location is not unique.")
            )
        seen.add(pair)
    return found


def _set(store: Store, row: dict[str, Any], input: dict[str, Any]) -> None:
    variant = store.items[number_of(row["inventoryItemId"], "InventoryItem")]
    location = store.locations[number_of(row["locationId"], "Location")]
    found = inventory.level(store, variant, location)
    delta = row["quantity"] - found.quantity(input["name"])
    inventory.set_available(store, found, found.quantities["available"] + delta, who="app", why=input["reason"])


def _group(store: Store, input: dict[str, Any]) -> Typed:
    return Typed(
        "InventoryAdjustmentGroup",
        {
            "id": f"gid://shopify/InventoryAdjustmentGroup/{store.world.new_id()}",
            "createdAt": iso(store.now()),
            "reason": input["reason"],
            "referenceDocumentUri": input.get("referenceDocumentUri"),
        },
    )


@on("Mutation", "inventoryAdjustQuantities")
@idempotent("InventoryAdjustQuantitiesPayload")
def _adjust_quantities(store: Store, info: GraphQLResolveInfo, input: dict[str, Any]) -> Typed:
    payload, rows = "InventoryAdjustQuantitiesPayload", input["changes"]
    _limit(rows, "changes")
    if input["reason"] not in REASONS:
        return _answer(payload, None, [(["input", "reason"], "INVALID_REASON", "The specified reason is invalid.")])
    if input["name"] != "available":
        raise GraphQLError(f"devshop does not model adjusting {input['name']}")
    levels: list[Level] = []
    for n, row in enumerate(rows):
        problem = _check_change(store, n, row)
        if isinstance(problem, tuple):
            return _answer(payload, None, [problem])
        levels.append(problem)
    for row, found in zip(rows, levels, strict=True):
        inventory.set_available(
            store, found, found.quantities["available"] + row["delta"], who="app", why=input["reason"]
        )
    return _answer(payload, _group(store, input), [])


def _check_change(store: Store, n: int, row: dict[str, Any]) -> Problem | Level:
    path = ["input", "changes", str(n)]
    probe = {**row, "quantity": 0}
    problem = _check(store, n, probe, "available")
    if problem:
        field = [*path, problem[0][-1]]
        return field, problem[1], problem[2]
    variant = store.items[number_of(row["inventoryItemId"], "InventoryItem")]
    return inventory.level(store, variant, store.locations[number_of(row["locationId"], "Location")])


@on("Mutation", "inventoryActivate")
@idempotent("InventoryActivatePayload")
def _activate(
    store: Store,
    info: GraphQLResolveInfo,
    inventoryItemId: str,
    locationId: str,
    available: int | None = None,
    onHand: int | None = None,
    stockAtLegacyLocation: bool = False,
) -> Typed:
    """The item is stocked at the location. Without quantities one that was stocked there before keeps those it had (since 2026-04)."""
    variant = store.items.get(number_of(inventoryItemId, "InventoryItem"))
    location = store.locations.get(number_of(locationId, "Location"))
    if variant is None or location is None or not location.is_active:
        field = ["inventoryItemId"] if variant is None else ["locationId"]
        error = Typed("UserError", {"field": field, "message": "The item or the location could not be found."})
        return Typed("InventoryActivatePayload", {"inventoryLevel": None, "userErrors": [error]})
    was = store.levels.get((variant.item_id, location.id))
    found = inventory.level(store, variant, location)
    found.is_active = True
    if available is not None or onHand is not None:
        delta = available - found.quantities["available"] if available is not None else (onHand or 0) - found.on_hand
        inventory.set_available(store, found, found.quantities["available"] + delta, who="app", why="activated")
    if was is None:
        store.emit("inventory_levels/connect", found)
    return Typed("InventoryActivatePayload", {"inventoryLevel": found, "userErrors": []})


def _limit(rows: list[Any], name: str) -> None:
    if len(rows) > MOST_ROWS:
        message = f"The input array size of {len(rows)} is greater than the maximum allowed of {MOST_ROWS}."
        raise GraphQLError(message, extensions={"code": "MAX_INPUT_SIZE_EXCEEDED", "argument": name})


# Bulk operations --------------------------------------------------------------------------------------------------------------------


@on("Mutation", "bulkOperationRunQuery")
def _run_query(_: Any, info: GraphQLResolveInfo, query: str, groupObjects: bool = False) -> Typed:
    operation, problem = bulk.start(info.context, query, groupObjects)
    errors = (
        [Typed("BulkOperationUserError", {"field": ["query"], "code": problem[0], "message": problem[1]})]
        if problem
        else []
    )
    return Typed("BulkOperationRunQueryPayload", {"bulkOperation": operation, "userErrors": errors})


@on("QueryRoot", "bulkOperation")
def _bulk_operation(_: Any, info: GraphQLResolveInfo, id: str) -> Typed | None:
    return bulk.look(info.context, number_of(id, "BulkOperation"))


@on("Mutation", "orderCancel")
def _order_cancel(_: Any, info: GraphQLResolveInfo, orderId: str, restock: bool, reason: str, **__: Any) -> Typed:
    store = store_of(info)
    try:
        orders.cancel(store, store.order(orderId), restock=restock, reason=reason.lower())
    except DevshopError as error:
        problem = Typed("OrderCancelUserError", {"field": ["orderId"], "code": "INVALID", "message": str(error)})
        return Typed("OrderCancelPayload", {"job": None, "orderCancelUserErrors": [problem], "userErrors": [problem]})
    job = Typed("Job", {"id": f"gid://shopify/Job/{store.world.new_id()}", "done": True})
    return Typed("OrderCancelPayload", {"job": job, "orderCancelUserErrors": [], "userErrors": []})


# The app itself --------------------------------------------------------------------------------------------------------------------


@on("Mutation", "appRevokeAccessScopes")
def _revoke_scopes(_: Any, info: GraphQLResolveInfo, scopes: list[str]) -> Typed:
    """Optional scopes are given back; required ones can't be, nor what was never granted."""
    store, config = store_of(info), store_of(info).world.config
    problem = None
    if any(scope not in store.granted for scope in scopes):
        problem = ("UNKNOWN_SCOPES", "The requested list of scopes to revoke includes invalid handles.")
    elif any(scope not in (config.optional_scopes if config else ()) for scope in scopes):
        problem = ("CANNOT_REVOKE_REQUIRED_SCOPES", "Required scopes cannot be revoked.")
    if problem:
        fields = {"field": ["scopes"], "code": problem[0], "message": problem[1]}
        errors = [Typed("AppRevokeAccessScopesAppRevokeScopeError", fields)]
        return Typed("AppRevokeAccessScopesPayload", {"revoked": None, "userErrors": errors})
    oauth.grant_scopes(store, tuple(scope for scope in store.granted if scope not in scopes))
    revoked = [Typed("AccessScope", {"handle": scope, "description": scope}) for scope in scopes]
    return Typed("AppRevokeAccessScopesPayload", {"revoked": revoked, "userErrors": []})


@on("Mutation", "appUninstall")
def _uninstall(_: Any, info: GraphQLResolveInfo) -> Typed:
    oauth.uninstall(store_of(info))
    return Typed("AppUninstallPayload", {"app": None, "userErrors": []})


# Webhook subscriptions ----------------------------------------------------------------------------------------------------------------


@on("Mutation", "webhookSubscriptionCreate")
def _subscribe(_: Any, info: GraphQLResolveInfo, topic: str, webhookSubscription: dict[str, Any]) -> Typed:
    store = store_of(info)
    number = store.world.new_id()
    made = {
        "id": number,
        "topic": topic.lower().replace("_", "/", 1)
        if not topic.startswith(("INVENTORY_", "DRAFT_", "BULK_"))
        else _topic(topic),
        "uri": webhookSubscription.get("uri") or webhookSubscription.get("callbackUrl"),
        "include_fields": webhookSubscription.get("includeFields"),
        "filter": webhookSubscription.get("filter"),
        "name": webhookSubscription.get("name"),
        "created_at": store.now(),
        "failures": 0,
    }
    refusal = _subscription_refused(store, made)
    if refusal is None:
        store.subscriptions[number] = made
    return Typed(
        "WebhookSubscriptionCreatePayload",
        {
            "webhookSubscription": None if refusal else _subscription(made),
            "userErrors": [Typed("UserError", {"field": ["webhookSubscription"], "message": refusal})]
            if refusal
            else [],
        },
    )


def _subscription_refused(store: Store, made: dict[str, Any]) -> str | None:
    """Why Shopify would not take this subscription. Source: Shopify, "Manage webhook subscriptions"; its words as developers quote them."""
    told = ("topic", "uri", "filter")
    if any(all(row[name] == made[name] for name in told) for row in store.subscriptions.values()):
        return "Address for this topic has already been taken"
    if store.faults.refuses_topics and made["topic"].startswith(("orders/", "refunds/", "fulfillments/", "customers/")):
        return "This app is not approved to subscribe to webhook topics containing protected customer data."
    return None


@on("Mutation", "webhookSubscriptionDelete")
def _unsubscribe(_: Any, info: GraphQLResolveInfo, id: str) -> Typed:
    store_of(info).subscriptions.pop(number_of(id, "WebhookSubscription"), None)
    return Typed("WebhookSubscriptionDeletePayload", {"deletedWebhookSubscriptionId": id, "userErrors": []})


@on("QueryRoot", "webhookSubscriptions")
def _subscriptions(_: Any, info: GraphQLResolveInfo, **arguments: Any) -> Typed:
    rows = [_subscription(row) for row in store_of(info).subscriptions.values()]
    return connection(rows, {**arguments, "query": None}, "WebhookSubscription")


def _topic(name: str) -> str:
    subject, verb = name.lower().rsplit("_", 1)
    return f"{subject}/{verb}"


def _subscription(row: dict[str, Any]) -> Typed:
    fields = {"id": f"gid://shopify/WebhookSubscription/{row['id']}", "uri": row["uri"], "filter": row["filter"]}
    fields |= {"name": row["name"], "createdAt": iso(row["created_at"])}
    fields |= {"topic": row["topic"].upper().replace("/", "_"), "includeFields": row["include_fields"] or []}
    return Typed("WebhookSubscription", fields)
