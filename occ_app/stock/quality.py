"""Quality checks of items, and what was seen when a lot was checked. A lot whose required checks have not all passed is not released."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation

from sqlalchemy import func, select

from occ_app.catalog.models import Item
from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import db
from occ_app.stock.models import NUMBER, PASS_FAIL, CheckPhoto, CheckResult, Lot, QualityCheck

KINDS = (PASS_FAIL, NUMBER)
MOST_CHECKS = 30
MOST_NUMBER = Decimal(1_000_000_000)
LONGEST_NAME, LONGEST_UNIT, LONGEST_NOTE = 80, 16, 500
MOST_PHOTO_BYTES = 2 * 1024 * 1024
PHOTO_TOO_BIG = "The photo is over 2 MB. Take it smaller, or leave it out."


@dataclass(frozen=True)
class Seen:
    """What somebody saw: passed or not, or a number; a note and a photo if they wish."""

    check_id: int
    is_passed: bool | None = None
    number: Decimal | None = None
    note: str = ""
    photo: bytes = b""


@dataclass(frozen=True)
class Standing:
    """A check of a lot and its newest result, if there is one."""

    check: QualityCheck
    result: CheckResult | None

    @property
    def stops_release(self) -> bool:
        """Whether the lot may not be released because of it."""
        return self.check.is_required and (self.result is None or not self.result.is_passed)


def is_within(number: Decimal, least: Decimal | None, most: Decimal | None) -> bool:
    """Whether a measured number lies within its limits, which belong to it."""
    return (least is None or number >= least) and (most is None or number <= most)


def photo_type(photo: bytes) -> str | None:
    """What kind of picture these bytes are by their first ones: the file's name and the browser's word prove nothing."""
    if photo.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if photo.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    return "image/webp" if photo[:4] == b"RIFF" and photo[8:12] == b"WEBP" else None


def parse_number(text: str, field: str) -> Decimal | None:
    """The number that people typed, with a point or a comma; None for nothing. Raises RuleError."""
    text = text.strip().replace(",", ".")
    if not text:
        return None
    try:
        number = Decimal(text) if text.isascii() else Decimal("NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or abs(number) >= MOST_NUMBER or -number.as_tuple().exponent > 4:  # type: ignore[operator]
        raise RuleError("Give a number such as 79.8, with 4 decimals at most.", field=field)
    return number


# Checks of an item ---------------------------------------------------------------------------------------------------------------


def checks_of(item_id: int) -> list[QualityCheck]:
    """The checks that lots of the item are to pass, in their order."""
    query = select(QualityCheck).where(QualityCheck.item_id == item_id, QualityCheck.ended_at.is_(None))
    return list(db.session.scalars(query.order_by(QualityCheck.position, QualityCheck.id)))


def get(check_id: int) -> QualityCheck:
    """The shop's living check with that id. Raises NotFoundError."""
    query = select(QualityCheck).where(QualityCheck.id == check_id, QualityCheck.ended_at.is_(None))
    found = db.session.scalar(query.with_for_update())
    if found is None:
        raise NotFoundError("There is no such check here. It may have been removed meanwhile.")
    return found


def add(
    item: Item,
    name: str,
    kind: str,
    *,
    unit: str = "",
    least: Decimal | None = None,
    most: Decimal | None = None,
    is_required: bool = True,
    at: datetime,
) -> QualityCheck:
    """Lots of the item are to pass one check more. Raises RuleError."""
    name, unit = _checked(name, kind, unit, least, most)
    there = _others(item.id, name)
    if len(there) >= MOST_CHECKS:
        raise RuleError(f"An item has {MOST_CHECKS} checks at most. Remove one first.", field="name")
    position = max((check.position for check in there), default=0) + 1
    return _new(item.id, position, name, kind, unit, least, most, is_required, at)


def change(
    check: QualityCheck,
    name: str,
    kind: str,
    *,
    unit: str = "",
    least: Decimal | None = None,
    most: Decimal | None = None,
    is_required: bool = True,
    at: datetime,
) -> QualityCheck:
    """The check is as said. Where what is measured changed, it has ended and the one that is returned stands in its place: results stay
    with the limits that they were measured against, and lots that are not released yet are checked again. Raises RuleError."""
    name, unit = _checked(name, kind, unit, least, most)
    _others(check.item_id, name, check)
    if (check.kind, check.unit, check.least, check.most) == (kind, unit if kind == NUMBER else "", least, most):
        check.name, check.is_required = name, is_required
        db.session.flush()
        return check
    end(check, at)
    return _new(check.item_id, check.position, name, kind, unit, least, most, is_required, at)


def _checked(name: str, kind: str, unit: str, least: Decimal | None, most: Decimal | None) -> tuple[str, str]:
    """Name and unit without the spaces around them. Raises RuleError where a check cannot be so."""
    name, unit = name.strip(), unit.strip()
    if not name or len(name) > LONGEST_NAME:
        raise RuleError(
            f"Say what to look at in {LONGEST_NAME} characters or fewer, such as Snap and gloss.", field="name"
        )
    if kind not in KINDS:
        raise RuleError(f"Give one of: {', '.join(KINDS)}.", field="kind")
    if len(unit) > LONGEST_UNIT:
        raise RuleError(f"Give a unit of {LONGEST_UNIT} characters or fewer, such as g.", field="unit")
    if kind == PASS_FAIL and (least is not None or most is not None):
        raise RuleError("Only a number has limits. Choose Number, or leave the limits empty.", field="least")
    if least is not None and most is not None and least > most:
        raise RuleError("The highest limit is below the lowest one.", field="most")
    return name, unit


def _others(item_id: int, name: str, besides: QualityCheck | None = None) -> list[QualityCheck]:
    """The item's other checks, alone for this transaction. Raises RuleError where one has that name."""
    db.session.execute(select(Item.id).where(Item.id == item_id).with_for_update(key_share=True))
    there = [check for check in checks_of(item_id) if check is not besides]
    if any(check.name.casefold() == name.casefold() for check in there):
        raise RuleError(f"There is a check {name} already. Give another name.", field="name")
    return there


def _new(
    item_id: int,
    position: int,
    name: str,
    kind: str,
    unit: str,
    least: Decimal | None,
    most: Decimal | None,
    is_required: bool,
    at: datetime,
) -> QualityCheck:
    check = QualityCheck(
        item_id=item_id, position=position, name=name, kind=kind, unit=unit if kind == NUMBER else "", created_at=at
    )
    check.least, check.most, check.is_required = least, most, is_required
    db.session.add(check)
    db.session.flush()
    return check


def end(check: QualityCheck, at: datetime) -> None:
    """Lots need not pass the check any more; results stay."""
    check.ended_at = at
    db.session.flush()


def items_with_required(item_ids: Iterable[int]) -> set[int]:
    """Those of these items whose lots must pass a check."""
    query = select(QualityCheck.item_id).where(
        QualityCheck.item_id.in_(list(item_ids)), QualityCheck.is_required, QualityCheck.ended_at.is_(None)
    )
    return set(db.session.scalars(query))


# Results of a lot ----------------------------------------------------------------------------------------------------------------


def record(lot: Lot, seen: Sequence[Seen], *, actor: str, at: datetime) -> list[CheckResult]:
    """These results are kept, the newest of each check counts. Raises RuleError where one cannot be; then none is kept."""
    checks = {check.id: check for check in checks_of(lot.item_id)}
    results = [_result(lot, checks.get(one.check_id), one, actor, at) for one in seen]
    db.session.add_all(results)
    db.session.flush()
    photos = [
        CheckPhoto(result_id=result.id, content=one.photo)
        for result, one in zip(results, seen, strict=True)
        if one.photo
    ]
    db.session.add_all(photos)
    db.session.flush()
    return results


def _result(lot: Lot, check: QualityCheck | None, seen: Seen, actor: str, at: datetime) -> CheckResult:
    if check is None:
        raise RuleError("One of these checks was removed meanwhile. Load the page again.")
    if check.kind == NUMBER and seen.number is None:
        raise RuleError(f"Give the number for {check.name}.", field=f"check-{check.id}")
    if check.kind == PASS_FAIL and seen.is_passed is None:
        raise RuleError(f"Say whether {check.name} passed.", field=f"check-{check.id}")
    if len(seen.note) > LONGEST_NOTE:
        raise RuleError(f"Keep the note to {LONGEST_NOTE} characters.", field=f"note-{check.id}")
    if len(seen.photo) > MOST_PHOTO_BYTES:
        raise RuleError(PHOTO_TOO_BIG, field=f"photo-{check.id}")
    kind = photo_type(seen.photo) if seen.photo else None
    if seen.photo and kind is None:
        raise RuleError("That is no photo. Choose a JPEG, PNG or WebP file.", field=f"photo-{check.id}")
    is_passed = is_within(seen.number, check.least, check.most) if seen.number is not None else bool(seen.is_passed)
    result = CheckResult(lot_id=lot.id, check_id=check.id, is_passed=is_passed, number=seen.number, note=seen.note)
    result.photo_type, result.actor, result.checked_at = kind, actor, at
    return result


def standing(lot: Lot) -> list[Standing]:
    """The checks of the lot, each with its newest result. Two statements."""
    return standing_of_lots([lot])[lot.id]


def standing_of_lots(lots: Sequence[Lot]) -> dict[int, list[Standing]]:
    """Lot id -> its checks with their newest results. Two statements, whatever their number."""
    checks: dict[int, list[QualityCheck]] = {}
    query = select(QualityCheck).where(
        QualityCheck.item_id.in_({lot.item_id for lot in lots}), QualityCheck.ended_at.is_(None)
    )
    for check in db.session.scalars(query.order_by(QualityCheck.position, QualityCheck.id)):
        checks.setdefault(check.item_id, []).append(check)
    newest = _newest_results([lot.id for lot in lots if lot.item_id in checks])
    return {
        lot.id: [Standing(check, newest.get((lot.id, check.id))) for check in checks.get(lot.item_id, [])]
        for lot in lots
    }


def _newest_results(lot_ids: Iterable[int]) -> dict[tuple[int, int], CheckResult]:
    ids = list(lot_ids)
    if not ids:
        return {}
    newest = (
        select(func.max(CheckResult.id))
        .where(CheckResult.lot_id.in_(ids))
        .group_by(CheckResult.lot_id, CheckResult.check_id)
    )
    found = db.session.scalars(select(CheckResult).where(CheckResult.id.in_(newest)))
    return {(result.lot_id, result.check_id): result for result in found}


def refuse_unchecked(lot: Lot) -> None:
    """Raises RuleError where a required check of the lot has failed or has no result."""
    open_ones = [one for one in standing(lot) if one.stops_release]
    if not open_ones:
        return
    failed = [one.check.name for one in open_ones if one.result is not None]
    missing = [one.check.name for one in open_ones if one.result is None]
    told = [f"{_names(failed)} failed"] if failed else []
    told += [f"{_names(missing)} {'has' if len(missing) == 1 else 'have'} no result yet"] if missing else []
    words = " and ".join(told)
    raise RuleError(
        f"{words}, so {lot.lot_number} cannot be released. Check it again, hold it, or release it against its checks with a reason.",
        field="overrule",
    )


def _names(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def results_of(lot_id: int, limit: int = 100) -> list[tuple[CheckResult, QualityCheck]]:
    """The lot's results with their checks, newest first."""
    query = (
        select(CheckResult, QualityCheck)
        .join(QualityCheck, QualityCheck.id == CheckResult.check_id)
        .where(CheckResult.lot_id == lot_id)
        .order_by(CheckResult.id.desc())
    )
    return [(row[0], row[1]) for row in db.session.execute(query.limit(limit))]


def photo_of(lot_id: int, result_id: int) -> tuple[str, bytes]:
    """The media type and the bytes of a result's photo. Raises NotFoundError."""
    query = (
        select(CheckResult.photo_type, CheckPhoto.content)
        .join(CheckPhoto, CheckPhoto.result_id == CheckResult.id)
        .where(CheckResult.id == result_id, CheckResult.lot_id == lot_id)
    )
    row = db.session.execute(query).one_or_none()
    if row is None or row[0] is None:
        raise NotFoundError("There is no such photo here.")
    return row[0], row[1]
