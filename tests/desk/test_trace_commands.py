"""`occ trace` and `occ recall`: what the pages do, for the command line."""

from __future__ import annotations

import json

from tests.support.bench import DOMAIN, Bench
from tests.test_cli import occ


def test_a_lot_and_an_order_are_traced(sold: Bench) -> None:
    text = occ(sold, "trace", "--shop", DOMAIN, "1001").output
    found = json.loads(occ(sold, "trace", "--shop", DOMAIN, "CM-1", "--json").output)

    assert "lot T-1 -> order #1001: 3, not shipped" in text
    assert found["orders"] == ["#1001", "#1002", "#1003"]
    assert {lot["lot_number"] for lot in found["lots"]} == {"CM-1", "G-1", "T-1", "B-1", "B-2"}
    assert occ(sold, "trace", "--shop", DOMAIN, "NONE").exit_code == 1


def test_a_recall_is_opened_shown_and_ended(sold: Bench) -> None:
    said = occ(sold, "recall", "open", "--shop", DOMAIN, "G-1", "--reason", "Metal found", "--downstream").output
    sold.drain()
    assert sold.available("TRUFFLE") == 0
    shown = json.loads(occ(sold, "recall", "show", "--shop", DOMAIN, "--json").output)
    ended = [occ(sold, "recall", "end", "--shop", DOMAIN, *words).output for words in (["T-1", "--scrap"], ["RC-1"])]
    again = occ(sold, "recall", "end", "--shop", DOMAIN, "G-1")

    assert said.startswith("RC-1 opened. Froze 2 lots. 2 orders have units of them: 5 not shipped, 0 shipped.")
    assert [lot["state"] for lot in shown[0]["lots"]] == ["frozen", "frozen"]
    assert ended == ["Ended for 1 lot: scrapped.\n", "Ended for 1 lot: back on sale.\n"]
    assert (again.exit_code, "in an open recall" in again.output) == (1, True)
    assert "Nothing is recalled." in occ(sold, "recall", "show", "--shop", DOMAIN).output


def test_a_drill_says_what_it_would_reach(sold: Bench) -> None:
    said = occ(sold, "recall", "open", "--shop", DOMAIN, "CM-1", "--drill").output

    assert "Nothing is frozen: a drill." in said
    assert "4 lots were made from these. Give --downstream to recall them too." in said
    assert sold.show("BAR")["target"] == 80
