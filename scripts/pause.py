"""`make pause`, `make resume`: the running demo's app stops, web and worker, and starts again; devshop goes on meanwhile."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parent.parent
INSTANCE = Path(os.environ.get("OCC_INSTANCE", str(ROOT / "instance" / "demo")))
DEVSHOP = f"http://127.0.0.1:{os.environ.get('DEVSHOP_PORT', '9290')}"
APP = f"http://127.0.0.1:{os.environ.get('PORT', '8000')}"
SECONDS = 60


def main() -> None:
    """The app has stopped, or it answers again."""
    if sys.argv[1:] not in (["pause"], ["resume"]):
        sys.exit("Give pause or resume.")
    if not _answers(f"{DEVSHOP}/_devshop/health"):
        sys.exit("The demo does not run. Start it with: make demo")
    is_pause = sys.argv[1] == "pause"
    paused = INSTANCE / "paused"
    if is_pause:
        paused.touch()
    else:
        paused.unlink(missing_ok=True)
    end = time.monotonic() + SECONDS
    while _answers(f"{APP}/health") is is_pause:
        if time.monotonic() > end:
            sys.exit(
                f"The app did not {'stop' if is_pause else 'start'} within {SECONDS} seconds. Look at the demo's own output."
            )
        time.sleep(0.2)
    print(
        "The app has stopped; the store goes on. Sell something there, then: make resume"
        if is_pause
        else "The app runs again."
    )


def _answers(url: str) -> bool:
    try:
        urlopen(url, timeout=2).read()
    except (URLError, ConnectionError, TimeoutError):
        return False
    return True


if __name__ == "__main__":
    main()
