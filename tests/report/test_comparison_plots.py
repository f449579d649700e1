"""Plots of comparisons: marks stand where the numbers are."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

import sim
from sim.report.plots.comparisons import WIDTH_INCHES, curves_figure, gains_figure, stack_figure, waterfall_figure
from sim.report.plots.evidence import causes_figure
from sim.report.plots.results import svg
from sim.study.evidence.validate import validate
from sim.study.uncertainty.intervals import Interval

GAINS = [("a $name$ & <more>", Interval(20.0, 15.0, 30.0)), ("no sign", Interval(1.0, -2.0, 3.0))]


@pytest.fixture(scope="module")
def difference():
    overrides = ["access=copy_user,vmap", "traffic.packet_bytes=64", "run.packets=4000"]
    return sim.compare(sim.load_scenario("virtio-user-xdp1-tap", overrides=overrides)).differences[0]


def bars(axes):
    """Return the horizontal bars by row: (left, width), in the order of drawing."""
    found = {}
    for bar in (bar for container in axes.containers for bar in container):
        found.setdefault(round(bar.get_y() + bar.get_height() / 2), []).append((bar.get_x(), bar.get_width()))
    return found


def test_a_stack_is_as_long_as_the_time_of_a_packet(result):
    points = result.points[:3]
    (axes,) = stack_figure(points, "title").axes
    for place, point in enumerate(points):
        assert sum(width for _, width in bars(axes)[place]) == pytest.approx(point.ns_per_packet)
    assert [label.get_text() for label in axes.get_yticklabels()] == [point.access for point in points]


def test_a_waterfall_goes_from_one_side_to_the_other(difference):
    (axes,) = waterfall_figure(difference, "title").axes
    found = bars(axes)
    first, *parts, last = (found[place][0] for place in sorted(found))
    assert (first, last) == ((0, difference.before.ns_per_packet), (0, pytest.approx(difference.after.ns_per_packet)))
    assert sum(width for _, width in parts) == pytest.approx(-difference.saved_ns)
    reached = difference.before.ns_per_packet
    for left, width in parts:
        assert left == pytest.approx(reached)
        reached += width
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names[0] == "copy_user"
    assert names[-2:] == ["everything else", "vmap"]


def test_a_waterfall_of_no_difference_can_be_drawn(difference):
    from sim.study.questions.compare import Difference

    (axes,) = waterfall_figure(Difference(difference.before, difference.before), "title").axes
    assert sorted(bars(axes)) == [0, 1, 2]


def test_gains_stand_at_their_values_with_their_intervals():
    (axes,) = gains_figure(GAINS, "title").axes
    marks = [container.lines[0].get_xydata().tolist() for container in axes.containers]
    assert marks == [[[20.0, 0.0]], [[1.0, 1.0]]]
    (arms,) = axes.containers[0].lines[2]
    assert arms.get_segments()[0].tolist() == [[15.0, 0.0], [30.0, 0.0]]
    colours = {container.lines[0].get_color() for container in axes.containers}
    assert len(colours) == 2, "an interval that holds zero looks like one that does not"
    assert axes.get_xlim()[0] < -2 < 30 < axes.get_xlim()[1]


def test_a_name_with_dollars_is_a_name():
    drawn = svg(gains_figure(GAINS, "title"))
    ElementTree.fromstring(drawn[drawn.index("<svg") :])
    assert "<!-- a $name$ &amp; &lt;more&gt; -->" in drawn


def test_zero_has_a_place_left_of_all_powers():
    points = [(0.0, Interval(3.0, 2.0, 4.0)), (10.0, Interval(2.0, 1.0, 3.0)), (100.0, Interval(1.0, 0.0, 2.0))]
    (axes,) = curves_figure({"one": points}, "title", "x", "y").axes
    assert list(axes.lines[0].get_xdata()) == [10 / 4, 10, 100]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "10", "100"]


def test_causes_are_rows_of_marks_and_misses_are_hollow():
    rows = validate(draws=0, only=["batch-sweep"]).rows
    (axes,) = causes_figure([("A", rows[:2]), ("rest", rows[2:])], "title").axes
    marks = axes.lines[1:]  # behind the line at 1
    assert [line.get_ydata()[0] for line in marks] == [0, 0, *([1] * (len(rows) - 2))]
    assert [line.get_xdata()[0] for line in marks] == pytest.approx([1 + row.error for row in rows])
    hollow = [line.get_markerfacecolor() == "none" for line in marks]
    assert hollow == [row.status == "off" for row in rows]
    assert any(hollow)
    assert not all(hollow)


def test_charts_are_narrow_enough_for_a_phone(difference):
    drawn = [waterfall_figure(difference, "x"), gains_figure(GAINS, "x"), stack_figure([difference.before], "x")]
    assert {figure.get_figwidth() for figure in drawn} == {WIDTH_INCHES}
