"""What Shopify's answers mean for us.

ShopifyError
├── ShopifyUnavailableError   no answer, 429, 5xx, throttled, internal error: wait and try again, bounded
│   ├── NoAnswerError         a mutation went out and nothing came back: it may have been applied
│   └── RetiredVersionError   our API version is not served any more: nothing was done, the work waits for a newer hub or for Shopify
├── ShopifyAccessError        the token is refused or lacks a scope: the shop is paused until it is connected again
├── InvalidIdTokenError       the browser's ID token is not, or no longer, good: answer so that it fetches a new one
└── ShopifyRefusedError       the request itself is wrong: parked, on the desk, with the cause
"""

from __future__ import annotations

from typing import Any

from occ_app.errors import OutsideError


class ShopifyError(OutsideError):
    """Shopify did not do what was asked. `facts` carries what a person needs; never a token."""

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.facts = facts


class ShopifyUnavailableError(ShopifyError):
    """Shopify cannot answer now. `wait_seconds`: how long it said, or the bucket needs, to wait."""

    def __init__(self, message: str, wait_seconds: float = 1.0, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.wait_seconds = wait_seconds


class NoAnswerError(ShopifyUnavailableError):
    """A mutation was sent and no answer came: it may have been applied or not."""


class RetiredVersionError(ShopifyUnavailableError):
    """Shopify knows the store but not our API version. Trying again at once does not help; the next turn of the work tries."""


class ShopifyAccessError(ShopifyError):
    """The token was refused, or what was asked lies outside of its scopes."""


class InvalidIdTokenError(ShopifyError):
    """The ID token is missing, expired, foreign or tampered with."""


class ShopifyRefusedError(ShopifyError):
    """Shopify understood and said no. `errors` are its own words."""

    def __init__(self, message: str, errors: list[dict[str, Any]] | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.errors = errors or []
