"""What every page of the embedded app has in common: who asks, whose rows, which headers, how errors look."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from contextlib import ExitStack
from itertools import chain
from typing import Any
from urllib.parse import urlencode

from flask import Flask, Response, abort, current_app, g, redirect, render_template, request
from htmx_flask import Htmx
from werkzeug.exceptions import HTTPException
from werkzeug.routing import IntegerConverter, Map

from occ_app import presses
from occ_app.config import Config
from occ_app.errors import NotFoundError, OutsideError, RuleError
from occ_app.extensions import db, shop_scope

MOST_ID = 2**31 - 1  # ids of rows are 32 bits wide
PUBLIC = ("inbox", "health", "static", "auth", "join", "api")
PROBLEMS_AT = ("/api/", "/sync/")  # other systems speak there: what is not found is told as a problem, not as a page
ASSETS = ("static",)
LAUNCH = ("embedded", "host", "shop", "locale")  # where in the admin a document stands
OF_THE_ADMIN = (*LAUNCH, "id_token", "session", "timestamp", "hmac")  # what Shopify's admin adds to an address


class RowId(IntegerConverter):
    """`<int:...>` in a path: an id that a row can have; whatever is larger is not found."""

    def __init__(self, map: Map, *args: Any, **options: Any) -> None:
        super().__init__(map, *args, **{"max": MOST_ID, **options})


def row_id(text: str) -> int | None:
    """The id that a form gives; None where no row can have it."""
    is_id = text.isascii() and text.isdigit() and len(text) <= len(str(MOST_ID))
    return int(text) if is_id and int(text) <= MOST_ID else None


def is_fragment() -> bool:
    """Whether htmx asks for a part: neither a boosted page nor a page out of the history."""
    headers = request.headers
    return (
        headers.get("HX-Request") == "true"
        and headers.get("HX-Boosted") != "true"
        and headers.get("HX-History-Restore-Request") != "true"
        and headers.get("HX-Request-Type") != "full"
    )


def page(
    template: str,
    fragment: str | None = None,
    *,
    status: int = 200,
    toast: str | None = None,
    undo: str = "",
    **facts: Any,
) -> Response:
    """The page, or its fragment where htmx asks for a part. `toast`: a success to be shown in passing; `undo`: the id of the fragment's
    button that takes it back, which the toast offers too."""
    name = fragment if fragment and is_fragment() else template
    response = Response(render_template(name, toast=toast if not is_fragment() else None, **facts), status)
    if toast and is_fragment():
        response.headers["HX-Trigger"] = _event("occ:toast", {"message": toast, "undo": undo})
    response.headers["Vary"] = "HX-Request, HX-Request-Type"
    return response


def _event(name: str, detail: dict[str, str]) -> str:
    import json

    return json.dumps({name: detail})


def see_other(path: str) -> Response:
    """The browser loads another of our pages (303). A document that the admin opened keeps saying where it stands; a token is asked for anew."""
    if path.startswith("/") and "Authorization" not in request.headers:
        launch = urlencode({name: request.args[name] for name in LAUNCH if name in request.args})
        path += ("&" if "?" in path else "?") + launch if launch else ""
    return redirect(path, 303)  # type: ignore[return-value]


def stay_within(total: int, number: int, per_page: int) -> None:
    """Nothing where a list of `total` rows has a page `number`; else whoever looks lands on its last page."""
    last = max(1, -(-total // per_page))
    if number > last and request.method == "GET":
        asked = {name: text for name, text in request.args.items() if name not in OF_THE_ADMIN}
        abort(see_other(f"{request.path}?{urlencode({**asked, 'page': last})}"))


def start(app: Flask, admit: Callable[[Config], Response | None]) -> None:
    """Requests are admitted by `admit` (the shop is in `g.shop` then), scoped to their shop, and answered with safe headers."""
    Htmx(app)
    app.url_map.converters["int"] = RowId

    @app.before_request
    def _admit() -> Response | None:
        g.stack = ExitStack()
        if request.blueprint in PUBLIC or request.endpoint in ASSETS or _is_nowhere():
            return None
        refusal = admit(current_app.extensions["occ_config"])
        if refusal is None:
            g.stack.enter_context(shop_scope(g.shop_id))
            _check_text()
            presses.check()
        return refusal

    @app.teardown_request
    def _leave(_: BaseException | None) -> None:
        stack = g.pop("stack", None)
        if stack is not None:
            stack.close()

    @app.after_request
    def _headers(response: Response) -> Response:
        return with_headers(response)

    app.register_error_handler(RuleError, _rule_said_no)
    app.register_error_handler(NotFoundError, _not_found)
    app.register_error_handler(OutsideError, _outside_failed)
    app.register_error_handler(HTTPException, _http_error)


def _is_nowhere() -> bool:
    """There is no such page. Whoever asked for it with a token gets the answer in the admin's frame, but other systems, which get a problem."""
    is_page = "id_token" in request.args or "Authorization" in request.headers
    return request.endpoint is None and (not is_page or request.path.startswith(PROBLEMS_AT))


def _check_text() -> None:
    """No zero byte came along: PostgreSQL keeps none in a text, so every query with it would fail."""
    given = chain(request.args.items(multi=True), request.form.items(multi=True))
    if any("\x00" in text for pair in given for text in pair):
        raise RuleError("What you typed or pasted holds a zero byte. Type it anew.")


def with_headers(response: Response) -> Response:
    """Per-shop framing, nothing sniffed, nothing leaked by referrer, scripts only from us and App Bridge."""
    config: Config = current_app.extensions["occ_config"]
    domain = g.get("shop_domain")
    ancestors = f"https://{domain} https://admin.shopify.com" if domain else "'none'"
    if domain and config.standin_url:
        ancestors += f" {config.standin_url}"
    bridge = config.app_bridge_url
    pictures = f"https://cdn.shopify.com {config.standin_url}" if config.standin_url else "https://cdn.shopify.com"
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; script-src 'self' https://cdn.shopify.com {_origin(bridge)}; style-src 'self'; connect-src 'self'"
        f" https://monorail-edge.shopifysvc.com; img-src 'self' {pictures} data:;"
        f" form-action 'self'{g.get('form_targets', '')}; base-uri 'none'; frame-ancestors {ancestors};"
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.setdefault("Referrer-Policy", "strict-origin-when-cross-origin")
    if request.blueprint not in PUBLIC:
        response.headers.setdefault("Cache-Control", "no-store")
    return response


def embedded_url(config: Config, host: str, shop_domain: str) -> str | None:
    """Where the app lives inside the admin, from the `host` parameter; None where that names no admin of Shopify's."""
    try:
        decoded = base64.b64decode(host + "=" * (-len(host) % 4), validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return None
    name = shop_domain.removesuffix(".myshopify.com")
    if decoded not in (f"admin.shopify.com/store/{name}", f"{shop_domain}/admin"):
        return None
    return f"https://{decoded}/apps/{config.api_key}"


def _origin(url: str) -> str:
    return "/".join(url.split("/")[:3])


def _rule_said_no(error: RuleError) -> Response:
    db.session.rollback()
    return page("message.html", "_error.html", status=422, message=str(error), title="That does not go")


def _not_found(error: NotFoundError) -> Response:
    db.session.rollback()
    return page("message.html", "_error.html", status=404, message=str(error), title="Not here")


def _outside_failed(error: OutsideError) -> Response:
    db.session.rollback()
    message = f"{error} Nothing was changed. Load the page again in a moment."
    if g.get("shop_id") is None:
        return Response(message, 503, {"Retry-After": "5"}, mimetype="text/plain")
    return page("message.html", "_error.html", status=503, message=message, title="Shopify does not answer")


def _http_error(error: HTTPException) -> Response:
    if request.path.startswith(PROBLEMS_AT):
        return current_app.extensions["occ_api_problem"](error)  # type: ignore[no-any-return]
    if request.blueprint in PUBLIC or error.code is None or g.get("shop_id") is None:
        return Response(error.description or error.name, error.code or 500, mimetype="text/plain")
    return page(
        "message.html", "_error.html", status=error.code, message=error.description or error.name, title=error.name
    )
