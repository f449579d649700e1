"""Charts of a review as Plotly figures: plain data that a page embeds, with colours that it takes from its own theme.

Plotly reads `<b>` and the like in any text, so every name that comes from a file is escaped and cut short here. Where a
bar stands for a table entry, its `customdata` ends with the place of that entry's source on the page.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from sim.engine import Point
from sim.report.page.links import place, sources_by_key
from sim.report.plots.results import COLOURS
from sim.report.tables.stack import drawn, stack
from sim.study.questions.compare import Comparison, Difference
from sim.study.questions.limits import LINK_GBIT, line_rate_pps
from sim.study.review.review import Review
from sim.study.sensitivity.tornado import Sensitivities
from sim.study.uncertainty.intervals import Gain, Rate

Figure = dict[str, Any]

_LONGEST_NAME = 48
#: Bars of a tornado, and parts of a waterfall that are not added up as "everything else".
_BARS, _PARTS = 12, 9
#: Choices that stand side by side.
_BUTTONS = 3
#: Share of a difference that a part needs for its number to stand inside its bar.
_ROOM = 0.06
#: One for each link.
_DASHES = ("dot", "dash", "dashdot", "longdash")
_SYMBOLS = ("circle", "square", "diamond", "x")
_FAINT, _BETTER, _WORSE = "#9aa5b1", "#4c9f70", "#d1495b"


def label(name: str) -> str:
    """Return a name as Plotly may show it: at most 48 characters, nothing in it read as markup."""
    return html.escape(name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…", quote=False)


def labels(names: Sequence[str]) -> list[str]:
    """Return names as Plotly may show them, numbered where they would be the same."""
    found: list[str] = []
    for name in names:
        short, number = label(name), 2
        while short in found:
            short, number = f"{label(name)} ({number})", number + 1
        found.append(short)
    return found


def _axis(title: str, **more: Any) -> dict[str, Any]:
    return {"title": {"text": title}, "automargin": True, "gridcolor": "rgba(128,128,128,0.25)", **more}


def _figure(data: list[dict[str, Any]], height: int, **layout: Any) -> Figure:
    base = {
        "height": height, "margin": {"l": 50, "r": 12, "t": 34, "b": 48}, "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)", "font": {"size": 12}, "legend": {"orientation": "h", "y": -0.25},
        "hoverlabel": {"namelength": -1},
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": _FAINT},
    }  # fmt: skip
    return {"data": data, "layout": {**base, **layout}}


def charts(review: Review) -> dict[str, Figure]:
    """Return the charts by the id of their place in the page."""
    at_first = [point for point in review.result.points if point.packet_bytes == review.first_size]
    found = {"rates": rates(review), "stack": cycle_stack(at_first)}
    if len(review.first_gains()) > 1:
        found["gains"] = gains(review.first_gains())
    places = sources_by_key(review)
    if review.comparisons:
        found["waterfall"] = waterfall(review.ordered(), places)
    if review.tornado.indices:
        found["tornado"] = tornado(review.tornado, places)
    found["latency"] = latency(at_first)
    return found


def rates(review: Review) -> Figure:
    """Packets per second against packet size: a line and a 90 % band per variant, and the rates of full links."""
    sizes = sorted({rate.packet_bytes for rate in review.sure.rates})
    data: list[dict[str, Any]] = []
    accesses = list(dict.fromkeys(rate.access for rate in review.sure.rates))
    for number, (access, shown) in enumerate(zip(accesses, labels(accesses), strict=True)):
        mine = sorted((one for one in review.sure.rates if one.access == access), key=lambda one: one.packet_bytes)
        data += _line_with_band(shown, mine, *_look(number))
    top = max(rate.pps.high for rate in review.sure.rates) * 1.15e-6
    low, high = sizes[0], max(sizes[-1], 2 * sizes[0])
    between = [low * (high / low) ** (step / 48) for step in range(49)]
    for gbit, dash in zip(LINK_GBIT, _DASHES, strict=True):
        inside = [(size, rate) for size in between if (rate := line_rate_pps(size, gbit) / 1e6) <= top]
        if inside:
            data.append(
                {
                    "type": "scatter", "mode": "lines", "name": f"{gbit} GbE",
                    "x": [round(one, 2) for one, _ in inside],
                    "y": [round(one, 5) for _, one in inside], "line": {"dash": dash, "width": 1, "color": _FAINT},
                    "hovertemplate": f"{gbit} GbE is full: %{{y:.2f}} Mpps<extra></extra>",
                }
            )  # fmt: skip
    ticks = {"tickvals": sizes, "ticktext": [str(size) for size in sizes]}
    switch = _buttons(
        [
            {"label": kind, "method": "relayout", "args": [{"yaxis.type": kind, "yaxis.autorange": True}]}
            for kind in ("linear", "log")
        ]
    )
    return _figure(
        data, 440, xaxis=_axis("packet size (bytes, without FCS)", type="log", **ticks), updatemenus=[switch],
        yaxis=_axis("Mpps", type="linear", range=[0, top]), margin={"l": 50, "r": 12, "t": 40, "b": 48},
    )  # fmt: skip


def _look(number: int) -> tuple[str, str]:
    """Return colour and mark of a line: beyond as many lines as there are colours, the marks tell them apart."""
    return COLOURS[number % len(COLOURS)], _SYMBOLS[number // len(COLOURS) % len(_SYMBOLS)]


def _line_with_band(shown: str, mine: Sequence[Rate], colour: str, symbol: str) -> list[dict[str, Any]]:
    sizes = [one.packet_bytes for one in mine]
    ends = [one.pps.low / 1e6 for one in mine], [one.pps.high / 1e6 for one in mine]
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    band = {
        "type": "scatter", "mode": "lines", "x": sizes + sizes[::-1], "y": ends[1] + ends[0][::-1], "fill": "toself",
        "fillcolor": f"rgba({red},{green},{blue},0.18)", "line": {"width": 0}, "hoverinfo": "skip",
        "legendgroup": shown, "showlegend": False,
    }  # fmt: skip
    line = {
        "type": "scatter", "mode": "lines+markers", "name": shown, "legendgroup": shown, "x": sizes,
        "y": [one.pps.value / 1e6 for one in mine], "line": {"color": colour, "width": 2},
        "marker": {"symbol": symbol, "size": 7},
        "customdata": [list(one) for one in zip(*ends, strict=True)],
        "hovertemplate": "%{y:.3f} Mpps [%{customdata[0]:.2f}, %{customdata[1]:.2f}] at %{x} B",
    }  # fmt: skip
    if len(mine) == 1:  # a band needs two sizes
        one = mine[0].pps
        above, below = [(one.high - one.value) / 1e6], [(one.value - one.low) / 1e6]
        line["error_y"] = {"type": "data", "symmetric": False, "array": above, "arrayminus": below, "color": colour}
    return [band, line]


def gains(found: Sequence[Gain]) -> Figure:
    """What each later variant gains over the first: a mark and its 90 % interval; hollow where the sign is open."""
    names = labels([one.after for one in found])
    mine = [one.gain_percent for one in found]
    data = {
        "type": "scatter", "mode": "markers", "x": [one.value for one in mine], "y": names,
        "marker": {
            "size": 10, "color": COLOURS[2], "symbol": ["circle" if one.certain else "circle-open" for one in found],
        },
        "error_x": {
            "type": "data", "symmetric": False, "array": [one.high - one.value for one in mine],
            "arrayminus": [one.value - one.low for one in mine], "thickness": 1.5, "width": 4, "color": COLOURS[2],
        },
        "customdata": [[one.low, one.high] for one in mine],
        "hovertemplate": "%{y}: %{x:+.1f} % [%{customdata[0]:+.1f}, %{customdata[1]:+.1f}]<extra></extra>",
    }  # fmt: skip
    return _figure(
        [data], 120 + 26 * len(found), showlegend=False, yaxis=_axis("", type="category", autorange="reversed"),
        xaxis=_axis(f"gain over {label(found[0].before)} at {found[0].packet_bytes} B, % (hollow: the sign is open)",
                    rangemode="tozero", zeroline=True, zerolinecolor=_FAINT),
    )  # fmt: skip


def cycle_stack(points: Sequence[Point]) -> Figure:
    """Worker cycles per packet of each variant, by layer of the stack's taxonomy."""
    names = labels([point.access for point in points])[::-1]
    data = [
        {
            "type": "bar", "orientation": "h", "name": layer.title, "y": names, "marker": {"color": layer.colour},
            "x": heights[::-1], "hovertemplate": f"{layer.group}: {layer.title}: %{{x:.1f}} cycles",
        }
        for layer, heights in drawn([stack(point.breakdown_cycles) for point in points])
    ]  # fmt: skip
    return _figure(
        data, 220 + 44 * len(points), barmode="stack", xaxis=_axis("worker cycles per packet"),
        yaxis=_axis("", type="category"), margin={"l": 50, "r": 12, "t": 34, "b": 110},
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "traceorder": "normal"},
    )  # fmt: skip


def waterfall(comparisons: Sequence[Comparison], places: Mapping[str, str]) -> Figure:
    """From the nanoseconds of the first variant to those of another, by what saves or costs them; a button for each.

    Only the end of the long bars is shown: the axis begins where the differences can be seen, and its title says so.
    """
    first = [one.differences[0] for one in comparisons]
    data = [{**_fall(one, places), "visible": number == 0} for number, one in enumerate(first)]
    spans = [_span(one) for one in first]
    names = labels([one.after for one in comparisons])
    shown = [{"visible": [number == other for other in range(len(first))]} for number in range(len(first))]
    buttons = [
        {"label": name, "method": "update", "args": [see, {"xaxis.range": list(span)}]}
        for name, see, span in zip(names, shown, spans, strict=True)
    ]
    most = max(len(one["y"]) for one in data)
    return _figure(
        data, 140 + 30 * most, showlegend=False, margin={"l": 50, "r": 12, "t": 50, "b": 48},
        xaxis=_axis("ns per packet (the axis does not begin at 0)", range=list(spans[0])),
        yaxis=_axis("", type="category", autorange="reversed"),
        updatemenus=[_buttons(buttons)] if len(buttons) > 1 else [],
    )  # fmt: skip


def _fall(difference: Difference, places: Mapping[str, str]) -> dict[str, Any]:
    parts = [(name, value) for name, value in difference.made_up_of.items() if abs(value) >= 0.005]
    shown, rest = parts[:_PARTS], parts[_PARTS:]
    if rest:
        shown.append(("everything else", sum(value for _, value in rest)))
    before, after = difference.before, difference.after
    values = [before.ns_per_packet, *(-value for _, value in shown), after.ns_per_packet]
    reach = abs(values[0] - values[-1]) or 1.0
    inside = [True, *(abs(value) > _ROOM * reach for value in values[1:-1]), True]
    said = [f"{values[0]:.1f}", *(f"{value:+.2f}" for value in values[1:-1]), f"{values[-1]:.1f}"]
    return {
        "type": "waterfall", "orientation": "h", "x": values,
        "y": labels([before.access, *(name for name, _ in shown), after.access]),
        "measure": ["absolute", *("relative" for _ in shown), "total"],
        "customdata": [None, *(place(name, places) for name, _ in shown), None],
        "text": said, "textposition": ["inside" if room else "outside" for room in inside], "textangle": 0,
        "insidetextanchor": "end", "constraintext": "none", "cliponaxis": False,
        "increasing": {"marker": {"color": _WORSE}}, "decreasing": {"marker": {"color": _BETTER}},
        "totals": {"marker": {"color": COLOURS[0]}}, "hovertemplate": "%{y}: %{delta:+.2f} ns<extra></extra>",
    }  # fmt: skip


def _span(difference: Difference) -> tuple[float, float]:
    """Return the ends of the axis: everything that a part of the fall passes, and half as much of what is shared."""
    steps = (-value for value in difference.made_up_of.values())
    ends = list(accumulate(steps, initial=difference.before.ns_per_packet))
    reach = max(max(ends) - min(ends), 0.02 * max(ends))
    return round(max(0.0, min(ends) - reach / 2), 3), round(max(ends) + reach / 8, 3)


def _buttons(buttons: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a choice: buttons side by side, or a list that opens where they would not fit on a phone."""
    few = len(buttons) <= _BUTTONS
    return {
        "type": "buttons" if few else "dropdown", "direction": "right" if few else "down", "buttons": buttons,
        "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom", "bgcolor": "rgba(128,128,128,0.15)", "active": 0,
        "showactive": not few,
    }  # fmt: skip


def tornado(found: Sensitivities, places: Mapping[str, str]) -> Figure:
    """What the answer becomes when one input alone stands at either end of its central 90 %."""
    shown = [one for one in found.indices if one.values["swing"] > 0][:_BARS]
    factor, unit = (1e-6, "Mpps") if found.output == "pps" else (1.0, "gain, %")
    base = found.nominal * factor
    data = [
        {
            "type": "bar", "orientation": "h", "name": f"{end} end of the range",
            "y": labels([_short(one.key) for one in shown]),
            "x": [one.values[end] * factor - base for one in shown], "base": [base] * len(shown),
            "customdata": [[one.values[end] * factor, place(one.key, places)] for one in shown],
            "marker": {"color": colour},
            "hovertemplate": f"%{{y}}: %{{customdata[0]:.2f}} {unit}<extra>{end} end</extra>",
        }
        for end, colour in (("low", COLOURS[2]), ("high", COLOURS[4]))
    ]  # fmt: skip
    return _figure(
        data, 160 + 28 * len(shown), barmode="overlay", xaxis=_axis(unit, zeroline=False),
        yaxis=_axis("", type="category", autorange="reversed"),
    )  # fmt: skip


def latency(points: Sequence[Point]) -> Figure:
    """Median and tail latency from posting to use, per variant."""
    data = [
        {
            "type": "bar", "name": name, "x": labels([point.access for point in points]),
            "y": [_finite(point.latency_us[key]) for point in points],
            "marker": {"color": colour}, "hovertemplate": f"{name}: %{{y:.2f}} us<extra></extra>",
        }
        for key, name, colour in zip(("p50", "p99", "p999"), ("median", "99 %", "99.9 %"), COLOURS[2:5], strict=True)
    ]  # fmt: skip
    legend = {"orientation": "h", "y": 1.02, "yanchor": "bottom"}
    return _figure(
        data, 340, barmode="group", legend=legend, xaxis=_axis("", type="category"), yaxis=_axis("us, posting to use")
    )


def _short(key: str) -> str:
    """Return a key without the parts that most keys share; the table beside the chart has it whole."""
    return key.removeprefix("cpu.primitives.").removeprefix("kernel.steps.").removesuffix(".instructions")


def _finite(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None
