"""Plots of a sweep: an answer along each key as lines, and over two keys as a heat map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sim.config.tables.study import Axis, Sweep
from sim.report.plots.results import STYLE
from sim.report.tables.stack import COLOURS
from sim.study.sweep.gains import GAIN, frame_with_gains, free_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Places that a range of a sample is divided into.
_BINS = 12
_PANELS, _ACROSS = 6, 3
#: Cells of a heat map that have room for their number.
_NUMBERED = 144
_FEW = 60


def sweep_figures(sweep: Sweep, frame: pd.DataFrame) -> dict[str, Figure]:
    """Return the plots of a sweep by name: `heat` for the two longest axes of a grid, `lines` along each axis.

    They show the gain over the first access variant where rows have one, else packets per second. None where no point
    could be run, or only the access variant varies.
    """
    whole = frame_with_gains(sweep, frame)
    keys = free_axes(sweep)
    if "pps" not in whole.columns or not keys:
        return {}
    whole = whole[whole["pps"].notna()]
    if whole.empty:
        return {}
    figures = {}
    longest = sorted(keys, key=lambda key: -whole[key].nunique())[:2]
    if sweep.design == "grid" and len(longest) == 2 and all(whole[key].nunique() > 1 for key in longest):
        figures["heat"] = heat_figure(sweep, whole, *sorted(longest, key=keys.index))
    figures["lines"] = lines_figure(sweep, whole)
    return figures


def heat_figure(sweep: Sweep, frame: pd.DataFrame, down: str, across: str) -> Figure:
    """Draw the answer over two keys, the median over what else varies; a panel for each access variant that has one."""
    column, label, scale = _answer(frame)
    shown = frame[frame[column].notna()]
    panels = _variants(sweep, shown)
    others = [key for key in free_axes(sweep) if key not in (down, across) and shown[key].nunique() > 1]
    if shown["packet_bytes"].nunique() > 1 and "traffic.packet_bytes" not in (down, across, *others):
        others.append("size")
    tables = [_over(shown[shown["access"] == access], down, across, column) * scale for access in panels]
    low = min(float(np.nanmin(table)) for table in tables)
    high = max(float(np.nanmax(table)) for table in tables)
    with matplotlib.rc_context(STYLE):
        rows, columns = tables[0].shape
        size = (max(3.6, 0.62 * columns + 1.6) * len(panels) + 0.8, max(2.6, 0.36 * rows + 1.5))
        figure = Figure(figsize=size, layout="constrained")
        every: Any = figure.subplots(1, len(panels), squeeze=False)[0]
        image = None
        for axes, access, table in zip(every, panels, tables, strict=True):
            image = axes.imshow(table.to_numpy(), aspect="auto", cmap="viridis", vmin=low, vmax=high, origin="lower")
            axes.set_xticks(
                range(columns), [_text(value) for value in table.columns], rotation=45 if columns > 6 else 0
            )
            axes.set_yticks(range(rows), [_text(value) for value in table.index])
            axes.set(xlabel=across, ylabel=down, title=access)
            if rows * columns <= _NUMBERED:
                _number(axes, table, low, high)
        if image is not None:
            figure.colorbar(image, ax=list(every), label=label, shrink=0.9)
        over = f", median over {', '.join(others)}" if others else ""
        figure.suptitle(f"{sweep.name}{over}", fontsize=9.5)
        return figure


def lines_figure(sweep: Sweep, frame: pd.DataFrame) -> Figure:
    """Draw the answer along each key, a panel each: the median, a line per variant, in a band of the central 80 %."""
    column, label, scale = _answer(frame)
    shown = frame[frame[column].notna()]
    keys = [key for key in free_axes(sweep) if shown[key].nunique() > 1][:_PANELS] or free_axes(sweep)[:1]
    with matplotlib.rc_context(STYLE):
        down, across = -(-len(keys) // _ACROSS), min(len(keys), _ACROSS)
        figure = Figure(figsize=(max(4.2, 3.0 * across), 2.5 * down + 0.9), layout="constrained")
        every: Any = figure.subplots(down, across, squeeze=False, sharey=True)
        for axes, key in zip(every.flat, keys, strict=False):
            for number, access in enumerate(_variants(sweep, shown)):
                colour = COLOURS[(number + 1) % len(COLOURS)]
                _line(axes, shown[shown["access"] == access], key, sweep.axes[key], (column, scale), access, colour)
            axes.set_xlabel(key, fontsize=8)
            axes.grid(axis="y", color="#e3e6ea", linewidth=0.8)
        for axes in every.flat[len(keys) :]:
            axes.set_visible(False)
        for axes in every[:, 0]:
            axes.set_ylabel(label)
        handles, labels = every.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
        band = " (line: median; band: central 80 %)" if len(free_axes(sweep)) > 1 else ""
        figure.suptitle(f"{sweep.name}{band}", fontsize=9.5)
        return figure


def _variants(sweep: Sweep, frame: pd.DataFrame) -> list[str]:
    """Return the access variants that rows have, in the order of the sweep."""
    axis = sweep.axes.get("access")
    stated = [] if axis is None or axis.values is None else [str(value) for value in axis.values]
    there = list(dict.fromkeys(frame["access"]))
    return sorted(there, key=lambda name: stated.index(name) if name in stated else len(stated))


def _answer(frame: pd.DataFrame) -> tuple[str, str, float]:
    """Return the column that is drawn, what it is called, and what its values are multiplied by."""
    if GAIN in frame.columns:
        return GAIN, "gain over the first variant, %", 1.0
    return "pps", "Mpps", 1e-6


def _over(frame: pd.DataFrame, down: str, across: str, column: str) -> pd.DataFrame:
    table = frame.pivot_table(index=down, columns=across, values=column, aggfunc="median")
    return table.astype(float)


def _number(axes: Axes, table: pd.DataFrame, low: float, high: float) -> None:
    """Write the number of each cell, in white where it is dark."""
    middle = low + 0.6 * (high - low)
    for (row, column), value in np.ndenumerate(table.to_numpy()):
        if np.isfinite(value):
            colour = "white" if value < middle else "black"
            axes.text(column, row, f"{value:.3g}", ha="center", va="center", fontsize=7, color=colour)


def _line(
    axes: Axes,
    frame: pd.DataFrame,
    key: str,
    axis: Axis,
    drawn: tuple[str, float],
    access: str,
    colour: str,
) -> None:
    """Draw the median along a key, with the central 80 % of what else varies as a band."""
    column, scale = drawn
    values, places = frame[column].astype(float) * scale, frame[key]
    is_number = pd.api.types.is_numeric_dtype(places) and not pd.api.types.is_bool_dtype(places)
    if axis.values is None and places.nunique() > 2 * _BINS:
        edges = _edges(axis)
        centres = (edges[1:] + edges[:-1]) / 2
        places = pd.Series(centres[np.clip(np.digitize(places, edges) - 1, 0, _BINS - 1)], index=places.index)
    grouped = values.groupby(places, sort=is_number)
    middle, low, high = grouped.median(), grouped.quantile(0.1), grouped.quantile(0.9)
    xs = list(middle.index) if is_number else list(range(len(middle)))
    axes.fill_between(xs, low, high, color=colour, alpha=0.18, linewidth=0)
    axes.plot(xs, middle, marker="o", markersize=3.5, linewidth=1.6, color=colour, label=access)
    if not is_number:
        axes.set_xticks(xs, [_text(name) for name in middle.index], rotation=20, fontsize=8)
    elif _by_ratio(axis, xs):
        axes.set_xscale("log")
        axes.set_xticks(xs, [_text(x) for x in xs], fontsize=8)
        axes.minorticks_off()


def _edges(axis: Axis) -> Any:
    """Return the ends of the bins of a range."""
    assert axis.low is not None
    assert axis.high is not None
    if axis.scale == "log":
        return np.geomspace(axis.low, axis.high, _BINS + 1)
    return np.linspace(axis.low, axis.high, _BINS + 1)


def _by_ratio(axis: Axis, xs: Sequence[float]) -> bool:
    """Return whether places are spaced by their ratios: powers, sizes, logarithmic ranges."""
    if axis.scale == "log":
        return len(xs) <= _BINS
    return axis.values is not None and len(xs) > 2 and xs[0] > 0 and xs[-1] / xs[0] >= _FEW / 10


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
