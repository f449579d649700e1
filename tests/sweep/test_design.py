"""The points of a sweep: grids in order, one point per stratum, chunks that fit together."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.config.tables.study import Axis
from sim.study.sweep.design import Design, at_share, grid_values

from .studies import sweep

RANGES = {"cpu.cpi": {"low": 0.3, "high": 0.6}, "cpu.core_ghz": {"low": 1, "high": 4, "scale": "log"}}


def test_the_last_axis_of_a_grid_turns_fastest():
    design = Design(sweep({"virtqueue.size": {"values": [64, 128]}, "access": {"values": ["copy_user", "vmap"]}}))
    assert [tuple(point.values()) for point in design.points(0, len(design))] == [
        (64, "copy_user"),
        (64, "vmap"),
        (128, "copy_user"),
        (128, "vmap"),
    ]


@given(st.floats(1e-3, 1e3), st.floats(1, 1e3), st.integers(2, 50), st.sampled_from(["linear", "log"]))
def test_the_ends_of_a_range_are_exact(low, factor, count, scale):
    values = grid_values(Axis(low=low, high=low * factor, count=count, scale=scale))
    assert (values[0], values[-1]) == (low, low * factor)
    assert values == sorted(values)


def test_a_logarithmic_range_has_equal_factors_and_a_whole_one_no_twins():
    assert grid_values(Axis(low=1, high=1000, count=4, scale="log")) == pytest.approx([1, 10, 100, 1000])
    assert grid_values(Axis(low=1, high=4, count=10, integer=True)) == [1, 2, 3, 4]


def test_categories_divide_the_axis_evenly():
    axis = Axis(values=["a", "b", "c", "d"])
    assert [at_share(axis, share) for share in (0, 0.24, 0.25, 0.74, 0.76, 1)] == ["a", "a", "b", "c", "d", "d"]


@pytest.mark.parametrize("points", [1, 7, 100])
def test_a_latin_hypercube_has_one_point_in_each_stratum_of_every_axis(points):
    axes = {"cpu.cpi": {"low": 0, "high": 1}, "cpu.overlap": {"low": 0, "high": 1}}
    found = Design(sweep(axes, design="latin-hypercube", points=points)).points(0, points)
    for key in axes:
        assert sorted(math.floor(point[key] * points) for point in found) == list(range(points))


@pytest.mark.parametrize("design", ["latin-hypercube", "sobol"])
@given(first=st.integers(0, 99), length=st.integers(1, 50))
def test_chunks_are_parts_of_the_whole(design, first, length):
    study = sweep(RANGES, design=design, points=150)
    assert Design(study).points(first, first + length) == Design(study).points(0, 150)[first : first + length]


@pytest.mark.parametrize("design", ["latin-hypercube", "sobol"])
def test_another_seed_gives_other_points_inside_the_ranges(design):
    one, other = (Design(sweep(RANGES, design=design, points=32, seed=seed)).points(0, 32) for seed in (0, 1))
    assert one != other
    assert all(0.3 <= point["cpu.cpi"] <= 0.6 and 1 <= point["cpu.core_ghz"] <= 4 for point in one + other)
