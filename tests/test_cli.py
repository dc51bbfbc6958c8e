"""The commands of `occ`: they do what the pages do, and their exit code says how it went."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import Result

from devshop import oauth
from devshop.faults import CallFault
from occ_app import clock
from occ_app.catalog import pull
from occ_app.catalog.models import Location
from occ_app.extensions import db
from occ_app.inbox.models import Delivery
from occ_app.orders.models import Order
from occ_app.orders.pull import MOST_TRIES
from occ_app.work.tasks import turn
from tests.support.bench import DOMAIN, Bench

MANY = "9" * 20


def occ(bench: Bench, *arguments: Any) -> Result:
    """The command has run, in a session of its own."""
    db.session.remove()
    result = bench.app.test_cli_runner().invoke(args=[str(argument) for argument in arguments])
    db.session.remove()
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture
def linked(bench: Bench) -> Bench:
    """An item A with 10 units, linked with our number."""
    bench.product("A", 0)
    bench.install()
    bench.item("A")
    bench.lot("A", 10, number="L1")
    bench.map("A", "hub")
    bench.settle()
    return bench


def test_reconcile_compares_and_pushes_now(linked: Bench) -> None:
    linked.lot("A", 5)

    assert occ(linked, "reconcile", "--shop", DOMAIN.upper()).exit_code == 0
    assert linked.available("A") == 15


def test_reconcile_says_when_shopify_does_not_answer(linked: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("occ_app.shopify.client.LONGEST_WAIT", 0.0)
    linked.store.faults.always = CallFault("503", "any")
    result = occ(linked, "reconcile", "--shop", DOMAIN)

    assert (result.exit_code, "Shopify had a fault of its own (503)" in result.output) == (1, True)


def test_reconcile_says_when_the_shop_has_left(linked: Bench) -> None:
    oauth.uninstall(linked.store)
    linked.settle()
    result = occ(linked, "reconcile", "--shop", DOMAIN)

    assert (result.exit_code, "is uninstalled" in result.output) == (1, True)


def test_reconcile_says_when_another_run_is_at_it(linked: Bench) -> None:
    with turn(db.engine, "sync", 1) as is_ours:
        result = occ(linked, "reconcile", "--shop", DOMAIN)

    assert (is_ours, result.exit_code, "Another sync" in result.output) == (True, 1, True)


def test_drain_is_quiet_where_nothing_is_due(linked: Bench) -> None:
    assert occ(linked, "work", "drain").exit_code == 0


@pytest.mark.parametrize("command", ["drain", "status"])
def test_parked_mappings_deliveries_and_orders_are_told(linked: Bench, command: str) -> None:
    linked.place.is_active = False
    linked.lot("A", 5)
    linked.settle()
    at = clock.now()
    with linked.scope():
        late = {"due_at": at, "tries": MOST_TRIES, "next_try_at": at, "cause": "It does not add up."}
        db.session.add(Order(order_gid="gid://shopify/Order/7", name="#1007", **late))
        delivery = {"shop_id": 1, "shop_domain": DOMAIN, "topic": "orders/create", "webhook_id": "w", "body": b"{}"}
        db.session.add(Delivery(state="parked", received_at=at, next_try_at=at, tries=8, cause="No id.", **delivery))
        db.session.commit()
    result = occ(linked, "work", command)

    for words in ("The location is switched off", "#1007", "It does not add up.", "orders/create", "No id."):
        assert words in result.output
    assert result.exit_code == (1 if command == "drain" else 0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("stock", "show", "--shop", DOMAIN, "--item", "NOPE"), "There is no item NOPE."),
        (("stock", "show", "--shop", DOMAIN, "--item", "N\0"), "zero byte"),
        (("stock", "show", "--shop", DOMAIN, "--item", "\udcff"), "not UTF-8"),
        (("stock", "audit", "--shop", "nobody.myshopify.com"), "There is no shop nobody.myshopify.com."),
        (("exceptions", "settle", "--shop", DOMAIN, "9" * 30, "hub"), "There is no exception 999"),
        (("approvals", "approve", "--shop", DOMAIN, "9" * 30), "none waits"),
        (("lot", "move", "--shop", DOMAIN, "L1", "--to", "on_hold", "--quantity", "9" * 30), "or fewer"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(linked: Bench, arguments: tuple[str, ...], words: str) -> None:
    result = occ(linked, *arguments)

    assert (result.exit_code, words in result.output) == (1, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ("push", "undo", "--shop", DOMAIN, MANY),
        ("serve", "--port", "99999"),
        ("serve", "--port", "0"),
        ("serve", "--workers", "0"),
        ("work", "drain", "--seconds", "-1"),
    ],
)
def test_a_number_that_cannot_be_is_wrong_usage(
    linked: Bench, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[object] = []
    monkeypatch.setattr("occ_app.cli.children.run", lambda *given: started.append(given))
    result = occ(linked, *arguments)

    assert (result.exit_code, "is not in the range" in result.output, started) == (2, True, [])


def test_no_number_makes_a_command_stumble(linked: Bench) -> None:
    commands = (
        "approvals reject --",
        "lot move L1 --to on_hold --quantity",
        "lot review L1 --hold",
        "lot review L1 --from released --scrap",
        "lot unrelease L1 --quantity",
        "allocation set --item A wholesale --",
        "market out --item A 1 --",
        "give --item A --purpose tasting --",
        "plan draft --item A --quantity",
        "plan order --item A --quantity",
        "plan arrived --",
        "run plan --item A --yields",
        "api-token create --name x --days",
        "partner invite --days",
        "settings set guard_units --",
        "settings set batch_hour --",
    )
    for command in commands:
        words = command.split()
        at = 1 if words[0] == "give" else 2
        results = [
            occ(linked, *words[:at], "--shop", DOMAIN, *words[at:], number).exit_code for number in (MANY, f"-{MANY}")
        ]

        assert set(results) <= {1, 2}, command


def test_a_command_that_did_something_says_so(linked: Bench) -> None:
    at = ("--shop", DOMAIN)
    linked.product("B", 4)
    linked.settle()
    linked.item("B")
    linked.map("B", None)
    link = occ(linked, "link", *at, "--item", "B", "hub")

    assert "Compared with Shopify" in occ(linked, "reconcile", *at).stdout
    assert occ(linked, "settings", "set", *at, "batch_hour", "7").stdout == "batch_hour = 7\n"
    assert link.stdout == "Our number will hold for B at Bristol workshop.\n"
    assert "has not ended yet" in link.stderr


@pytest.mark.parametrize("command", ["exceptions list", "approvals list", "work status"])
def test_an_empty_list_says_that_it_is_empty_beside_its_lines(linked: Bench, command: str) -> None:
    at = () if command == "work status" else ("--shop", DOMAIN)
    result = occ(linked, *command.split(), *at)

    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith("Nothing ")
    if at:
        machine = occ(linked, *command.split(), *at, "--json")
        assert (machine.stdout, machine.stderr) == ("[]\n", "")


def test_a_lot_of_which_nothing_can_move_says_where_it_is(linked: Bench) -> None:
    at = ("lot", "move", "--shop", DOMAIN, "L1", "--to")
    there = occ(linked, *at, "released")
    passed = occ(linked, *at, "packaged")
    occ(linked, *at, "scrap")
    gone = occ(linked, *at, "on_hold")

    assert there.stderr == "All 10 units of lot L1 are released already.\n"
    assert passed.stderr == "Nothing of lot L1 can go to packaged. It has 10 released.\n"
    assert gone.stderr == "Nothing of lot L1 is left to move.\n"
    assert {result.exit_code for result in (there, passed, gone)} == {1}


def test_a_file_without_end_is_read_no_further_than_a_file_may_be_long(linked: Bench) -> None:
    result = occ(linked, "import", "items", "/dev/zero", "--shop", DOMAIN)

    assert (result.exit_code, "The file is larger than 20 MB" in result.output) == (1, True)


def test_lots_and_mappings_are_kept_at_a_location_that_is_there_and_active(linked: Bench) -> None:
    linked.store.add_location("Closed shop")
    with linked.scope():
        pull.pull_facts(linked.app.extensions["occ_connections"].client(linked.install()))
        closed = db.session.scalars(db.select(Location).where(Location.name == "Closed shop")).one()
        closed.is_active, gid = False, closed.location_gid
        db.session.commit()
    at = ("settings", "set", "--shop", DOMAIN, "default_location")
    refused = [occ(linked, *at, value) for value in ("", gid, "gid://shopify/Location/9")]
    page = linked.open("/settings", method="POST", data={"default_location": gid})

    assert [result.exit_code for result in refused] == [1, 1, 1]
    for result, words in zip(
        refused, ("A location is needed", "is switched off in Shopify", "no location"), strict=True
    ):
        assert words in result.output
    assert (page.status_code, "is switched off in Shopify" in page.text) == (422, True)
    assert linked.place.gid in occ(linked, "settings", "show", "--shop", DOMAIN).output


def test_a_lot_is_checked_reviewed_and_approved_by_commands(linked: Bench) -> None:
    linked.lot("A", 120, "in_review", number="L2")
    at = ("--shop", DOMAIN)
    assert occ(linked, "check", "add", *at, "--item", "A", "Snap").exit_code == 0
    refused = occ(linked, "lot", "review", *at, "L2", "--release", 100, "--hold", 20)
    assert "Snap passed" in occ(linked, "lot", "check", *at, "L2", "snap", "pass").output
    occ(linked, "mode", "set", *at, "--item", "A", "manual")
    reviewed = occ(linked, "lot", "review", *at, "L2", "--release", 100, "--hold", 20)
    listed = occ(linked, "approvals", "list", *at).output
    assert occ(linked, "approvals", "approve", *at, listed.split()[0]).exit_code == 0
    linked.settle()

    assert (refused.exit_code, "Snap has no result yet" in refused.output) == (1, True)
    assert (reviewed.exit_code, listed.startswith("1 A: 10 -> 110 (+100)")) == (0, True)
    assert linked.available("A") == 110


@pytest.mark.parametrize(
    "command", [("stock", "show"), ("stock", "audit"), ("settings", "show"), ("exceptions", "list")]
)
def test_a_shop_may_be_written_in_capitals(linked: Bench, command: tuple[str, str]) -> None:
    assert occ(linked, *command, "--shop", DOMAIN.upper()).exit_code == 0
