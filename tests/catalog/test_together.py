"""Two people who press the same button at once: one has made it, the other reads the sentence of who comes second. Nothing is lost."""

from __future__ import annotations

from typing import Any

import pytest

from occ_app.catalog.models import Item, Mapping, Variant
from occ_app.extensions import db
from occ_app.shops.models import Shop
from tests.support.bench import Bench
from tests.support.meeting import Meeting

ITEM = "SELECT item.id FROM item WHERE"
TWICE = [
    ("/products", {"sku": "SSD", "name": "Sea Salt"}, ITEM, "There is an item SSD already."),
    ("/production/ingredients", {"code": "COCOA", "name": "Cocoa", "unit": "kg"}, ITEM, "ingredient COCOA already."),
    ("/channels", {"name": "Farm shop"}, "FROM own_channel", "There is a channel Farm shop already."),
]


def post(bench: Bench, path: str, **fields: Any) -> Any:
    """A form that was sent; the answer's status and text."""
    answer = bench.open(path, method="POST", data=fields)
    return answer.status_code, answer.text


@pytest.mark.parametrize(("path", "fields", "after", "sentence"), TWICE)
def test_of_two_who_add_the_same_the_second_is_told(
    bench: Bench, path: str, fields: dict[str, str], after: str, sentence: str
) -> None:
    bench.install()
    call = lambda: post(bench, path, **fields)  # noqa: E731
    statuses, texts = zip(*Meeting(bench, after).of(call, call).values(), strict=True)

    assert sorted(statuses) == [303, 422]
    assert any(sentence in text for text in texts)


def test_of_two_who_map_the_same_variant_the_second_is_told(bench: Bench) -> None:
    bench.product("SSD", 0)
    bench.install()
    bench.item("SSD")
    with bench.scope():
        pair = {
            "item": db.session.scalars(db.select(Item.id)).one(),
            "variant": db.session.scalars(db.select(Variant.id)).one(),
        }
    call = lambda: post(bench, "/mapping", **pair)  # noqa: E731
    statuses, texts = zip(*Meeting(bench, "FROM mapping").of(call, call).values(), strict=True)

    assert sorted(statuses) == [303, 422]
    assert any("already sells SSD at Bristol workshop" in text for text in texts)
    with bench.scope():
        assert db.session.scalar(db.select(db.func.count()).select_from(Mapping)) == 1


def test_of_two_who_save_settings_at_once_neither_loses_theirs(bench: Bench) -> None:
    bench.install()
    met = Meeting(bench, "FROM shop").of(
        lambda: post(bench, "/settings", guard_units="7")[0],
        lambda: post(bench, "/settings", guard_percent="33")[0],
    )
    with bench.scope() as _:
        kept = db.session.scalars(db.select(Shop)).one().settings

    assert set(met.values()) == {303}
    assert (kept["guard_units"], kept["guard_percent"]) == (7, 33)
