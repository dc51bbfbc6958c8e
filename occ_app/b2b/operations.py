"""What an operation of the API takes, gives and refuses, said once beside its view: the description is made of it, and so are the checks.

apispec writes the description (OpenAPI 3.1), msgspec the schemas of its types.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import msgspec
from apispec import APISpec
from werkzeug.routing import Map

from occ_app.b2b import contract as c
from occ_app.b2b.tokens import SCOPES

REFUSALS = {
    400: "The request cannot be read",
    401: "No token, or none that is good",
    403: "The token lacks the scope",
    404: "There is no such thing in this shop",
    409: "It does not go as things stand: too few units, a state that is past, or the same key under way",
    413: "The body is too large",
    415: "The body is not JSON",
    422: "It can be read but not done: unknown SKUs, or a key that was used for another request",
    429: "Too many requests in this minute; `Retry-After` says when to come back",
    503: "The app cannot do it at the moment",
}
ALWAYS = (400, 429, 503)
PROBLEM = "application/problem+json"


@dataclass(frozen=True)
class Operation:
    """One operation. `gives`: the type of its answer; `takes`: of its body; `query`: of its parameters."""

    summary: str
    gives: Any
    scope: str | None = None
    takes: Any = None
    query: Any = None
    status: int = 200
    refusals: tuple[int, ...] = ()
    keyed: bool = False
    tagged: bool = False
    paths: dict[str, Any] = field(default_factory=dict)
    links: dict[str, Any] = field(default_factory=dict)

    @property
    def statuses(self) -> tuple[int, ...]:
        """Everything that it may refuse with."""
        own = (*ALWAYS, *self.refusals, *((401, 403) if self.scope else ()), *((413, 415) if self.takes else ()))
        return tuple(sorted(set(own)))


_said: dict[Callable[..., Any], Operation] = {}


def operation(**facts: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The view is described by these facts (see Operation)."""

    def mark(view: Callable[..., Any]) -> Callable[..., Any]:
        _said[view] = Operation(**facts)
        return view

    return mark


def of(view: Any) -> Operation | None:
    """What is said about a view, if it is of the API."""
    return _said.get(view)


def description(rules: Map, views: dict[str, Any], title: str, version: str) -> dict[str, Any]:
    """The description of all operations among these views."""
    facts = {"title": title, "version": version, "info": {"description": ABOUT}}
    spec = APISpec(openapi_version="3.1.0", **facts)
    spec.components.security_scheme("token", {"type": "http", "scheme": "bearer", "bearerFormat": "occ_..."})
    for name, schema in schemas().items():
        spec.components.schema(name, schema)
    for rule in sorted(rules.iter_rules(), key=lambda rule: rule.rule):
        view = views.get(rule.endpoint)
        said = of(view)
        if said is None:
            continue
        path = "".join(f"{{{part}}}" if is_variable else part for is_variable, part in rule._trace if part != "|")
        for method in sorted(rule.methods or ()):
            if method in ("GET", "POST"):
                spec.path(path, operations={method.lower(): _described(view, said, rule.endpoint.split(".")[-1])})
    return spec.to_dict()


def _described(view: Any, said: Operation, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {"operationId": name, "summary": said.summary, "description": (view.__doc__ or "").strip()}
    found["parameters"] = _parameters(said)
    if said.scope:
        found["security"] = [{"token": []}]
        found["description"] += f"\n\nScope: `{said.scope}`."
    if said.takes:
        body = {"schema": _ref(said.takes)}
        found["requestBody"] = {"required": True, "content": {"application/json": body}}
    answer: dict[str, Any] = {"description": "Done", "headers": _headers(said)}
    if said.gives is not None:
        answer["content"] = {"application/json": {"schema": _ref(said.gives)}}
    if said.links:
        answer["links"] = said.links
    found["responses"] = {str(said.status): answer}
    if said.tagged:
        found["responses"]["304"] = {"description": "It is as you have it"}
    for status in said.statuses:
        content = {PROBLEM: {"schema": _ref(c.Problem)}}
        found["responses"][str(status)] = {"description": REFUSALS[status], "content": content}
    return found


def _parameters(said: Operation) -> list[dict[str, Any]]:
    found = [{"in": "path", "name": name, "required": True, "schema": schema} for name, schema in said.paths.items()]
    for each in msgspec.structs.fields(said.query) if said.query else ():
        schema = _schema_of(each.type)
        given = [one for one in schema.pop("anyOf", []) if one != {"type": "null"}]  # left out is not null
        schema = given[0] if given else {k: v for k, v in schema.items() if k != "default" or v is not None}
        parameter = {"in": "query", "name": each.name, "required": each.required, "schema": schema}
        if "description" in schema:
            parameter["description"] = schema.pop("description")
        found.append(parameter)
    if said.keyed:
        words = "Any text that is yours alone for this order, such as its number. The same request again gets the same answer."
        schema = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"}
        found.append(
            {"in": "header", "name": "Idempotency-Key", "required": True, "schema": schema, "description": words}
        )
    if said.tagged:
        words = "The `ETag` of an answer that you have: 304 where nothing has changed"
        schema = {"type": "string", "maxLength": 200, "pattern": "^[ -~]*$"}
        found.append({"in": "header", "name": "If-None-Match", "schema": schema, "description": words})
    return found


def _headers(said: Operation) -> dict[str, Any]:
    text = {"schema": {"type": "string"}}
    found = {"X-Request-Id": text}
    if said.scope:
        found |= {"RateLimit": text, "RateLimit-Policy": text}
    if said.tagged:
        found["ETag"] = text
    if said.status in (201, 202):
        found["Location"] = text
    return found


def _ref(type_: Any) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{type_.__name__}"}


def _schema_of(type_: Any) -> dict[str, Any]:
    (schema,), _ = msgspec.json.schema_components([type_])
    return dict(schema)


@cache
def schemas() -> dict[str, Any]:
    """Every type of the contract as JSON Schema."""
    types = [
        t for t in vars(c).values() if isinstance(t, type) and issubclass(t, msgspec.Struct) and t is not msgspec.Struct
    ]
    _, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    return components


ABOUT = f"""One stock, several claims: what wholesale may sell, and orders against it.

Send `Authorization: Bearer occ_...` with each request. Tokens are made in the app under Channels, API access, each with scopes:
{", ".join(f"`{scope}` ({words.lower()})" for scope, words in SCOPES.items())}.

Refusals are problem details (RFC 9457). Lists are read page by page with `next_cursor`. `RateLimit` says how many requests are left in this
minute. Every answer carries `X-Request-Id`. All quantities are whole units of the item, all times UTC by our clock.
"""
