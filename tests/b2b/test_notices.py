"""Notices: signed, sent again until they are heard, replayed by a person, and sent to no address that is inside."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from occ_app.b2b import notices, outside
from occ_app.b2b.models import Notice
from occ_app.errors import RuleError
from occ_app.extensions import db
from tests.b2b.conftest import SKU, System


@dataclass
class Listener:
    """Another system that hears notices. `answers`: the statuses that it gives, the last one again and again."""

    url: str = ""
    answers: list[int] = field(default_factory=lambda: [200])
    heard: list[tuple[dict[str, str], str]] = field(default_factory=list)

    def kinds(self) -> list[tuple[str, object]]:
        """(type, b2b_stock) of what was heard."""
        return [(json.loads(body)["type"], json.loads(body)["data"].get("b2b_stock")) for _, body in self.heard]


@pytest.fixture
def listener() -> Iterator[Listener]:
    """It listens on this machine."""
    there = Listener()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            there.heard.append((dict(self.headers), body))
            self.send_response(there.answers.pop(0) if len(there.answers) > 1 else there.answers[0])
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    there.url = f"http://127.0.0.1:{server.server_port}/notices"
    yield there
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def told(system: System, listener: Listener, monkeypatch: pytest.MonkeyPatch) -> System:
    """The system's listener is known to the shop; notices may go to this machine."""
    config = system.bench.app.extensions["occ_config"]
    monkeypatch.setitem(system.bench.app.extensions, "occ_config", replace(config, notices_to_loopback=True))
    kinds = ["stock.changed", "order.backordered", "sync.failed"]
    page = system.bench.open("/settings/api/endpoints", method="POST", data={"url": listener.url, "kinds": kinds})
    text = page.get_data(as_text=True)
    system.secret = text.split('value="whsec_')[1].split('"')[0]  # type: ignore[attr-defined]
    system.bench.settle()
    listener.heard.clear()
    return system


def add_second(told: System, listener: Listener) -> None:
    """The system listens under one more address."""
    form = {"url": f"{listener.url}/second", "kinds": ["stock.changed"]}
    told.bench.open("/settings/api/endpoints", method="POST", data=form)
    told.bench.settle()


def rows(told: System) -> Sequence[Notice]:
    """All notices, oldest first."""
    with told.bench.scope():
        return db.session.scalars(db.select(Notice).order_by(Notice.id)).all()


def test_a_changed_stock_is_told_once_signed_and_with_the_newest_numbers(told: System, listener: Listener) -> None:
    told.order(5)
    told.order(6)
    told.bench.settle()
    headers, body = listener.heard[0]

    assert listener.kinds() == [("stock.changed", 89)]
    assert Webhook(told.secret).verify(body, headers)["data"]["sku"] == SKU  # type: ignore[attr-defined]


def test_a_notice_is_sent_again_until_it_is_heard(
    told: System, listener: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener.answers = [500, 302, 204]
    monkeypatch.setenv("OCC_CLOCK_FILE", str(tmp_path / "clock"))
    told.order(5)
    heard = []
    for seconds in (0, 10, 1000, 2000):
        (tmp_path / "clock").write_text(str(seconds))
        told.bench.drain()
        heard.append(len(listener.heard))
    ids = {headers["webhook-id"] for headers, _ in listener.heard}

    assert heard == [1, 2, 3, 3]
    assert len(ids) == 1


def test_a_notice_is_replayed_from_the_page(told: System, listener: Listener) -> None:
    told.order(5)
    told.bench.settle()
    told.bench.open("/settings/api/notices/1/replay", method="POST")
    told.bench.settle()

    assert [headers["webhook-id"] for headers, _ in listener.heard] == ["msg_1_1", "msg_1_1"]


@pytest.mark.parametrize(
    "url",
    [
        "http://b2b.example.com/x",
        "https://127.0.0.1/x",
        "https://localhost/x",
        "https://10.0.0.5/x",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/x",
        "https://[::ffff:10.0.0.1]/x",
        "https://user:pass@b2b.example.com/x",
        "https://b2b.example.com:22/x",
        "file:///etc/passwd",
        "https://",
        "nonsense",
        "https://b2b.internal/x",
        "https://[fd00::1]/x",
        "https://a\u0378b.example/x",
        "https://ⅼocalhost/x",
    ],
)
def test_an_address_that_is_inside_or_none_is_refused(system: System, url: str) -> None:
    page = system.bench.open("/settings/api/endpoints", method="POST", data={"url": url, "kinds": ["stock.changed"]})

    assert page.status_code == 422
    with pytest.raises(RuleError):
        outside.check(url, False)


def test_an_international_name_is_asked_for_as_idna_has_it() -> None:
    asked_for = outside.check("https://müller.example:8443/n?a=1", False).geturl()

    assert asked_for == "https://xn--mller-kva.example:8443/n?a=1"


def test_an_address_that_breaks_the_sender_keeps_no_news_from_the_others(
    told: System, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_second(told, listener)
    post = outside.post

    def breaks(url: str, *rest: Any, **more: Any) -> int:
        if not url.endswith("/second"):
            raise RuntimeError("nobody has thought of this")
        return post(url, *rest, **more)

    monkeypatch.setattr(outside, "post", breaks)
    told.order(5)
    told.bench.settle()

    assert listener.kinds() == [("stock.changed", 95)]
    assert [(row.state, row.tries) for row in rows(told)] == [("waiting", 1), ("sent", 1)]


def test_old_news_never_arrives_after_newer_news(
    told: System, listener: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener.answers = [500, 200]
    monkeypatch.setenv("OCC_CLOCK_FILE", str(tmp_path / "clock"))
    for seconds in (0, 10, 1000):
        (tmp_path / "clock").write_text(str(seconds))
        if seconds < 1000:
            told.order(1)
        told.bench.drain()

    assert listener.kinds() == [("stock.changed", 99), ("stock.changed", 98)]
    assert [(row.state, row.cause) for row in rows(told)] == [("parked", notices.OVERTAKEN), ("sent", None)]
    assert "Overtaken" in told.bench.open("/settings/api").text


def test_an_address_that_failed_is_left_alone_for_the_rest_of_the_turn(
    told: System, listener: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for sku in ("A", "B", "C"):
        told.bench.item(sku)
        told.bench.lot(sku, 10, number=f"L-{sku}")
    told.bench.settle()
    listener.heard.clear()
    listener.answers = [500, 200]
    monkeypatch.setenv("OCC_CLOCK_FILE", str(tmp_path / "clock"))
    for sku in ("A", "B", "C"):
        told.order(1, sku)
    heard = []
    for seconds in (0, 70):
        (tmp_path / "clock").write_text(str(seconds))
        told.bench.drain()
        heard.append(len(listener.heard))

    assert heard == [1, 4]
    assert {row.state for row in rows(told)} == {"sent"}


@pytest.mark.parametrize("address", ["10.1.2.3", "127.0.0.1", "0.0.0.0", "::1", "100.64.0.1", "169.254.169.254"])
def test_a_name_that_leads_inside_gets_nothing(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(2, 1, 6, "", ("93.184.215.14", 443)), (2, 1, 6, "", (address, 443))]
    monkeypatch.setattr(outside.socket, "getaddrinfo", lambda *_, **__: found)

    with pytest.raises(outside.UnsafeError, match="private network"):
        outside.post("https://b2b.example.com/x", b"{}", {})
