"""What all of the API shares: who asks and how often, how a request is read, what a refusal looks like."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec
import structlog
from flask import Blueprint, Response, current_app, g, request
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from werkzeug.exceptions import HTTPException

from occ_app import clock
from occ_app.b2b import contract as c
from occ_app.b2b import levels, operations, orders, tokens
from occ_app.b2b.operations import PROBLEM
from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import db, shop_scope
from occ_app.shops import settings
from occ_app.shops.models import Shop
from occ_app.web import MOST_ID

log = structlog.get_logger()
blueprint = Blueprint("api", __name__)
MOST_BYTES = 1024 * 1024
MOST_VERSION = 10**18
LONGEST_KEY = 255
POINTERS = {"customer": "/customer/name", "customer_reference": "/customer/reference"}  # by a rule's field
CURSOR = re.compile(r"c[0-9]{1,18}")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class RefusedError(Exception):
    """The request is answered with this problem."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        faults: list[c.Fault] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail, self.faults, self.headers = status, kind, detail, faults, headers or {}


# Who asks -------------------------------------------------------------------------------------------------------------------------


@blueprint.before_request
def _admit() -> None:
    g.request_id = uuid.uuid4().hex
    request.max_content_length = MOST_BYTES
    said = operations.of(current_app.view_functions[request.endpoint or ""])
    if said is None or said.scope is None:
        return
    at = clock.now()
    scheme, _, plain = request.headers.get("Authorization", "").partition(" ")
    caller = tokens.find(plain.strip(), at) if scheme.lower() == "bearer" else None
    if caller is None:
        challenge = {"WWW-Authenticate": 'Bearer realm="OCC Inventory Hub"'}
        raise RefusedError(
            401, "token", "Send a token that is good as `Authorization: Bearer occ_...`.", None, challenge
        )
    g.caller = caller
    g.stack.enter_context(shop_scope(caller.shop_id))
    _count(caller, said.scope)


def _count(caller: tokens.Caller, scope: str) -> None:
    at = clock.now()
    used = tokens.count(caller, at)
    g.shop = db.session.get_one(Shop, caller.shop_id)
    most, left = settings.get(g.shop, "api_requests_per_minute"), 60 - int(at.timestamp()) % 60
    g.limits = {
        "RateLimit-Policy": f'"minute";q={most};w=60',
        "RateLimit": f'"minute";r={max(0, most - used)};t={left}',
    }
    if used > most:
        words = f"This token made {most:,} requests in this minute. Come back in {left} seconds."
        raise RefusedError(429, "rate", words, None, {"Retry-After": str(left)})
    if scope not in caller.scopes:
        raise RefusedError(403, "scope", f"The token {caller.name} lacks the scope {scope}. Make one that has it.")


@blueprint.after_request
def _finish(response: Response) -> Response:
    response.headers["X-Request-Id"] = g.request_id
    for name, value in g.get("limits", {}).items():
        response.headers[name] = value
    response.headers.setdefault("Cache-Control", "no-store")
    return response


# What goes wrong ------------------------------------------------------------------------------------------------------------------


def problem(
    status: int, kind: str, detail: str, faults: list[c.Fault] | None = None, headers: dict[str, str] | None = None
) -> Response:
    """A problem in words, by RFC 9457."""
    from http import HTTPStatus

    base = current_app.extensions["occ_config"].app_url
    instance = f"urn:uuid:{uuid.UUID(g.setdefault('request_id', uuid.uuid4().hex))}"
    said = c.Problem(f"{base}/api/v1/docs#{kind}", HTTPStatus(status).phrase, status, detail, instance, faults)
    response = Response(msgspec.json.encode(said), status, content_type=PROBLEM)
    response.headers.extend(headers or {})
    return response


@blueprint.errorhandler(RefusedError)
def _refused(error: RefusedError) -> Response:
    db.session.rollback()
    return problem(error.status, error.kind, error.detail, error.faults, error.headers)


@blueprint.errorhandler(RuleError)
def _rule_said_no(error: RuleError) -> Response:
    db.session.rollback()
    return of_rule(error)


def of_rule(error: RuleError, skus: Sequence[str] = ()) -> Response:
    """What is answered where a rule of ours refused: 409 where other stock or another state would do, 422 where the request is wrong, 503
    where the same request will do in a moment.

    `skus`: of the order's lines, in their order, which is how a fault says the line that it is of.
    """
    at = {sku: f"/lines/{number}" for number, sku in enumerate(skus)}
    if isinstance(error, orders.ShortError):
        short = [(s.sku, f"{s.sku}: {s.wanted} wanted, {s.available} available") for s in error.shortages]
        return problem(409, "short", str(error), [c.Fault(at.get(sku, "/lines"), words) for sku, words in short])
    if isinstance(error, orders.UnknownItemsError):
        faults = [c.Fault(at.get(sku, "/lines"), f"There is no item {sku}") for sku in error.skus]
        return problem(422, "unknown", str(error), faults)
    if isinstance(error, levels.NoLocationError):
        return problem(503, "busy", str(error), None, {"Retry-After": "60"})
    if isinstance(error, orders.StateError):
        return problem(409, "state", str(error))
    where = POINTERS.get(error.field or "", f"/{error.field}")
    return problem(422, "rule", str(error), [c.Fault(where, str(error))] if error.field else None)


@blueprint.errorhandler(NotFoundError)
def _not_found(error: NotFoundError) -> Response:
    db.session.rollback()
    return problem(404, "missing", str(error))


@blueprint.errorhandler(OperationalError)
@blueprint.errorhandler(PoolTimeoutError)
def _busy(error: Exception) -> Response:
    db.session.rollback()
    log.warning("api could not answer", cause=type(error).__name__)
    words = "The database is busy or away. Nothing was done. Send the same request again."
    return problem(503, "busy", words, None, {"Retry-After": "1"})


@blueprint.errorhandler(HTTPException)
def _http_error(error: HTTPException) -> Response:
    db.session.rollback()
    return http_problem(error)


def http_problem(error: HTTPException) -> Response:
    """The problem behind an HTTP error, with the headers that belong to it (such as Allow)."""
    headers = {key: value for key, value in error.get_headers() if key.lower() == "allow"}
    words = f"The body is larger than {MOST_BYTES:,} bytes. Send less of it at a time." if error.code == 413 else None
    return problem(error.code or 500, "http", words or error.description or error.name, None, headers)


# What is asked and answered ---------------------------------------------------------------------------------------------------------


def as_json(body: Any, status: int = 200, **headers: str) -> Response:
    """`body`, a struct of the contract or what is built of them, as JSON."""
    response = Response(msgspec.json.encode(body), status, content_type="application/json")
    for name, value in headers.items():
        response.headers[name] = value
    return response


def query_of(type_: Any) -> Any:
    """The query's parameters. Raises RefusedError, naming the one that is wrong."""
    lists = {"sku"}
    given: dict[str, Any] = {}
    for name, values in request.args.lists():
        if name not in type_.__struct_fields__:
            known = ", ".join(type_.__struct_fields__)
            raise RefusedError(400, "query", f"There is no parameter {name[:80]!r}. Give some of: {known}.")
        if name not in lists and len(values) > 1:
            raise RefusedError(400, "query", f"{name} stands {len(values)} times. Give it once.")
        given[name] = values if name in lists else values[0]
        if name not in lists and values[0].strip().lower() == "null":  # msgspec would take it for nothing
            raise RefusedError(400, "query", f"{name} is no {values[0][:80]!r}. Leave it out instead.")
        if any(CONTROL.search(value) for value in values):
            raise RefusedError(400, "query", f"{name} holds a control character.")
    try:
        return msgspec.convert(given, type_, strict=False)
    except msgspec.ValidationError as error:
        raise RefusedError(400, "query", f"{error}.") from error


def body_of(type_: Any) -> tuple[Any, bytes]:
    """The body as its type, and as it came. Raises RefusedError."""
    if request.mimetype != "application/json":
        raise RefusedError(415, "json", "Send JSON, with `Content-Type: application/json`.")
    data = request.get_data(cache=False)
    try:
        body = msgspec.convert(_whole(msgspec.json.decode(data)), type_)
    except msgspec.ValidationError as error:
        words, _, path = str(error).partition(" - at `")
        raise RefusedError(400, "body", f"{error}.", [c.Fault(_pointer(path.rstrip("`")), words)]) from error
    except RecursionError as error:
        raise RefusedError(400, "json", "The body is nested too deeply. An order is three levels deep.") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RefusedError(400, "json", f"The body is not JSON: {error}.") from error
    if any(CONTROL.search(text) for text in _texts(msgspec.to_builtins(body))):
        raise RefusedError(400, "body", "A text holds a control character, such as a line break. Take it out.")
    return body, data


def _whole(value: Any) -> Any:
    """The same with 5.0 as 5: in JSON Schema both are integers."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_whole(part) for part in value]
    return {name: _whole(part) for name, part in value.items()} if isinstance(value, dict) else value


def _pointer(path: str) -> str:
    """`$.lines[3].quantity` -> `/lines/3/quantity` (RFC 6901)."""
    return path.removeprefix("$").replace("[", "/").replace("]", "").replace(".", "/")


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for part in parts for text in _texts(part)]


def cursor_of(text: str | None, most: int = MOST_ID) -> int | None:
    """The number in a cursor, `most` where it is bigger: every cursor is a place to go on from. Raises RefusedError for what is none."""
    if text is None:
        return None
    if not CURSOR.fullmatch(text):
        raise RefusedError(400, "query", "cursor is none of ours. Send `next_cursor` as it came, or begin without one.")
    return min(int(text[1:]), most)


def as_cursor(number: int) -> str:
    """What a caller sends back to get the rows after this one's number."""
    return f"c{number}"
