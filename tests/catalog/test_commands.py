"""What the Mapping page, the lot form and the exports do, as commands."""

from __future__ import annotations

import pytest

from occ_app.catalog.models import Mapping, VariantPull
from occ_app.extensions import db
from occ_app.sync.files import KINDS
from tests.support.bench import DOMAIN, Bench
from tests.test_cli import linked, occ

__all__ = ["linked"]
AT = ("--shop", DOMAIN)


def mapped(bench: Bench) -> list[tuple[int, str | None]]:
    """(units per variant, drift rule) of the living mappings."""
    db.session.remove()
    with bench.scope():
        query = db.select(Mapping).where(Mapping.ended_at.is_(None)).order_by(Mapping.id)
        return [(one.units_per_variant, one.drift_rule) for one in db.session.scalars(query)]


@pytest.fixture
def boxed(linked: Bench) -> Bench:
    """A sells as A, and six of it as BOX."""
    linked.product("BOX", 0)
    linked.settle()
    linked.map("A", "hub", "BOX", units=6)
    return linked


def test_one_of_several_mappings_is_ended_when_it_is_said_which(boxed: Bench) -> None:
    gid = boxed.store.variant("BOX").gid
    asked = occ(boxed, "mapping", "end", *AT, "--item", "A")
    left = mapped(boxed)
    ended = occ(boxed, "mapping", "end", *AT, "--item", "A", "--variant", gid, "--location", "Bristol workshop")
    again = occ(boxed, "mapping", "end", *AT, "--item", "A", "--variant", gid)

    assert (asked.exit_code, "A has 2 mappings. Say which one: --variant gid" in asked.output) == (1, True)
    assert len(left) == 2
    assert (ended.exit_code, ended.output) == (0, "Product BOX no longer sells A at Bristol workshop\n")
    assert (again.exit_code, "There is no such mapping of A." in again.output) == (1, True)
    assert mapped(boxed) == [(1, None)]


def test_a_drift_rule_is_set_for_one_mapping_and_taken_off_all(boxed: Bench) -> None:
    gid = boxed.store.variant("BOX").gid
    occ(boxed, "mapping", "drift-rule", *AT, "--item", "A", "--variant", gid, "hub")
    one = mapped(boxed)
    said = occ(boxed, "mapping", "drift-rule", *AT, "--item", "A", "shop").output

    assert one == [(1, None), (6, "hub")]
    assert said == "Set for 2 mappings\n"
    assert mapped(boxed) == [(1, None), (6, None)]
    assert occ(boxed, "mapping", "drift-rule", *AT, "--item", "A", "both").exit_code == 2


def test_variants_are_pulled_anew(linked: Bench) -> None:
    result = occ(linked, "variants", "pull", *AT)
    linked.settle()

    assert result.exit_code == 0
    with linked.scope():
        assert [one.finished_at is not None for one in db.session.scalars(db.select(VariantPull))] == [True, True]


def test_a_lot_is_made_from_production(linked: Bench) -> None:
    days = ("--made-on", "2026-11-01", "--expires-on", "2099-01-01")
    result = occ(
        linked, "lot", "make", *AT, "--item", "A", "--quantity", 7, "--number", "M1", "--place", "released", *days
    )
    linked.settle()

    assert (result.exit_code, result.output) == (0, "Made lot M1: 7 of A\n")
    assert linked.available("A") == 17
    with linked.scope():
        assert "M1,A,7,released,gid://shopify/Location/" in KINDS["lots"].give()
        assert ",2026-11-01,2099-01-01" in KINDS["lots"].give()


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        (("--item", "A", "--quantity", "0"), 2, "range"),
        (("--item", "A", "--quantity", "100000001"), 2, "range"),
        (("--item", "A", "--quantity", "1", "--place", "shelf"), 2, "Invalid value"),
        (("--item", "NOPE", "--quantity", "1"), 1, "There is no item NOPE."),
        (("--item", "A", "--quantity", "1", "--number", "L1"), 1, "There is a lot L1 already."),
        (("--item", "A", "--quantity", "1", "--number", "L" * 201), 1, "has 200 characters at most"),
        (("--item", "A", "--quantity", "1", "--location", "Moon"), 1, "No active locations are called Moon."),
    ],
)
def test_a_lot_that_cannot_be_made_is_refused(linked: Bench, more: tuple[str, ...], code: int, words: str) -> None:
    result = occ(linked, "lot", "make", *AT, *more)

    assert (result.exit_code, words in result.output) == (code, True)


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_of_file_goes_out_of_the_pages_too(linked: Bench, kind: str) -> None:
    page, command = linked.open(f"/export/{kind}.csv"), occ(linked, "export", kind, *AT)

    assert (page.status_code, page.mimetype) == (200, "text/csv")
    assert page.text.replace("\r\n", "\n") == command.output.replace("\r\n", "\n")
    assert linked.open(f"/export/{kind}s.csv").status_code == 404
