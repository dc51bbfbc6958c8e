"""`occ run` and `occ ingredient`: they do what the pages do, and their exit code says how it went."""

from __future__ import annotations

from datetime import timedelta

from tests.production.kitchen import Kitchen
from tests.support.bench import DOMAIN
from tests.test_cli import occ

KG = 1_000_000


def test_a_run_is_planned_in_yields_and_completed(bars: Kitchen) -> None:
    day = bars.today + timedelta(days=2)
    planned = occ(bars.bench, "run", "plan", "--shop", DOMAIN, "--item", "BAR", "--yields", 5, "--on", day)
    assert (planned.exit_code, planned.output) == (0, f"Planned run R-0001: 120 of BAR on {day}\n")
    assert bars.stock("COCOA")["reserved"] == 5 * KG
    done = occ(bars.bench, "run", "complete", "R-0001", "--shop", DOMAIN, "--output", 118, "--lot", "TUESDAY")

    assert (done.exit_code, done.output) == (0, "Completed run R-0001: 118 in lot TUESDAY\n")
    assert bars.stock("BAR") == {"completed": 118, "production": -118}


def test_a_run_is_started_changed_and_cancelled(bars: Kitchen) -> None:
    planned = occ(bars.bench, "run", "plan", "--shop", DOMAIN, "--item", "BAR", "--yields", 12)
    assert planned.output.splitlines()[1:] == [
        f"Short: 2 kg of COCOA (earliest {bars.today + timedelta(days=5)})",
        "Short: 1 kg of SUGAR (no lead time is known)",
    ]
    assert occ(bars.bench, "run", "start", "R-0001", "--shop", DOMAIN).exit_code == 0
    assert occ(bars.bench, "run", "change", "R-0001", "--quantity", 24, "--shop", DOMAIN).exit_code == 0
    assert bars.stock("COCOA")["reserved"] == KG
    assert occ(bars.bench, "run", "cancel", "r-0001", "--shop", DOMAIN).exit_code == 0

    assert bars.stock("COCOA") == {"released": 10 * KG, "supplier": -10 * KG}


def test_lots_of_ingredients_are_received_counted_and_wasted(bars: Kitchen) -> None:
    came = occ(
        bars.bench,
        "ingredient",
        "receive",
        "SUGAR",
        2500,
        "--unit",
        "g",
        "--lot",
        "S-2",
        "--cost",
        "1.2",
        "--shop",
        DOMAIN,
    )
    assert (came.exit_code, came.output) == (0, "Received lot S-2\n")
    assert occ(bars.bench, "ingredient", "count", "S-2", "2.4", "--shop", DOMAIN).exit_code == 0
    assert occ(bars.bench, "ingredient", "waste", "S-2", "0.4", "--shop", DOMAIN).exit_code == 0

    assert bars.stock("SUGAR") == {"released": 7 * KG, "scrap": 400_000, "correction": 100_000, "supplier": -7_500_000}


def test_what_cannot_be_is_refused_with_a_sentence(bars: Kitchen) -> None:
    occ(bars.bench, "run", "plan", "--shop", DOMAIN, "--item", "BAR", "--yields", 5)
    bars.bench.item("PLAIN")
    before = bars.stock("COCOA")
    for words, said in (
        (("run", "plan", "--item", "BAR", "--yields", 0), "Give a whole number from 1"),
        (("run", "plan", "--item", "NONE", "--yields", 1), "There is no item NONE"),
        (("run", "plan", "--item", "PLAIN", "--yields", 1), "PLAIN has no formula"),
        (("run", "complete", "R-0009", "--output", 1), "no such production run"),
        (("run", "complete", "R-0001", "--output", "-1"), "Give 0 or more"),
        (("run", "complete", "R-0001", "--output", "1.5"), "no whole number of pieces"),
        (("run", "complete", "R-0001", "--output", 5000), "Is that right? Confirm with --confirm"),
        (("run", "complete", "R-0001", "--output", 120, "--lot", "S-1"), "There is a lot S-1 already"),
        (("ingredient", "receive", "SUGAR", 1, "--unit", "ml"), "ml cannot be converted"),
        (("ingredient", "receive", "BAR", 1), "no such ingredient"),
        (("ingredient", "count", "C-SOON", 1), "4 kg of lot C-SOON are reserved"),
        (("ingredient", "waste", "NONE", 1), "There is no lot NONE"),
    ):
        result = occ(bars.bench, *words, "--shop", DOMAIN)

        assert (result.exit_code, said in result.output) == (1, True), (words, result.output)
    assert bars.stock("COCOA") == before


def test_a_run_is_completed_once(bars: Kitchen) -> None:
    occ(bars.bench, "run", "plan", "--shop", DOMAIN, "--item", "BAR", "--yields", 5)
    complete = ("run", "complete", "R-0001", "--shop", DOMAIN, "--output", 120)
    assert occ(bars.bench, *complete).exit_code == 0
    again = occ(bars.bench, *complete)

    assert (again.exit_code, "was completed already, by command line" in again.output) == (1, True)
    assert bars.stock("BAR") == {"completed": 120, "production": -120}


def test_lots_are_numbered_by_the_shops_pattern(bars: Kitchen) -> None:
    put = ("settings", "set", "--shop", DOMAIN, "lot_number_pattern")
    assert occ(bars.bench, *put, "{yymmdd}/{item}/{n}B").exit_code == 0
    for pattern in ("{item}", "{n}{n}", "{item}-{m}-{n}", "x" * 58 + "{n}"):
        assert occ(bars.bench, *put, pattern).exit_code == 1
    made = [bars.complete(bars.plan("BAR", "24"), 24)[0] for _ in range(2)]

    assert made == [f"{bars.today:%y%m%d}/BAR/{n}B" for n in (1, 2)]
