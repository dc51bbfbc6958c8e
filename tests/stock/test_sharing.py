"""Sharing stock between channels, in values a person can add up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from occ_app.stock.sharing import Claim, shares, shortfall, spread

WHOLESALE, SHOPIFY = Claim("wholesale", share_percent=40), Claim("shopify")


def test_a_share_is_of_all_that_is_there_and_the_rest_goes_to_the_rest() -> None:
    assert shares((WHOLESALE, SHOPIFY), 100) == {"wholesale": 40, "shopify": 60}
    assert shares((WHOLESALE, SHOPIFY), 99) == {"wholesale": 39, "shopify": 60}


def test_a_fixed_amount_is_filled_up_again_by_the_next_lot() -> None:
    claims = (Claim("wholesale", fixed=40), SHOPIFY)

    assert spread(claims, {"wholesale": 25, "shopify": 60}, 50) == {"wholesale": 15, "shopify": 35}


def test_nobody_loses_units_by_a_lot_that_comes_in() -> None:
    assert spread((WHOLESALE, SHOPIFY), {"wholesale": 90}, 10) == {"shopify": 10}


def test_when_there_is_too_little_floors_come_first_and_then_the_order() -> None:
    claims = (Claim("wholesale", fixed=40), Claim("markets", fixed=20), Claim("shopify", floor=30))

    assert shares(claims, 50) == {"wholesale": 20, "markets": 0, "shopify": 30}
    assert shares(claims, 75) == {"wholesale": 40, "markets": 5, "shopify": 30}


def test_what_ceilings_leave_stays_free() -> None:
    assert shares((Claim("wholesale", share_percent=50, ceiling=10), Claim("shopify", ceiling=20)), 100) == {
        "wholesale": 10,
        "shopify": 20,
    }


def test_a_channel_below_its_amount_is_short() -> None:
    assert shortfall((Claim("wholesale", fixed=30), SHOPIFY), {"wholesale": 14}) == {"wholesale": 16}


claims_of = st.lists(
    st.builds(
        lambda kind, units, floor, more: (kind, units, floor, more),
        st.sampled_from(("fixed", "share", "rest")),
        st.integers(0, 100),
        st.integers(0, 50),
        st.none() | st.integers(0, 100),
    ),
    min_size=1,
    max_size=4,
)


@given(claims_of, st.lists(st.integers(0, 200), min_size=4, max_size=4), st.integers(0, 500))
def test_no_unit_is_made_or_lost_and_no_ceiling_passed(drawn: list, has: list[int], units: int) -> None:  # type: ignore[type-arg]
    claims = [
        Claim(
            f"c{n}",
            fixed=number if kind == "fixed" else None,
            share_percent=number if kind == "share" else None,
            floor=floor,
            ceiling=None if more is None else floor + more,
        )
        for n, (kind, number, floor, more) in enumerate(drawn)
    ]
    held = {claim.channel: number for claim, number in zip(claims, has, strict=False)}
    given_out = spread(claims, held, units)

    assert all(more > 0 for more in given_out.values())
    assert sum(given_out.values()) <= units
    for claim in claims:
        if claim.ceiling is not None and claim.channel in given_out:
            assert held[claim.channel] + given_out[claim.channel] <= claim.ceiling
