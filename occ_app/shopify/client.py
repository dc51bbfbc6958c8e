"""The Admin API of one shop: GraphQL operations by name, paced by what the bucket holds, retried where that is safe.

Source: Shopify, "GraphQL Admin API rate limits" (extensions.cost.throttleStatus), "Response status and error codes".
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import httpx2

from occ_app.config import API_VERSION
from occ_app.shopify.errors import (
    NoAnswerError,
    RetiredVersionError,
    ShopifyAccessError,
    ShopifyError,
    ShopifyRefusedError,
    ShopifyUnavailableError,
)

TRIES = 6
LONGEST_WAIT = 30.0
_FOLDER = Path(__file__).parent / "operations"


@dataclass
class Bucket:
    """What Shopify last said of a shop's points: `available` of `maximum`, `restore_rate` points a second."""

    available: float = 1000.0
    maximum: float = 1000.0
    restore_rate: float = 50.0
    at: float = field(default_factory=time.monotonic)
    costs: dict[str, float] = field(default_factory=dict)  # last requested cost by operation

    def wait_for(self, operation: str) -> float:
        """Seconds until the bucket holds what `operation` asked for last time."""
        now_there = min(self.maximum, self.available + (time.monotonic() - self.at) * self.restore_rate)
        missing = min(self.costs.get(operation, 0.0), self.maximum) - now_there
        return max(0.0, missing / self.restore_rate)

    def learn(self, operation: str, cost: dict[str, Any]) -> None:
        """Take in the `extensions.cost` of an answer."""
        self.costs[operation] = float(cost.get("requestedQueryCost") or 0)
        status = cost.get("throttleStatus") or {}
        if status:
            self.maximum = float(status["maximumAvailable"])
            self.available = float(status["currentlyAvailable"])
            self.restore_rate = max(1.0, float(status["restoreRate"]))
            self.at = time.monotonic()


@dataclass(frozen=True)
class Answer:
    """A good answer: `data`, Shopify's clock (`at`, aware, whole seconds), the points it cost and the API version that answered, if said."""

    data: dict[str, Any]
    at: datetime
    points: int
    version: str | None = None


_buckets: dict[str, Bucket] = {}
_buckets_lock = Lock()


def bucket_of(domain: str) -> Bucket:
    """The bucket of a shop as this process knows it."""
    with _buckets_lock:
        return _buckets.setdefault(domain, Bucket())


@cache
def operation_text(name: str) -> str:
    """The text of `operations/<name>.graphql`."""
    return (_FOLDER / f"{name}.graphql").read_text(encoding="utf-8")


class Client:
    """The Admin API of one shop. `token(force)` gives the access token; with `force` a renewed one. Not shared between shops."""

    def __init__(
        self,
        domain: str,
        token: Callable[[bool], str],
        http: httpx2.Client,
        sleep: Callable[[float], None] | None = None,
        tries: int = TRIES,
    ) -> None:
        self.domain = domain
        self.tries = tries
        self.calls = 0
        self.points = 0
        self._token = token
        self._http = http
        self._sleep = sleep or time.sleep

    def query(self, name: str, variables: dict[str, Any]) -> Answer:
        """The answer to a query. Waits and tries again where Shopify is busy; raises ShopifyError when that does not help."""
        for attempt in range(1, self.tries + 1):
            try:
                return self._once(name, variables)
            except RetiredVersionError:
                raise
            except ShopifyUnavailableError as error:
                if attempt == self.tries:
                    raise
                self._sleep(_pause(attempt, error.wait_seconds))
        raise AssertionError("the loop returns or raises")

    def mutate(self, name: str, variables: dict[str, Any]) -> Answer:
        """The answer to a mutation. Tried again only where Shopify said that it did nothing (throttled, 429).

        Raises NoAnswerError where the outcome is unknown; the caller settles that with its mutation row.
        """
        for attempt in range(1, self.tries + 1):
            try:
                return self._once(name, variables, is_mutation=True)
            except (NoAnswerError, RetiredVersionError):
                raise
            except ShopifyUnavailableError as error:
                if attempt == self.tries:
                    raise
                self._sleep(_pause(attempt, error.wait_seconds))
        raise AssertionError("the loop returns or raises")

    def download_lines(self, url: str) -> httpx2.Response:
        """The result file of a bulk operation; its address is signed, so no token goes along."""
        try:
            return self._http.get(url).raise_for_status()
        except httpx2.HTTPError as error:
            raise ShopifyUnavailableError("The result of the bulk operation could not be fetched.") from error

    def _once(self, name: str, variables: dict[str, Any], is_mutation: bool = False) -> Answer:
        bucket = bucket_of(self.domain)
        self._sleep(min(bucket.wait_for(name), LONGEST_WAIT))
        response = self._send(name, variables, is_mutation, self._token(False))
        if response.status_code == 401:
            response = self._send(name, variables, is_mutation, self._token(True))
        if response.status_code == 404 and self._is_known():
            raise RetiredVersionError(f"Shopify no longer serves API version {API_VERSION}.", **_seen(response))
        body = _body(response, is_mutation)
        cost = (body.get("extensions") or {}).get("cost") or {}
        bucket.learn(name, cost)
        self.points += int(cost.get("actualQueryCost") or 0)
        _raise_for_errors(name, body, bucket, is_mutation)
        points = int(cost.get("actualQueryCost") or 0)
        return Answer(body["data"], _shopifys_clock(response), points, response.headers.get("X-Shopify-API-Version"))

    def _is_known(self) -> bool:
        """Whether a 404 is about the API version and not about the store. The token endpoint has no version: only a store that is gone
        is not found there. It is asked with nothing in hand, so it can do nothing but refuse.
        """
        try:
            answer = self._http.post(f"https://{self.domain}/admin/oauth/access_token", json={})
        except httpx2.HTTPError as error:
            raise ShopifyUnavailableError("Shopify could not be reached.") from error
        return answer.status_code != 404

    def _send(self, name: str, variables: dict[str, Any], is_mutation: bool, token: str) -> httpx2.Response:
        self.calls += 1
        try:
            return self._http.post(
                f"https://{self.domain}/admin/api/{API_VERSION}/graphql.json",
                json={"query": operation_text(name), "variables": variables},
                headers={"X-Shopify-Access-Token": token},
            )
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            raise ShopifyUnavailableError("Shopify could not be reached.", operation=name) from error
        except httpx2.HTTPError as error:
            kind = NoAnswerError if is_mutation else ShopifyUnavailableError
            raise kind("Shopify did not answer in time.", operation=name) from error


def _body(response: httpx2.Response, is_mutation: bool) -> dict[str, Any]:
    status = response.status_code
    if status in (401, 402, 403, 423):
        raise ShopifyAccessError(f"Shopify refused our access ({status}).", **_seen(response))
    if status == 404:
        raise ShopifyAccessError("Shopify no longer knows this store (404).", **_seen(response))
    if status == 429:
        words = "Shopify asks us to slow down (429)."
        raise ShopifyUnavailableError(words, _retry_after(response), status=status, throttled=True)
    if status >= 500:
        kind = NoAnswerError if is_mutation else ShopifyUnavailableError
        raise kind(f"Shopify had a fault of its own ({status}).", status=status)
    try:
        body = response.json()
    except ValueError as error:
        kind = NoAnswerError if is_mutation else ShopifyUnavailableError
        raise kind("Shopify's answer could not be read.", status=status) from error
    if status != 200 or not isinstance(body, dict):
        raise ShopifyRefusedError(f"Shopify refused the request ({status}).", status=status)
    return body


def _raise_for_errors(name: str, body: dict[str, Any], bucket: Bucket, is_mutation: bool) -> None:
    errors = body.get("errors")
    if not errors:
        return
    if not isinstance(errors, list):
        raise ShopifyRefusedError(f"Shopify refused {name}: {errors}")
    codes = {(error.get("extensions") or {}).get("code") for error in errors}
    words = "; ".join(str(error.get("message")) for error in errors)[:500]
    if "THROTTLED" in codes:
        words = "The shop's points are used up for the moment."
        raise ShopifyUnavailableError(words, bucket.wait_for(name), throttled=True)
    if "INTERNAL_SERVER_ERROR" in codes:
        kind: type[ShopifyError] = NoAnswerError if is_mutation else ShopifyUnavailableError
        raise kind("Shopify had a fault of its own.", operation=name)
    if "ACCESS_DENIED" in codes:
        raise ShopifyAccessError(f"Shopify denies access for {name}: {words}", operation=name)
    raise ShopifyRefusedError(f"Shopify refused {name}: {words}", errors=errors)


def _seen(response: httpx2.Response) -> dict[str, Any]:
    """What a refusal tells besides: its status and Shopify's clock."""
    return {"status": response.status_code, "at": _shopifys_clock(response)}


def _shopifys_clock(response: httpx2.Response) -> datetime:
    header = response.headers.get("Date")
    return parsedate_to_datetime(header).astimezone(UTC) if header else datetime.now(UTC)


def _retry_after(response: httpx2.Response) -> float:
    try:
        return float(response.headers.get("Retry-After", "2"))
    except ValueError:
        return 2.0


def _pause(attempt: int, asked_for: float) -> float:
    """Exponential with full jitter, never shorter than what was asked for, never beyond LONGEST_WAIT.

    Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    jitter = random.uniform(0, min(LONGEST_WAIT, 0.25 * 2**attempt))  # noqa: S311 - no secret depends on it
    return min(LONGEST_WAIT, max(asked_for, jitter))
