"""Plots of evidence: predictions against measurements, tornado, sensitivity indices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib
from matplotlib.figure import Figure

from sim.report.plots.results import STYLE
from sim.report.tables.stack import COLOURS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from sim.study.evidence.validate import Validated
    from sim.study.sensitivity.tornado import Index, Sensitivities


def validation_figure(rows: Sequence[Validated], title: str) -> Figure:
    """Draw predicted over measured for every rate, ratio and share, worst on top, with 90 % intervals."""
    shown = [row for row in rows if row.predicted is not None and not row.figure.entry.is_count][::-1]
    with matplotlib.rc_context(STYLE):
        figure, axes = _ratio_figure(8.4, 1.4 + 0.23 * max(1, len(shown)))
        for used, colour, label in ((True, COLOURS[2], "used for the calibration"), (False, COLOURS[1], "predicted")):
            places = [place for place, row in enumerate(shown) if row.used == used]
            if places:
                _ratios(axes, places, [shown[place] for place in places], colour, label)
        axes.set_yticks(range(len(shown)), [row.figure.name for row in shown], fontsize=7)
        axes.set(
            xscale="log", xlabel="predicted / measured (grey: within 10 %)", title=title, ylim=(-0.7, len(shown) - 0.3)
        )
        _ratio_ticks(axes)
        if shown:
            axes.legend(frameon=False, fontsize=8, loc="lower right")
        return figure


def causes_figure(groups: Sequence[tuple[str, Sequence[Validated]]], title: str) -> Figure:
    """Draw predicted over measured, a line of marks per group of figures, the first on top; hollow marks are off."""
    with matplotlib.rc_context(STYLE):
        figure, axes = _ratio_figure(5.4, 1.3 + 0.34 * max(1, len(groups)))
        for place, (_, rows) in enumerate(groups):
            for row in rows:
                colour = COLOURS[2] if row.status == "met" else COLOURS[1]
                look: dict[str, Any] = {"markeredgecolor": colour, "marker": "o", "markersize": 5.5, "zorder": 3}
                look["markerfacecolor"] = colour if row.status == "met" else "none"
                axes.plot(1 + (row.error or 0), place, **look)
        axes.set_yticks(range(len(groups)), [name for name, _ in groups], fontsize=8.5)
        axes.set(xscale="log", xlabel="predicted / measured (grey: within 10 %)", ylim=(len(groups) - 0.4, -0.6))
        _ratio_ticks(axes)
        figure.suptitle(title, fontsize=9.5)
        return figure


def sensitivity_figure(result: Sensitivities) -> Figure:
    """Draw the inputs, most important on top: swings around the answer, or bars of indices with their intervals."""
    shown = result.indices[::-1]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.8, 1.5 + 0.28 * max(1, len(shown))), layout="constrained")
        axes = figure.subplots()
        if result.method == "tornado":
            _swings(axes, result, shown)
        else:
            _indices(axes, result, shown)
        axes.set_yticks(range(len(shown)), [index.key for index in shown], fontsize=8)
        axes.set_title(f"{result.study}: {result.method}, {result.output}")
        if shown:
            axes.legend(frameon=False, fontsize=8, loc="lower right")
        return figure


def _ratio_figure(width: float, height: float) -> tuple[Figure, Axes]:
    """Return a figure of ratios: grey within 10 %, a line where predicted and measured are the same."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.axvspan(0.9, 1.1, color="#eef1f4", zorder=0)
    axes.axvline(1, color="#6c7a89", linewidth=0.8, zorder=1)
    return figure, axes


def _swings(axes: Axes, result: Sensitivities, shown: Sequence[Index]) -> None:
    """Draw a tornado: each input's bar reaches from the answer to what it becomes at either end of the range."""
    factor, unit = (1e-6, "Mpps") if result.output == "pps" else (1.0, "gain, %")
    for place, index in enumerate(shown):
        for end, colour in (("low", COLOURS[2]), ("high", COLOURS[1])):
            width = (index.values[end] - result.nominal) * factor
            label = f"{end} end" if place == 0 else None
            axes.barh(place, width, 0.7, left=result.nominal * factor, color=colour, label=label)
    axes.axvline(result.nominal * factor, color="#3b4650", linewidth=0.8)
    axes.set_xlabel(unit)


def _indices(axes: Axes, result: Sensitivities, shown: Sequence[Index]) -> None:
    """Draw the indices of Sobol or Morris, with the half widths of their intervals."""
    names = {"ST": "total", "S1": "alone"} if result.method == "sobol" else {"mu_star": "mean absolute effect"}
    height = 0.8 / len(names)
    for number, (name, label) in enumerate(names.items()):
        places = [place + 0.4 - height * (number + 0.5) for place in range(len(shown))]
        widths = [max(0.0, index.values[name]) for index in shown]
        ends: dict[str, Any] = {"xerr": [index.half_widths[name] for index in shown], "error_kw": {"linewidth": 0.8}}
        look: dict[str, Any] = {"color": COLOURS[2 - number], "ecolor": "#3b4650", "capsize": 2}
        axes.barh(places, widths, height, label=label, **ends, **look)
    axes.set_xlabel("share of the variance" if result.method == "sobol" else f"{result.unit} over the range")
    axes.set_xlim(left=0)


def _ratios(axes: Axes, places: Sequence[int], rows: Sequence[Validated], colour: str, label: str) -> None:
    """Draw predicted over measured with its interval, a mark for each figure."""
    relative = [[number / row.figure.entry.value for number in _numbers(row)] for row in rows]
    below = [max(0.0, value - low) for low, value, _ in relative]
    above = [max(0.0, high - value) for _, value, high in relative]
    look: dict[str, Any] = {"fmt": "o", "markersize": 4, "capsize": 2, "linewidth": 1.2, "zorder": 3}
    axes.errorbar([value for _, value, _ in relative], places, xerr=[below, above], color=colour, label=label, **look)


def _ratio_ticks(axes: Axes) -> None:
    low, high = axes.get_xlim()
    ticks = tuple(tick for tick in (0.3, 0.5, 0.7, 0.9, 1.1, 1.5, 2, 3, 5) if low <= tick <= high)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()


def _numbers(row: Validated) -> tuple[float, float, float]:
    """Lower end, prediction, upper end (the prediction where there is no interval)."""
    value = row.predicted or 0.0
    return (value if row.low is None else row.low), value, (value if row.high is None else row.high)
