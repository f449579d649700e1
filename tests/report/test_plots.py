"""Plots: line rates by arithmetic, one point or many, and files that are the same bytes each time."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from xml.etree import ElementTree

import pytest

from sim.report.export.files import figure_writers
from sim.report.plots.results import cycles_figure, pps_figure
from sim.report.tables.stack import stack

FIGURES = [pps_figure, cycles_figure]


@pytest.mark.parametrize("draw", FIGURES)
@pytest.mark.parametrize("count", [1, 2, 9], ids=["1 x 1", "1 variant", "all"])
def test_a_plot_is_made_of_one_point_and_of_many(draw, count, result, tmp_path):
    figure = draw(result.points[:count], "a title & more")
    for name, write in figure_writers("plot", figure).items():
        write(tmp_path / name)
    assert ElementTree.parse(tmp_path / "plot.svg").getroot().tag.endswith("svg")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("draw", FIGURES)
def test_a_point_without_an_interval_can_be_drawn(draw, result):
    point = replace(result.points[0], half_width_ps=inf)
    (axes,) = draw([point], "title").axes
    assert axes.get_ylim()[1] > 0


@pytest.mark.parametrize("draw", FIGURES)
def test_the_same_result_gives_the_same_bytes(draw, result, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        for name, write in figure_writers("plot", draw(result.points, "title")).items():
            write(tmp_path / folder / name)
    for name in ("plot.svg", "plot.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_the_curve_of_each_variant_shows_its_rates(result):
    (axes,) = pps_figure(result.points, "title").axes
    curves = {container.get_label(): container.lines[0] for container in axes.containers}
    assert list(curves) == ["copy_user", "vmap", "ideal"]
    for access, curve in curves.items():
        assert list(curve.get_xdata()) == [64, 512, 1518]
        assert list(curve.get_ydata()) == [result.at(access, size).pps / 1e6 for size in (64, 512, 1518)]


def test_the_bars_of_the_cycle_stack_are_as_high_as_the_cycles(result):
    (axes,) = cycles_figure(result.points, "title").axes
    heights = [0.0] * len(result.points)
    for container in axes.containers:
        for number, bar in enumerate(container):
            heights[number] += bar.get_height()
    assert heights == pytest.approx([point.cycles_per_packet for point in result.points])
    layers = {layer.title for point in result.points for layer, value in stack(point.breakdown_cycles) if value}
    assert {container.get_label() for container in axes.containers} == layers
