"""The queue: Procrastinate on the app's own database, and the worker that runs what waits in it.

Source: Procrastinate 3.10 documentation, "locks", "queueing locks", "retry stalled jobs".
"""

from __future__ import annotations

import procrastinate

queue = procrastinate.App(connector=procrastinate.PsycopgConnector())
# Asks for tasks on a connection that is given. An app of its own: an open worker's connector would take the connection for an async one.
asking = procrastinate.App(connector=procrastinate.SyncPsycopgConnector())
HEARTBEAT_SECONDS = 2.0
STALLED_SECONDS = (
    30.0  # a worker without a heartbeat for so long is dead; on a busy machine one may be late by many seconds
)
# Its row goes much later: Procrastinate never makes it again, so a worker that was only slow would work on unseen.
PRUNED_SECONDS = 3600.0


@queue.task(name="run", pass_context=False)
def run(name: str, shop_id: int) -> None:
    """The registered task `name` has looked at the shop."""
    from occ_app.work.runner import run_task

    run_task(name, shop_id)
