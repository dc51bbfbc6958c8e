"""Pictures that devshop draws and serves: a bag with a label, its colours from a name. Small, made once, of the standard library alone.

Shopify copies a picture that an app names to its own address. devshop fetches nothing: of its own pictures it keeps the address, and of any
other it draws one of its own.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from functools import lru_cache
from urllib.parse import quote, urlsplit

from flask import Blueprint, Response

blueprint = Blueprint("pictures", __name__)
PATH = "/_devshop/pictures/"
SIDE = 240


def address(base: str, name: str) -> str:
    """Where the picture of that name stands."""
    return f"{base}{PATH}{quote(name, safe='')}.png"


def taken_over(base: str, source: str) -> str | None:
    """The address that a picture from `source` has with us; None where the source is no address of a picture."""
    parts = urlsplit(source)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    if parts.path.startswith(PATH):
        return f"{base}{parts.path}"
    return address(base, hashlib.sha256(source.encode()).hexdigest()[:16])


@blueprint.get(f"{PATH}<name>.png")
def picture(name: str) -> Response:
    """The picture of that name."""
    answer = Response(draw(name), mimetype="image/png")
    answer.headers["Cache-Control"] = "public, max-age=86400"
    answer.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return answer


@lru_cache(maxsize=512)
def draw(name: str) -> bytes:
    """A PNG: a bag in one colour, a label in another, a dot on it."""
    seed = hashlib.sha256(name.encode()).digest()
    ground, bag, label, dot = (244, 240, 234), _dark(seed[0:3]), _light(seed[3:6]), _dark(seed[6:9])
    rows = bytearray()
    for y in range(SIDE):
        rows += b"\0"
        rows += _row(y, ground, bag, label, dot)
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _part(b"IHDR", header)
        + _part(b"IDAT", zlib.compress(bytes(rows), 6))
        + _part(b"IEND", b"")
    )


Colour = tuple[int, int, int]


def _row(y: int, ground: Colour, bag: Colour, label: Colour, dot: Colour) -> bytes:
    left = 60 if 24 <= y < 222 else SIDE // 2  # the bag stands between 24 and 222, its fold a little narrower
    left += 10 if 24 <= y < 44 else 0
    spans: list[tuple[int, Colour]] = [(left, ground)]
    inside = SIDE - 2 * left
    if 100 <= y < 186:
        half = int(max(0, 26**2 - (y - 143) ** 2) ** 0.5)
        edge = (inside - 96) // 2
        spans += [(edge, bag), (48 - half, label), (2 * half, dot), (48 - half, label), (inside - 96 - edge, bag)]
    else:
        spans.append((inside, _shade(bag) if 40 <= y < 44 else bag))
    spans.append((left, ground))
    return b"".join(bytes(colour) * length for length, colour in spans)


def _dark(seed: bytes) -> Colour:
    return (40 + seed[0] % 110, 36 + seed[1] % 90, 32 + seed[2] % 90)


def _light(seed: bytes) -> Colour:
    return (205 + seed[0] % 50, 195 + seed[1] % 55, 180 + seed[2] % 65)


def _shade(colour: Colour) -> Colour:
    return (colour[0] * 3 // 4, colour[1] * 3 // 4, colour[2] * 3 // 4)


def _part(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
