"""The digest goes out at the shop's hour to everybody, is quiet when nothing changed, and what sells out is told at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from occ_app import clock
from occ_app.errors import NotConfiguredError
from occ_app.extensions import db
from occ_app.planning import mails, replan
from occ_app.planning.models import PlanMail, Suggestion
from occ_app.sync import targets
from tests.planning.workshop import HERE, Workshop
from tests.support.postbox import Postbox


@pytest.fixture
def postbox(bars: Workshop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Postbox]:
    """A mail server that the app knows; two people get mails at 7."""
    app = bars.bench.app
    with Postbox() as box:
        config = replace(app.extensions["occ_config"], smtp_url=box.url, mail_from="hub@example.com")
        monkeypatch.setitem(app.extensions, "occ_config", config)
        bars.set("digest_to", "mara@example.com, tom@example.com")
        yield box


def look(workshop: Workshop, at: datetime) -> int:
    """What the clock does for the shop at that moment; returns how many mails went out."""
    db.session.remove()
    with workshop.bench.scope():
        shop, row = targets.shop(), replan.state()
        if mails.is_digest_due(shop, row, at):
            mails.write_digest(shop, row, at)
        db.session.commit()
        return mails.send_due(at)


def hour(days: int, hour: int) -> datetime:
    """That hour of the shop's, so many days from now."""
    day = clock.now().astimezone(HERE).date() + timedelta(days=days)
    return datetime(day.year, day.month, day.day, hour, 30, tzinfo=HERE)


def test_the_digest_comes_at_the_shops_hour_once_a_day_and_only_with_news(bars: Workshop, postbox: Postbox) -> None:
    bars.bench.sell_in("BAR", 25)
    bars.bench.settle()
    assert look(bars, hour(1, 6)) == 0
    assert look(bars, hour(1, 7)) == 1
    first = list(postbox.told())
    assert look(bars, hour(1, 9)) == 0
    assert look(bars, hour(2, 8)) == 0  # nothing changed
    bars.set("sold_out_mail", "no")
    bars.bench.sell_in("BAR", 15)
    bars.bench.settle()
    look(bars, hour(3, 8))

    assert [to for to, _ in first] == ["mara@example.com", "tom@example.com"]
    assert first[0][1].endswith("1 to make or order next")
    assert "Item BAR: gone" in postbox.mails[0].get_content()
    assert "£32.50 lost a day" in postbox.mails[0].get_content()
    assert len(postbox.mails) == 4


def test_a_day_on_which_nothing_happened_is_no_news(bars: Workshop, postbox: Postbox) -> None:
    bars.bench.sell_in("BAR", 25)
    bars.bench.settle()
    assert look(bars, hour(0, 23)) == 1
    before = bars.suggestions()[0].gone_on
    bars.replan(hour(1, 5))

    assert bars.suggestions()[0].gone_on > before
    assert look(bars, hour(1, 8)) == 0


def test_a_number_is_news_by_more_than_a_making_and_a_tenth_or_when_sold_out(bars: Workshop, postbox: Postbox) -> None:
    bars.bench.sell_in("BAR", 25)
    bars.bench.settle()
    look(bars, hour(1, 8))
    sent = []
    for day, quantity, stock in ((2, 120, 15), (3, 121, 15), (4, 121, 0), (5, 121, 0)):
        with bars.bench.scope():
            facts = {"stock": stock, "yield": 24}
            db.session.execute(db.update(Suggestion).values(quantity=quantity, facts=Suggestion.facts.concat(facts)))
            db.session.commit()
        sent.append(look(bars, hour(day, 8)))

    assert sent == [0, 1, 1, 0]


def test_what_sells_out_is_told_at_once(bars: Workshop, postbox: Postbox) -> None:
    bars.bench.sell_in("BAR", 40)
    bars.bench.settle()

    assert {(f"{name}@example.com", "Sold out: Item BAR") for name in ("mara", "tom")} <= set(postbox.told())


def test_a_mail_that_is_refused_waits_and_is_given_up_with_its_cause(bars: Workshop, postbox: Postbox) -> None:
    postbox.refuses = True
    bars.bench.sell_in("BAR", 40)
    bars.bench.settle()
    for number in range(mails.MOST_TRIES):
        look(bars, clock.now() + timedelta(hours=2 * number + 2))
    with bars.bench.scope():
        row = db.session.scalars(db.select(PlanMail)).first()

    assert postbox.mails == []
    assert (row.given_up_at is not None, "451" in row.cause) == (True, True)


def test_without_a_mail_server_nothing_is_written(bars: Workshop) -> None:
    bars.set("digest_to", "mara@example.com")
    bars.bench.sell_in("BAR", 40)
    bars.bench.settle()
    with bars.bench.scope():
        kept = db.session.scalar(db.select(db.func.count()).select_from(PlanMail))

    assert kept == 0
    assert "No mail goes out" in bars.see("/planning/settings")


@pytest.mark.parametrize(
    ("field", "value"),
    [("digest_to", "mara"), ("digest_to", "a@b.de\nBcc: c@d.de"), ("digest_hour", "24"), ("plan_service_level", "100")],
)
def test_settings_that_cannot_be_are_refused(bars: Workshop, field: str, value: str) -> None:
    page = bars.see("/planning/settings", 422, method="POST", data={field: value})

    assert "Give " in page


def test_a_mail_server_that_is_none_stops_the_start() -> None:
    from occ_app import config

    with pytest.raises(NotConfiguredError, match="SMTP_URL"):
        config._smtp({"SMTP_URL": "http://example.com"})


def test_a_test_mail_goes_to_everybody_at_once_and_not_again_within_a_minute(bars: Workshop, postbox: Postbox) -> None:
    sent = bars.see("/planning/settings/test-mail", method="POST")
    again = bars.see("/planning/settings/test-mail", 422, method="POST")

    assert [to for to, _ in postbox.told()] == ["mara@example.com", "tom@example.com"]
    assert "Test from" in sent
    assert "within the last minute" in again


def test_a_test_mail_that_is_refused_says_why(bars: Workshop, postbox: Postbox) -> None:
    postbox.refuses = True
    page = bars.see("/planning/settings/test-mail", 422, method="POST")

    assert "The mail server did not take the mail" in page
    assert "451" in page
    assert look(bars, clock.now() + timedelta(hours=2)) == 0


def test_without_server_or_recipients_a_test_mail_says_what_to_do(
    bars: Workshop, request: pytest.FixtureRequest
) -> None:
    assert "SMTP_URL" in bars.see("/planning/settings/test-mail", 422, method="POST")
    request.getfixturevalue("postbox")
    bars.set("digest_to", "")

    assert "Give an address" in bars.see("/planning/settings/test-mail", 422, method="POST")
