"""Access tokens from Shopify: token exchange, code grant and refresh, all through Authlib.

Source: Shopify, "Exchange an ID token for an access token", "Offline access tokens" (expiring=1, refresh_token grant).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx2
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import OAuth2Client

from occ_app.shopify.errors import InvalidIdTokenError, ShopifyAccessError, ShopifyUnavailableError
from occ_app.shopify.transport import TIMEOUT

TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - the grant's name
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105
# Errors that trying again does not mend. Source: RFC 6749, 5.2.
FINAL = (
    "invalid_grant",
    "invalid_client",
    "invalid_request",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
)
OFFLINE = "urn:shopify:params:oauth:token-type:offline-access-token"


@dataclass(frozen=True, repr=False)
class Tokens:
    """An offline access token and what renews it. `repr` shows none of it."""

    access_token: str
    refresh_token: str | None
    scopes: str
    access_expires_at: datetime | None
    refresh_expires_at: datetime | None

    def __repr__(self) -> str:
        return f"<Tokens until {self.access_expires_at}>"


class TokenEndpoint:
    """The token endpoint of one shop, for one app. Short-lived: made for a call and dropped."""

    def __init__(self, domain: str, client_id: str, client_secret: str, transport: httpx2.BaseTransport) -> None:
        self._url = f"https://{domain}/admin/oauth/access_token"
        self._client = OAuth2Client(
            client_id,
            client_secret,
            token_endpoint_auth_method="client_secret_post",  # noqa: S106 - the name of a way
            transport=transport,
            timeout=TIMEOUT,
        )

    def exchange(self, id_token: str, at: datetime) -> Tokens:
        """Expiring offline tokens for an ID token. Raises InvalidIdTokenError where Shopify refuses the ID token."""
        return self._ask(
            at,
            lambda: self._client.fetch_token(
                self._url,
                grant_type=TOKEN_EXCHANGE,
                subject_token=id_token,
                subject_token_type=ID_TOKEN,
                requested_token_type=OFFLINE,
                expiring="1",
            ),
        )

    def redeem(self, code: str, at: datetime) -> Tokens:
        """Expiring offline tokens for the code of an authorization grant; it is good once. Raises ShopifyAccessError."""
        return self._ask(at, lambda: self._client.fetch_token(self._url, code=code, expiring="1"))

    def refresh(self, refresh_token: str, at: datetime) -> Tokens:
        """A new pair for a refresh token; the old one dies when the new one is first used. Raises ShopifyAccessError."""
        return self._ask(at, lambda: self._client.refresh_token(self._url, refresh_token=refresh_token))

    def _ask(self, at: datetime, call: Any) -> Tokens:
        try:
            return _tokens(call(), at)
        except OAuthError as error:
            if error.error == "invalid_subject_token":
                raise InvalidIdTokenError("Shopify refused the ID token.") from error
            if error.error in FINAL:
                raise ShopifyAccessError(f"Shopify gave no token: {error.error}.", error=error.error) from error
            raise ShopifyUnavailableError(f"Shopify gave no token: {error.error}.") from error
        except httpx2.HTTPStatusError as error:
            status = error.response.status_code
            if status in (401, 403):
                raise ShopifyAccessError(f"Shopify gave no token ({status}).", status=status) from error
            raise ShopifyUnavailableError(f"Shopify gave no token ({status}).", status=status) from error
        except (httpx2.HTTPError, ValueError) as error:
            raise ShopifyUnavailableError("Shopify could not be reached for a token.") from error


def _tokens(answer: dict[str, Any], at: datetime) -> Tokens:
    if not answer.get("access_token"):
        raise ShopifyUnavailableError("Shopify's answer held no token.")
    return Tokens(
        access_token=answer["access_token"],
        refresh_token=answer.get("refresh_token"),
        scopes=answer.get("scope") or "",
        access_expires_at=_after(at, answer.get("expires_in")),
        refresh_expires_at=_after(at, answer.get("refresh_token_expires_in")),
    )


def _after(at: datetime, seconds: int | str | None) -> datetime | None:
    return at + timedelta(seconds=int(seconds)) if seconds else None
