"""From repeats to a value with its interval."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.host.quality import summarise

VALUES = st.lists(st.floats(0.1, 1e6), min_size=1, max_size=40)


def test_repeats_that_agree_give_their_median_and_at_least_the_tolerance():
    summary = summarise([10.0, 10.1, 9.9, 10.0, 10.2], 0.05)
    assert (summary.value, summary.outliers, summary.stable) == (10.0, 0, True)
    assert (summary.low, summary.high) == (pytest.approx(10 - 0.05 * 10), pytest.approx(10 + 0.05 * 10))


def test_the_interval_of_a_stable_entry_holds_every_repeat_but_the_outliers():
    summary = summarise([10, 10.3, 9.6, 10, 10.1, 10.2, 9.9, 9.8, 50], 0.02)
    assert summary.stable
    assert summary.outliers == 1
    assert summary.low == 9.6
    assert 10.3 <= summary.high < 50


def test_the_resolution_is_the_tolerance_of_small_values():
    summary = summarise([0.5, 0.7, 0.3, 0.5, 0.6], 0.05, resolution=0.5)
    assert summary.stable
    assert (summary.low, summary.high) == (0.0, 1.0)


def test_repeats_that_disagree_are_unstable_with_a_range_beyond_all_of_them():
    summary = summarise([20, 21, 120, 22, 118, 119, 20, 121], 0.1)
    assert not summary.stable
    assert "spreads over" in summary.why_unstable
    assert summary.low == 0.0  # 20 less the spread of 101
    assert summary.high == 121 + (121 - 20)


def test_too_many_outliers_are_no_outliers_but_a_second_mode():
    summary = summarise([22.0] * 7 + [125.0] * 3, 0.1)
    assert summary.outliers == 3
    assert summary.why_unstable == "3 of 10 repeats are outliers"


def test_few_repeats_are_never_stable():
    assert summarise([5.0, 5.0, 5.0], 0.1).why_unstable == "only 3 repeats"


def test_no_repeats_are_an_error():
    with pytest.raises(ValueError, match="no repeats"):
        summarise([], 0.1)


@given(VALUES, st.floats(0.0, 0.5), st.randoms(use_true_random=False))
def test_the_order_of_repeats_does_not_matter(values, tolerance, draw):
    shuffled = draw.sample(values, len(values))
    assert summarise(values, tolerance) == summarise(shuffled, tolerance)


@given(VALUES, st.floats(0.0, 0.5))
def test_the_interval_holds_the_value_and_an_unstable_one_holds_all(values, tolerance):
    summary = summarise(values, tolerance)
    assert summary.value == statistics.median(values)
    assert 0 <= summary.low <= summary.value <= summary.high
    if not summary.stable:
        assert summary.low <= min(values)
        assert max(values) <= summary.high


@given(VALUES, st.sampled_from([0.25, 2.0, 8.0]))
def test_units_do_not_matter(values, factor):
    summary, scaled = summarise(values, 0.1), summarise([value * factor for value in values], 0.1)
    assert (summary.outliers, summary.stable) == (scaled.outliers, scaled.stable)
    assert scaled.high == pytest.approx(summary.high * factor)


@given(st.lists(st.floats(99, 101), min_size=6, max_size=20))
def test_a_second_session_of_the_same_lies_within_the_interval_of_the_first(values):
    half = len(values) // 2
    summary = summarise(values[: half + 1], 0.03)
    assert not summary.stable or summary.low <= statistics.median(values[half:]) <= summary.high
