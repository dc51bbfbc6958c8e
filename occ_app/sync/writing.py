"""One call that writes: its row and its lines are committed before it is sent."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from occ_app import clock
from occ_app.extensions import db
from occ_app.outbox.models import READY, Mutation
from occ_app.shopify.client import Client
from occ_app.sync import answers
from occ_app.sync.models import PushLine, SyncRun
from occ_app.sync.reasons import Why
from occ_app.sync.rules import Write

REASON = "correction"


@dataclass(frozen=True)
class Planned:
    """A write of a mapping, and the numbers that it was computed from. `undoes_id`: the push line whose change it takes back."""

    mapping_id: int
    write: Write
    target: int
    expected: int
    item_gid: str
    location_gid: str
    undoes_id: int | None = None


def write(
    client: Client, pull_orders: answers.PullOrders, run: SyncRun, plans: Sequence[Planned], why: Mapping[int, Why]
) -> list[int]:
    """One call: the row and its lines are committed, then it is sent. Returns the mappings that another round may help."""
    at = clock.now()
    mutation = Mutation(operation="inventory_set", key=str(uuid.uuid4()), variables={}, created_at=at, state=READY)
    mutation.variables = {"input": _input(plans, run.id), "key": mutation.key}
    db.session.add(mutation)
    db.session.flush()
    for position, plan in enumerate(plans):
        because = why.get(plan.mapping_id, Why(None, None))
        db.session.add(
            PushLine(
                run_id=run.id,
                mutation_id=mutation.id,
                mapping_id=plan.mapping_id,
                position=position,
                change_from=plan.write.change_from,
                quantity=plan.write.quantity,
                target=plan.target,
                expected=plan.expected,
                created_at=at,
                why=because.words,
                until_move_id=because.until_move_id,
                undoes_id=plan.undoes_id,
            )
        )
    run.writes += 1
    db.session.commit()
    return answers.send(client, pull_orders, mutation.id, is_retry=False)


def _input(plans: Sequence[Planned], run_id: int) -> dict[str, Any]:
    return {
        "name": "available",
        "reason": REASON,
        "referenceDocumentUri": f"gid://occ-inventory-hub/SyncRun/{run_id}",
        "quantities": [
            {
                "inventoryItemId": plan.item_gid,
                "locationId": plan.location_gid,
                "quantity": plan.write.quantity,
                "changeFromQuantity": plan.write.change_from,
            }
            for plan in plans
        ],
    }
