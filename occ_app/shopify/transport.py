"""The one HTTP transport to Shopify: pooled, with timeouts; with a stand-in set, requests to shops go there instead.

Source: contract "With SHOPIFY_STANDIN_URL every request to https://<shop>.myshopify.com/<path> goes to <stand-in>/<path> with the
shop's name in Host".
"""

from __future__ import annotations

import httpx2

TIMEOUT = httpx2.Timeout(20.0, connect=5.0)
LIMITS = httpx2.Limits(max_connections=64, max_keepalive_connections=16)


class StandinTransport(httpx2.BaseTransport):
    """Sends what is meant for `*.myshopify.com` to `standin_url`, keeping the shop's name in `Host`."""

    def __init__(self, standin_url: str, inner: httpx2.BaseTransport) -> None:
        self._standin = httpx2.URL(standin_url)
        self._inner = inner

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        host = request.url.host
        if host.endswith(".myshopify.com"):
            request.url = request.url.copy_with(
                scheme=self._standin.scheme, host=self._standin.host, port=self._standin.port
            )
            request.headers["Host"] = host
        return self._inner.handle_request(request)

    def close(self) -> None:
        self._inner.close()


def make_transport(standin_url: str | None) -> httpx2.BaseTransport:
    """The transport of this process."""
    pooled = httpx2.HTTPTransport(limits=LIMITS, retries=0)
    return StandinTransport(standin_url, pooled) if standin_url else pooled


def make_http(transport: httpx2.BaseTransport) -> httpx2.Client:
    """A client on `transport` that follows no redirect: Shopify's API answers where it is asked."""
    return httpx2.Client(transport=transport, timeout=TIMEOUT, follow_redirects=False)
