"""Plots of a result: packets per second against packet size, and the stack of cycles per packet."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib

matplotlib.use("Agg")
from matplotlib.figure import Figure

from sim.engine import Point
from sim.report.tables.stack import COLOURS, drawn, stack
from sim.study.questions.limits import LINK_GBIT, line_rate_pps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

#: Fixed, so that the same result gives the same bytes.
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "vhost-sim",
    "text.parse_math": False,  # a name with dollars in it is a name
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def svg(figure: Figure) -> str:
    """Return a figure as SVG without dates and with fixed names: the same figure gives the same text."""
    text = StringIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def stamp(figure: Figure, line: str) -> None:
    """Write a line in small print into the lower right corner of a figure."""
    figure.text(0.995, 0.004, line, ha="right", va="bottom", fontsize=4.5, color="#767c85")


def save(figure: Figure, file: Path) -> None:
    """Write a figure as SVG or PNG: the same figure gives the same bytes."""
    if file.suffix == ".svg":
        file.write_text(svg(figure), encoding="utf-8")
        return
    with matplotlib.rc_context(STYLE):
        figure.savefig(file, dpi=150, metadata={"Software": None})


def pps_figure(points: Sequence[Point], title: str) -> Figure:
    """Draw packets per second against packet size, a line per access variant, with line rates of 10/25/40 GbE."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 4.4), layout="constrained")
        axes = figure.subplots()
        sizes = sorted({point.packet_bytes for point in points})
        for number, access in enumerate(dict.fromkeys(point.access for point in points)):
            shown = sorted((p for p in points if p.access == access), key=lambda point: point.packet_bytes)
            _rate_line(axes, shown, access, COLOURS[number % len(COLOURS)])
        top = max(point.pps for point in points) * 1.2e-6
        _line_rates(axes, sizes, top)
        axes.set(xscale="log", ylim=(0, top), xlabel="packet size (bytes, without FCS)", ylabel="Mpps", title=title)
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.minorticks_off()
        axes.grid(axis="y", color="#e3e6ea", linewidth=0.8)
        axes.legend(frameon=False, fontsize=8)
        return figure


def _rate_line(axes: Axes, points: Sequence[Point], access: str, colour: str) -> None:
    """Draw the rates of one variant with the intervals of their runs, where all are finite; number the first."""
    rates = [point.pps / 1e6 for point in points]
    below = [rate - point.pps_ci[0] / 1e6 for rate, point in zip(rates, points, strict=True)]
    above = [point.pps_ci[1] / 1e6 - rate for rate, point in zip(rates, points, strict=True)]
    spread = [below, above] if all(width < 1e6 for width in above) else None
    sizes = [point.packet_bytes for point in points]
    look: dict[str, Any] = {"marker": "o", "markersize": 4, "capsize": 2, "linewidth": 1.6, "zorder": 3}
    axes.errorbar(sizes, rates, yerr=spread, color=colour, label=access, **look)
    place: dict[str, Any] = {"xytext": (0, 6), "textcoords": "offset points", "ha": "center"}
    axes.annotate(f"{rates[0]:.2f}", (min(sizes), rates[0]), color=colour, fontsize=8, **place)


def _line_rates(axes: Axes, sizes: list[int], top: float) -> None:
    """Draw the rates at which links are full, each with its name where it leaves the plot or at its right end."""
    low, high = sizes[0], max(sizes[-1], sizes[0] * 2)
    steps = [low * (high / low) ** (number / 64) for number in range(65)]
    for gbit in LINK_GBIT:
        inside = [(size, rate) for size in steps if (rate := line_rate_pps(size, gbit) / 1e6) <= top]
        if not inside:
            continue
        axes.plot(*zip(*inside, strict=True), color="#9aa5b1", linewidth=0.9, linestyle="--", zorder=1)
        place: dict[str, Any] = {"xytext": (-6, -10), "textcoords": "offset points", "ha": "right"}
        axes.annotate(f"{gbit} GbE", inside[-1], fontsize=7, color="#6c7a89", **place)


def cycles_figure(points: Sequence[Point], title: str) -> Figure:
    """Draw the stack of worker cycles per packet: a group of bars per packet size, a bar per access variant."""
    with matplotlib.rc_context(STYLE):
        accesses = list(dict.fromkeys(point.access for point in points))
        sizes = list(dict.fromkeys(point.packet_bytes for point in points))
        figure = Figure(figsize=(max(7.2, 1.2 + 0.42 * len(points)), 4.8), layout="constrained")
        axes = figure.subplots()
        places = [sizes.index(p.packet_bytes) * (len(accesses) + 0.7) + accesses.index(p.access) for p in points]
        bottoms = [0.0] * len(points)
        for layer, heights in drawn([stack(point.breakdown_cycles) for point in points]):
            axes.bar(places, heights, 0.86, bottom=bottoms, color=layer.colour, label=layer.title)
            bottoms = [bottom + height for bottom, height in zip(bottoms, heights, strict=True)]
        for place, total in zip(places, bottoms, strict=True):
            axes.annotate(
                f"{total:.0f}", (place, total), xytext=(0, 2), textcoords="offset points", ha="center", fontsize=7
            )
        names = [point.access for point in points]
        axes.set_xticks(places, names, rotation=60, ha="right", rotation_mode="anchor", fontsize=7)
        for number, size in enumerate(sizes):
            middle = number * (len(accesses) + 0.7) + (len(accesses) - 1) / 2
            below: dict[str, Any] = {"xytext": (0, -52), "textcoords": "offset points", "ha": "center"}
            axes.annotate(f"{size} B", (middle, 0), fontsize=8, annotation_clip=False, **below)
        axes.set(ylabel="worker cycles per packet", title=title, ylim=(0, max(bottoms) * 1.08))
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles[::-1], labels[::-1], loc="outside right upper", frameon=False, fontsize=7)
        return figure
