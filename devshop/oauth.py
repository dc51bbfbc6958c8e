"""OAuth as Shopify does it: ID tokens, token exchange, refresh with rotation, the code grant, install and uninstall.

Source: Shopify, "ID tokens", "Token exchange", "Offline access tokens", "Authorization code grant".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
import uuid
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import jwt
from flask import Blueprint, Response, current_app, jsonify, redirect, render_template_string, request

from devshop.world import AccessToken, Store, World, new_secret

blueprint = Blueprint("oauth", __name__)
ACCESS_LIFE, REFRESH_LIFE = timedelta(hours=1), timedelta(days=90)
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ONLINE = "urn:shopify:params:oauth:token-type:online-access-token"
_codes: dict[str, tuple[str, str]] = {}


def make_id_token(store: Store, expires_in: int = 60, claims: dict[str, Any] | None = None) -> str:
    """An ID token for the store's owner, as App Bridge would give it. `claims` override its claims; None removes one."""
    world, now = store.world, int(time.time())
    body: dict[str, Any] = {
        "iss": f"https://{store.domain}/admin",
        "dest": f"https://{store.domain}",
        "aud": world.client_id,
        "sub": "42",
        "exp": now + expires_in,
        "nbf": now - 1,
        "iat": now - 1,
        "jti": str(uuid.uuid4()),
        "sid": hashlib.sha256(store.domain.encode()).hexdigest(),
        **(claims or {}),
    }
    return jwt.encode({k: v for k, v in body.items() if v is not None}, world.client_secret, algorithm="HS256")


def install(store: Store, scopes: tuple[str, ...] | None = None) -> None:
    """The store has the app, with these scopes or those of the configuration."""
    store.granted = scopes or tuple(store.world.config.scopes if store.world.config else ())
    store.is_installed = True


def uninstall(store: Store) -> None:
    """The app is gone: its tokens first, then its own webhooks, then the news of it."""
    store.tokens.clear()
    store.emit("app/uninstalled", store)
    store.subscriptions.clear()
    store.is_installed = False


def grant_scopes(store: Store, scopes: tuple[str, ...]) -> None:
    """The store's grants are these scopes, and the app is told."""
    previous, store.granted = store.granted, scopes
    store.emit("app/scopes_update", {"previous": list(previous), "current": list(scopes)})


def issue(store: Store, *, expiring: bool, online: bool = False, previous: AccessToken | None = None) -> AccessToken:
    """A new access token; with `expiring` also what renews it."""
    now = store.world.clock.now()
    token = AccessToken(
        new_secret("shpat_"), store.granted, now + ACCESS_LIFE if expiring or online else None, is_online=online
    )
    if expiring and not online:
        token.refresh_token, token.refresh_expires_at = new_secret("shprt_"), now + REFRESH_LIFE
        token.previous_refresh = previous.refresh_token if previous else None
    store.tokens[token.value] = token
    return token


@blueprint.post("/admin/oauth/access_token")
def access_token() -> tuple[Response, int] | Response:
    """Token exchange, code grant or refresh, as JSON or form."""
    world: World = current_app.extensions["devshop"]
    with world.lock:
        store = world.stores.get(request.host.split(":")[0])
        body = request.get_json(silent=True) or request.form.to_dict()
        if store is None:
            return _refuse("invalid_request", "no such store")
        if body.get("client_id") != world.client_id or body.get("client_secret") not in _secrets(world):
            return _refuse("invalid_client", "client credentials are wrong")
        if body.get("grant_type") == EXCHANGE:
            return _exchange(store, body)
        if body.get("grant_type") == "refresh_token":
            return _refresh(store, body.get("refresh_token", ""))
        return _redeem(store, body)


def _secrets(world: World) -> list[str | None]:
    return [world.client_secret, world.old_client_secret] if world.old_client_secret else [world.client_secret]


def _exchange(store: Store, body: dict[str, Any]) -> tuple[Response, int] | Response:
    try:
        claims = jwt.decode(
            body.get("subject_token", ""),
            store.world.client_secret,
            algorithms=["HS256"],
            audience=store.world.client_id,
            leeway=10,
        )
    except jwt.InvalidTokenError:
        return _refuse("invalid_subject_token", "the ID token is not valid")
    if claims.get("dest") != f"https://{store.domain}" or not store.is_installed:
        return _refuse("invalid_subject_token", "the ID token is not for this store, or the app is not installed")
    online = body.get("requested_token_type") == ONLINE
    return _answer(issue(store, expiring=str(body.get("expiring")) == "1", online=online), store)


def _refresh(store: Store, refresh_token: str) -> tuple[Response, int] | Response:
    """A new pair. The previous refresh token works until the new one is first used (a lost answer can be repeated)."""
    now = store.world.clock.now()
    for token in list(store.tokens.values()):
        if not refresh_token or refresh_token not in (token.refresh_token, token.previous_refresh):
            continue
        if token.refresh_expires_at and token.refresh_expires_at <= now:
            break
        token.previous_refresh = None
        base = AccessToken("", (), None, refresh_token=refresh_token)
        if token.refresh_token != refresh_token:
            token.refresh_token = None
        new = issue(store, expiring=True, previous=base)
        token.refresh_token = None
        return _answer(new, store)
    return _refuse("invalid_grant", "the refresh token is not valid any more")


def _redeem(store: Store, body: dict[str, Any]) -> tuple[Response, int] | Response:
    domain, _ = _codes.pop(body.get("code", ""), ("", ""))
    if domain != store.domain:
        return _refuse("invalid_request", "the code was not found or was already used")
    install(store)
    return _answer(issue(store, expiring=str(body.get("expiring")) == "1"), store)


def _answer(token: AccessToken, store: Store) -> Response:
    body: dict[str, Any] = {"access_token": token.value, "scope": ",".join(token.scopes)}
    if token.expires_at:
        body["expires_in"] = int(ACCESS_LIFE.total_seconds())
    if token.refresh_token:
        body |= {"refresh_token": token.refresh_token, "refresh_token_expires_in": int(REFRESH_LIFE.total_seconds())}
    if token.is_online:
        user = {
            "id": 42,
            "first_name": "Dev",
            "last_name": "Shop",
            "email": "owner@example.com",
            "email_verified": True,
        }
        body |= {
            "associated_user_scope": body["scope"],
            "associated_user": {**user, "account_owner": True, "locale": "en", "collaborator": False},
        }
    return jsonify(body)


def _refuse(error: str, words: str) -> tuple[Response, int]:
    return jsonify({"error": error, "error_description": words}), 400


@blueprint.route("/admin/oauth/authorize", methods=["GET", "POST"])
def authorize() -> Any:
    """The page on which a store's owner grants access (GET), and the way back to the app (POST)."""
    world: World = current_app.extensions["devshop"]
    store = world.stores.get(request.host.split(":")[0]) or world.stores.get(request.values.get("shop", ""))
    redirect_uri, state = request.values.get("redirect_uri", ""), request.values.get("state", "")
    allowed = world.config.redirect_urls if world.config else []
    if store is None or request.values.get("client_id") != world.client_id:
        return Response("Oauth error invalid_request: no such store or app", 400)
    if redirect_uri not in allowed:
        return Response("Oauth error invalid_request: The redirect_uri is not whitelisted", 400)
    if request.method == "GET":
        return render_template_string(
            _GRANT_PAGE, store=store, scopes=request.args.get("scope", ""), query=request.query_string.decode()
        )
    if request.form.get("decision") != "accept":
        return redirect(f"/store/{store.handle}", 303)
    code = uuid.uuid4().hex
    _codes[code] = (store.domain, redirect_uri)
    fields = {
        "code": code,
        "host": host_parameter(store),
        "shop": store.domain,
        "state": state,
        "timestamp": str(int(time.time())),
    }
    return redirect(f"{redirect_uri}?{urlencode({**fields, 'hmac': sign_query(world, fields)})}", 303)


_GRANT_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Install app</title>
<link rel="stylesheet" href="/_devshop/static/admin.css"><main class="narrow"><h1>Install this app on {{ store.name }}?</h1>
<p>It asks for: {{ scopes or "the scopes of its configuration" }}</p>
<form method="post" action="?{{ query }}"><input type="hidden" name="shop" value="{{ store.domain }}">
<button name="decision" value="accept" class="primary">Install app</button>
<button name="decision" value="decline">Cancel</button></form></main>"""


def host_parameter(store: Store) -> str:
    """The `host` parameter: base64 of the admin's address of the store."""
    return base64.b64encode(f"admin.shopify.com/store/{store.handle}".encode()).decode().rstrip("=")


def sign_query(world: World, fields: dict[str, str]) -> str:
    """The `hmac` of a query: its fields sorted and form-encoded, HMAC-SHA256 with the secret, hex."""
    message = urlencode(sorted(fields.items()))
    return hmac.new(world.client_secret.encode(), message.encode(), hashlib.sha256).hexdigest()


def launch_query(store: Store) -> dict[str, str]:
    """What the admin adds to the app's address on the first load."""
    fields = {
        "embedded": "1",
        "host": host_parameter(store),
        "locale": "en-GB",
        "session": hashlib.sha256(store.domain.encode()).hexdigest(),
        "shop": store.domain,
        "timestamp": str(int(time.time())),
        "id_token": make_id_token(store),
    }
    return {**fields, "hmac": sign_query(store.world, fields)}
