"""Three coffee roasters to try partner stores with: 100 to 300 products each, with options, pictures, costs and stock, the same every time.

In each some SKUs are missing, one stands twice, one product is a bundle, one has no picture, one is a draft, one archived, one not tracked,
one sells on when it is out. Nobody is told while they are made, and none has the app.
"""

from __future__ import annotations

import itertools
import zlib
from dataclasses import dataclass
from typing import Any

from devshop import pictures, products
from devshop.world import Store, World


@dataclass(frozen=True)
class Roaster:
    """A store to be made."""

    domain: str
    name: str
    code: str  # begins its SKUs
    time_zone: str
    currency: str
    locations: tuple[str, ...]
    count: int  # of products
    dear: float  # its prices over the others'


ROASTERS = (
    Roaster(
        "harbour-roasters.myshopify.com",
        "Harbour Roasters",
        "HR",
        "Europe/London",
        "GBP",
        ("Roastery", "Harbour café"),
        180,
        1.0,
    ),
    Roaster(
        "nine-peaks-coffee.myshopify.com", "Nine Peaks Coffee", "NP", "Europe/Vienna", "EUR", ("Rösterei",), 300, 1.15
    ),
    Roaster(
        "mill-lane-roastery.myshopify.com",
        "Mill Lane Roastery",
        "ML",
        "America/New_York",
        "USD",
        ("Mill Lane",),
        100,
        1.3,
    ),
)
ORIGINS = (
    "Kenya",
    "Ethiopia",
    "Colombia",
    "Guatemala",
    "Rwanda",
    "Brazil",
    "Costa Rica",
    "Burundi",
    "Peru",
    "Honduras",
    "Panama",
    "Sumatra",
)
FARMS = (
    "High Meadow",
    "North Ridge",
    "Two Rivers",
    "Old Orchard",
    "Stone Gate",
    "Lake View",
    "East Valley",
    "Twin Springs",
    "Long Slope",
    "Red Earth",
)
PROCESSES = ("Washed", "Natural", "Honey", "Anaerobic")
NOTES = (
    "blackcurrant",
    "jasmine",
    "red apple",
    "cocoa",
    "orange",
    "hazelnut",
    "apricot",
    "caramel",
    "plum",
    "black tea",
)
GOODS = (
    ("Filter papers", "Equipment", ("Size", ("01", "02", "03")), 6),
    ("Ceramic dripper", "Equipment", ("Colour", ("White", "Red", "Black")), 24),
    ("Hand grinder", "Equipment", None, 89),
    ("Enamel mug", "Merchandise", ("Colour", ("Cream", "Green", "Blue", "Black")), 14),
    ("Cold brew bottle", "Equipment", ("Size", ("0.5 l", "1 l")), 27),
    ("House tea", "Tea", ("Kind", ("Earl Grey", "Mint", "Rooibos")), 9),
    ("Drinking chocolate", "Pantry", ("Size", ("250 g", "1 kg")), 11),
    ("Canvas bag", "Merchandise", None, 12),
)
SIZES = (("250 g", 1.0), ("500 g", 1.85), ("1 kg", 3.4))
GRINDS = ("Whole bean", "Filter", "Espresso")


def seed(world: World) -> list[Store]:
    """The three stores are there; one that is there already stays as it is."""
    return [world.stores.get(roaster.domain) or _open(world, roaster) for roaster in ROASTERS]


def _open(world: World, roaster: Roaster) -> Store:
    store = world.add_store(roaster.domain, roaster.name, "standard", roaster.time_zone, roaster.currency)
    for name in roaster.locations:
        store.add_location(name)
    with world.silence():
        for number, row in enumerate(_rows(roaster, world.url)):
            products.create(store, _odd(roaster, number, row))
    products.collection(store, "New this week", is_smart=True)
    return store


def _rows(roaster: Roaster, url: str) -> list[dict[str, Any]]:
    turn = _pick(len(ORIGINS), roaster.code)
    origins = ORIGINS[turn:] + ORIGINS[:turn]
    coffees = (_coffee(roaster, n, *names, url) for n, names in enumerate(itertools.product(PROCESSES, FARMS, origins)))
    goods = (_goods(roaster, n, url) for n in itertools.count())
    rows: list[dict[str, Any]] = []
    while len(rows) < roaster.count:
        rows += [next(goods)] if len(rows) % 8 == 7 else [next(coffees)]
    return rows


def _pick(limit: int, *key: object) -> int:
    """A number below `limit` that is the same every time."""
    return zlib.crc32("/".join(map(str, key)).encode()) % limit


def _coffee(roaster: Roaster, n: int, process: str, farm: str, origin: str, url: str) -> dict[str, Any]:
    title = f"{origin} {farm} {process}"
    note, other = NOTES[_pick(10, title)], NOTES[_pick(10, title, "other")]
    base = (8.5 + _pick(9, roaster.code, title) * 0.5) * roaster.dear
    sizes = SIZES[: 2 + _pick(2, title)]
    grinds = GRINDS if _pick(3, title, "ground") == 0 else GRINDS[:1]
    variants = [
        _variant(roaster, f"{roaster.code}-C{n:03}-{size.replace(' ', '')}-{grind[0]}", [size, grind], base * times)
        for size, times in sizes
        for grind in grinds
    ]
    return {
        "title": title,
        "vendor": roaster.name,
        "product_type": "Coffee",
        "tags": [origin, process, "filter" if _pick(2, title, "use") else "espresso"],
        "description_html": f"<p>{farm}, {origin}, {process.lower()}. Tastes of {note} and {other}.</p>",
        "images": [pictures.address(url, f"{roaster.code}-{origin}-{farm}-{process}")],
        "options": ["Size", "Grind"],
        "collections": ["Single origin"] + (["Naturals"] if process == "Natural" else []),
        "variants": variants,
    }


def _goods(roaster: Roaster, n: int, url: str) -> dict[str, Any]:
    name, kind, option, price = GOODS[n % len(GOODS)]
    title = name if n < len(GOODS) else f"{name} No. {n // len(GOODS) + 1}"
    values = option[1] if option else (products.DEFAULT_TITLE,)
    variants = [
        _variant(
            roaster, f"{roaster.code}-G{n:03}{'-' + value[:3].upper() if option else ''}", [value], price * roaster.dear
        )
        for value in values
    ]
    return {
        "title": title,
        "vendor": roaster.name if kind in ("Tea", "Merchandise") else "Brewline",
        "product_type": kind,
        "tags": [kind.lower()],
        "description_html": f"<p>{title}, for the counter at home.</p>",
        "images": [pictures.address(url, f"{roaster.code}-{title}")],
        "options": [option[0]] if option else ["Title"],
        "collections": [kind],
        "variants": variants,
    }


def _variant(roaster: Roaster, sku: str, values: list[str], price: float) -> dict[str, Any]:
    full = round(price * 2) / 2
    stock = {place: _pick(60, sku, place) if _pick(9, sku, place, "out") else 0 for place in roaster.locations}
    barcode = f"50{_pick(10**9, sku):09}0"
    cost = f"{full * (0.52 + _pick(12, sku) / 100):.2f}"
    return {"sku": sku, "barcode": barcode, "options": values, "price": f"{full:.2f}", "cost": cost, "available": stock}


def _odd(roaster: Roaster, number: int, row: dict[str, Any]) -> dict[str, Any]:
    """The row, spoilt where its number says so."""
    first = row["variants"][0]
    if number in (3, 21, 40):
        for variant in row["variants"]:
            variant["sku"] = ""
    if number == 5:
        first["sku"] = f"{roaster.code}-C000-250g-W"  # that of the first product
    if number == 9:
        row |= {"title": "Tasting set, three origins", "bundle": True, "options": ["Title"], "product_type": "Gift set"}
        row["variants"] = [
            {
                **first,
                "options": [products.DEFAULT_TITLE],
                "sku": f"{roaster.code}-SET3",
                "price": "29.00",
                "available": 0,
            }
        ]
    if number == 11:
        row["images"] = []
    if number == 12:
        row["status"] = "DRAFT"
    if number == 13:
        row["status"] = "ARCHIVED"
    if number == 14:
        first["tracked"] = False
    if number == 16:
        first["inventory_policy"] = "CONTINUE"
    if number == 18:
        first["compare_at_price"] = f"{float(first['price']) + 2:.2f}"
    return row
