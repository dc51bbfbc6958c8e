"""A file is looked at before it is taken in."""

from __future__ import annotations

import io
import re
from typing import Any

from occ_app import clock
from occ_app.extensions import db
from occ_app.sync import uploads
from occ_app.sync.models import Upload
from tests.production.kitchen import Kitchen
from tests.production.test_pages import words


def send(kitchen: Kitchen, kind: str, text: str) -> Any:
    """A file was chosen."""
    form = {"kind": kind, "file": (io.BytesIO(text.encode()), "larder.csv")}
    return kitchen.bench.open("/import", method="POST", data=form, content_type="multipart/form-data")


def test_what_a_file_would_change_is_shown_and_then_taken_once(bars: Kitchen) -> None:
    answer = send(
        bars,
        "ingredients",
        "code,name,unit,on_hand,lead_time_days\nCOCOA,Cocoa,kg,,9\nSALT,Salt,g,500,2\nSUGAR,Sugar,kg,5,\n",
    )
    said = words(answer)
    assert answer.status_code == 200
    assert "1 new, 1 changed" in said
    assert "lead time days 5 → 9" in said
    assert "larder.csv" in said
    assert bars.bench.open("/production/ingredients").get_data(as_text=True).count("Salt") == 0
    path = re.search(r'action="(/import/\d+/take)"', answer.get_data(as_text=True))
    assert path

    assert "Took in 3 lines of ingredients" in words(bars.bench.open(path[1], method="POST"))
    assert bars.stock("SALT") == {"released": 500_000, "opening": -500_000}
    assert bars.bench.open(path[1], method="POST").status_code == 404


def test_a_formulas_file_shows_what_it_takes_out(bars: Kitchen) -> None:
    said = words(send(bars, "formulas", "item_sku,yield_quantity,ingredient_code,quantity\nBAR,24,COCOA,1.1\n"))

    assert "0 new, 1 changed, 1 taken out" in said
    assert "quantity 1 → 1.1" in said


def test_a_bad_file_is_named_line_by_line_and_waits_for_nothing(bars: Kitchen) -> None:
    answer = send(bars, "ingredients", "code,name,unit\nA,A,stone\nB,B,kg\nB,B,kg\n")
    assert (answer.status_code, "2 lines are wrong" in words(answer)) == (422, True)
    assert "Line 2: 'stone' is no unit here" in words(answer) or "Line 2: &#39;stone&#39;" in words(answer)
    for kind, text in (("nothing", "a,b\n"), ("items", "")):
        assert send(bars, kind, text).status_code == 422
    assert bars.bench.open("/import", method="POST", data={"kind": "items"}).status_code == 422

    with bars.bench.scope():
        assert db.session.scalar(db.select(db.func.count()).select_from(Upload)) == 0


def test_a_file_that_waited_for_a_day_is_gone(bars: Kitchen) -> None:
    with bars.bench.scope():
        old = uploads.keep("items", "a.csv", b"sku,name\nX,Y\n", actor="test", at=clock.now() - uploads.KEPT * 2)
        old_id = old.id
        db.session.commit()

    assert bars.bench.open(f"/import/{old_id}/take", method="POST").status_code == 404
