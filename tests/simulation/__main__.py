"""`python -m tests.simulation --seeds 1000`: seeds 0 to n-1 on all cores; every failing one is shrunk and told. Exit 1 if there was one."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from functools import partial

from tests.simulation import runner
from tests.support.settings import find_server

CHUNK = 50


def main() -> int:
    """All seeds."""
    options = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    options.add_argument("--seeds", type=int, default=100, help="how many")
    options.add_argument("--first", type=int, default=0, help="the first one")
    options.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options.add_argument("--no-shrink", action="store_true", help="tell the whole plan of a failing seed")
    given = options.parse_args()
    find_server()
    started, outcomes, failed = time.monotonic(), [], 0
    seeds = list(range(given.first, given.first + given.seeds))
    chunks = [seeds[n : n + CHUNK] for n in range(0, len(seeds), CHUNK)]
    work = partial(runner.run, shrinks=not given.no_shrink)
    with multiprocessing.get_context("spawn").Pool(given.jobs) as pool:
        for done in pool.imap_unordered(work, chunks):
            outcomes += [outcome for outcome, _ in done]
            for story in filter(None, (story for _, story in done)):
                failed += 1
                print(story, flush=True)
            print(
                f"{len(outcomes)} of {given.seeds} seeds, {failed} failed, {time.monotonic() - started:.0f} s",
                flush=True,
            )
    print(runner.costs(outcomes))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
