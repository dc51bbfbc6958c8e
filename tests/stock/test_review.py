"""Checks, reviews and the steps that a shop uses, over HTTP as people meet them."""

from __future__ import annotations

import contextvars
import io
import re
import threading
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occ_app import clock
from occ_app.catalog.models import Item
from occ_app.errors import RuleError
from occ_app.extensions import db, shop_scope
from occ_app.stock import ledger, listing, lots, quality, review, workflow
from occ_app.stock.models import CheckPhoto, LotDecision
from occ_app.stock.quality import is_within
from occ_app.stock.review import Split
from occ_app.stock.rules import COMPLETED, IN_REVIEW, PACKAGED, RELEASED
from occ_app.stock.workflow import STEPS, Workflow
from tests.support.bench import Bench

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 40


@pytest.fixture
def shop(bench: Bench) -> Bench:
    """An item SSD, 120 of it in review as lot L1."""
    bench.install()
    bench.item("SSD")
    bench.lot("SSD", 120, "in_review", number="L1")
    return bench


def post(bench: Bench, path: str, **fields: Any) -> Any:
    """A form sent by htmx."""
    headers = {"HX-Request": "true", "HX-Request-Type": "partial"}
    return bench.open(path, method="POST", data=fields, headers=headers)


def stands(bench: Bench, lot_id: int = 1) -> dict[str, int]:
    """Where the lot's units are."""
    with bench.scope():
        return listing.standing([lot_id]).get(lot_id, {})


def check(bench: Bench, **more: Any) -> int:
    """A check of SSD; returns its id."""
    with bench.scope():
        item = db.session.scalars(db.select(Item)).one()
        found = quality.add(item, **{"name": "Snap", "kind": "pass_fail", "at": clock.now(), **more})
        db.session.commit()
        return found.id


def set_steps(bench: Bench, **settings: str) -> None:
    """Settings of the shop, as its page saves them."""
    assert bench.open("/settings", method="POST", data=settings).status_code == 303


# Rules ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "entry", "first", "is_checked"),
    [
        (STEPS, COMPLETED, COMPLETED, False),
        (STEPS, PACKAGED, PACKAGED, False),
        ((COMPLETED, RELEASED), PACKAGED, RELEASED, False),
        ((COMPLETED, RELEASED), RELEASED, COMPLETED, True),
        ((RELEASED,), COMPLETED, RELEASED, False),
        ((RELEASED,), COMPLETED, IN_REVIEW, True),
    ],
)
def test_a_finished_runs_lot_first_stands_where_goods_enter_stock(
    steps: tuple[str, ...], entry: str, first: str, is_checked: bool
) -> None:
    assert Workflow(steps, entry).first_place(is_checked=is_checked) == first


@given(st.sets(st.sampled_from(STEPS[:-1])), st.sampled_from(STEPS))
def test_every_lot_reaches_release_by_steps_in_use(used: set[str], entry: str) -> None:
    way = Workflow(tuple(step for step in STEPS if step in used | {RELEASED}), entry)
    place, seen = way.first_place(is_checked=False), []
    while place != RELEASED:
        seen.append(place)
        place = way.next_step(place) or ""

    assert set(seen) <= used


@pytest.mark.parametrize(
    ("number", "passes"), [("78.9999", False), ("79", True), ("80.5", True), ("82", True), ("82.0001", False)]
)
def test_limits_belong_to_what_passes(number: str, passes: bool) -> None:
    assert is_within(Decimal(number), Decimal(79), Decimal(82)) is passes


# Review --------------------------------------------------------------------------------------------------------------------------


def test_one_form_releases_100_and_holds_20(shop: Bench) -> None:
    answer = post(shop, "/lots/1/split", from_place="in_review", release="100", hold="20", note="Bloom", seen="0")

    assert answer.status_code == 200
    assert stands(shop) == {"released": 100, "on_hold": 20}
    assert "100 released, 20 put on hold" in answer.text
    assert "Bloom" in answer.text


def test_splitting_more_than_there_is_says_by_how_much(shop: Bench) -> None:
    answer = post(shop, "/lots/1/split", from_place="in_review", release="100", hold="30", scrap="4")

    assert answer.status_code == 422
    assert "100 + 30 + 4 are 134, but only 120 are in review. Take 14 off one of them." in answer.text
    assert stands(shop) == {"in_review": 120}


@pytest.mark.parametrize("release", ["-3", "1.5", "all", "9" * 30])
def test_a_wrong_number_is_told_and_moves_nothing(shop: Bench, release: str) -> None:
    answer = post(shop, "/lots/1/split", from_place="in_review", release=release)

    assert answer.status_code == 422
    assert "Give a whole number" in answer.text
    assert stands(shop) == {"in_review": 120}


def test_the_second_reviewer_is_told_what_the_first_did(shop: Bench) -> None:
    seen = re.search(r'name="seen" value="(\d+)"', shop.open("/lots/1").text)
    assert seen is not None
    for release in ("100", "20"):
        answer = post(shop, "/lots/1/split", from_place="in_review", release=release, hold="0", seen=seen[1])

    assert answer.status_code == 422
    assert "released 100 since you opened this page" in answer.text
    assert stands(shop) == {"released": 100, "in_review": 20}


def test_of_two_reviewers_in_the_same_moment_one_decides(shop: Bench) -> None:
    outcomes: list[str] = []

    def decide() -> None:
        with shop.app.app_context(), shop_scope(1):
            try:
                parts = Split(release=100, hold=20)
                review.review(lots.get(1), "in_review", parts, seen=0, actor="somebody", at=clock.now())
                db.session.commit()
                outcomes.append("done")
            except RuleError as error:
                db.session.rollback()
                outcomes.append(str(error))

    threads = [threading.Thread(target=contextvars.Context().run, args=(decide,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes)[0].startswith("Somebody released 100 and put 20 on hold since you opened this page.")
    assert sorted(outcomes)[1] == "done"
    assert stands(shop) == {"released": 100, "on_hold": 20}


def test_released_units_are_taken_back_to_the_step_before_release(shop: Bench) -> None:
    set_steps(shop, workflow_steps="packaged")
    post(shop, "/lots/1/split", from_place="in_review", release="120")
    answer = post(shop, "/lots/1/unrelease", quantity="30", note="Smell")

    assert answer.status_code == 200
    assert stands(shop) == {"released": 90, "packaged": 30}


def test_units_are_not_moved_to_a_step_that_the_shop_passes_by(shop: Bench) -> None:
    shop.lot("SSD", 10, "completed", number="L2")
    set_steps(shop, workflow_steps="in_review")

    assert "Your workflow passes by packaged" in post(shop, "/lots/2/package", quantity="10").text
    assert stands(shop, 2) == {"completed": 10}
    with shop.scope():
        assert workflow.first_place(db.session.scalars(db.select(Item)).one()) == "in_review"


# Checks --------------------------------------------------------------------------------------------------------------------------


def test_a_missing_check_stops_every_way_to_release(shop: Bench) -> None:
    check(shop)
    told = "Snap has no result yet, so L1 cannot be released"

    assert told in post(shop, "/lots/1/split", from_place="in_review", release="120").text
    assert told in post(shop, "/lots/1/release", quantity="120").text
    assert told in post(shop, "/lots/all/release", lot="1").text
    with shop.scope(), pytest.raises(RuleError, match="has no result yet"):
        lots.move(lots.get(1), "released", actor="test", at=clock.now())
    assert stands(shop) == {"in_review": 120}


def test_a_failed_check_stops_until_it_passes_or_a_reason_overrules_it(shop: Bench) -> None:
    weight = check(shop, name="Weight", kind="number", least=Decimal(79), most=Decimal(82), unit="g")
    post(shop, "/lots/1/results", **{f"check-{weight}": "78,5"})
    refused = post(shop, "/lots/1/split", from_place="in_review", release="50")
    overruled = post(shop, "/lots/1/split", from_place="in_review", release="50", overrule="Scale was off")
    post(shop, "/lots/1/results", **{f"check-{weight}": "80"})
    passed = post(shop, "/lots/1/split", from_place="in_review", release="70")

    assert (refused.status_code, overruled.status_code, passed.status_code) == (422, 200, 200)
    assert "Weight failed, so L1 cannot be released" in refused.text
    with shop.scope():
        decisions = db.session.scalars(db.select(LotDecision).order_by(LotDecision.id)).all()
        assert [(d.released, d.overruled) for d in decisions] == [(50, "Scale was off"), (70, None)]


def test_a_lot_that_must_be_checked_is_not_made_released(shop: Bench) -> None:
    check(shop)
    answer = shop.open("/lots", method="POST", data={"item": "1", "quantity": "5", "place": "released"})

    assert answer.status_code == 422
    assert "are checked before release" in answer.text


@pytest.mark.parametrize(
    ("number", "photo", "told"),
    [
        ("NaN", b"", "Give a number such as 79.8"),
        ("1e99", b"", "Give a number such as 79.8"),
        ("80", b"<svg onload=alert(1)>", "That is no photo"),
        ("", PNG, "Give the number for Weight"),
    ],
    ids=["no number", "too big", "no photo", "photo alone"],
)
def test_a_result_that_cannot_be_is_refused_whole(shop: Bench, number: str, photo: bytes, told: str) -> None:
    weight, snap = check(shop, name="Weight", kind="number"), check(shop)
    fields = {f"check-{weight}": number, f"check-{snap}": "pass"}
    answer = post(shop, "/lots/1/results", **fields, **{f"photo-{weight}": (io.BytesIO(photo), "a.png")})

    assert answer.status_code == 422
    assert told in answer.text
    with shop.scope():
        assert all(one.result is None for one in quality.standing(lots.get(1)))


def test_a_photo_that_is_too_big_is_refused(shop: Bench) -> None:
    big = quality.Seen(check(shop), is_passed=True, photo=PNG + b"0" * quality.MOST_PHOTO_BYTES)
    with shop.scope(), pytest.raises(RuleError, match="over 2 MB"):
        quality.record(lots.get(1), [big], actor="test", at=clock.now())


def test_a_photo_is_kept_and_shown_to_its_own_shop_alone(shop: Bench) -> None:
    snap = check(shop)
    post(shop, "/lots/1/results", **{f"check-{snap}": "pass", f"photo-{snap}": (io.BytesIO(PNG), "x.txt")})
    other = shop.add_store("other.myshopify.com")
    shop.install(other)

    assert "data:image/png;base64,iVBOR" in shop.open("/lots/1/photos/1").text
    assert shop.open("/lots/1/photos/1", other).status_code == 404
    with shop.scope():
        assert db.session.scalars(db.select(CheckPhoto.content)).one() == PNG


def test_a_check_that_ends_stops_nothing_and_keeps_its_results(shop: Bench) -> None:
    snap = check(shop)
    post(shop, "/lots/1/results", **{f"check-{snap}": "fail"})
    shop.open(f"/products/1/checks/{snap}/end", method="POST")

    assert post(shop, "/lots/1/split", from_place="in_review", release="120").status_code == 200
    assert "Snap failed" in shop.open("/lots/1").text


def test_the_last_step_is_undone_once(shop: Bench) -> None:
    answer = post(shop, "/lots/1/split", from_place="in_review", release="80", hold="20", scrap="5")
    seen = re.search(r'name="seen" value="(\d+)"', answer.text)
    assert seen is not None
    assert f'"undo": "undo-{seen[1]}"' in answer.headers["HX-Trigger"]
    assert f'id="undo-{seen[1]}"' in answer.text
    assert post(shop, "/lots/1/undo", seen=seen[1]).status_code == 200
    assert stands(shop)["in_review"] == 120
    again = post(shop, "/lots/1/undo", seen=seen[1])

    assert again.status_code == 422
    assert post(shop, "/lots/1/undo").status_code == 422
    assert stands(shop)["in_review"] == 120
    assert 'id="undo-' not in shop.open("/lots/1").text
    with shop.scope():
        assert ledger.audit() == []


def test_what_has_left_or_is_recalled_or_unchecked_is_not_undone(shop: Bench) -> None:
    post(shop, "/lots/1/release", from_place="in_review")
    with shop.scope():
        lots.move(lots.get(1), "on_hold", 20, actor="test", at=clock.now())
        db.session.commit()
    check(shop)
    assert "Snap has no result yet" in post(shop, "/lots/1/undo").text
    with shop.scope():
        lots.get(1).recalled_at = clock.now()
        db.session.commit()

    assert "End the recall first" in post(shop, "/lots/1/undo").text
    assert stands(shop) == {"released": 100, "on_hold": 20}


def test_a_check_with_wrong_limits_is_put_right_and_its_lots_are_checked_again(shop: Bench) -> None:
    weight = check(shop, name="Weight", kind="number", least=Decimal("7.9"), most=Decimal("8.2"))
    check(shop, name="Gloss", is_required=False)
    post(shop, "/lots/1/results", **{f"check-{weight}": "79.8"})
    form = {"name": "Weight", "kind": "number", "least": "79", "most": "82", "unit": "g", "is_required": "yes"}
    assert 'value="7.9"' in shop.open(f"/products/1/checks/{weight}").text
    assert shop.open(f"/products/1/checks/{weight}", method="POST", data=form | {"most": "8"}).status_code == 422
    assert shop.open(f"/products/1/checks/{weight}", method="POST", data=form | {"name": "gloss"}).status_code == 422
    assert shop.open(f"/products/1/checks/{weight}", method="POST", data=form).status_code == 303

    assert shop.open(f"/products/1/checks/{weight}", method="POST", data=form).status_code == 404
    assert "Weight has no result yet" in post(shop, "/lots/1/split", from_place="in_review", release="120").text
    with shop.scope():
        assert [one.name for one in quality.checks_of(1)] == ["Weight", "Gloss"]


def test_another_name_keeps_the_results(shop: Bench) -> None:
    snap = check(shop)
    post(shop, "/lots/1/results", **{f"check-{snap}": "pass"})
    form = {"name": "Snap and gloss", "kind": "pass_fail", "is_required": "yes"}
    shop.open(f"/products/1/checks/{snap}", method="POST", data=form)

    assert post(shop, "/lots/1/split", from_place="in_review", release="120").status_code == 200
    assert "Snap and gloss passed" in shop.open("/lots/1").text


def test_many_lots_take_a_step_and_those_left_out_are_named(shop: Bench) -> None:
    shop.lot("SSD", 10, "in_review", number="L2")
    shop.lot("SSD", 10, "released", number="L3")
    answer = post(shop, "/lots/all/release", lot=["1", "2", "3"])

    assert "L3: All 10 units of lot L3 are released already." in answer.text
    assert stands(shop) == {"released": 120}
    assert stands(shop, 2) == {"released": 10}
    with shop.scope():
        assert ledger.audit() == []


def test_what_was_decided_and_what_moved_agree(shop: Bench) -> None:
    with shop.scope():
        parts = review.Split(release=80, hold=20, scrap=5)
        review.review(lots.get(1), "in_review", parts, actor="test", at=clock.now())
        review.take_back(lots.get(1), None, actor="test", at=clock.now())
        db.session.commit()

    assert stands(shop) == {"in_review": 95, "on_hold": 20, "scrap": 5}
