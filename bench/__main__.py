"""`make bench`: what many mappings cost, in API calls, points, memory and time. Prints the tables of docs/performance.md.

The whole product runs as processes (tests/support/product.py). Each measured step is one process of its own, so its peak memory is that of
what it did. Webhooks are held back during a step and are a step of their own. `MAPPINGS` and `CHANGED` say how many, `PLAN` whose bucket.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bench import recall, wholesale
from occ_app.config import ROOT
from tests.support.product import DOMAIN, Product
from tests.support.settings import find_server

MAPPINGS = int(os.environ.get("MAPPINGS", "10000"))
CHANGED = int(os.environ.get("CHANGED", "500"))
PLAN = os.environ.get("PLAN", "enterprise")
IN_SHOPIFY, OURS = 20, 25  # so that the first link has something to write for every mapping
RESTORED = {"standard": 100, "advanced": 200, "plus": 1000, "enterprise": 2000}  # points a second


@dataclass(frozen=True)
class Measured:
    """One step: what it took, and what Shopify was asked for meanwhile."""

    name: str
    seconds: float
    cpu_seconds: float
    peak_mb: float
    calls: Counter[str]
    points: int

    def row(self) -> str:
        """As a line of the table."""
        asked = ", ".join(f"{number} {operation}" for operation, number in self.calls.most_common()) or "none"
        numbers = f"{self.seconds:.1f} | {self.cpu_seconds:.1f} | {self.peak_mb:.0f}"
        return f"| {self.name} | {numbers} | {sum(self.calls.values())} | {asked} | {self.points:,} |"


def main() -> None:
    """All steps, one after another."""
    with tempfile.TemporaryDirectory() as folder, Product(find_server(), None, Path(folder)) as product:
        measured = list(_steps(product))
        pages = _pages(product)
    _print(measured, pages)
    _recalls()
    _wholesale()


def _recalls() -> None:
    """A shop of its own: a maker of years."""
    with tempfile.TemporaryDirectory() as folder, Product(find_server(), None, Path(folder)) as product:
        product.start("web")
        product.open_store(PLAN)
        product.occ("work", "drain")
        found = recall.measure(product)
    print("\n| 10,000 lots, 1,000,000 moves | seconds |\n|---|---|")
    print("\n".join(f"| {name} | {seconds:.2f} |" for name, seconds in found))


def _wholesale() -> None:
    """A shop of its own for each number of items."""
    print("\n| items | orders a second | median, ms | p99, ms |\n|---|---|---|---|")
    for items in (1_000, 100_000):
        with (
            tempfile.TemporaryDirectory() as folder,
            Product(find_server(), None, Path(folder), web_processes=2) as product,
        ):
            product.start("web")
            product.open_store(PLAN)
            product.occ("work", "drain")
            rate, median, slow = wholesale.measure(product, items)
        print(f"| {items:,} | {rate:.0f} | {median:.0f} | {slow:.0f} |", flush=True)


def _print(measured: list[Measured], pages: list[tuple[str, float]]) -> None:
    print(f"\n{MAPPINGS:,} mappings, {CHANGED} changed, {PLAN} plan\n")
    print("| step | seconds | CPU s | peak MB | calls | which | points |\n|---|---|---|---|---|---|---|")
    print("\n".join(each.row() for each in measured))
    print("\n| page | seconds |\n|---|---|")
    print("\n".join(f"| `{path}` | {seconds:.2f} |" for path, seconds in pages))
    print("\n| points | " + " | ".join(RESTORED) + " |\n|---|" + "---|" * len(RESTORED))
    for each in measured:
        if each.points:
            waits = " | ".join(f"{each.points / rate:.0f} s" for rate in RESTORED.values())
            print(f"| {each.name}: {each.points:,} | {waits} |")


def _steps(product: Product) -> list[Measured]:
    product.start("web")
    product.control("/webhooks/pause", {})
    product.open_store(PLAN, generate={"count": MAPPINGS, "available": IN_SHOPIFY})
    found = [measure(product, f"pull of {MAPPINGS:,} variants", *_drain())]
    for name, value in (("guard_percent", "100"), ("guard_units", "1000000")):
        product.occ("settings", "set", "--shop", DOMAIN, name, value)
    skus = [f"GEN-{number:05}" for number in range(1, MAPPINGS + 1)]
    found += [
        _import(product, "items", ["sku,name", *(f"{sku},Product {sku}" for sku in skus)]),
        _import(product, "lots", ["lot_number,item_sku,quantity", *(f"L-{sku},{sku},{OURS}" for sku in skus)]),
        _import(product, "mappings", ["item_sku,variant_sku,first_link", *(f"{sku},{sku},hub" for sku in skus)]),
        measure(product, f"first link of {MAPPINGS:,} with `hub`, and its push", *_drain()),
        _echoes(product, MAPPINGS),
        measure(product, f"full reconciliation of {MAPPINGS:,}, quiet", "reconcile", "--shop", DOMAIN),
        _import(product, "lots", ["lot_number,item_sku,quantity", *(f"M-{sku},{sku},3" for sku in skus[:CHANGED])]),
        measure(product, f"push of {CHANGED} changed", *_drain()),
        _echoes(product, CHANGED),
    ]
    _check(product)
    return found


def _drain() -> tuple[str, ...]:
    return ("work", "drain", "--seconds", "3600")


def _import(product: Product, kind: str, lines: list[str]) -> Measured:
    path = product.instance / f"{kind}.csv"
    path.write_text("\n".join(lines))
    return measure(product, f"import of {len(lines) - 1:,} {kind}", "import", kind, str(path), "--shop", DOMAIN)


def _echoes(product: Product, number: int) -> Measured:
    """Shopify tells of every number that was written; the news are stored first, and worked off in the measured step."""
    told = product.control("/webhooks/deliver", {"now": True})["delivered"]
    if told < number:
        sys.exit(f"Of {number} echoes {told} were delivered.")
    return measure(product, f"{told:,} webhooks that echo it, worked off", *_drain())


def measure(product: Product, name: str, *words: str) -> Measured:
    """The command has been run as a process of its own; what it took."""
    product.control("calls", method="DELETE")
    print(f"{name} ...", file=sys.stderr, flush=True)
    started = time.monotonic()
    command = [sys.executable, "-m", "occ_app.cli", *words]
    process = subprocess.Popen(command, cwd=ROOT, env=product.environment)
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(words)} ended with {process.returncode}.")
    calls = product.control("calls", method="GET")
    kinds = Counter(call["operation"] or "refused" for call in calls)
    points = sum(call["actual_cost"] for call in calls)
    return Measured(name, seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, kinds, points)


def _pages(product: Product) -> list[tuple[str, float]]:
    found = []
    for path in ("/", "/products", "/products?q=00042", "/lots", "/exceptions"):
        product.page(path)  # the first one loads templates
        started = time.monotonic()
        if product.page(path) != 200:
            sys.exit(f"{path} does not answer.")
        found.append((path, time.monotonic() - started))
    return found


def _check(product: Product) -> None:
    """What was measured was right, too."""
    wrong = [
        level["sku"]
        for level in product.control("inventory", method="GET")
        if level["available"] != OURS + (3 if int(level["sku"][4:]) <= CHANGED else 0)
    ]
    if wrong:
        sys.exit(f"{len(wrong)} numbers in Shopify are wrong, such as that of {wrong[0]}.")


if __name__ == "__main__":
    {"recall": _recalls, "wholesale": _wholesale}.get(" ".join(sys.argv[1:]), main)()
