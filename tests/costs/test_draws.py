"""Several draws of one number: operations of each draw alone, and decisions that all of them share."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.costs.draws import (
    Divided,
    draws,
    either,
    everywhere,
    least,
    most,
    negated,
    somewhere,
    total,
    unless,
    value_at,
    whole,
)

numbers = st.lists(st.floats(0, 1e12), min_size=2, max_size=8)


@given(numbers, st.floats(1e-3, 1e12))
def test_each_draw_gets_to_the_last_bit_what_a_number_gets(values, other):
    together = draws(values)
    formulas = (
        lambda x: x * other + other / (x + 1) - x,
        lambda x: round(x / other),
        lambda x: least(x, other) * 3,
        lambda x: most(x, other) - least(other, x),
        lambda x: total([x, other, 0.1, x]),
        lambda x: whole(x * 1e-6),
        lambda x: unless(x > other, x),
        lambda x: either([x > other, x < 1]) * 1 + negated(x > other) * 2,
    )
    for formula in formulas:
        results = formula(together)
        assert [value_at(results, number) for number in range(len(values))] == [formula(value) for value in values]


def test_halves_are_rounded_to_the_even_neighbour():
    assert round(draws([0.5, 1.5, 2.5, -0.5])).tolist() == [0, 2, 2, 0]
    assert [round(value) for value in (0.5, 1.5, 2.5, -0.5)] == [0, 2, 2, 0]


def test_a_decision_is_that_of_all_draws_or_parts_them():
    assert draws([1, 2]) > 0
    assert not draws([1, 2]) > 2
    with pytest.raises(Divided) as parted:
        assert draws([1, 2, 3]) > 2
    assert parted.value.holds.tolist() == [False, False, True]
    with pytest.raises(Divided):
        min(draws([1, 3]), 2)
    assert somewhere(draws([1, 3]) > 2)
    assert not everywhere(draws([1, 3]) > 2)


def test_a_sum_in_place_leaves_what_others_hold_as_it_was():
    first = second = draws([1, 2])
    second += 1
    second -= draws([1, 1])
    second *= 2
    second /= 4
    assert first.tolist() == [1, 2]
    assert second.tolist() == [0.5, 1]
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 3


@pytest.mark.parametrize("use", [float, int, hash, range, "{:g}".format], ids=["float", "int", "hash", "range", "text"])
def test_several_draws_are_no_number(use):
    with pytest.raises(TypeError):
        use(draws([1, 2]))


def test_a_value_of_all_draws_is_that_of_each():
    assert value_at(3, 1) == 3
    assert value_at(draws([3, 4]), 1) == 4.0
    assert type(value_at(round(draws([3, 4])), 1)) is int
    assert np.array_equal(unless(True, 3), 0)
