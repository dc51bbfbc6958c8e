"""`make demo`: devshop with a chocolate maker's store, the app on its private PostgreSQL, and the first data. Ctrl-C stops all of it.

While the file `paused` lies in its instance folder (`make pause`, `make resume`) the app is stopped, web and worker, and devshop goes on.
"""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from datetime import date, datetime, timedelta
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen
from zoneinfo import ZoneInfo

ROOT = Path(__file__).resolve().parent.parent
DEVSHOP_PORT, APP_PORT = int(os.environ.get("DEVSHOP_PORT", "9290")), int(os.environ.get("PORT", "8000"))
DEVSHOP, APP = f"http://127.0.0.1:{DEVSHOP_PORT}", f"http://127.0.0.1:{APP_PORT}"
SHOP = "cocoa-bristol.myshopify.com"
# How many days ago each lot of the seed was made; some expire soon. One more is past its date and still on the shelf.
DAYS_OLD = {
    "SS70-1": 41, "SS70-2": 2, "MC45-1": 60, "EC85-1": 33, "OP65-1": 75, "HM42-1": 20, "WR-1": 158, "HP-1": 17,
    "SC-1": 11, "SC-2": 1, "CH-1": 8, "DC72-1": 90, "CP-1": 341, "HS-1": 55, "HS-2": 3,
}  # fmt: skip
EXPIRED = {"lot_number": "SS70-0", "item_sku": "CB-BAR-SS70-80", "quantity": "12", "place": "released"}
EXPIRED_DAYS_OLD = 190
QUICK = {"drift_grace_seconds": "5", "guard_units": "200"}  # nobody waits long, and a lot goes out in one step


def main() -> None:
    """Everything runs until one part ends or Ctrl-C."""
    sys.path.insert(0, str(ROOT))
    os.chdir(ROOT)
    os.environ.setdefault("OCC_INSTANCE", str(ROOT / "instance" / "demo"))
    os.environ["SHOPIFY_STANDIN_URL"], os.environ["APP_BRIDGE_URL"] = DEVSHOP, f"{DEVSHOP}/app-bridge.js"
    os.environ["SHOPIFY_APP_URL"] = APP
    clock = Path(os.environ.setdefault("OCC_CLOCK_FILE", str(Path(os.environ["OCC_INSTANCE"]) / "clock")))
    clock.parent.mkdir(parents=True, exist_ok=True)
    clock.write_text("0")  # `make later` moves it
    paused = Path(os.environ["OCC_INSTANCE"]) / "paused"
    paused.unlink(missing_ok=True)
    from occ_app import config

    settings = config.load()
    environment = {**os.environ, "SHOPIFY_API_KEY": settings.api_key, "SHOPIFY_API_SECRET": settings.api_secret}
    python = sys.executable
    occ = [python, "-m", "occ_app.cli"]
    devshop = [
        python,
        "-m",
        "devshop",
        "--port",
        str(DEVSHOP_PORT),
        "--config",
        "shopify.app.dev.toml",
        "--app-url",
        APP,
    ]
    fresh = not (settings.instance / "postgres").exists()
    subprocess.run([*occ, "migrate"], check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _forget_old_shop(settings) if not fresh else None
    serve = [*occ, "serve", "--port", str(APP_PORT)]
    children = [
        subprocess.Popen(
            [*devshop, "--seed", "devshop/seed/demo.json", "--roasters"], env=environment, stdout=subprocess.DEVNULL
        ),
        subprocess.Popen(serve, env=environment),
    ]
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stopped like by Ctrl-C
    try:
        _wait_for(f"{DEVSHOP}/_devshop/health", children)
        _wait_for(f"{APP}/health", children)
        _first_data(occ, environment)
        print(f"\n  Open {DEVSHOP}/store/cocoa-bristol/apps/occ-inventory-hub-dev\n\n  Ctrl-C stops it.\n", flush=True)
        _keep_running(children, serve, environment, paused)
        ended = [str(child.args[2]) for child in children if child.poll() is not None]
        print(f"\n  A part of the demo ended ({', '.join(ended)}), so all of it does.\n", flush=True)
    except KeyboardInterrupt:
        pass
    finally:
        for child in reversed(children):
            child.send_signal(signal.SIGTERM)
        for child in children:
            child.wait()


def _keep_running(
    children: list[subprocess.Popen[bytes]], serve: list[str], environment: dict[str, str], paused: Path
) -> None:
    """Until a part ends by itself. The app, the last of `children`, is away while the file `paused` is there."""
    while all(child.poll() is None for child in children):
        if paused.exists():
            app = children.pop()
            app.terminate()
            app.wait()
            while paused.exists() and all(child.poll() is None for child in children):
                time.sleep(0.2)
            if not paused.exists():
                children.append(subprocess.Popen(serve, env=environment))
        time.sleep(0.2)


def _forget_old_shop(settings: object) -> None:
    """devshop keeps nothing over a restart, so the demo's database begins anew too."""
    import psycopg

    from occ_app import database

    url = database.private_url(settings.instance, "postgres")  # type: ignore[attr-defined]
    with psycopg.connect(database.conninfo(url), autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS occ WITH (FORCE)")
    database.private_url(settings.instance, "occ")  # type: ignore[attr-defined]
    subprocess.run(
        [sys.executable, "-m", "occ_app.cli", "migrate"],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _first_data(occ: list[str], environment: dict[str, str]) -> None:
    """The store opens the app once, its variants are pulled, and items, lots and mappings are there; first links ask."""
    _sell_for_two_years()
    toml = tomllib.loads((ROOT / "shopify.app.dev.toml").read_text(encoding="utf-8"))
    scopes = [
        *toml["access_scopes"]["scopes"].split(","),
        "read_all_orders",
    ]  # else Shopify shows the orders of 60 days
    token = (
        _post(f"/_devshop/shops/{SHOP}/install", {"scopes": scopes})
        and _post(f"/_devshop/shops/{SHOP}/id-token", {})["id_token"]
    )
    urlopen(Request(f"{APP}/", headers={"Authorization": f"Bearer {token}"}), timeout=20).read()
    for name, value in QUICK.items():
        subprocess.run([*occ, "settings", "set", "--shop", SHOP, name, value], env=environment, check=True)
    for kind in ("items", "lots", "mappings"):
        file = (ROOT / "devshop" / "seed" / f"{kind}.csv").read_text(encoding="utf-8")
        given = _with_days(file) if kind == "lots" else file
        for _ in range(60):
            done = subprocess.run(
                [*occ, "import", kind, "-", "--shop", SHOP],
                env=environment,
                capture_output=True,
                text=True,
                input=given,
            )
            if done.returncode == 0:
                break
            time.sleep(0.5)
        else:
            sys.exit(done.stderr)
    kitchen = [sys.executable, str(ROOT / "scripts" / "kitchen.py"), SHOP]
    subprocess.run(kitchen, env={**environment, "PYTHONPATH": str(ROOT)}, check=True)
    roasters = [sys.executable, str(ROOT / "scripts" / "roasters.py"), SHOP, DEVSHOP, APP]
    subprocess.run(roasters, env={**environment, "PYTHONPATH": str(ROOT)}, check=True)
    _wait_until_linked(occ, environment)
    _plan(occ, environment)


def _with_days(file: str) -> str:
    """The seed's lots with the days on which they were made, so that they expire some day."""
    rows = [(row, DAYS_OLD[row["lot_number"]]) for row in csv.DictReader(io.StringIO(file))]
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, [*EXPIRED, "made_on"])
    writer.writeheader()
    for row, days in [(EXPIRED, EXPIRED_DAYS_OLD), *rows]:
        writer.writerow({**row, "made_on": str(_today() - timedelta(days=days))})
    return out.getvalue()


def _plan(occ: list[str], environment: dict[str, str]) -> None:
    """Advent is marked as an event, the days without stock are told, and all is planned by the two years."""
    year = _today().year
    advent = ["--name", "Advent", "--since", f"{year}-12-01", "--until", f"{year}-12-23", "--factor", "1.7"]
    subprocess.run(
        [*occ, "plan", "event", "--shop", SHOP, *advent], env=environment, check=True, stdout=subprocess.DEVNULL
    )
    from devshop import past as sales

    for sku, seller in sales.SELLERS.items():
        if seller.out:
            first, last = (str(_today() - timedelta(days=age)) for age in seller.out)
            out = ["--item", sku, "--since", first, "--until", last]
            subprocess.run(
                [*occ, "plan", "no-stock", "--shop", SHOP, *out], env=environment, check=True, stdout=subprocess.DEVNULL
            )
    subprocess.run([*occ, "plan", "replan", "--shop", SHOP], env=environment, check=True, stdout=subprocess.DEVNULL)


def _today() -> date:
    return datetime.now(ZoneInfo("Europe/London")).date()


def _sell_for_two_years() -> None:
    """The store has two years of orders before the app is installed."""
    from devshop import past as sales

    past = list(sales.orders(_today()))
    for start in range(0, len(past), 1000):
        _post(f"/_devshop/shops/{SHOP}/orders/past", {"orders": past[start : start + 1000]})


def _wait_until_linked(occ: list[str], environment: dict[str, str]) -> None:
    for _ in range(60):
        shown = subprocess.run(
            [*occ, "stock", "show", "--shop", SHOP, "--json"], env=environment, capture_output=True, text=True
        )
        rows = [row for row in json.loads(shown.stdout) if row["variant_gid"]]
        if all(row["expected"] == row["target"] for row in rows):
            return
        time.sleep(0.5)


def _post(path: str, body: dict[str, object]) -> dict[str, str]:
    request = Request(DEVSHOP + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    return json.loads(urlopen(request, timeout=10).read())


def _wait_for(url: str, children: list[subprocess.Popen[bytes]]) -> None:
    for _ in range(240):
        if any(child.poll() is not None for child in children):
            sys.exit("A part of the demo ended. Is one of its ports taken? Set PORT and DEVSHOP_PORT to free ones.")
        try:
            urlopen(url, timeout=2).read()
            return
        except (URLError, ConnectionError, TimeoutError):
            time.sleep(0.25)
    sys.exit(f"{url} does not answer.")


if __name__ == "__main__":
    main()
