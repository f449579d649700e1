"""Plots of comparisons, narrow enough for a phone: where time goes, what makes up a gain, gains side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib
from matplotlib.figure import Figure

from sim.engine import Point
from sim.report.plots.results import STYLE
from sim.report.tables.stack import COLOURS, LAYER_OF, drawn, stack
from sim.study.questions.compare import Difference
from sim.study.uncertainty.intervals import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH_INCHES = 5.4
_DARK, _FAINT, _GRID = "#3b4650", "#9aa5b1", "#e3e6ea"
#: Nanoseconds below which a part of a difference is not worth a bar of its own.
_WORTH_A_BAR = 0.5


def stack_figure(points: Sequence[Point], title: str) -> Figure:
    """Draw the nanoseconds of the worker per packet, a bar per point, in the layers of the cycle stack."""
    with matplotlib.rc_context(STYLE):
        figure, axes = _figure(1.5 + 0.42 * len(points), title)
        names = [point.access for point in points]
        lefts = [0.0] * len(points)
        parts = [{name: ps / point.packets / 1e3 for name, ps in point.breakdown_ps.items()} for point in points]
        for layer, widths in drawn([stack(times) for times in parts]):
            axes.barh(range(len(points)), widths, 0.72, left=lefts, color=layer.colour, label=layer.title)
            lefts = [left + width for left, width in zip(lefts, widths, strict=True)]
        for place, total in enumerate(lefts):
            _beside(axes, total, place, f"{total:.0f}")
        _named(axes, names)
        axes.set(xlabel="ns of the worker per packet", xlim=(0, max(lefts) * 1.08))
        figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=7.5)
        return figure


def waterfall_figure(difference: Difference, title: str) -> Figure:
    """Draw the way from the nanoseconds of one side to those of the other, by primitive, in the stack's colours."""
    parts = [(name, value) for name, value in difference.made_up_of.items() if abs(value) >= _WORTH_A_BAR]
    rest = difference.saved_ns - sum(value for _, value in parts)
    before, after = difference.before, difference.after
    with matplotlib.rc_context(STYLE):
        figure, axes = _figure(1.1 + 0.3 * (len(parts) + 3), title)
        names = [before.access, *(name for name, _ in parts), "everything else", after.access]
        axes.barh(0, before.ns_per_packet, 0.72, color=_FAINT)
        _beside(axes, before.ns_per_packet, 0, f"{before.ns_per_packet:.1f}")
        reached = before.ns_per_packet
        for place, (name, saved) in enumerate([*parts, ("", rest)], 1):
            colour = LAYER_OF[name].colour if name else _DARK
            axes.barh(place, -saved, 0.72, left=reached, color=colour)
            _beside(axes, max(reached, reached - saved), place, f"{-saved:+.1f}")
            axes.plot([reached, reached], [place - 1, place], color=_FAINT, linewidth=0.6, zorder=0)
            reached -= saved
        axes.barh(len(names) - 1, after.ns_per_packet, 0.72, color=_FAINT)
        _beside(axes, after.ns_per_packet, len(names) - 1, f"{after.ns_per_packet:.1f}")
        _named(axes, names)
        shortest = min(before.ns_per_packet, after.ns_per_packet)
        longest = max(before.ns_per_packet, after.ns_per_packet)
        start = max(0.0, shortest - 0.6 * abs(difference.saved_ns) - 1)
        axes.set(xlim=(start, longest + 0.12 * (longest - start)), xlabel=f"ns per packet (axis starts at {start:.0f})")
        return figure


def gains_figure(rows: Sequence[tuple[str, Interval]], title: str, label: str = "gain, %") -> Figure:
    """Draw numbers side by side with their 90 % intervals, the first on top; a line marks zero."""
    with matplotlib.rc_context(STYLE):
        figure, axes = _figure(0.95 + 0.27 * len(rows), title)
        axes.axvline(0, color=_DARK, linewidth=0.8, zorder=1)
        look: dict[str, Any] = {"fmt": "o", "markersize": 5, "capsize": 3, "linewidth": 1.5, "zorder": 3}
        for place, (_, bounds) in enumerate(rows):
            colour = COLOURS[2] if bounds.low > 0 or bounds.high < 0 else _FAINT
            axes.errorbar(bounds.value, place, xerr=_arms(bounds), color=colour, **look)
            _beside(axes, max(bounds.high, bounds.value), place, f"{round(bounds.value, 1) + 0.0:.1f}")
        _named(axes, [name for name, _ in rows])
        low = min(0.0, *(bounds.low for _, bounds in rows))
        high = max(0.0, *(bounds.high for _, bounds in rows))
        room = 0.06 * (high - low or 1.0)
        axes.set(xlim=(low - room, high + 2.2 * room), xlabel=label)
        axes.grid(axis="x", color=_GRID, linewidth=0.8)
        return figure


def curves_figure(
    curves: Mapping[str, Sequence[tuple[float, Interval]]],
    title: str,
    across: str,
    up: str,
    *,
    powers: bool = True,
) -> Figure:
    """Draw numbers along a key, a line and a 90 % band per curve; `powers` spaces places by their ratios.

    Zero, which has no place among ratios, keeps a place of its own at the left.
    """
    places = sorted({x for points in curves.values() for x, _ in points})
    least = min(place for place in places if place > 0)
    with matplotlib.rc_context(STYLE):
        figure, axes = _figure(3.1 + 0.2 * len(curves), title)
        for number, (name, points) in enumerate(curves.items()):
            colour = COLOURS[(number + 1) % len(COLOURS)]
            xs = [x if x > 0 or not powers else least / 4 for x, _ in points]
            lows, highs = [bounds.low for _, bounds in points], [bounds.high for _, bounds in points]
            values = [bounds.value for _, bounds in points]
            axes.fill_between(xs, lows, highs, color=colour, alpha=0.18, linewidth=0)
            axes.plot(xs, values, marker="o", markersize=4, linewidth=1.6, color=colour, label=name)
        if powers:
            axes.set_xscale("log")
        ticks = [x if x > 0 or not powers else least / 4 for x in places]
        axes.set_xticks(ticks, [f"{x:g}" for x in places], rotation=45 if len(places) > 7 else 0)
        axes.minorticks_off()
        axes.set(xlabel=across, ylabel=up)
        axes.grid(axis="y", color=_GRID, linewidth=0.8)
        if len(curves) > 1:
            figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8)
        return figure


def _figure(height: float, title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH_INCHES, height), layout="constrained")
    axes = figure.subplots()
    figure.suptitle(title, fontsize=9.5)
    return figure, axes


def _named(axes: Axes, names: Sequence[str]) -> None:
    """Name the places of horizontal bars, the first on top."""
    axes.set_yticks(range(len(names)), names, fontsize=8.5)
    axes.set_ylim(len(names) - 0.4, -0.6)


def _beside(axes: Axes, x: float, place: float, text: str) -> None:
    axes.annotate(text, (x, place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=7.5, color=_DARK)


def _arms(bounds: Interval) -> list[list[float]]:
    return [[max(0.0, bounds.value - bounds.low)], [max(0.0, bounds.high - bounds.value)]]
