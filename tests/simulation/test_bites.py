"""The simulation bites: each usual way to do it wrong is caught by one of the fixed seeds, and told as a short story."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from occ_app import wiring
from occ_app.extensions import db
from occ_app.orders import booking
from occ_app.orders.rules import Booked
from occ_app.outbox.models import APPLIED, READY, SENT, Mutation
from occ_app.shopify.client import Client
from occ_app.sync import answers, link, push, readings, reconcile, targets
from occ_app.sync import models as m
from occ_app.sync.models import PushLine, SyncState
from occ_app.sync.rules import Write
from tests.simulation import runner
from tests.simulation.rig import Rig
from tests.simulation.test_seeds import SEEDS

LIVES = 4
# Where each was caught when this was written, to begin with; the others follow.
CAUGHT_BY = {
    "blind_absolute_push": 52,
    "no_baseline": 140,
    "number_of_a_webhook_is_booked": 1,
    "no_row_before_the_call": 1,
    "the_reply_is_believed": 2,
    "orders_as_events": 1,
    "target_is_floored": 1,
    "drift_is_overwritten": 22,
}
Break = Callable[[pytest.MonkeyPatch], None]


def blind_absolute_push(patch: pytest.MonkeyPatch) -> None:
    """Our number is written, whatever Shopify has sold meanwhile."""

    def write(target: int, expected: int, available: int, *, may_raise: bool) -> Write | None:
        return Write(available, max(0, target)) if max(0, target) != available else None

    patch.setattr(push, "write_for", write)


def no_baseline(patch: pytest.MonkeyPatch) -> None:
    """A first link does not ask what was sold before it, and every order changes what Shopify is expected to have."""
    fetch = readings.fetch

    def agreeing(client: Client, states: Sequence[SyncState]) -> dict[int, Any]:
        booked = {state.mapping_id: state.booked_committed for state in states}
        found = fetch(client, states)
        return {key: r if isinstance(r, str) else replace(r, committed=booked[key]) for key, r in found.items()}

    waiting = link.link_waiting
    patch.setattr(link, "readings", SimpleNamespace(**{**vars(readings), "fetch": agreeing}))
    patch.setattr(link, "link_waiting", lambda client, *_: waiting(client, lambda *_: None, lambda *_: None))
    patch.setattr(targets, "counts_for_expected", lambda *_, **__: True)


def number_of_a_webhook_is_booked(patch: pytest.MonkeyPatch) -> None:
    """`inventory_levels/update` is taken for a count of stock."""
    nudge = wiring.TOPICS["inventory_levels/update"]

    def book(delivery: Any, payload: dict[str, Any]) -> None:
        item_gid = f"gid://shopify/InventoryItem/{payload['inventory_item_id']}"
        for state in reconcile.readings.living_states():
            if state.mapping.variant.inventory_item_gid == item_gid and state.expected is not None:
                units = (payload["available"] - state.expected) * state.mapping.units_per_variant
                state.expected = payload["available"]
                source = f"webhook:{delivery.id}"
                reconcile.correct(state, units, source=source, actor="webhook", at=delivery.received_at)
        nudge(delivery, payload)

    patch.setitem(wiring.TOPICS, "inventory_levels/update", book)


def no_row_before_the_call(patch: pytest.MonkeyPatch) -> None:
    """What was sent is forgotten when no answer came."""

    def forget(*_: Any) -> None:
        for mutation in db.session.scalars(db.select(Mutation).where(Mutation.state.in_((READY, SENT)))):
            for line in answers.open_lines(mutation.id):
                line.state = m.REFUSED
            mutation.state = APPLIED
        db.session.commit()

    patch.setattr(answers, "settle_open", forget)


def the_reply_is_believed(patch: pytest.MonkeyPatch) -> None:
    """After an error the rows that it does not name are taken for written."""

    def outcome(line: PushLine, state: SyncState, *_: object, is_refused: bool, is_ambiguous: bool) -> str:
        return m.STALE if is_refused else m.APPLIED

    patch.setattr(answers, "_outcome", outcome)


def orders_as_events(patch: pytest.MonkeyPatch) -> None:
    """Every news of an order is booked, whatever of it was booked before."""
    steps = booking.steps

    def again(booked: Booked, *rest: Any, **more: Any) -> Sequence[Any]:
        return steps(Booked(), *rest, **more)

    patch.setattr(booking, "steps", again)


def target_is_floored(patch: pytest.MonkeyPatch) -> None:
    """The target never goes below zero, so what was oversold comes back on sale with the next units."""
    target = targets.target
    patch.setattr(targets, "target", lambda components: max(0, target(components)))


def drift_is_overwritten(patch: pytest.MonkeyPatch) -> None:
    """A number that we do not expect is put right at first sight, before anybody asked for orders."""
    agrees = reconcile._agrees
    patch.setattr(reconcile, "_agrees", lambda state, reading, at, *_, **__: agrees(state, reading, at, True))
    patch.setattr(reconcile, "is_foreign", lambda *_: True)
    patch.setattr(reconcile, "_decide", lambda state, reading, at: reconcile.set_shopify_right(state))


BROKEN: tuple[Break, ...] = (
    blind_absolute_push,
    no_baseline,
    number_of_a_webhook_is_booked,
    no_row_before_the_call,
    the_reply_is_believed,
    orders_as_events,
    target_is_floored,
    drift_is_overwritten,
)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("broken", BROKEN, ids=lambda each: each.__name__)
def test_a_usual_mistake_is_caught(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], broken: Break
) -> None:
    broken(monkeypatch)
    for seed in sorted(SEEDS, key=lambda seed: seed != CAUGHT_BY[broken.__name__]):
        given = runner.plan(seed)
        if runner.live(rig, given).wrong:
            break
    else:
        pytest.fail(f"none of {len(SEEDS)} seeds notices: {broken.__doc__}")
    shortest, outcome = runner.shrink(rig, given, LIVES)
    with capsys.disabled():
        print(f"\n{broken.__name__}: {broken.__doc__}\n{runner.tell(shortest, outcome)}")

    assert outcome.wrong
