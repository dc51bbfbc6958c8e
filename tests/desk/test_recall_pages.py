"""The pages of trace and recall: they say what is so, and what to do about wrong input."""

from __future__ import annotations

import csv
import io

from occ_app.extensions import db
from occ_app.production.models import Recall
from tests.support.bench import Bench

GANACHE, TRUFFLES = "3", "4"


def opened(sold: Bench, **form: object) -> str:
    """A recall of the ganache and the truffles was opened on its page; where it is."""
    given = {"lot": [GANACHE, TRUFFLES], "chosen": [GANACHE], "reason": "Metal found", **form}
    answer = sold.open("/recalls", method="POST", data=given)
    assert answer.status_code == 303, answer.get_data(as_text=True)
    return str(answer.headers["Location"])


def rows(answer: object) -> list[dict[str, str]]:
    """The lines of a file."""
    return list(csv.DictReader(io.StringIO(answer.get_data(as_text=True))))  # type: ignore[attr-defined]


def test_the_trace_of_an_ingredient_draws_and_lists_all_that_came_of_it(sold: Bench) -> None:
    text = sold.open("/trace/lots/1").get_data(as_text=True)
    links = {(row["from"], row["to"], row["quantity"], row["unit"]) for row in rows(sold.open("/trace/lots/1.csv"))}

    for words in ("CM-1", "G-1", "T-1", "B-2", "#1003", 'href="/trace/orders/3"', "125 not shipped"):
        assert words in text
    assert {("T-1", "#1001", "3", "piece"), ("B-2", "#1003", "20", "piece")} <= links


def test_an_order_is_followed_back_by_its_number(sold: Bench) -> None:
    found = sold.open("/trace?q=1001")
    text = sold.open(found.headers["Location"]).get_data(as_text=True)

    for words in ("Trace of #1001", "T-1", "G-1", "CM-1", "CR-1"):
        assert words in text


def test_a_recall_is_proposed_opened_noted_and_ended(sold: Bench) -> None:
    text = sold.open("/recalls/new", method="POST", data={"numbers": "G-1"}).get_data(as_text=True)
    assert "T-1" in text
    assert "Made from it" in text
    path = opened(sold)
    sold.drain()
    assert sold.available("TRUFFLE") == 0
    sold.open(f"{path}/notes", method="POST", data={"words": "Called both customers"})
    files = rows(sold.open(f"{path}/orders.csv")), rows(sold.open(f"{path}/log.csv"))
    done = sold.open(f"{path}/end", method="POST", data={"lot": [GANACHE, TRUFFLES], "outcome": "scrapped"})

    assert done.status_code == 303
    assert [(row["order"], row["lot_number"], row["not_shipped"]) for row in files[0]] == [
        ("#1002", "T-1", "2"),
        ("#1001", "T-1", "3"),
    ]
    assert [row["what"] for row in files[1]][-1] == "Called both customers"
    assert "The recall has ended." in sold.open(path).get_data(as_text=True)


def test_a_second_click_opens_no_second_recall(sold: Bench) -> None:
    opened(sold)
    again = sold.open("/recalls", method="POST", data={"lot": [GANACHE], "chosen": [GANACHE], "reason": "x"})
    with sold.scope():
        number = db.session.scalar(db.select(db.func.count(Recall.id)))

    assert (again.status_code, number) == (422, 1)
    assert "Recalled already: 1 lot: G-1" in again.get_data(as_text=True)


WRONG = [
    ("/recalls/new", {"numbers": ""}, "Type one lot number a line."),
    ("/recalls/new", {"numbers": "G-1\nNONE"}, "There is no lot NONE."),
    ("/recalls/new", {"numbers": "x\n" * 20_000}, "Give at most 20,000 characters."),
    ("/recalls", {"lot": GANACHE, "reason": " "}, "Write why"),
    ("/recalls", {"reason": "x"}, "Choose at least one lot."),
    ("/recalls", {"lot": "99999", "reason": "x"}, "One of these lots is not here."),
    ("/recalls", {"lot": GANACHE, "reason": "x" * 1001}, "Give 1,000 characters or fewer."),
    ("/recalls/1/end", {"lot": TRUFFLES, "outcome": "sold"}, "Choose whether the units come back"),
    ("/recalls/1/end", {"outcome": "back"}, "Tick the lots"),
    ("/recalls/1/notes", {"words": ""}, "Write what was decided or done."),
    ("/recalls/1/lots", {"number": "NONE"}, "There is no lot NONE."),
    ("/recalls/1/lots", {"number": "T-1"}, "It is in this recall already."),
]


def test_wrong_input_is_told_beside_the_field(sold: Bench) -> None:
    opened(sold, lot=[TRUFFLES], chosen=[TRUFFLES])
    answers = [(sold.open(path, method="POST", data=form), words) for path, form, words in WRONG]

    assert {answer.status_code for answer, _ in answers} == {422}
    assert [words for answer, words in answers if words not in answer.get_data(as_text=True)] == []


def test_another_shops_lots_orders_and_recalls_are_not_here(sold: Bench) -> None:
    opened(sold)
    other = sold.add_store("other.myshopify.com")
    sold.install(other)
    paths = ("/trace/lots/1", "/trace/lots/1.csv", "/trace/orders/1", "/recalls/1", "/recalls/1/orders.csv")

    assert {sold.open(path, other).status_code for path in paths} == {404}
    assert sold.open("/recalls", other, method="POST", data={"lot": "5", "reason": "x"}).status_code == 422
    assert "Nothing found" in sold.open("/trace?q=1001", other).get_data(as_text=True)
