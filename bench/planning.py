"""Forecast errors per method, and how long replanning a large shop takes. Prints the tables of docs/planning.md.

The chosen method is judged on days that it has not seen: it is chosen from all but the last 12 weeks, then each of these weeks is forecast
from what was known before it, as every other method's. MASE is the mean absolute error of a day by the naive forecast's within the series.

Series: the demo's (devshop/past.py), and CDNOW, purchases of CDs by customers who first bought in early 1997, as the package Lifetimes 0.11.3
ships it (`pip install --no-deps lifetimes==0.11.3` where this runs; only its file is read). It has 18 months by customer, who are put into 24
groups of like size, and units a day of each group are a lumpy series. Source: Fader and Hardie, "CDNOW: customers of early 1997".
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from importlib import metadata
from math import sqrt
from pathlib import Path
from random import Random
from statistics import median

from sqlalchemy import text

from devshop import past
from occ_app.planning.forecasting import FIRST_STOP, METHODS, NAIVE, THIRTY_DAYS, WEEK, Day, forecast
from occ_app.planning.forecasting import _naive_scale as naive_scale
from tests.support.product import DOMAIN, Product
from tests.support.settings import find_server

TODAY = date(2026, 11, 21)
HELD_BACK = 12  # weeks
GROUPS = 24
ITEMS, DAYS = 2000, 730


def main() -> None:
    """The tables."""
    for name, series in (("the demo's two years", demo()), ("CDNOW", cdnow())):
        if series:
            _print_errors(name, series)
    print_replan()


def demo() -> list[list[Day]]:
    """The demo's series from their first sale on; days of the known stock-out are unknown."""
    found = []
    for sku, seller in past.SELLERS.items():
        days: list[Day] = [float(units) for units in past.series(sku, TODAY)]
        if seller.out:
            for age in range(seller.out[1], seller.out[0] + 1):
                days[len(days) - age] = None
        first = next(number for number, units in enumerate(days) if units)
        found.append(days[first:])
    return found


def cdnow() -> list[list[Day]]:
    """Units a day of groups of CDNOW's customers; empty where the package is not installed."""
    try:
        path = Path(str(metadata.distribution("Lifetimes").locate_file("lifetimes/datasets/CDNOW_master.txt")))
    except metadata.PackageNotFoundError:
        print("\nCDNOW is left out: pip install --no-deps lifetimes==0.11.3", file=sys.stderr)
        return []
    sold: dict[int, dict[date, int]] = defaultdict(lambda: defaultdict(int))
    for line in path.read_text().splitlines():
        parts = line.split()
        if len(parts) >= 3 and parts[1].isdigit():
            on = date(int(parts[1][:4]), int(parts[1][4:6]), int(parts[1][6:8]))
            sold[int(parts[0]) % GROUPS][on] += int(parts[2])
    first = min(min(days) for days in sold.values())
    last = max(max(days) for days in sold.values())
    span = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    return [[float(days.get(day, 0)) for day in span] for days in sold.values()]


def errors(days: Sequence[Day]) -> dict[str, tuple[float, float]]:
    """MASE of days and of whole weeks over the weeks held back, per method and for the chosen one."""
    cut = len(days) - WEEK * HELD_BACK
    stops = list(range(cut, len(days) - WEEK + 1, WEEK))
    found = forecast(days[:cut])
    scale_day, scale_week = naive_scale(days[:cut])
    names = {name: name for name in METHODS} | {"chosen per item": found.method if found else NAIVE}
    told = {}
    for name, method in names.items():
        if method not in METHODS:
            continue
        weeks = METHODS[method][1](days, stops)
        off_day = off_week = 0.0
        counted = 0
        for stop, week in zip(stops, weeks, strict=True):
            pairs = [(g, v) for g, v in zip(week, days[stop : stop + WEEK], strict=True) if v is not None]
            off_day += sum(abs(g - v) for g, v in pairs)
            off_week += abs(sum(g - v for g, v in pairs))
            counted += len(pairs)
        told[name] = (off_day / max(1, counted) / scale_day, off_week / len(stops) / scale_week)
    return told


def _print_errors(name: str, series: Sequence[Sequence[Day]]) -> None:
    long = [days for days in series if len(days) > FIRST_STOP + WEEK * (HELD_BACK + 4)]
    all_ = [errors(days) for days in long]
    print(
        f"\n| {name}, {len(long)} series: method | MASE of a day, median | of a week, median | beats naive | beats 30 days |"
    )
    print("|---|---|---|---|---|")
    rows = []
    for method in all_[0]:
        of = [each for each in all_ if method in each]
        beats: Callable[[str], int] = lambda other, m=method, o=of: sum(sum(e[m]) < sum(e[other]) for e in o)  # noqa: E731
        day, week = (median(each[method][n] for each in of) for n in (0, 1))
        rows.append(
            (
                day + week,
                f"| {method} | {day:.3f} | {week:.3f} | {beats(NAIVE)} of {len(of)} | {beats(THIRTY_DAYS)} of {len(of)} |",
            )
        )
    print("\n".join(row for _, row in sorted(rows)))


def print_replan() -> None:
    """A shop of 2,000 items that each sold on most days of two years, replanned whole by a process of its own."""
    with tempfile.TemporaryDirectory() as folder, Product(find_server(), None, Path(folder)) as product:
        product.start("web")
        product.open_store("plus", generate={"count": ITEMS, "available": 50})
        product.occ("work", "drain", "--seconds", "600")
        _fill(product)
        started = time.monotonic()
        said = product.occ("plan", "replan", "--shop", DOMAIN)
        seconds = time.monotonic() - started
        one = _one(product)
    print(f"\n| replanning | seconds |\n|---|---|\n| {said.strip()} with {DAYS} days each | {seconds:.1f} |")
    print(f"| one item after a booking | {one:.2f} |")


def _fill(product: Product) -> None:
    skus = [f"GEN-{number:05}" for number in range(1, ITEMS + 1)]
    path = product.instance / "items.csv"
    path.write_text("\n".join(["sku,name", *(f"{sku},Product {sku}" for sku in skus)]))
    product.occ("import", "items", str(path), "--shop", DOMAIN)
    path.write_text("\n".join(["item_sku,variant_sku", *(f"{sku},{sku}" for sku in skus)]))
    product.occ("import", "mappings", str(path), "--shop", DOMAIN)
    random = Random(1)
    with product.connect() as connection:
        gids = [row[0] for row in connection.execute("SELECT variant_gid FROM variant ORDER BY id").fetchall()]
        shop = connection.execute("SELECT id FROM shop").fetchone()[0]  # type: ignore[index]
        number = 0
        with connection.cursor().copy(
            "COPY past_sale (shop_id, line_gid, variant_gid, sold_at, quantity, is_b2b) FROM STDIN"
        ) as copy:
            for gid in gids:
                daily = random.choice((0.2, 1, 5, 20))
                for age in range(DAYS, 0, -1):
                    units = max(0, round(random.gauss(daily, sqrt(daily))))
                    if units:
                        number += 1
                        at = f"{TODAY - timedelta(days=age)}T12:00:00Z"
                        copy.write_row((shop, f"gid://bench/{number}", gid, at, units, False))
        connection.execute(str(text("ANALYZE past_sale")))
    print(f"{number:,} lines of past sales", file=sys.stderr)


def _one(product: Product) -> float:
    """What replanning one item takes, within a process that is warm: the mean of twenty."""
    script = (
        "import time\nfrom occ_app import clock, create_app\nfrom occ_app.extensions import db, shop_scope\n"
        "from occ_app.planning import replan\napp = create_app()\n"
        "with app.app_context(), shop_scope(1):\n"
        "    replan.items([1], clock.now()); db.session.commit(); start = time.monotonic()\n"
        "    for n in range(20):\n        replan.items([2 + n], clock.now()); db.session.commit()\n"
        "    print((time.monotonic() - start) / 20)\n"
    )
    import subprocess

    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=product.environment, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


if __name__ == "__main__":
    main()
