"""The doctor: every way in which a connection can be ill is named with what to do, and nothing is changed by looking."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import InternalError

from devshop import oauth
from occ_app import clock
from occ_app.desk import doctor
from occ_app.desk.doctor import BAD, OK, WARN, Check
from occ_app.extensions import across_shops, db
from occ_app.orders.models import Order
from occ_app.shops.models import Shop, ShopToken
from occ_app.work import tasks
from occ_app.work.models import TaskFailure
from tests.support.bench import DOMAIN, Bench


def checks(bench: Bench, at: datetime | None = None) -> dict[str, Check]:
    """The doctor's findings by name."""
    db.session.remove()
    with bench.scope():
        shop = db.session.scalars(db.select(Shop).where(Shop.domain == DOMAIN)).one()
        found = doctor.examine(bench.app.extensions["occ_connections"], shop, at or clock.now())
    db.session.remove()
    return {check.name: check for check in found}


def change(bench: Bench, statement: Any) -> None:
    """Something in our tables is different."""
    with across_shops():
        db.session.execute(statement)
        db.session.commit()


def start_worker() -> None:
    """A worker has just been seen."""
    db.session.execute(db.text("INSERT INTO procrastinate_workers DEFAULT VALUES"))
    db.session.commit()


def pass_time(bench: Bench, monkeypatch: pytest.MonkeyPatch, folder: Path, hours: float) -> None:
    """So many hours later, here and at Shopify; access has been renewed by the work that was due."""
    before = clock.now() - datetime.now(UTC)
    (folder / "clock").write_text(str(before.total_seconds() + hours * 3600))
    monkeypatch.setenv("OCC_CLOCK_FILE", str(folder / "clock"))
    bench.world.clock.advance(hours * 3600)
    run(bench, "hourly")


def run(bench: Bench, task: str) -> None:
    """The task has looked at the shop."""
    with bench.scope():
        shop_id = db.session.scalars(db.select(Shop.id).where(Shop.domain == DOMAIN)).one()
        tasks.ask(task, shop_id)
        db.session.commit()
    bench.drain()


def dump() -> dict[str, Any]:
    """All rows of all tables, as a sum each."""
    query = "SELECT md5(coalesce(string_agg(row::text, '|' ORDER BY row::text), '')) FROM \"{}\" row"
    return {t.name: db.session.execute(db.text(query.format(t.name))).scalar() for t in db.metadata.sorted_tables}


def occ(bench: Bench, *words: str) -> Any:
    """A command."""
    db.session.remove()
    return bench.app.test_cli_runner().invoke(args=[*words])


def test_a_healthy_shop_is_all_green(bench: Bench) -> None:
    bench.install()
    start_worker()

    assert {check.state for check in checks(bench).values()} == {OK}


def test_the_command_says_a_line_per_check_and_exits_by_what_it_found(bench: Bench) -> None:
    bench.install()
    ill = occ(bench, "doctor", "--shop", DOMAIN)
    start_worker()
    well = occ(bench, "doctor", "--shop", DOMAIN)
    rows = json.loads(occ(bench, "doctor", "--shop", DOMAIN, "--json").output)

    assert (ill.exit_code, well.exit_code) == (1, 0)
    assert "bad   worker       No worker runs, so nothing is sent or read.  Start one: occ worker" in ill.output
    assert [line.split()[0] for line in well.output.splitlines()] == ["ok"] * len(rows)
    assert set(rows[0]) == {"name", "state", "says", "remedy"}
    assert occ(bench, "doctor", "--shop", "none.myshopify.com").exit_code == 1


@pytest.mark.parametrize("trouble", [lambda bench: None, lambda bench: bench.store.tokens.clear()])
def test_looking_changes_nothing_here_or_at_shopify(bench: Bench, trouble: Callable[[Bench], None]) -> None:
    bench.install()
    expired = db.update(ShopToken).values(access_expires_at=clock.now() - timedelta(hours=1))
    change(bench, expired)
    trouble(bench)
    bench.store.calls.clear()
    before, tokens = dump(), dict(bench.store.tokens)
    occ(bench, "doctor", "--shop", DOMAIN)
    bench.open("/settings/connection")

    assert dump() == before
    assert bench.store.tokens == tokens
    assert {call["kind"] for call in bench.store.calls} <= {"query"}


def test_within_the_examination_nothing_can_be_written(bench: Bench) -> None:
    bench.install()
    with bench.scope():
        shop = db.session.scalars(db.select(Shop)).one()
        doctor.examine(bench.app.extensions["occ_connections"], shop, clock.now())
        shop.name = "changed"
        with pytest.raises(InternalError, match="read-only"):
            db.session.flush()
    db.session.rollback()


# Every bad state -------------------------------------------------------------------------------------------------------------------


def shop_is(**values: Any) -> Callable[[Bench], None]:
    return lambda bench: change(bench, db.update(Shop).values(**values))


def token_is(**values: Any) -> Callable[[Bench], None]:
    return lambda bench: change(bench, db.update(ShopToken).values(**values))


def faults(**values: Any) -> Callable[[Bench], None]:
    return lambda bench: bench.store.faults.change(values)


def location_is_off(bench: Bench) -> None:
    bench.place.is_active = False


def news_of_another_version(bench: Bench) -> None:
    bench.world.config.api_version = "2026-07"
    bench.store.emit("app/scopes_update", {"previous": [], "current": list(bench.store.granted)})
    bench.settle()


def task_failed(bench: Bench) -> None:
    with bench.scope():
        shop_id = db.session.scalars(db.select(Shop.id)).one()
        db.session.add(TaskFailure(shop_id=shop_id, task="hourly", tries=5, failed_at=clock.now(), cause="x"))
        db.session.commit()


def order_waits(minutes: int) -> Callable[[Bench], None]:
    def wait(bench: Bench) -> None:
        with bench.scope():
            due_at = clock.now() - timedelta(minutes=minutes)
            db.session.add(Order(order_gid="gid://shopify/Order/1", due_at=due_at))
            db.session.commit()

    return wait


def ago(**passed: int) -> datetime:
    return clock.now() - timedelta(**passed)


def in_(**passed: int) -> datetime:
    return clock.now() + timedelta(**passed)


ILL: dict[str, tuple[Callable[[Bench], object], str, str, str]] = {
    "paused": (shop_is(status="paused"), "shop", WARN, "paused"),
    "reconnect": (shop_is(status="needs_reconnecting", status_reason="Refused."), "shop", BAD, "again. Refused."),
    "uninstalled": (shop_is(status="uninstalled"), "shop", BAD, "not installed"),
    "no token": (lambda bench: change(bench, db.delete(ShopToken)), "token", BAD, "no access token"),
    "other key": (token_is(access_token=b"0000" + b"1" * 40), "token", BAD, "cannot be read"),
    "not asked": (token_is(access_token=b"0000" + b"1" * 40), "shopify", BAD, "was not asked"),
    "no refresh": (token_is(refresh_token=None), "token", BAD, "cannot be renewed"),
    "refresh over": (token_is(refresh_expires_at=ago(days=1)), "token", BAD, "cannot be renewed"),
    "refresh soon": (token_is(refresh_expires_at=in_(days=20, hours=1)), "token", WARN, "20 more days"),
    "expired": (token_is(access_expires_at=ago(hours=3)), "token", WARN, "expired 3 h ago"),
    "for ever": (token_is(access_expires_at=None), "token", WARN, "never expires"),
    "revoked": (lambda bench: bench.store.tokens.clear(), "shopify", BAD, "(401)"),
    "gone": (lambda bench: bench.world.stores.clear(), "shopify", BAD, "no longer knows this store"),
    "down": (faults(always="503"), "shopify", BAD, "(503)"),
    "garbage": (faults(always="garbage"), "shopify", BAD, "could not be read"),
    "slow down": (faults(always="429"), "shopify", WARN, "slow down"),
    "throttled": (faults(always="throttled"), "shopify", WARN, "points"),
    "retired": (faults(always="version"), "api-version", BAD, "Shopify no longer serves API version 2026-10."),
    "retired is no lost store": (faults(always="version"), "shopify", BAD, "knows the store"),
    "forward": (faults(falls_forward="2027-01"), "api-version", BAD, "answers with 2027-01"),
    "scopes": (
        lambda bench: oauth.grant_scopes(bench.store, ("read_products", "write_inventory")),
        "scopes",
        BAD,
        "read_locations, read_orders",
    ),
    "clock": (lambda bench: bench.world.clock.advance(20), "clock", WARN, "behind Shopify's"),
    "clock far": (lambda bench: bench.world.clock.advance(300), "clock", BAD, "min behind"),
    "clock unknown": (faults(always="503"), "clock", WARN, "Not known"),
    "location off": (location_is_off, "locations", BAD, "switched off"),
    "location gone": (lambda bench: bench.store.locations.clear(), "locations", BAD, "not exist"),
    "no location": (shop_is(settings={}), "locations", BAD, "No location is chosen"),
    "late": (order_waits(5), "due", WARN, "(orders) has waited for 5 min"),
    "very late": (order_waits(60), "due", BAD, "60 min"),
    "payloads": (news_of_another_version, "deliveries", WARN, "API version 2026-07"),
    "parked": (task_failed, "parked", WARN, "1 task."),
}


@pytest.mark.parametrize("case", list(ILL))
def test_what_is_ill_is_named_with_what_to_do(bench: Bench, case: str) -> None:
    trouble, name, state, words = ILL[case]
    bench.install()
    trouble(bench)
    found = checks(bench)[name]

    assert (found.state, words in found.says) == (state, True), found
    assert found.remedy or name == "clock"


def test_the_end_of_a_version_is_seen_coming(bench: Bench) -> None:
    bench.install()
    early = checks(bench, datetime(2027, 6, 1, tzinfo=UTC))["api-version"]
    soon = checks(bench, datetime(2027, 8, 1, tzinfo=UTC))["api-version"]
    over = checks(bench, datetime(2027, 11, 1, tzinfo=UTC))["api-version"]

    assert (early.state, soon.state, over.state) == (OK, WARN, BAD)
    assert "until 2027-10-01, 61 days left" in soon.says


def test_a_worker_that_died_is_missed(bench: Bench) -> None:
    bench.install()
    start_worker()
    db.session.execute(db.text("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '5 minutes'"))
    db.session.commit()

    assert "5 min" in checks(bench)["worker"].says


# A retired version -----------------------------------------------------------------------------------------------------------------


def test_work_goes_on_by_itself_when_the_version_is_served_again(bench: Bench) -> None:
    bench.product("SSD", 0)
    bench.install()
    bench.item("SSD")
    bench.lot("SSD", 10)
    bench.map("SSD", "hub")
    bench.settle()
    bench.store.faults.change({"always": "version"})
    bench.lot("SSD", 5)
    bench.sell_in("SSD", 1)
    bench.settle()
    with across_shops():
        assert db.session.scalars(db.select(Shop.status)).one() == "active"
    bench.store.faults.change({"always": None})
    bench.settle()

    assert bench.available("SSD") == 14
    assert bench.exceptions() == []


# Webhooks --------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def selling(bench: Bench) -> Bench:
    """A store that sells one product."""
    bench.product("SSD", 100)
    bench.install()
    return bench


def silence(bench: Bench, topic: str) -> list[Any]:
    """The app's configuration at Shopify does not name the topic any more; what it named."""
    was = list(bench.world.config.subscriptions)
    bench.world.config.subscriptions = [one for one in was if one.topic != topic]
    return was


def sell(bench: Bench, times: int = 3) -> None:
    """People buy, and it is known here by whatever way."""
    for _ in range(times):
        bench.sell_in("SSD", 1)
    bench.settle()
    run(bench, "hourly")


def topics(bench: Bench) -> list[str]:
    """Topics of the subscriptions that were made for the store."""
    return [row["topic"] for row in bench.store.subscriptions.values()]


def test_a_topic_counts_as_missing_when_comparing_found_what_it_did_not_tell(
    selling: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    silence(selling, "orders/create")
    sell(selling)
    fresh = checks(selling)["webhooks"]
    pass_time(selling, monkeypatch, tmp_path, 7)
    found = checks(selling)["webhooks"]

    assert fresh.state == OK
    assert found.state == BAD
    assert " of 22 topics came in within 7 days" in found.says
    assert "1 of them is missing: orders/create (3 changes were found without news)" in found.says


def test_quiet_and_single_losses_are_no_fault(selling: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    silence(selling, "orders/create")
    sell(selling, times=2)
    pass_time(selling, monkeypatch, tmp_path, 7)

    assert checks(selling)["webhooks"].state == OK


def test_a_missing_topic_is_subscribed_once_and_let_go_when_it_comes_twice(
    selling: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    configured = silence(selling, "orders/create")
    sell(selling)
    pass_time(selling, monkeypatch, tmp_path, 7)
    run(selling, "subscriptions")
    run(selling, "subscriptions")
    made = dict(next(iter(selling.store.subscriptions.values())))
    selling.world.clock.advance(2)
    sell(selling, times=1)
    mended = checks(selling)["webhooks"]
    selling.world.config.subscriptions = configured
    sell(selling, times=1)
    twice = checks(selling)["webhooks"]
    run(selling, "subscriptions")

    assert (made["topic"], made["name"], made["uri"]) == ("orders/create", "occ-hub", "http://127.0.0.1:8000/webhooks")
    assert made["include_fields"] == ["id", "admin_graphql_api_id", "updated_at"]
    assert mended.state == OK
    assert (twice.state, "Subscribed twice: orders/create" in twice.says) == (WARN, True)
    assert topics(selling) == []


def test_a_topic_that_stays_silent_although_it_is_subscribed_is_not_subscribed_again(
    selling: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    silence(selling, "orders/create")
    sell(selling)
    pass_time(selling, monkeypatch, tmp_path, 7)
    run(selling, "subscriptions")
    selling.store.faults.change({"webhooks": "lost"})
    pass_time(selling, monkeypatch, tmp_path, 1)
    sell(selling)
    pass_time(selling, monkeypatch, tmp_path, 7)
    run(selling, "subscriptions")
    found = checks(selling)["webhooks"]

    assert topics(selling).count("orders/create") == 1
    assert found.state == BAD
    assert "orders/create" in found.says


def test_of_two_that_were_made_alike_the_older_stays(selling: Bench) -> None:
    subscribe(selling, "http://127.0.0.1:8000/webhooks/orders-create", "by-hand")
    subscribe(selling, "http://127.0.0.1:8000/webhooks", "again")
    before = checks(selling)["webhooks"]
    run(selling, "subscriptions")

    assert (before.state, "Subscribed twice" in before.says) == (WARN, True)
    assert [row["name"] for row in selling.store.subscriptions.values()] == ["by-hand"]


def test_one_that_leads_elsewhere_is_named_and_left(selling: Bench) -> None:
    subscribe(selling, "https://old.example.com/webhooks", None)
    run(selling, "subscriptions")
    found = checks(selling)["webhooks"]

    assert (found.state, "https://old.example.com/webhooks" in found.says) == (WARN, True)
    assert len(selling.store.subscriptions) == 1


def subscribe(bench: Bench, uri: str, name: str | None) -> None:
    """Somebody subscribed to orders/create through the API."""
    number = bench.world.new_id()
    row = {"id": number, "topic": "orders/create", "uri": uri, "include_fields": None, "filter": None, "name": name}
    bench.store.subscriptions[number] = {**row, "created_at": bench.store.now(), "failures": 0}


def test_the_button_repairs_and_tells_a_refusal(
    selling: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    silence(selling, "orders/create")
    sell(selling)
    pass_time(selling, monkeypatch, tmp_path, 7)
    selling.store.faults.change({"refuses_topics": True})
    refused = selling.open("/settings/connection/webhooks", method="POST").get_data(as_text=True)
    selling.store.faults.change({"refuses_topics": False})
    done = selling.open("/settings/connection/webhooks", method="POST").get_data(as_text=True)
    again = selling.open("/settings/connection/webhooks", method="POST").get_data(as_text=True)

    assert "not approved to subscribe" in refused
    assert "orders/create is subscribed for this store." in done
    assert "Nothing was to be repaired." in again
    assert topics(selling) == ["orders/create"]


def test_what_another_shop_missed_does_not_count_here(
    selling: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = selling.add_store("other.myshopify.com")
    other.add_location("There")
    selling.install(other)
    silence(selling, "orders/create")
    sell(selling)
    pass_time(selling, monkeypatch, tmp_path, 7)
    with across_shops():
        shop = db.session.scalars(db.select(Shop).where(Shop.domain == other.domain)).one()
    with selling.scope(shop):
        shop = db.session.get_one(Shop, shop.id)
        found = doctor.examine(selling.app.extensions["occ_connections"], shop, clock.now())

    assert next(check for check in found if check.name == "webhooks").state == OK


def test_settings_show_the_connection_as_a_block(bench: Bench) -> None:
    bench.install()
    settings = bench.open("/settings").get_data(as_text=True)
    part = bench.open("/settings/connection", headers={"HX-Request": "true", "HX-Request-Type": "partial"})

    assert 'hx-get="/settings/connection"' in settings
    assert part.get_data(as_text=True).lstrip().startswith("<section")
    assert "Start one: occ worker" in part.get_data(as_text=True)
