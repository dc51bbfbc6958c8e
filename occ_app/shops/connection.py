"""The way to a shop's Shopify: its tokens, stored before use, renewed one at a time, and the client that carries them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import httpx2
from sqlalchemy import select
from sqlalchemy.orm import Session

from occ_app import clock
from occ_app.config import Config
from occ_app.extensions import db
from occ_app.shopify.client import Client
from occ_app.shopify.errors import ShopifyAccessError
from occ_app.shopify.tokens import TokenEndpoint, Tokens
from occ_app.shopify.transport import make_http, make_transport
from occ_app.shops.models import ACTIVE, NEEDS_RECONNECTING, Shop, ShopToken
from occ_app.shops.secrets import seal, unseal

EARLY = timedelta(minutes=5)


@dataclass(frozen=True)
class Connections:
    """What a process needs to reach any shop: its settings and one pooled transport."""

    config: Config
    transport: httpx2.BaseTransport
    http: httpx2.Client

    @classmethod
    def make(cls, config: Config, transport: httpx2.BaseTransport | None = None) -> Connections:
        """Connections on a new transport, or on the one given."""
        transport = transport or make_transport(config.standin_url)
        return cls(config, transport, make_http(transport))

    def client(self, shop: Shop) -> Client:
        """A client for that shop. It renews the token when need be, and marks the shop when Shopify refuses it for good."""
        shop_id, domain = shop.id, shop.domain
        return Client(domain, lambda force: self.access_token(shop_id, domain, force=force), self.http)

    def looking_client(self, shop: Shop) -> Client:
        """A client that changes nothing here: it has the token as it is kept, neither renews it nor marks the shop, and does not wait.

        Raises NotConfiguredError where the token cannot be read, ShopifyAccessError where there is none.
        """
        token = db.session.get(ShopToken, shop.id)
        if token is None:
            raise ShopifyAccessError("This store has not given us access.")
        kept = self._open(token)
        return Client(shop.domain, lambda force: kept, self.http, sleep=lambda seconds: None, tries=1)

    def endpoint(self, domain: str) -> TokenEndpoint:
        """The token endpoint of a shop."""
        return TokenEndpoint(domain, self.config.api_key, self.config.api_secret, self.transport)

    def access_token(self, shop_id: int, domain: str, *, force: bool = False, stale: timedelta = EARLY) -> str:
        """An access token that is good for some minutes more. With `force` a renewed one, unless another has just renewed it.

        Runs in a transaction of its own that locks the token's row: one refresh at a time, stored before it is used.
        Raises ShopifyAccessError where the shop has none or Shopify refuses to renew it; the shop then needs reconnecting.
        """
        seen = None
        with Session(db.engine) as session:
            token = session.get(ShopToken, shop_id)
            if token is None:
                raise ShopifyAccessError("This store has not given us access. Open the app in its Shopify admin once.")
            seen = token.refreshed_at
            if not force and not self._is_stale(token, stale):
                return self._open(token)
        with Session(db.engine) as session, session.begin():
            token = session.scalars(select(ShopToken).where(ShopToken.shop_id == shop_id).with_for_update()).one()
            renewed_meanwhile = token.refreshed_at != seen
            if renewed_meanwhile or (not force and not self._is_stale(token, stale)):
                return self._open(token)
            return self._refresh(session, token, domain)

    def store(self, session: Session, shop_id: int, tokens: Tokens, at: datetime) -> None:
        """The shop's token row holds `tokens`, sealed with the present key. The caller commits."""
        token = session.scalars(select(ShopToken).where(ShopToken.shop_id == shop_id).with_for_update()).one_or_none()
        if token is None:
            token = ShopToken(shop_id=shop_id)
            session.add(token)
        keys = self.config.token_encryption_keys
        token.access_token = seal(keys, tokens.access_token, _place(shop_id, "access_token"))
        token.refresh_token = (
            seal(keys, tokens.refresh_token, _place(shop_id, "refresh_token")) if tokens.refresh_token else None
        )
        token.scopes = tokens.scopes
        token.access_expires_at = tokens.access_expires_at
        token.refresh_expires_at = tokens.refresh_expires_at
        token.refreshed_at = at

    def _is_stale(self, token: ShopToken, stale: timedelta) -> bool:
        return token.access_expires_at is not None and token.access_expires_at - stale <= clock.now()

    def _open(self, token: ShopToken) -> str:
        keys = self.config.token_encryption_keys
        return unseal(keys, token.access_token, _place(token.shop_id, "access_token"))

    def _refresh(self, session: Session, token: ShopToken, domain: str) -> str:
        shop_id = token.shop_id
        if token.refresh_token is None:
            _needs_reconnecting(shop_id, "Shopify refused our access, and there is nothing to renew it with.")
            raise ShopifyAccessError("Shopify refused our access. Open the app in the Shopify admin to reconnect.")
        keys = self.config.token_encryption_keys
        refresh_token = unseal(keys, token.refresh_token, _place(shop_id, "refresh_token"))
        try:
            tokens = self.endpoint(domain).refresh(refresh_token, clock.now())
        except ShopifyAccessError:
            _needs_reconnecting(shop_id, "Shopify refused to renew our access.")
            raise
        self.store(session, shop_id, tokens, clock.now())
        return tokens.access_token


def _needs_reconnecting(shop_id: int, reason: str) -> None:
    """The shop's work stops until somebody opens the app in its admin again. In a transaction of its own: it must outlive an error."""
    with Session(db.engine) as session, session.begin():
        shop = session.get(Shop, shop_id, with_for_update={"key_share": True, "skip_locked": True})
        if shop is not None and shop.status == ACTIVE:
            shop.status, shop.status_reason = NEEDS_RECONNECTING, reason


def _place(shop_id: int, column: str) -> str:
    return f"shop_token:{shop_id}:{column}"
