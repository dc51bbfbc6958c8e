"""Pages: they read without a browser, answer fragments to htmx, and tell what is wrong beside the field."""

from __future__ import annotations

import pytest

from tests.support.bench import DOMAIN, Bench

PATHS = [
    "/",
    "/products",
    "/products?view=attention&q=x&sort=sellable&page=2",
    "/products/new",
    "/lots",
    "/lots?view=hold",
    "/lots/new",
    "/mapping",
    "/mapping?view=mapped",
    "/import",
    "/mapping/variants?q=S",
    "/exceptions",
    "/exceptions?view=past",
    "/activity",
    "/activity.csv",
    "/activity?view=run&before=run-9.x-1.push-99999999999&q=a%25_",
    "/activity?before=99999999999999999-push-1",
    "/activity?view=push",
    "/activity?view=order",
    "/activity?view=delivery",
    "/activity?view=parked",
    "/settings",
    "/settings/connection",
    "/settings/sync-mode?mode=completed",
    "/export/items.csv",
    "/trace",
    "/trace?q=x",
    "/recalls",
    "/recalls?view=drills",
    "/recalls/new",
]


@pytest.mark.parametrize("path", PATHS)
def test_a_page_of_an_empty_shop_says_something(bench: Bench, path: str) -> None:
    bench.install()
    answer = bench.open(path, follow_redirects=True)

    assert answer.status_code == 200
    assert answer.get_data(as_text=True).strip()


def test_a_new_shop_is_led_through_its_first_steps(bench: Bench) -> None:
    bench.install()
    text = bench.open("/").get_data(as_text=True)

    assert "1 of 5 done" in text
    assert "Add an item" in text


def test_a_fragment_goes_out_only_when_htmx_asks_for_a_part(bench: Bench) -> None:
    bench.install()
    part = bench.open("/products", headers={"HX-Request": "true", "HX-Request-Type": "partial"})
    boosted = bench.open("/products", headers={"HX-Request": "true", "HX-Boosted": "true", "HX-Request-Type": "full"})

    assert part.get_data(as_text=True).lstrip().startswith("<section")
    assert boosted.get_data(as_text=True).lstrip().startswith("<!DOCTYPE html>")
    assert part.headers["Vary"] == "HX-Request, HX-Request-Type"


@pytest.mark.parametrize(
    ("path", "form", "words"),
    [
        ("/products", {"sku": "", "name": "x"}, "Give a SKU"),
        ("/products", {"sku": "SSD", "name": "x"}, "There is an item SSD already."),
        ("/products", {"sku": "N", "name": "x", "safety_stock": "-1"}, "Give a whole number from 0 to"),
        ("/products", {"sku": "N", "name": "x", "shelf_life_days": "36501"}, "Give a whole number from 1 to 36,500"),
        ("/products", {"sku": "N\0", "name": "x"}, "holds a zero byte"),
        ("/lots", {"item": "9" * 30, "quantity": "1"}, "Choose an item."),
        ("/lots", {"item": "1", "quantity": "1", "made_on": "9999-12-31"}, "expire after the year 9999"),
        ("/lots/1/release", {"from_place": "shipped", "quantity": "1"}, "can go there from: completed,"),
        ("/lots/1/release", {"from_place": "committed", "quantity": "1"}, "can go there from: completed,"),
        ("/lots/1/review", {"from_place": "in_review", "quantity": "1"}, "can go there from: completed,"),
        ("/mapping", {"item": "9" * 5000, "variant": "1"}, "Tick the mappings to make."),
        ("/mapping", {"pair": "1:2147483648"}, "Tick the mappings to make."),
        ("/lots", {"item": "1", "quantity": "1.5"}, "Give a whole number of 1 or more."),
        ("/lots", {"item": "1", "quantity": "999999999"}, "Give 100,000,000 or fewer."),
        ("/lots", {"item": "999", "quantity": "1"}, "Choose an item."),
        (
            "/lots",
            {"item": "1", "quantity": "1", "made_on": "2026-11-21", "expires_on": "2026-11-21"},
            "comes after the day",
        ),
        ("/lots", {"item": "1", "quantity": "1", "lot_number": "L1"}, "There is a lot L1 already."),
        ("/lots/1/release", {"quantity": "11"}, "has 10 units"),
        (
            "/lots/1/split",
            {"from_place": "in_review", "release": "8", "hold": "4"},
            "8 + 4 are 12, but only 10 are in review. Take 2 off one of them.",
        ),
        ("/settings", {"time_zone": "Mars/Base"}, "Give a time zone such as Europe/London."),
        ("/settings", {"guard_units": "x"}, "Give a whole number from 1"),
        ("/mapping", {}, "Tick the mappings to make."),
        ("/settings/sync-mode", {"mode": "all"}, "Give one of"),
    ],
)
def test_wrong_input_is_refused_with_what_to_do(bench: Bench, path: str, form: dict[str, str], words: str) -> None:
    bench.install()
    bench.item("SSD", shelf_life_days=30)
    bench.lot("SSD", 10, "in_review", number="L1")
    answer = bench.open(path, method="POST", data=form)

    assert answer.status_code == 422
    assert words in answer.get_data(as_text=True)


def test_a_second_press_of_release_is_told(bench: Bench) -> None:
    bench.install()
    bench.item("SSD")
    bench.lot("SSD", 10, "in_review", number="L1")
    form = {"quantity": "10", "from_place": "in_review"}
    first = bench.open("/lots/1/release", method="POST", data=form)
    second = bench.open("/lots/1/release", method="POST", data=form)

    assert first.status_code == 303
    assert second.status_code == 422


def test_names_are_shown_as_text(bench: Bench) -> None:
    bench.install()
    bench.open("/products", method="POST", data={"sku": "X", "name": "<script>alert(1)</script>"})
    text = bench.open("/products").get_data(as_text=True)

    assert "&lt;script&gt;" in text
    assert "<script>alert" not in text


@pytest.mark.parametrize("path", ["/lots?q=%00", "/products/1?term=%00", "/mapping?view=mapped&%00=1"])
def test_a_zero_byte_in_an_address_is_refused_with_a_sentence(bench: Bench, path: str) -> None:
    bench.install()
    answer = bench.open(path)

    assert answer.status_code == 422
    assert "holds a zero byte" in answer.get_data(as_text=True)


@pytest.mark.parametrize(
    "path", ["/products/99", "/lots/99", "/products/2147483648", "/lots/99999999999999", "/nothing"]
)
def test_what_is_not_there_is_404(bench: Bench, path: str) -> None:
    bench.install()

    assert bench.open(path).status_code == 404


def test_an_old_address_is_answered_within_the_admins_frame(bench: Bench) -> None:
    bench.install()
    answer = bench.open("/nothing")

    assert f"frame-ancestors https://{DOMAIN}" in answer.headers["Content-Security-Policy"]
    assert bench.visit("/nothing").headers["Content-Security-Policy"].endswith("frame-ancestors 'none';")


def test_readiness_says_what_is_missing(bench: Bench) -> None:
    answer = bench.visit("/health/ready")

    assert answer.status_code == 503
    assert "No worker" in answer.get_json()["reasons"][0]
    assert bench.visit("/health").get_json() == {"status": "ok"}
