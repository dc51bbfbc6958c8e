"""Requests to addresses that a merchant typed: only to the open internet, and to the very machine that was looked at.

The name is resolved once, every address it has must be public, and the connection goes to one of those, so that a name that changes its
mind between look and call leads nowhere. Redirects are not followed.
Source: OWASP, "Server-Side Request Forgery Prevention Cheat Sheet".
"""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import SplitResult, urlsplit

import httpx2

from occ_app.errors import RuleError

LONGEST = 500
TIMEOUT = httpx2.Timeout(10.0, connect=5.0)


class UnsafeError(Exception):
    """Nothing was sent, or no answer came; the message says why."""


def check(url: str, loopback_allowed: bool) -> SplitResult:
    """The address may be written to; its name as it is asked for (müller.example: xn--mller-kva.example). Raises RuleError.

    Names are resolved when something is sent, not here.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise RuleError("Give a whole address such as https://b2b.example.com/notices.", field="url") from error
    schemes = ("https", "http") if loopback_allowed else ("https",)
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or len(url) > LONGEST
        or not url.isprintable()
        or " " in url
    ):
        raise RuleError("Give a whole address such as https://b2b.example.com/notices.", field="url")
    if parts.username or parts.password or parts.fragment:
        raise RuleError("Leave out name, password and what follows #. Notices are signed instead.", field="url")
    if parts.scheme not in schemes:
        raise RuleError("Give an address that begins with https://, so that nobody reads along.", field="url")
    if port is not None and not (port in (80, 443) or port >= 1024):
        raise RuleError(f"Port {port} is not one that web servers use.", field="url")
    parts = _in_ascii(parts)
    host = parts.hostname or ""
    literal = _literal(host)
    if literal is not None and not _may(literal, loopback_allowed):
        raise RuleError("This address is inside a private network. Give one that is open to the internet.", field="url")
    is_local = host == "localhost" or host.endswith((".localhost", ".internal", ".local"))
    if is_local and not loopback_allowed:
        raise RuleError("This address is inside a private network. Give one that is open to the internet.", field="url")
    return parts


def post(url: str, body: bytes, headers: dict[str, str], *, loopback_allowed: bool = False) -> int:
    """The status that the other side answered. Raises UnsafeError."""
    try:
        parts = check(url, loopback_allowed)
    except RuleError as error:
        raise UnsafeError(str(error)) from error
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    address = _resolve(host, port, loopback_allowed)
    literal = f"[{address}]" if ":" in address else address
    target = parts._replace(netloc=f"{literal}:{port}").geturl()
    said_host = host if parts.port is None else f"{host}:{port}"
    try:
        with httpx2.Client(timeout=TIMEOUT, follow_redirects=False, trust_env=False) as client:
            request = client.build_request("POST", target, content=body, headers={**headers, "host": said_host})
            request.extensions["sni_hostname"] = host
            answer = client.send(request, stream=True)  # the status is all we want: what follows is not read
            answer.close()
            return answer.status_code
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise UnsafeError(f"No answer: {type(error).__name__}.") from error


def _in_ascii(parts: SplitResult) -> SplitResult:
    """The same with an international name as IDNA has it. Raises RuleError for one that no server can have."""
    host = parts.hostname or ""
    if host.isascii():
        return parts
    try:
        name = httpx2.URL(scheme=parts.scheme, host=host).raw_host.decode("ascii")
    except (httpx2.InvalidURL, UnicodeError) as error:
        raise RuleError(f"No server can have the name {host}. Look for a mistyped letter.", field="url") from error
    return parts._replace(netloc=name if parts.port is None else f"{name}:{parts.port}")


def _literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _may(address: ipaddress.IPv4Address | ipaddress.IPv6Address, loopback_allowed: bool) -> bool:
    mapped = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
    if mapped is not None:
        address = mapped
    return (address.is_loopback and loopback_allowed) or (address.is_global and not address.is_multicast)


def _resolve(host: str, port: int, loopback_allowed: bool) -> str:
    """One of the host's addresses, where all of them may be written to."""
    try:
        found = {info[4][0] for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError) as error:
        raise UnsafeError(f"The name {host} leads nowhere.") from error
    addresses = [ipaddress.ip_address(str(one).split("%")[0]) for one in found]
    if not addresses or not all(_may(address, loopback_allowed) for address in addresses):
        raise UnsafeError(f"The name {host} leads into a private network.")
    return str(sorted(addresses, key=lambda address: address.version)[0])
