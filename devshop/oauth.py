"""OAuth as Shopify does it: ID tokens, token exchange, refresh with rotation, the code grant, install and uninstall.

ID tokens and signed addresses carry the machine's time, since those who check them look at theirs; what devshop itself lets expire
(access and refresh tokens) goes by the world's clock.
Source: Shopify, "ID tokens", "Token exchange", "Offline access tokens", "More resilient refreshes", "Authorization code grant".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time
import uuid
from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import jwt
from flask import Blueprint, Response, current_app, jsonify, redirect, render_template, request

from devshop import faults
from devshop.world import AccessToken, Store, World, new_secret

blueprint = Blueprint("oauth", __name__)
ACCESS_LIFE, REFRESH_LIFE, REPEAT_LIFE = timedelta(hours=1), timedelta(days=90), timedelta(days=30)
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105 - the name of a kind
OFFLINE = "urn:shopify:params:oauth:token-type:offline-access-token"
ONLINE = "urn:shopify:params:oauth:token-type:online-access-token"


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


def accept(store: Store, scopes: tuple[str, ...], optional: list[str]) -> None:
    """The owner said yes to these scopes and to those optional ones that are configured; optional ones granted before stay."""
    config = store.world.config
    known = config.optional_scopes if config else []
    kept = [scope for scope in known if scope in optional or scope in store.granted]
    granted = tuple(dict.fromkeys([*scopes, *kept]))
    if store.is_installed:
        grant_scopes(store, granted)
    else:
        install(store, granted)


def uninstall(store: Store) -> None:
    """The app is gone: its tokens first, then its own webhooks, then the news of it."""
    store.tokens.clear()
    store.codes.clear()
    store.emit("app/uninstalled", store)
    store.subscriptions.clear()
    store.is_installed, store.granted = False, ()


def grant_scopes(store: Store, scopes: tuple[str, ...]) -> None:
    """The store's grants are these scopes, and the app is told if they were others."""
    previous, store.granted = store.granted, scopes
    if set(previous) == set(scopes):
        return
    store.emit("app/scopes_update", {"previous": list(previous), "current": list(scopes)})


def issue(store: Store, *, expiring: bool, online: bool = False) -> AccessToken:
    """A new access token; an expiring offline one comes with what renews it."""
    now = store.world.clock.now()
    token = AccessToken(
        new_secret("shpat_"), store.granted, now + ACCESS_LIFE if expiring or online else None, is_online=online
    )
    if expiring and not online:
        token.refresh_token, token.refresh_expires_at = new_secret("shprt_"), now + REFRESH_LIFE
    store.tokens[token.value] = token
    return token


def _acquire(store: Store, *, expiring: bool, online: bool) -> AccessToken:
    """A new token; an offline one retires the refresh tokens before it, while their access tokens live to their end."""
    if not online:
        for token in store.tokens.values():
            token.refresh_token = token.previous_refresh = None
    return issue(store, expiring=expiring, online=online)


@blueprint.post("/admin/oauth/access_token")
def access_token() -> tuple[Response, int] | Response:
    """Token exchange, code grant or refresh, as JSON or form."""
    world: World = current_app.extensions["devshop"]
    with world.lock:
        store = world.stores.get(request.host.split(":")[0])
        body = request.get_json(silent=True) or request.form.to_dict()
        if store is None:
            return jsonify({"errors": "Not Found"}), 404
        fault = store.faults.meet("token")
        if fault and not fault.endswith("_after"):
            return faults.instead(fault, {})
        answer = _token_answer(world, store, body)
        return faults.instead(fault, {}) if fault else answer


def _token_answer(world: World, store: Store, body: dict[str, Any]) -> tuple[Response, int] | Response:
    if body.get("client_id") != world.client_id or body.get("client_secret") not in _secrets(world):
        return _refuse("invalid_client", "client credentials are wrong")
    if body.get("grant_type") == EXCHANGE:
        return _exchange(store, body)
    if body.get("grant_type") == "refresh_token":
        if store.faults.refuses_renewal:
            return _refuse("invalid_grant", "the refresh token is not valid any more")
        return _refresh(store, body.get("refresh_token", ""))
    return _redeem(store, body)


def _secrets(world: World) -> list[str | None]:
    return [world.client_secret, world.old_client_secret] if world.old_client_secret else [world.client_secret]


def _exchange(store: Store, body: dict[str, Any]) -> tuple[Response, int] | Response:
    wanted = body.get("requested_token_type", OFFLINE)
    if body.get("subject_token_type", ID_TOKEN) != ID_TOKEN or wanted not in (ONLINE, OFFLINE):
        return _refuse(
            "invalid_request", "devshop exchanges ID tokens for online or offline access tokens, nothing else"
        )
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
    return _answer(_acquire(store, expiring=_is_expiring(body), online=wanted == ONLINE), store)


def _is_expiring(body: dict[str, Any]) -> bool:
    return str(body.get("expiring", "0")).lower() in ("1", "true")


def _refresh(store: Store, refresh_token: str) -> tuple[Response, int] | Response:
    """A new pair. After it the same refresh token can be used again until the new one is, as the answer may have been lost: for 30 days
    after its first use, and never beyond its own 90."""
    now = store.world.clock.now()
    for token in list(store.tokens.values()):
        if refresh_token and refresh_token == token.refresh_token:
            until = min(now + REPEAT_LIFE, token.refresh_expires_at or now)
            is_alive = bool(token.refresh_expires_at and now < token.refresh_expires_at)
        elif refresh_token and refresh_token == token.previous_refresh:
            until = token.previous_until or now
            is_alive = now < until
        else:
            continue
        if not is_alive:
            break
        token.refresh_token = token.previous_refresh = None
        new = issue(store, expiring=True)
        new.previous_refresh, new.previous_until = refresh_token, until
        return _answer(new, store)
    return _refuse("invalid_grant", "the refresh token is not valid any more")


def _redeem(store: Store, body: dict[str, Any]) -> tuple[Response, int] | Response:
    online = store.codes.pop(body.get("code", ""), None)
    if online is None:
        return _refuse("invalid_request", "The authorization code was not found or was already used")
    return _answer(_acquire(store, expiring=_is_expiring(body), online=online), store)


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
    """The page on which a store's owner grants access (GET), and the way back to the app (POST). Who has granted all of it before is
    sent back at once.

    The store is that of `Host`, or of `shop`, since a browser on this machine cannot reach `*.myshopify.com`. With managed install the
    configuration's scopes are granted, whatever `scope` says: what Shopify does with another list then is not documented. With
    `use_legacy_install_flow` it is `scope` that is asked for and granted. Who declines stays in the admin; the app hears nothing.
    """
    world: World = current_app.extensions["devshop"]
    with world.lock:
        store = _store_asked(world)
        if store is None or request.values.get("client_id") != world.client_id:
            return Response("Oauth error invalid_request: no such store or app", 400, mimetype="text/plain")
        if request.values.get("redirect_uri") not in (world.config.redirect_urls if world.config else []):
            words = "Oauth error invalid_request: The redirect_uri is not whitelisted"
            return Response(words, 400, mimetype="text/plain")
        scopes = _scopes_asked(world)
        if request.method == "GET" and not (store.is_installed and set(scopes) <= set(store.granted)):
            return _ask(store, scopes)
        if request.method == "POST" and request.form.get("decision") != "accept":
            return redirect(f"/store/{store.handle}", 303)
        if request.method == "POST":
            accept(store, scopes, request.form.getlist("optional"))
        return redirect(_way_back(store), 303)


def _store_asked(world: World) -> Store | None:
    return world.stores.get(request.host.split(":")[0]) or world.stores.get(request.values.get("shop", ""))


def _scopes_asked(world: World) -> tuple[str, ...]:
    if world.config and world.config.asks_by_address:
        return tuple(scope for scope in re.split(r"[,\s]+", request.args.get("scope", "")) if scope)
    return tuple(world.config.scopes if world.config else ())


def _ask(store: Store, scopes: tuple[str, ...]) -> str:
    """The grant page, with a tick for each optional scope that the address asks for."""
    known = store.world.config.optional_scopes if store.world.config else []
    wanted = [scope for scope in re.split(r"[,\s]+", request.args.get("optional_scopes", "")) if scope in known]
    action = f"?{request.query_string.decode()}"
    return render_template(
        "grant.html", store=store, access=in_words(store, scopes), optional=in_words(store, wanted), action=action
    )


def _way_back(store: Store) -> str:
    code = uuid.uuid4().hex
    store.codes[code] = "per-user" in request.args.getlist("grant_options[]")
    fields = {"code": code, "host": host_parameter(store), "shop": store.domain, "timestamp": str(int(time.time()))}
    if "state" in request.args:
        fields["state"] = request.args["state"]
    query = urlencode({**fields, "hmac": sign_query(store.world, fields)})
    return f"{request.args['redirect_uri']}?{query}"


@blueprint.route("/admin/oauth/install", methods=["GET", "POST"])
def install_link() -> Any:
    """Shopify's install address: the app's page in the admin, which asks before it installs. Optional scopes are asked for here; an address
    without a store leads to a choice of stores, as Shopify's own does for who is signed in to several."""
    world: World = current_app.extensions["devshop"]
    with world.lock:
        store = _store_asked(world)
        if request.args.get("client_id") != world.client_id or (store is None and request.values.get("shop")):
            return Response("Oauth error invalid_request: no such store or app", 400, mimetype="text/plain")
        if store is None:
            return render_template("choose.html", store=None, query=request.args.to_dict())
        page = f"/store/{store.handle}/apps/{world.config.handle if world.config else 'app'}"
        scopes = tuple(world.config.scopes if world.config else ())
        if request.method == "POST":
            if request.form.get("decision") != "accept":
                return redirect(f"/store/{store.handle}", 303)
            accept(store, scopes, request.form.getlist("optional"))
            return redirect(page, 303)
        return _ask(store, scopes) if request.args.get("optional_scopes") else redirect(page, 303)


def asked_access(store: Store) -> list[tuple[str, str, bool]]:
    """What the app asks for: each scope in words, its name, and whether it was granted."""
    return in_words(store, store.world.config.scopes if store.world.config else [])


def in_words(store: Store, scopes: Iterable[str]) -> list[tuple[str, str, bool]]:
    """Each scope in words, its name, and whether the store granted it."""
    return [(_in_words(scope), scope, scope in store.granted) for scope in scopes]


def needs_grant(store: Store) -> bool:
    """Whether the owner must say yes before the app opens: it is not installed, or it asks for more than was granted."""
    config = store.world.config
    return not store.is_installed or not set(config.scopes if config else []).issubset(store.granted)


def _in_words(scope: str) -> str:
    verb, _, subject = scope.partition("_")
    return f"{'View' if verb == 'read' else 'View and edit'} {subject.replace('_', ' ')}"


def host_parameter(store: Store) -> str:
    """The `host` parameter: base64 of the admin's address of the store."""
    return base64.b64encode(f"admin.shopify.com/store/{store.handle}".encode()).decode().rstrip("=")


def sign_query(world: World, fields: dict[str, str]) -> str:
    """The `hmac` of a query: its fields sorted and form-encoded, HMAC-SHA256 with the secret, hex."""
    message = urlencode(sorted(fields.items()))
    return hmac.new(world.client_secret.encode(), message.encode(), hashlib.sha256).hexdigest()


def launch_query(store: Store, more: dict[str, str] | None = None) -> dict[str, str]:
    """What the admin adds to the app's address on the first load, `more` included, all of it signed."""
    fields = {
        **(more or {}),
        "embedded": "1",
        "host": host_parameter(store),
        "locale": "en-GB",
        "session": hashlib.sha256(store.domain.encode()).hexdigest(),
        "shop": store.domain,
        "timestamp": str(int(time.time())),
        "id_token": make_id_token(store),
    }
    return {**fields, "hmac": sign_query(store.world, fields)}
