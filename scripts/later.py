"""`make later HOURS=24`: time passes in the running demo, for the app and for devshop alike."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from urllib.request import Request, urlopen

ROOT = Path(__file__).resolve().parent.parent
INSTANCE = Path(os.environ.get("OCC_INSTANCE", str(ROOT / "instance" / "demo")))
DEVSHOP = f"http://127.0.0.1:{os.environ.get('DEVSHOP_PORT', '9290')}"


def main() -> None:
    """Both clocks are so many hours later."""
    try:
        seconds = float(sys.argv[1]) * 3600
    except (IndexError, ValueError):
        sys.exit("Give the hours, such as: make later HOURS=24")
    file = INSTANCE / "clock"
    before = float(file.read_text().strip() or 0) if file.exists() else 0.0
    request = Request(
        f"{DEVSHOP}/_devshop/clock", json.dumps({"advance": seconds}).encode(), {"Content-Type": "application/json"}
    )
    now = json.loads(urlopen(request, timeout=10).read())["now"]
    file.write_text(str(before + seconds))
    print(f"It is {now}. What is due is done within seconds.")


if __name__ == "__main__":
    main()
