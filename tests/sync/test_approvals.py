"""Manual approval and the guard as one queue; what a mode would change before it is saved; numbers to type in by hand."""

from __future__ import annotations

import contextvars
import re
from typing import Any

import pytest

from occ_app import clock
from occ_app.extensions import db
from occ_app.production import recall
from occ_app.shopify.client import Client
from occ_app.sync import approvals, modes, queue
from occ_app.sync.models import Approval
from tests.support.bench import Bench, Statements


@pytest.fixture
def linked(bench: Bench) -> Bench:
    """SSD with 10 released, linked, under manual approval."""
    bench.product("SSD", 0)
    bench.install()
    bench.item("SSD")
    bench.lot("SSD", 10)
    bench.map("SSD", "hub")
    bench.settle()
    assert bench.open("/products/1/mode", method="POST", data={"mode": "manual"}).status_code == 303
    bench.settle()
    return bench


def post(bench: Bench, path: str, **fields: Any) -> Any:
    """A form sent by htmx."""
    headers = {"HX-Request": "true", "HX-Request-Type": "partial"}
    return bench.open(path, method="POST", data=fields, headers=headers)


def asked(bench: Bench) -> list[queue.Row]:
    """What waits."""
    db.session.remove()
    with bench.scope():
        return queue.rows(approvals.waiting())


def outcomes(bench: Bench) -> list[str]:
    """What became of all approvals, in their order."""
    db.session.remove()
    with bench.scope():
        return list(db.session.scalars(db.select(Approval.state).order_by(Approval.id)))


def test_a_number_waits_with_ours_shopifys_the_difference_and_why(linked: Bench) -> None:
    linked.lot("SSD", 5, number="NEW")
    linked.settle()
    row = asked(linked)[0]

    assert (row.ours, row.shopify, row.change, row.why) == (15, 10, 5, ("+5 made (NEW)",))
    assert linked.available("SSD") == 10


def test_approved_it_is_sent_and_who_said_so_is_kept(linked: Bench) -> None:
    linked.lot("SSD", 5)
    linked.settle()
    answer = post(linked, "/approvals/approve", id="1")
    linked.settle()

    assert "Nothing waits for you" in answer.text
    assert linked.available("SSD") == 15
    assert re.search(r"Approved</span>.*user \d+", linked.open("/approvals?view=past").text, re.DOTALL)


def test_rejected_with_a_reason_it_is_asked_again_only_when_it_changes(linked: Bench) -> None:
    linked.lot("SSD", 5)
    linked.settle()
    assert post(linked, "/approvals/reject", id="1", reason=" ").status_code == 422
    post(linked, "/approvals/reject", id="1", reason="Labels are wrong")
    linked.settle()
    linked.open("/home/sync", method="POST")
    linked.settle()
    assert asked(linked) == []
    linked.lot("SSD", 2)
    linked.settle()

    assert [(row.ours, row.change) for row in asked(linked)] == [(17, 7)]
    assert len(asked(linked)[0].why) == 2
    assert "Labels are wrong" in linked.open("/approvals?view=past").text
    assert linked.available("SSD") == 10


def test_a_later_change_supersedes_one_that_nobody_approved(linked: Bench) -> None:
    linked.lot("SSD", 5)
    linked.lot("SSD", 6)
    linked.settle()
    answer = post(linked, "/approvals/approve", id="1")
    linked.settle()

    assert answer.status_code == 422
    assert "it is 21 now, no longer 15" in answer.text
    assert outcomes(linked) == ["superseded", "asked"]
    assert linked.available("SSD") == 10


def test_a_sale_meanwhile_asks_nothing_anew_and_undoes_no_answer(linked: Bench) -> None:
    linked.lot("SSD", 5)
    linked.settle()
    linked.sell_in("SSD", 3)
    linked.settle()
    assert [(row.ours, row.shopify, row.change) for row in asked(linked)] == [(12, 7, 5)]
    post(linked, "/approvals/approve", id="1")
    linked.sell_in("SSD", 1)
    linked.settle()

    assert linked.available("SSD") == 11
    assert outcomes(linked) == ["approved"]


def test_what_no_longer_differs_is_no_longer_asked(linked: Bench) -> None:
    lot = linked.lot("SSD", 5)
    linked.move(lot, "on_hold")

    assert asked(linked) == []
    assert outcomes(linked) == ["gone"]
    linked.move(lot, "released")
    assert len(asked(linked)) == 1


def test_all_means_all_that_were_seen(linked: Bench) -> None:
    linked.lot("SSD", 5)
    page = linked.open("/approvals")
    linked.lot("SSD", 5)
    linked.product("B", 0)
    newest = re.search(r'name="id" value="(\d+)"', page.text)
    assert newest is not None
    answer = post(linked, "/approvals/approve", all_until=newest[1])

    assert answer.status_code == 422
    assert outcomes(linked) == ["superseded", "asked"]


def test_the_guard_asks_in_the_same_queue_and_on_the_desk(linked: Bench) -> None:
    linked.open("/products/1/mode", method="POST", data={"mode": ""})
    linked.lot("SSD", 100)
    linked.settle()
    assert [(row.approval.kind, row.change) for row in asked(linked)] == [("guard", 100)]
    assert linked.exceptions() == ["guard"]
    post(linked, "/approvals/approve", id="1")
    linked.settle()

    assert linked.available("SSD") == 110
    assert linked.exceptions() == []


def test_what_is_answered_on_the_desk_leaves_the_queue(linked: Bench) -> None:
    linked.open("/products/1/mode", method="POST", data={"mode": ""})
    linked.lot("SSD", 100)
    linked.settle()
    linked.open("/exceptions/1/reject", method="POST")
    linked.settle()
    linked.open("/home/sync", method="POST")
    linked.settle()

    assert asked(linked) == []
    assert outcomes(linked) == ["rejected"]
    assert linked.exceptions() == []
    assert linked.available("SSD") == 10


def freeze(bench: Bench, *lot_ids: int) -> None:
    """These lots are recalled."""
    with bench.scope():
        recall.open_(lot_ids, reason="Metal found", actor="Maria", at=clock.now())
        db.session.commit()


def test_a_recall_lowers_the_number_though_an_older_rise_waits(linked: Bench) -> None:
    linked.lot("SSD", 5)
    linked.settle()
    assert [row.ours for row in asked(linked)] == [15]
    freeze(linked, 1)
    linked.settle()
    answer = post(linked, "/approvals/approve", id="1")
    linked.settle()

    assert answer.status_code == 422
    assert linked.available("SSD") == 5
    assert (outcomes(linked), asked(linked)) == (["superseded"], [])


def test_an_approval_that_a_recall_overtook_is_spent(linked: Bench) -> None:
    lot = linked.lot("SSD", 5)
    post(linked, "/approvals/approve", id="1")
    freeze(linked, lot)
    linked.settle()
    assert linked.available("SSD") == 10
    linked.lot("SSD", 5)
    linked.settle()

    assert linked.available("SSD") == 10
    assert [row.ours for row in asked(linked)] == [15]


def test_a_recall_while_an_approved_number_is_on_its_way_lowers_it_again(
    linked: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    lot = linked.lot("SSD", 8)
    post(linked, "/approvals/approve", id="1")
    mutate = Client.mutate

    def slow(client: Client, *given: Any, **named: Any) -> Any:
        monkeypatch.setattr(Client, "mutate", mutate)
        answer = mutate(client, *given, **named)
        contextvars.Context().run(_recall_elsewhere)
        return answer

    def _recall_elsewhere() -> None:
        with linked.app.app_context():
            linked.lot("SSD", 4)
            freeze(linked, lot)

    monkeypatch.setattr(Client, "mutate", slow)
    linked.drain()

    assert linked.available("SSD") == 14
    assert asked(linked) == []


def test_a_number_typed_in_by_hand_is_no_drift(linked: Bench) -> None:
    linked.open("/products/1/mode", method="POST", data={"mode": "none"})
    linked.lot("SSD", 5)
    linked.settle()
    assert "Type in" in linked.open("/approvals?view=hand").text
    linked.edit_by_hand("SSD", 15)
    linked.settle()

    shown = linked.show("SSD")
    assert (shown["expected"], shown["drift"], linked.exceptions()) == (15, 0, [])
    assert "Nothing to type in" in linked.open("/approvals?view=hand").text


def test_what_would_change_names_all_numbers_before_and_after(linked: Bench) -> None:
    linked.open("/products/1/mode", method="POST", data={"mode": ""})
    linked.lot("SSD", 30, "in_review")
    linked.settle()
    with linked.scope():
        preview = modes.what_would_change("completed")
        change = preview.changes[0]

    assert (change.now, change.then, change.by, str(change.worth)) == (10, 40, 30, "195.00")
    assert [(term.name, term.quantity) for term in change.because] == [("in_review", 30)]
    assert (preview.rise, preview.fall, preview.guarded, preview.unreviewed) == (30, 0, 1, 30)
    text = linked.open("/settings/sync-mode?mode=completed").text
    assert "30 units that nobody has released could be sold" in text
    assert "over your guard" in text
    assert linked.available("SSD") == 10


def test_one_item_is_previewed_and_follows_the_shop_again(linked: Bench) -> None:
    linked.lot("SSD", 5, "packaged")
    linked.settle()
    text = linked.open("/products/1/mode?mode=packaged").text

    assert "1 of 1 number would change: 1 would rise, by 5 units together" in text
    with linked.scope():
        assert modes.what_would_change(None, 1).changes == []


def test_shopify_gets_what_channel_allocation_gives_it(linked: Bench) -> None:
    linked.open("/products/1/mode", method="POST", data={"mode": "allocation"})
    linked.open("/products/1/allocations", method="POST", data={"shopify": "8", "wholesale": "2"})
    linked.settle()

    assert linked.available("SSD") == 8
    assert linked.show("SSD")["terms"] == [{"name": "allocated:shopify", "quantity": 8}]


def test_the_queue_costs_the_same_whatever_waits(bench: Bench) -> None:
    from tests.sync.test_cost import book, many

    many(bench, 120, 5)
    with bench.scope():
        from occ_app.catalog.models import Item
        from occ_app.sync.targets import shop

        modes.apply_setting(shop(), "sync_mode", "manual")
        with Statements() as booked:
            book(list(db.session.scalars(db.select(Item))), 1, 7, "more")
        db.session.commit()
    costs = []
    for path in ("/approvals", "/approvals?page=3", "/settings/sync-mode?mode=completed"):
        with Statements() as statements:
            assert bench.open(path).status_code == 200
        costs.append(len([t for t in statements.texts if not t.startswith(("SAVEPOINT", "RELEASE"))]))
    answer = post(bench, "/approvals/approve", all_until=str(2**31 - 1))

    assert len(booked.texts) <= 25
    assert max(costs) <= 14
    assert "Nothing waits for you" in answer.text


def test_who_ends_a_first_link_is_not_asked_for_approval_too(bench: Bench) -> None:
    bench.product("SSD", 8)
    bench.install()
    bench.item("SSD")
    bench.lot("SSD", 10)
    assert bench.open("/products/1/mode", method="POST", data={"mode": "manual"}).status_code == 303
    bench.map("SSD", "hub")
    bench.settle()

    assert (outcomes(bench), bench.available("SSD")) == ([], 10)
