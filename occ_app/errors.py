"""Errors, named by what follows from them.

    OccError
    ├── RuleError            a rule says no: 422 / exit 1, with a sentence that says what to do; `field` ties it to an input
    │   ├── BadFileError     a file has bad lines: nothing was taken; `lines` names each
    │   └── DoubtError       it is possible and looks like a slip: asked once, done when confirmed
    ├── NotFoundError        no such row in this shop: 404 / exit 1
    ├── NotConfiguredError   a setting is missing or wrong: the program does not start
    └── ShopifyError         (occ_app.shopify.errors)
        ├── ShopifyUnavailableError   wait and try again, bounded
        ├── ShopifyRefusedError       parked, on the desk, with cause and remedy
        └── ShopifyAccessError        the shop is paused until it is connected again

Anything else is a bug: it is logged and parked, and the loop goes on.
"""

from __future__ import annotations

from dataclasses import dataclass


class OccError(Exception):
    """The root of all errors that the app itself raises."""


class RuleError(OccError):
    """A rule says no. The message is a sentence for the merchant; `field` names the input that it belongs to, if one does."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class BadLine:
    """One line of a file that was refused. `number` counts from 1, the header being line 1."""

    number: int
    reason: str


class BadFileError(RuleError):
    """A file was refused whole; `lines` names every bad line with its reason."""

    def __init__(self, lines: list[BadLine]) -> None:
        super().__init__("\n".join(f"Line {line.number}: {line.reason}" for line in lines))
        self.lines = lines


class DoubtError(RuleError):
    """What is asked for is possible and looks like a slip. The message says what is odd; nothing was done until it is confirmed."""


class NotFoundError(OccError):
    """There is no such row in this shop."""


class OutsideError(OccError):
    """Somebody outside did not do what was asked. The message is a sentence for the merchant."""


class NotConfiguredError(OccError):
    """A setting is missing or cannot be used; the message names it and says what to do."""
