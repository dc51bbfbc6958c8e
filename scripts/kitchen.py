"""The demo's kitchen: a chocolate maker's ingredients with lots, three formulas with a ganache inside, and runs. Needs the shop's items."""

from __future__ import annotations

import sys
from datetime import date, timedelta
from decimal import Decimal

from occ_app import clock, create_app
from occ_app.catalog import pull
from occ_app.catalog.models import Item, Location
from occ_app.extensions import db, shop_scope
from occ_app.production import completing, formulas, ingredients, runs, units
from occ_app.shops import install, settings

ACTOR = "demo"
# code, name, unit, cost, supplier, lead time in days, reorder at, allergens; then its lots: number, amount, days that it is good
LARDER = [
    (
        "COCOA-EC",
        "Cocoa mass, Ecuador",
        "kg",
        "14.20",
        "Finca Esperanza",
        21,
        "10",
        [],
        [("EC-2609", "18", 240), ("EC-2611", "25", 410)],
    ),
    ("COCOA-BTR", "Cocoa butter", "kg", "17.50", "Finca Esperanza", 21, "4", [], [("CB-114", "12", 300)]),
    ("SUGAR", "Cane sugar", "kg", "1.35", "Bristol Mills", 3, "10", [], [("S-0711", "40", 500)]),
    ("SEA-SALT", "Sea salt flakes", "g", "0.012", "Halen Coast", 5, "200", [], [("HC-88", "650", 900)]),
    (
        "HAZELNUT",
        "Hazelnuts, roasted",
        "kg",
        "11.90",
        "Piedmont Nuts",
        10,
        "3",
        ["nuts"],
        [("PN-31", "2.4", 45), ("PN-32", "4", 110)],
    ),
    ("MILK-POWDER", "Whole milk powder", "kg", "6.10", "Mendip Dairy", 4, "5", ["milk"], [("MD-702", "9", 160)]),
    (
        "CREAM",
        "Double cream",
        "l",
        "4.80",
        "Mendip Dairy",
        2,
        "2",
        ["milk"],
        [("MD-811", "3.5", 6), ("MD-815", "4", 13)],
    ),
    ("WRAP-80", "Bar wrapper, 80 g", "piece", "0.06", "Print & Fold", 12, "500", [], [("PF-9", "2400", 0)]),
    ("TRF-BOX-12", "Truffle box, 12", "piece", "0.42", "Print & Fold", 12, "100", [], [("PF-10", "260", 0)]),
    ("GANACHE-HZ", "Hazelnut ganache", "kg", "0", "", 1, "1", [], []),
]
FORMULAS = [
    ("GANACHE-HZ", "5", [("COCOA-EC", "2 kg", "1.5"), ("CREAM", "1.8 l", ""), ("HAZELNUT", "1.2 kg", "2")]),
    (
        "CB-TRF-HP-12",
        "20",
        [("GANACHE-HZ", "2.4 kg", "3"), ("COCOA-BTR", "200 g", ""), ("TRF-BOX-12", "20 piece", "1")],
    ),
    (
        "CB-BAR-SS70-80",
        "24",
        [
            ("COCOA-EC", "1040 g", "1.5"),
            ("COCOA-BTR", "320 g", ""),
            ("SUGAR", "540 g", ""),
            ("SEA-SALT", "19.2 g", ""),
            ("WRAP-80", "24 piece", "2"),
        ],
    ),
]


def main(domain: str) -> None:
    """The kitchen is there."""
    app = create_app()
    with app.app_context():
        shop = install.find(domain)
        assert shop is not None
        with shop_scope(shop.id):
            today = clock.local_date(clock.now(), settings.get(shop, "time_zone"))
            place = pull.default_location()
            assert place is not None
            _stock(place, today)
            _write_formulas()
            _run(place, today)
            db.session.commit()


def _item(sku: str) -> Item:
    return db.session.scalars(db.select(Item).where(Item.sku == sku)).one()


def _stock(place: Location, today: date) -> None:
    for code, name, unit, cost, supplier, lead, point, allergens, lots in LARDER:
        facts = ingredients.Facts(
            code,
            name,
            unit,
            reorder_point=units.parse(point, unit),
            lead_time_days=lead,
            unit_cost=Decimal(cost),
            supplier=supplier,
            allergens=allergens,
        )
        item = ingredients.add(facts, at=clock.now()).item
        for number, amount, days in lots:
            ingredients.receive(
                item,
                units.parse(amount, unit),
                location_id=place.id,
                supplier=supplier,
                supplier_lot_number=number,
                lot_number=f"{code}-{number}",
                unit_cost=Decimal(cost),
                received_on=today - timedelta(days=3),
                expires_on=today + timedelta(days=days) if days else None,
                today=today,
                actor=ACTOR,
                at=clock.now(),
            )


def _write_formulas() -> None:
    for sku, made, lines in FORMULAS:
        item, new = _item(sku), []
        for code, said, scrap in lines:
            amount, unit = said.split()
            new.append(formulas.NewLine(_item(code), units.parse(amount, unit), unit, Decimal(scrap or 0)))
        quantity = units.parse(made, formulas.unit_of(item))
        formulas.write(item, quantity, new, actor=ACTOR, at=clock.now())


def _run(place: Location, today: date) -> None:
    """A ganache was made today; bars are planned for the day after tomorrow, truffles as a draft that is short."""
    when = {"today": today, "actor": ACTOR}
    ganache = runs.draft(_item("GANACHE-HZ"), 5_000_000, location=place, planned_on=today, at=clock.now(), **when)
    runs.plan(ganache, at=clock.now(), **when)
    completing.complete(ganache, [completing.Output(4_900_000)], at=clock.now(), **when)
    bars = runs.draft(
        _item("CB-BAR-SS70-80"), 120, location=place, planned_on=today + timedelta(days=2), at=clock.now(), **when
    )
    runs.plan(bars, at=clock.now(), **when)
    runs.draft(_item("CB-TRF-HP-12"), 20, location=place, planned_on=today + timedelta(days=4), at=clock.now(), **when)


if __name__ == "__main__":
    main(sys.argv[1])
