"""Numbers that remember how they came about: worked out again for each draw as alone, and decisions that all share."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sim
from sim.costs.draws import (
    Divided,
    Formulas,
    as_in_tables,
    both,
    either,
    everywhere,
    least,
    most,
    negated,
    ratio,
    somewhere,
    total,
    tracing,
    unless,
    whole,
)

numbers = st.lists(st.floats(0, 1e12), min_size=2, max_size=8)
ENTRY = sim.load_scenario("virtio-user-xdp1-tap").cpu.cpi


def traced(value=ENTRY.value):
    """A traced number, and what works out another again with values in its place."""
    formulas = Formulas()
    number = formulas.entry(ENTRY, value)
    return number, lambda values, made: formulas.at({number.number: np.array(values)})(made)


FORMULAS = [
    lambda x, other: x * other + other / (x + 1) - x,
    lambda x, other: (3 - x) * (2 / (1 + x)) - -x,
    lambda x, other: round(x / other),
    lambda x, other: least(x, other) * 3,
    lambda x, other: most(x, other) - least(other, x),
    lambda x, other: total([x, other, 0.1, x]),
    lambda x, other: sum([x, round(x), 1]),
    lambda x, other: whole(x * 1e-6),
    lambda x, other: unless(x > other, x),
    lambda x, other: ratio(other, whole(x * 1e-12)),
    lambda x, other: both(x > 1, negated(x >= other)) * 3,
    lambda x, other: either([x > other, x < 1]) * 1 + negated(x >= other) * 2 + (x == other) * 4 + (x != 1) * 8,
]


@pytest.mark.parametrize("formula", FORMULAS)
@given(values=numbers, other=st.floats(1e-3, 1e12), first=st.floats(0, 1e12))
def test_each_draw_gets_to_the_last_bit_what_a_number_gets(formula, values, other, first):
    number, again = traced(first)
    made = formula(number, other)
    assert as_in_tables(made) == formula(first, other)
    assert np.broadcast_to(again(values, made), len(values)).tolist() == [formula(value, other) for value in values]
    one = made.formulas.at({number.number: values[0]})(made)
    assert one == formula(values[0], other)
    assert type(one) is type(formula(values[0], other))


def test_halves_are_rounded_to_the_even_neighbour():
    number, again = traced()
    assert again([0.5, 1.5, 2.5, -0.5], round(number)).tolist() == [0, 2, 2, 0]
    assert [round(value) for value in (0.5, 1.5, 2.5, -0.5)] == [0, 2, 2, 0]


def test_what_is_decided_with_the_tables_as_they_are_must_be_so_in_all_draws_or_parts_them():
    number, again = traced(1.0)
    assert not number > 2
    assert again([0, 1, 2], number).tolist() == [0, 1, 2]
    with pytest.raises(Divided) as parted:
        again([1, 2, 3], number)
    assert parted.value.holds.tolist() == [True, True, False]
    with pytest.raises(Divided) as parted:
        number.formulas.at({number.number: 3.0})
    assert not parted.value.holds
    assert min(number, 7) is number
    with pytest.raises(Divided):
        again([1, 8], number)


def test_a_whole_number_that_is_counted_with_is_the_same_in_all_draws():
    number, again = traced(3.2)
    assert list(range(round(number))) == [0, 1, 2]
    assert again([2.9, 3.4], round(number)).tolist() == [3, 3]
    with pytest.raises(Divided) as parted:
        again([2.9, 4.2], round(number))
    assert parted.value.holds.tolist() == [True, False]


def test_what_may_hold_somewhere_parts_nothing():
    number, again = traced(1.0)
    assert somewhere(number > 2)
    assert not somewhere(1 > 2)
    assert not everywhere(number < 2, surely=False)
    assert again([1, 3], number).tolist() == [1, 3]
    assert everywhere(number < 2, surely=True)
    with pytest.raises(Divided):
        again([1, 3], number)
    assert everywhere(1 < 2, surely=False)


def test_what_was_done_before_is_written_down_once():
    number, _ = traced()
    first = number * 2 + 1
    assert (number * 2 + 1).number == first.number
    assert (number * 2.0 + 1).number != first.number  # a whole number is another thing


def test_closed_formulas_take_no_more_but_what_was_done_before():
    number, again = traced()
    made = number + 1
    number.formulas.close()
    with pytest.raises(TypeError, match="closed"):
        number + 2
    assert again([1, 2], made).tolist() == [2, 3]


def test_only_values_of_entries_are_traced_and_only_inside():
    with tracing() as formulas:
        value, unit = ENTRY.value, ENTRY.unit
        flag = sim.load_scenario("virtio-user-xdp1-tap").cpu.features.smap.value
    assert as_in_tables(value) == ENTRY.value
    assert formulas.number_of(ENTRY) == value.number
    assert (type(unit), type(flag), type(ENTRY.value)) == (str, bool, float)
    assert formulas.number_of(ENTRY.model_copy()) is None


@pytest.mark.parametrize("use", [float, int, hash, range, "{:g}".format], ids=["float", "int", "hash", "range", "text"])
def test_a_traced_number_is_no_number_of_one_draw(use):
    with pytest.raises(TypeError):
        use(traced(1.5)[0])
