"""Production in plain values: units, needs, explosion, cycles, costs, allergens."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occ_app.errors import RuleError
from occ_app.production import units
from occ_app.production.rules import (
    Making,
    Part,
    allergens,
    average_cost,
    every_level,
    explode,
    find_cycle,
    give_back,
    is_plausible,
    needed,
    unit_cost,
)

UNIT = st.sampled_from(units.UNITS)
BEAN, SUGAR, CREAM, GANACHE, SHELL, TRUFFLE, BOX = range(7)
# 10 truffles: 100 of ganache and 10 shells of 30 bean; 1,000 of ganache: 600 cream, 400 bean; a box: 4 truffles.
FORMULAS = {
    GANACHE: Making(1000, [Part(CREAM, 600), Part(BEAN, 400)]),
    SHELL: Making(1, [Part(BEAN, 30)]),
    TRUFFLE: Making(10, [Part(GANACHE, 100), Part(SHELL, 10)]),
    BOX: Making(1, [Part(TRUFFLE, 4)]),
}


@given(st.integers(0, units.MOST), UNIT)
def test_an_amount_that_is_written_down_is_read_back_exactly(quantity: int, unit: str) -> None:
    assert units.parse(units.plain(quantity, unit), unit) == quantity


@given(st.integers(0, 10**6), UNIT, UNIT)
def test_an_amount_is_the_same_in_every_unit_of_its_measure(quantity: int, one: str, other: str) -> None:
    if units.are_compatible(one, other):
        there = units.from_smallest(quantity, one) * units.SMALLEST[one] / units.SMALLEST[other]

        assert units.to_smallest(there, other) == quantity


@given(st.decimals(min_value=0, max_value=1000, places=7), UNIT)
def test_an_amount_is_never_rounded(amount: Decimal, unit: str) -> None:
    exact = amount * units.SMALLEST[unit]
    if exact == int(exact):
        assert units.to_smallest(amount, unit) == exact
    else:
        with pytest.raises(RuleError):
            units.to_smallest(amount, unit)


@given(st.text(max_size=40))
def test_any_text_is_an_amount_within_bounds_or_is_refused(text: str) -> None:
    with suppress(RuleError):
        assert 0 <= units.parse(text, "kg") <= units.MOST


@pytest.mark.parametrize(
    ("quantity", "unit", "said"),
    [
        (2_500_000, "kg", "2.5 kg"),
        (1_250_000_000, "kg", "1,250 kg"),
        (120, "piece", "120"),
        (0, "l", "0 l"),
        (1, "g", "0.001 g"),
        (5_279_188, "kg", "5.279 kg"),
    ],
)
def test_amounts_are_said_as_people_say_them(quantity: int, unit: str, said: str) -> None:
    assert units.say(quantity, unit) == said


@pytest.mark.parametrize(("unit", "other"), [("g", "ml"), ("l", "piece"), ("kg", "piece")])
def test_weight_volume_and_pieces_are_not_mixed(unit: str, other: str) -> None:
    with pytest.raises(RuleError, match="cannot be converted"):
        units.check_compatible(unit, other, "Cream")


def test_scrap_is_a_share_of_what_goes_in_and_set_up_is_lost_once() -> None:
    assert needed(Part(BEAN, 100, Decimal(20)), 10, 10) == 125
    assert needed(Part(BEAN, 100, Decimal(20), setup_loss=7), 10, 20) == 257
    assert needed(Part(BEAN, 100), 3, 1) == 34


PARTS = st.builds(Part, st.just(BEAN), st.integers(1, 10**7), st.decimals(0, 99, places=2), st.integers(0, 1000))


@given(PARTS, st.integers(1, 1000), st.integers(1, 10**5), st.integers(1, 10**5))
def test_what_is_needed_is_enough_and_hardly_more(part: Part, made: int, one: int, more: int) -> None:
    need = needed(part, made, one)
    good = (need - part.setup_loss) * (1 - Fraction(part.scrap_percent) / 100)

    assert 0 <= good - Fraction(part.quantity) * one / made < 1
    assert needed(part, made, one + more) >= need


def test_what_cannot_be_counted_is_refused() -> None:
    with pytest.raises(RuleError, match="more than can be counted"):
        needed(Part(BEAN, 10**13), 1, 10**8)


def test_a_box_is_exploded_down_to_what_is_bought() -> None:
    assert explode(BOX, 5, FORMULAS) == {CREAM: 120, BEAN: 80 + 600}
    assert every_level(BOX, 5, FORMULAS) == {TRUFFLE: 20, GANACHE: 200, SHELL: 20, CREAM: 120, BEAN: 680}


@given(st.integers(1, 10_000), st.integers(1, 10_000))
def test_two_runs_need_no_less_than_one_of_both(one: int, other: int) -> None:
    apart = [explode(BOX, quantity, FORMULAS) for quantity in (one, other)]
    together = explode(BOX, one + other, FORMULAS)

    assert all(together[item] <= apart[0][item] + apart[1][item] for item in together)


@st.composite
def graphs(draw: st.DrawFn) -> dict[int, Making]:
    """Formulas in which each item is made from later ones only."""
    size = draw(st.integers(2, 8))
    found = {}
    for item in range(size - 1):
        parts = draw(st.sets(st.integers(item + 1, size - 1), max_size=3))
        if parts:
            found[item] = Making(
                draw(st.integers(1, 5)), [Part(part, draw(st.integers(1, 5))) for part in sorted(parts)]
            )
    return found


@given(graphs(), st.integers(1, 50))
def test_an_explosion_ends_in_what_is_bought_and_follows_every_formula(graph: dict[int, Making], quantity: int) -> None:
    levels = every_level(0, quantity, graph)

    assert all(item not in graph for item in explode(0, quantity, graph))
    for item, need in levels.items():
        users = {0: quantity, **levels}
        parts = [
            (m, p, users[user]) for user, m in graph.items() if users.get(user) for p in m.parts if p.component == item
        ]
        assert need == sum(needed(part, making.yield_quantity, amount) for making, part, amount in parts)


@given(graphs())
def test_what_is_made_from_later_ones_only_has_no_cycle_until_one_is_closed(graph: dict[int, Making]) -> None:
    def made_of(item: int) -> list[int]:
        return [part.component for part in graph[item].parts] if item in graph else []

    assert all(find_cycle(item, made_of(item), made_of) is None for item in graph)
    for part in every_level(0, 1, graph):
        way = find_cycle(part, [0], made_of)

        assert way is not None
        assert (way[0], way[-1]) == (part, part)
        assert all(after in made_of(before) for before, after in pairwise(way[1:]))


def test_the_cost_of_a_unit_is_that_of_its_parts() -> None:
    prices = {BEAN: Decimal("0.01"), CREAM: Decimal("0.005")}

    assert unit_cost(GANACHE, FORMULAS, prices) == Decimal("0.007")
    assert unit_cost(TRUFFLE, FORMULAS, prices) == Decimal("0.37")
    assert unit_cost(BOX, FORMULAS, prices) == Decimal("1.48")
    assert unit_cost(BOX, FORMULAS, {BEAN: Decimal(1)}) is None


def test_an_average_cost_weighs_by_what_is_there() -> None:
    assert average_cost([(6, Decimal(8)), (4, Decimal(10)), (0, Decimal(99))]) == Decimal("8.8")
    assert average_cost([]) is None


def test_allergens_come_up_from_every_part_in_the_order_of_the_law() -> None:
    assert allergens(BOX, FORMULAS, {CREAM: ["milk"], BEAN: ["soya"], SUGAR: ["nuts"]}) == ["soya", "milk"]


@pytest.mark.parametrize(("output", "is_so"), [(0, False), (1, True), (120, True), (150, True), (151, False)])
def test_more_than_a_quarter_over_the_plan_is_implausible(output: int, is_so: bool) -> None:
    assert is_plausible(output, 120) is is_so


@given(st.lists(st.integers(1, 50), min_size=1, max_size=5), st.data())
def test_a_surplus_is_given_back_exactly_the_last_first(held: list[int], data: st.DataObject) -> None:
    surplus = data.draw(st.integers(0, sum(held)))
    back = give_back(list(enumerate(held)), surplus)

    assert sum(back.values()) == surplus
    assert all(held[lot] == back[lot] for lot in back if lot - 1 in back)
