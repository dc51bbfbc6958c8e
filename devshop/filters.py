"""The `filter` of a webhook subscription: Shopify's search syntax, decided on the payload at delivery time.

A subset: `field:value`, `field:"two words"`, `field:*` (has a value), `field:>n` (`>=`, `<`, `<=`), `AND` (also by a space), `OR`, `-` or
`NOT` in front, parentheses, and a period to go down; of an array any element may match. Equality is exact and minds the case.
Source: Shopify, "Filter webhooks": a field that is not in the payload, or a value of the wrong type, is accepted and then keeps back
every delivery; bad syntax refuses the subscription.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any

from devshop.world import DevshopError

Test = Callable[[dict[str, Any]], bool]
_TOKEN = re.compile(
    r'\s*(?:(?P<mark>[()]|-(?=[\w(]))|(?P<term>[\w.]+:(?:[<>]=?)?(?:"[^"]*"|[^\s()"]+))|(?P<word>AND|OR|NOT)\b)'
)
_TERM = re.compile(r'(?P<path>[\w.]+):(?P<sign>[<>]=?)?(?:"(?P<quoted>[^"]*)"|(?P<bare>.+))', re.DOTALL)
_COMPARE: dict[str, Callable[[Decimal, Decimal], bool]] = {
    ">": lambda there, asked: there > asked,
    ">=": lambda there, asked: there >= asked,
    "<": lambda there, asked: there < asked,
    "<=": lambda there, asked: there <= asked,
}


class _NeverMatchesError(Exception):
    """The filter names what the payload does not have: nothing is ever delivered."""


def check(text: str | None) -> None:
    """The filter can be read. Raises DevshopError where it cannot."""
    if text:
        _read(text)


def matches(text: str | None, payload: dict[str, Any]) -> bool:
    """Whether a payload goes to a subscription with this filter."""
    if not text:
        return True
    try:
        return _read(text)(payload)
    except _NeverMatchesError:
        return False


@cache
def _read(text: str) -> Test:
    tokens = _tokens(text)
    test = _either(tokens)
    if tokens:
        raise DevshopError(f"the filter {text!r} cannot be read at {tokens[0]!r}")
    return test


def _tokens(text: str) -> list[str]:
    found, at = [], 0
    while text[at:].strip():
        token = _TOKEN.match(text, at)
        if token is None:
            raise DevshopError(
                f"the filter {text!r} cannot be read at {text[at:].strip()!r}; name the field: field:value"
            )
        found.append(token.group().strip())
        at = token.end()
    return found


def _either(tokens: list[str]) -> Test:
    tests = [_all(tokens)]
    while tokens and tokens[0] == "OR":
        tokens.pop(0)
        tests.append(_all(tokens))
    # Lists, not generators, here and below: each side is looked at, since an unknown field anywhere keeps everything back.
    return lambda payload: True in [test(payload) for test in tests]


def _all(tokens: list[str]) -> Test:
    tests = [_one(tokens)]
    while tokens and tokens[0] not in ("OR", ")"):
        if tokens[0] == "AND":
            tokens.pop(0)
        tests.append(_one(tokens))
    return lambda payload: False not in [test(payload) for test in tests]


def _one(tokens: list[str]) -> Test:
    if not tokens or tokens[0] in ("AND", "OR", ")"):
        raise DevshopError(f"the filter lacks a term before {tokens[0] if tokens else 'its end'!r}")
    first = tokens.pop(0)
    if first in ("-", "NOT"):
        test = _one(tokens)
        return lambda payload: not test(payload)
    if first != "(":
        return _term(first)
    test = _either(tokens)
    if not tokens or tokens.pop(0) != ")":
        raise DevshopError("the filter lacks a closing parenthesis")
    return test


def _term(token: str) -> Test:
    found = _TERM.fullmatch(token)
    assert found is not None
    path, sign, bare = found["path"].split("."), found["sign"], found["bare"]
    asked = bare if bare is not None else found["quoted"]
    if bare == "*" and not sign:
        return lambda payload: any(value is not None for value in _values(payload, path))
    if sign:
        return lambda payload: (
            True in [_COMPARE[sign](_number(value), _number(asked)) for value in _values(payload, path)]
        )
    return lambda payload: True in [_equals(value, asked) for value in _values(payload, path)]


def _values(value: Any, path: list[str]) -> list[Any]:
    """What stands at the path: none below a null or an empty array."""
    if isinstance(value, list):
        return [found for one in value for found in _values(one, path)]
    if not path:
        return [] if value is None else [value]
    if value is None:
        return []
    if not isinstance(value, dict) or path[0] not in value:
        raise _NeverMatchesError(path[0])
    return _values(value[path[0]], path[1:])


def _equals(value: Any, asked: str) -> bool:
    if isinstance(value, bool):
        if asked not in ("true", "false"):
            raise _NeverMatchesError(asked)
        return value == (asked == "true")
    if isinstance(value, (int, float)):
        return _number(value) == _number(asked)
    return value == asked


def _number(value: Any) -> Decimal:
    try:
        return Decimal(str(value))
    except InvalidOperation as error:
        raise _NeverMatchesError(value) from error
