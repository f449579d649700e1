"""Warm-up, interval, stopping rule and histogram, on series made by hand."""

from __future__ import annotations

from itertools import accumulate
from math import ceil, inf, isnan, sqrt
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import stdtrit

from sim.engine.histogram import bucket, buckets, lower_edge, percentile
from sim.engine.statistics import (
    CONFIDENCE,
    MIN_BATCHES,
    MOST_BATCHES,
    Estimate,
    _student,
    estimate,
    mser,
    precise_enough,
)

T_11 = 2.201  # Student's t, 97.5 %, 11 degrees of freedom


def checkpoints(batches):
    """Cumulative checkpoints of batches of (time in ps, packets)."""
    times, packets = ([0, *accumulate(column)] for column in zip(*batches, strict=True))
    return [SimpleNamespace(time_ps=t, packets=n) for t, n in zip(times, packets, strict=True)]


@pytest.mark.parametrize(
    ("series", "dropped"),
    [
        ([5.0] * 8, 0),
        ([4.0, 2.0, 2.0, 2.0], 1),
        ([9.0, 5.0, 3.0, 2.0, 2.0, 2.0, 2.0, 2.0], 3),
        ([9.0] * 6 + [1.0] * 2, 0),
        ([9.0] * 5 + [1.0, 1.0], 0),
        ([1.0, 2.0] * 6, 0),
        ([7.0], 0),
    ],
    ids=["constant", "one", "three", "a late change is no warm-up", "change after half", "noise", "single"],
)
def test_mser_drops_what_lowers_the_error_of_the_mean(series, dropped):
    assert mser(series) == dropped


def test_mser_never_drops_more_than_half():
    for length in range(1, 20):
        assert mser([float(length - place) ** 3 for place in range(length)]) <= length // 2


def test_the_score_is_the_squared_standard_error():
    series = [3.0, 1.0, 2.0, 1.0, 2.0, 1.5]
    scores = [np.var(series[d:]) / (len(series) - d) for d in range(len(series) // 2 + 1)]
    assert mser(series) == scores.index(min(scores)) == 1


def test_the_interval_is_that_of_batch_means():
    found = estimate(checkpoints([(1000, 10), (1020, 10)] * 6))  # 100 and 102 ps per packet in turn
    assert found.ps_per_packet == 101
    assert (found.first, found.batches) == (0, 12)
    assert found.half_width_ps == pytest.approx(T_11 * sqrt(12 / 11) / sqrt(12), rel=1e-3)
    assert found.relative == pytest.approx(found.half_width_ps / 101)


def test_what_neighbours_share_does_not_make_the_interval_narrower():
    """80 batches in 20 groups of four alike: the interval is that of 20 independent values."""
    groups = np.random.default_rng(3).integers(900, 1100, 20)
    found = estimate(checkpoints([(int(time), 10) for time in np.repeat(groups, 4)]))
    assert (found.first, found.batches) == (0, 20)
    error = np.std(groups / 10, ddof=1) / sqrt(20)
    assert found.half_width_ps == pytest.approx(2.093 * error, rel=1e-3)  # Student's t, 97.5 %, 19 degrees of freedom


def test_time_per_packet_is_total_over_total_and_not_a_mean_of_ratios():
    found = estimate(checkpoints([(100, 10), (20, 1)] * 6))
    assert found.ps_per_packet == pytest.approx((6 * 100 + 6 * 20) / (6 * 10 + 6 * 1))


def test_a_warm_up_does_not_count():
    found = estimate(checkpoints([(9000, 10), (5000, 10)] + [(1000, 10)] * 10))
    assert (found.first, found.batches, found.ps_per_packet, found.half_width_ps) == (2, 10, 100, 0)


def test_a_single_batch_has_no_interval():
    found = estimate(checkpoints([(1000, 10)]))
    assert (found.ps_per_packet, found.half_width_ps, found.batches) == (100, inf, 1)


@pytest.mark.parametrize(
    ("half", "batches", "precision", "stops"),
    [
        (1.0, MIN_BATCHES, 0.01, True),
        (1.1, MIN_BATCHES, 0.01, False),
        (0.0, MIN_BATCHES - 1, 0.01, False),
        (0.0, 1000, 0.0, False),
    ],
    ids=["just precise", "not precise", "too few batches", "precision 0 runs all packets"],
)
def test_a_run_stops_when_its_interval_is_within_the_precision(half, batches, precision, stops):
    assert precise_enough(Estimate(100.0, half, 0, batches), precision) is stops


def test_every_value_falls_in_the_bucket_whose_edges_hold_it():
    for value in [*range(2000), *(10**n for n in range(4, 15)), *(2**n - 1 for n in range(8, 50)), 2**49]:
        index = bucket(value)
        assert lower_edge(index) <= value < lower_edge(index + 1)


def test_edges_and_buckets_are_inverse_and_rise():
    edges = [lower_edge(index) for index in range(20 * 128)]
    assert edges == sorted(set(edges))
    assert [bucket(edge) for edge in edges] == list(range(20 * 128))


def test_a_bucket_is_within_one_part_in_128_of_its_value():
    for index in range(128, 30 * 128):
        assert (lower_edge(index + 1) - lower_edge(index)) * 128 <= lower_edge(index)


def test_a_value_beyond_all_buckets_falls_in_the_last():
    assert bucket(2**70) == buckets() - 1


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99, 0.999, 1.0])
def test_percentiles_of_small_integers_are_exact(share):
    counts = np.zeros(buckets(), dtype=np.int64)
    counts[1:101] = 1  # the values 1 to 100
    assert percentile(counts, share) == ceil(share * 100)


def test_a_percentile_is_the_middle_of_its_bucket():
    counts = np.zeros(buckets(), dtype=np.int64)
    counts[bucket(1000)] = 5
    assert percentile(counts, 0.5) == (1000 + 1003) / 2  # between 512 and 1024 a bucket is 512 / 128 = 4 wide
    assert isnan(percentile(np.zeros(buckets(), dtype=np.int64), 0.5))


def test_an_interval_is_bounded_by_student_s_t():
    right = [float(stdtrit(freedom, (1 + CONFIDENCE) / 2)) for freedom in range(1, MOST_BATCHES)]
    assert [_student(freedom) for freedom in range(1, MOST_BATCHES)] == pytest.approx(right, rel=1e-14)
    assert CONFIDENCE == 0.95
