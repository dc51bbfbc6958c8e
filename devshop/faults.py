"""What can go wrong at a store, switched on at the panel of its admin, by the control API, or by a test.

Faults of calls hit the Admin API's calls and the token endpoint; those of webhooks hit deliveries. Each was seen in the field; with all of
them off a store behaves as Shopify's documentation says.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any

from flask import Response

from devshop.errors import DevshopError

CALLS = {
    "lost_before": "the connection breaks before anything was done",
    "lost_after": "it is done, and the answer is lost",
    "429": "429: too many requests",
    "500": "500: a fault of Shopify's",
    "503": "503: not available",
    "internal_before": "INTERNAL_SERVER_ERROR in a 200, nothing was done",
    "internal_after": "INTERNAL_SERVER_ERROR in a 200, and yet it was done",
    "throttled": "THROTTLED: the points are used up",
    "garbage": "a page of HTML instead of JSON",
    "version": "the API version is not served any more",
    "unauthorized": "401: the token is not known",
}
KINDS = ("any", "query", "mutation", "token")
WEBHOOKS = {
    "normal": "as they should",
    "twice": "twice, one after the other",
    "at_once": "twice, at the same instant",
    "reversed": "the last first",
    "lost": "never",
}
LOST = "X-Devshop-Lost"


@dataclass(frozen=True)
class CallFault:
    """What becomes of one call: a name of `CALLS`, for calls of one kind (query, mutation, token) or any."""

    name: str
    kind: str = "any"

    def __post_init__(self) -> None:
        if self.name not in CALLS or self.kind not in KINDS:
            raise DevshopError(f"a fault is one of {', '.join(CALLS)}, for one of {', '.join(KINDS)}")

    def hits(self, kind: str) -> bool:
        """Whether a call of that kind meets it. A token request names no API version, so none can be retired under it."""
        return self.kind in ("any", kind) and not (self.name == "version" and kind == "token")


@dataclass
class Faults:
    """The switches of one store.

    `always` hits every call, `upcoming` the next ones, each once. `latency_ms`: each call takes that long. `stale_seconds`: stock and orders
    are shown as they were so long ago (writes compare with what is true). `forgets_keys`: idempotency keys mean nothing.
    `fails_alone`: one bad row of a batch is refused by itself, not the whole call. `refuses_renewal`: `invalid_grant`. `refuses_topics`: the
    app may not subscribe to what carries customers' data. `falls_forward`: the version that answers, whatever was asked for. `webhooks`: a
    name of `WEBHOOKS`. `late_seconds`: deliveries go out so late. `merges`: a delivery's payload is what is true when it is sent, so that two
    quick changes tell the last value twice. `fails_pictures`: a picture that an app adds ends as FAILED. `completes_short`: a draft order is
    completed even where a variant that may not be oversold is short (which of the two Shopify does is not documented).
    """

    always: CallFault | None = None
    upcoming: deque[CallFault] = field(default_factory=deque)
    latency_ms: int = 0
    stale_seconds: float = 0
    forgets_keys: bool = False
    fails_alone: bool = False
    refuses_renewal: bool = False
    refuses_topics: bool = False
    falls_forward: str = ""
    webhooks: str = "normal"
    late_seconds: float = 0
    merges: bool = False
    fails_pictures: bool = False
    completes_short: bool = False

    def meet(self, kind: str) -> str | None:
        """The fault that a call of this kind meets; one of the upcoming is used up by it."""
        for fault in self.upcoming:
            if fault.hits(kind):
                self.upcoming.remove(fault)
                return fault.name
        return self.always.name if self.always and self.always.hits(kind) else None

    def change(self, data: dict[str, Any]) -> None:
        """The switches named in `data` are set. Raises DevshopError for a name or value that is none; then nothing is set."""
        unknown = data.keys() - {each.name for each in fields(self)}
        if unknown:
            raise DevshopError(f"there is no switch {', '.join(sorted(unknown))}")
        for name, value in {name: _READ[name](value) for name, value in data.items()}.items():
            setattr(self, name, value)

    def shown(self) -> dict[str, Any]:
        """For the control API."""
        return {each.name: _show(getattr(self, each.name)) for each in fields(self)}

    @property
    def is_quiet(self) -> bool:
        """Nothing is switched on."""
        return self == Faults()


def _fault(value: Any) -> CallFault | None:
    if not value:
        return None
    return CallFault(value) if isinstance(value, str) else CallFault(**value)


def _upcoming(value: Iterable[Any]) -> deque[CallFault]:
    return deque(fault for fault in map(_fault, value) if fault)


def _habit(value: str) -> str:
    if value not in WEBHOOKS:
        raise DevshopError(f"webhooks is one of {', '.join(WEBHOOKS)}")
    return value


def _number(most: float) -> Callable[[Any], float]:
    def read(value: Any) -> float:
        if not 0 <= float(value) <= most:
            raise DevshopError(f"give a number from 0 to {most:g}")
        return float(value)

    return read


_READ: dict[str, Callable[[Any], Any]] = {
    "always": _fault,
    "upcoming": _upcoming,
    "latency_ms": lambda value: int(_number(60_000)(value)),
    "stale_seconds": _number(3600),
    "forgets_keys": bool,
    "fails_alone": bool,
    "refuses_renewal": bool,
    "refuses_topics": bool,
    "falls_forward": lambda value: str(value or "").strip(),
    "webhooks": _habit,
    "late_seconds": _number(86_400),
    "merges": bool,
    "fails_pictures": bool,
    "completes_short": bool,
}


def _show(value: Any) -> Any:
    if isinstance(value, CallFault):
        return {"name": value.name, "kind": value.kind}
    return [_show(each) for each in value] if isinstance(value, deque) else value


def instead(name: str, cost: dict[str, Any]) -> Response:
    """The answer of a call that meets the fault `name`. `cost`: of `extensions`, where the answer has them."""
    if name in ("lost_before", "lost_after"):
        return Response(status=204, headers={LOST: "1"})
    if name == "garbage":
        return Response("<html><body>One moment, please</body></html>", mimetype="text/html")
    status, body, headers = _ANSWERS[name]
    if isinstance(body, dict):
        body = {**body, "extensions": {"cost": cost}}
    return Response(
        json.dumps(body if isinstance(body, dict) else {"errors": body}), status, headers, "application/json"
    )


_INTERNAL = "Internal error. Looks like something went wrong on our end."
_ANSWERS: dict[str, tuple[int, Any, dict[str, str]]] = {
    "429": (429, "Exceeded 2 calls per second for api client.", {"Retry-After": "2.0"}),
    "500": (500, "Internal Server Error", {}),
    "503": (503, "Service Unavailable", {}),
    "version": (404, "Not Found", {}),
    "unauthorized": (401, "[API] Invalid API key or access token (unrecognized login or wrong password)", {}),
    "throttled": (200, {"errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}]}, {}),
    **dict.fromkeys(
        ("internal_before", "internal_after"),
        (200, {"errors": [{"message": _INTERNAL, "extensions": {"code": "INTERNAL_SERVER_ERROR"}}]}, {}),
    ),
}


class BrokenConnections:
    """WSGI middleware: an answer marked as lost is never sent, the connection ends instead."""

    def __init__(self, app: Callable[..., Any]) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            if any(name == LOST for name, _ in headers):
                raise ConnectionResetError("the answer is lost")
            return start_response(status, headers, *more)

        return self._app(environ, start)


def as_of(history: Iterable[dict[str, Any]], quantities: dict[str, int], moment: datetime) -> dict[str, int]:
    """The quantities of a level as they were at `moment`, from its history."""
    found = dict(quantities)
    for change in history:
        if change["moment"] > moment:
            for state, delta in change["changes"].items():
                found[state] -= delta
    return found


def horizon(seconds: float, now: datetime) -> datetime:
    """The moment up to which a stale reader sees."""
    return now - timedelta(seconds=seconds)
