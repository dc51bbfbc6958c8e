"""The Admin API's endpoint: whose store, which token, what it costs, and the answer."""

from __future__ import annotations

import json
import re
import time
from email.utils import format_datetime
from typing import Any

from flask import Blueprint, Response, current_app, request
from graphql import (
    ExecutionResult,
    GraphQLError,
    OperationDefinitionNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    execute,
    get_named_type,
    parse,
    validate,
    visit,
)

from devshop import cost, drafts, faults, schema
from devshop import draft_fields as _draft_fields  # noqa: F401 - these register their resolvers
from devshop import mutations as _mutations  # noqa: F401
from devshop import order_fields as _order_fields  # noqa: F401
from devshop import order_writes as _order_writes  # noqa: F401
from devshop import product_fields as _product_fields  # noqa: F401
from devshop import product_set as _product_set  # noqa: F401
from devshop import product_writes as _product_writes  # noqa: F401
from devshop.resolvers import Context, resolve, typename
from devshop.world import AccessToken, Store, World

blueprint = Blueprint("graphql", __name__)
_documents: dict[str, Any] = {}
_denials: dict[tuple[str, frozenset[str]], dict[str, Any] | None] = {}


@blueprint.post("/admin/api/<version>/graphql.json")
def graphql(version: str) -> Response:
    """One operation on the store that `Host` names."""
    world: World = current_app.extensions["devshop"]
    store = world.stores.get(request.host.split(":")[0])
    if store is None:
        return _json({"errors": "Not Found"}, 404, world)
    if store.faults.latency_ms:
        time.sleep(store.faults.latency_ms / 1000)
    with world.lock:
        drafts.release_expired(store)
        fault = store.faults.meet(_kind(request.get_json(silent=True)))
        if fault and not fault.endswith("_after"):
            store.calls.append(_note(store, "", "", fault))
            return _dated(faults.instead(fault, _cost(store, 0, 0)), world)
        answer = _answer(world, store, version)
        if fault:
            store.calls.append(_note(store, "", "", fault))
            return _dated(faults.instead(fault, _cost(store, 0, 0)), world)
        if answer.status_code == 200:
            answer.headers["X-Shopify-API-Version"] = store.faults.falls_forward or version
        return answer


def _answer(world: World, store: Store, version: str) -> Response:
    token = store.tokens.get(request.headers.get("X-Shopify-Access-Token", ""))
    if token is None or (token.expires_at and token.expires_at <= world.clock.now()):
        words = "[API] Invalid API key or access token (unrecognized login or wrong password)"
        return _json({"errors": words}, 401, world)
    if version != schema.VERSION:
        return _json({"errors": f"Not Found: devshop speaks {schema.VERSION}, not {version}"}, 404, world)
    body = request.get_json(silent=True)
    if not isinstance(body, dict) or not isinstance(body.get("query"), str):
        return _json({"errors": "query is missing"}, 400, world)
    answer = run(store, token, body["query"], body.get("variables") or {}, body.get("operationName"), request.host_url)
    return _json(answer, 200, world)


def _kind(body: Any) -> str:
    """Whether a request asks or changes: the first word that is no comment says. A guess good enough to choose a fault by."""
    text = str(body.get("query", "")) if isinstance(body, dict) else ""
    words = re.sub(r"(^|\n)\s*#[^\n]*", r"\1", text).lstrip()
    return "mutation" if words.startswith("mutation") else "query"


def _note(store: Store, operation: str, kind: str, fault: str = "") -> dict[str, Any]:
    """What the list of calls says of one."""
    call = {"operation": operation, "kind": kind, "at": store.now().isoformat(), "throttled": fault == "throttled"}
    return {**call, "error_codes": [fault] if fault else [], "actual_cost": 0, "requested_cost": 0}


def _json(body: Any, status: int, world: World) -> Response:
    return _dated(Response(json.dumps(body), status, mimetype="application/json"), world)


def _dated(response: Response, world: World) -> Response:
    response.headers.setdefault("Date", format_datetime(world.clock.now(), usegmt=True))
    response.headers["X-Request-Id"] = f"devshop-{world.new_id()}"
    return response


def run(
    store: Store, token: AccessToken, query: str, variables: dict[str, Any], operation_name: str | None, base_url: str
) -> dict[str, Any]:
    """The answer to one operation: data or errors, and `extensions.cost`."""
    try:
        document = _checked(query)
    except GraphQLError as error:
        return {"errors": [error.formatted]}
    if isinstance(document, list):
        return {"errors": [error.formatted for error in document]}
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    operation = next((o for o in operations if operation_name in (None, o.name.value if o.name else None)), None)
    if operation is None:
        return {"errors": [{"message": f"No operation named {operation_name!r}"}]}
    call = _note(store, operation.name.value if operation.name else "", operation.operation.value)
    store.calls.append(call)
    fragments = {
        node.name.value: node for node in document.definitions if not isinstance(node, OperationDefinitionNode)
    }
    asked = cost.requested(schema.load(), operation, fragments, variables)
    call["requested_cost"] = asked
    store.bucket.fill(store.world.clock.now())
    refusal = _denied(store, query, document) or _too_dear(store, asked)
    if refusal:
        call["error_codes"], call["throttled"] = (
            [refusal["extensions"]["code"]],
            refusal["extensions"]["code"] == "THROTTLED",
        )
        return {"errors": [refusal], "extensions": {"cost": _cost(store, asked, None)}}
    found = execute(
        schema.load(),
        document,
        context_value=Context(store, token, base_url),
        variable_values=variables,
        operation_name=operation_name,
        field_resolver=resolve,
        type_resolver=typename,
    )
    assert isinstance(found, ExecutionResult)
    spent = cost.actual(found.data) + cost.of_inputs(operation, variables)
    spent += cost.MUTATION if operation.operation.value == "mutation" else 0
    spent = min(max(0, spent - 1), asked) if found.data else 0
    store.bucket.available -= spent
    call["actual_cost"] = spent
    answer: dict[str, Any] = {"data": found.data, "extensions": {"cost": _cost(store, asked, spent)}}
    if found.errors:
        answer["errors"] = [error.formatted for error in found.errors]
        call["error_codes"] = [(error.extensions or {}).get("code", "ERROR") for error in found.errors]
    return answer


def _checked(query: str) -> Any:
    """The parsed document, or the list of what is wrong with it; remembered, as apps send the same text again and again."""
    if query not in _documents:
        if len(_documents) > 500:
            _documents.clear()
        document = parse(query)
        _documents[query] = validate(schema.load(), document) or document
    return _documents[query]


def _cost(store: Store, asked: int, spent: int | None) -> dict[str, Any]:
    bucket = store.bucket
    return {
        "requestedQueryCost": asked,
        "actualQueryCost": spent,
        "throttleStatus": {
            "maximumAvailable": bucket.maximum,
            "currentlyAvailable": int(bucket.available),
            "restoreRate": bucket.restore_rate,
        },
    }


def _too_dear(store: Store, asked: int) -> dict[str, Any] | None:
    if asked > cost.MOST:
        message = f"Query cost is {asked}, which exceeds the single query max cost limit ({cost.MOST})."
        return {"message": message, "extensions": {"code": "MAX_COST_EXCEEDED", "cost": asked, "maxCost": cost.MOST}}
    if asked > store.bucket.available:
        return {"message": "Throttled", "extensions": {"code": "THROTTLED"}}
    return None


def _denied(store: Store, query: str, document: Any) -> dict[str, Any] | None:
    """The first type or field that the token's scopes do not reach; remembered as the documents are."""
    key = (query, frozenset(store.granted))
    if key not in _denials:
        if len(_denials) > 500:
            _denials.clear()
        _denials[key] = _find_denied(store, document)
    return _denials[key]


def _find_denied(store: Store, document: Any) -> dict[str, Any] | None:
    needed = schema.scopes()
    held = set(store.granted) | {scope.replace("write_", "read_", 1) for scope in store.granted}
    finder = _ScopeFinder(TypeInfo(schema.load()), needed, held)
    visit(document, TypeInfoVisitor(finder.info, finder))
    if finder.denied is None:
        return None
    field, scopes = finder.denied
    words = " or ".join(f"`{scope}`" for scope in scopes)
    message = f"Access denied for {field} field. Required access: {words} access scope."
    return {"message": message, "path": [field], "extensions": {"code": "ACCESS_DENIED", "requiredAccess": words}}


class _ScopeFinder(Visitor):
    def __init__(self, info: TypeInfo, needed: dict[str, list[str]], held: set[str]) -> None:
        super().__init__()
        self.info, self._needed, self._held = info, needed, held
        self.denied: tuple[str, list[str]] | None = None

    def enter_field(self, node: Any, *_: Any) -> None:
        parent, kind = self.info.get_parent_type(), self.info.get_type()
        if parent is None or kind is None or self.denied:
            return
        named = get_named_type(kind).name.removesuffix("Connection").removesuffix("Edge")
        for key in (f"{parent.name}.{node.name.value}", named):
            scopes = self._needed.get(key)
            if scopes and not self._held.intersection(scopes):
                self.denied = (node.name.value, scopes)
