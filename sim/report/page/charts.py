"""Charts of a review as Plotly figures: plain data that a page embeds, with colours that it takes from its own theme.

Plotly reads `<b>` and the like in any text, so every name that comes from a file is escaped and cut short here. Where a
bar stands for a table entry, its `customdata` ends with the id of that entry's source on the page.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from sim.engine import Point
from sim.report.page.html import link_target, sources_by_key
from sim.report.tables.evidence import unsigned
from sim.report.tables.stack import COLOURS, drawn, stack
from sim.study.questions.compare import Comparison, Difference
from sim.study.questions.limits import LINK_GBIT, line_rate_pps
from sim.study.review.review import Review
from sim.study.sensitivity.tornado import Sensitivities
from sim.study.uncertainty.intervals import Gain, Interval, Rate
from sim.study.uncertainty.parts import DrawnParts

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
    shown: list[str] = []
    for name in names:
        short, number = label(name), 2
        while short in shown:
            short, number = f"{label(name)} ({number})", number + 1
        shown.append(short)
    return shown


def _axis(title: str, **more: Any) -> dict[str, Any]:
    return {"title": {"text": title}, "automargin": True, "gridcolor": "rgba(128,128,128,0.25)", **more}


_CLEAR = "rgba(0,0,0,0)"
#: What every chart is laid out with; charts add their axes, or replace an entry.
_LAYOUT: dict[str, Any] = {
    "margin": {"l": 50, "r": 12, "t": 34, "b": 48},
    "paper_bgcolor": _CLEAR,
    "plot_bgcolor": _CLEAR,
    "font": {"size": 12},
    "legend": {"orientation": "h", "y": -0.25},
    "hoverlabel": {"namelength": -1},
    "modebar": {"bgcolor": _CLEAR, "color": _FAINT},
}


def _figure(data: list[dict[str, Any]], height: int, **layout: Any) -> Figure:
    return {"data": data, "layout": {"height": height, **_LAYOUT, **layout}}


def charts(review: Review) -> dict[str, Figure]:
    """Return the charts by the id of their place in the page."""
    at_first = [point for point in review.result.points if point.packet_bytes == review.first_size]
    figures = {"rates": rates(review), "stack": cycle_stack(at_first)}
    if len(review.first_gains()) > 1:
        figures["gains"] = gains(review.first_gains())
    targets = sources_by_key(review)
    if review.comparisons:
        figures["waterfall"] = waterfall(review.ordered(), targets, review.parts)
    if review.tornado.indices:
        figures["tornado"] = tornado(review.tornado, targets)
    figures["latency"] = latency(at_first)
    return figures


def rates(review: Review) -> Figure:
    """Packets per second against packet size: a line and a 90 % band per variant, and the rates of full links."""
    sizes = sorted({rate.packet_bytes for rate in review.sure.rates})
    data: list[dict[str, Any]] = []
    accesses = list(dict.fromkeys(rate.access for rate in review.sure.rates))
    for number, (access, shown) in enumerate(zip(accesses, labels(accesses), strict=True)):
        points = [rate for rate in review.sure.rates if rate.access == access]
        data += _line_with_band(shown, sorted(points, key=lambda rate: rate.packet_bytes), *_look(number))
    top = max(rate.pps.high for rate in review.sure.rates) * 1.15e-6
    data += _full_links(sizes[0], max(sizes[-1], 2 * sizes[0]), top)
    changes = {kind: {"yaxis.type": kind, "yaxis.autorange": True} for kind in ("linear", "log")}
    switch = _buttons([{"label": kind, "method": "relayout", "args": [change]} for kind, change in changes.items()])
    ticks = {"tickvals": sizes, "ticktext": [str(size) for size in sizes]}
    axes = {
        "xaxis": _axis("packet size (bytes, without FCS)", type="log", **ticks),
        "updatemenus": [switch],
        "yaxis": _axis("Mpps", type="linear", range=[0, top]),
    }
    return _figure(data, 440, **axes, margin={"l": 50, "r": 12, "t": 40, "b": 48})


def _full_links(low: float, high: float, top: float) -> list[dict[str, Any]]:
    """Return the lines of the rates at which links are full, as far as they lie below `top`."""
    sizes = [low * (high / low) ** (step / 48) for step in range(49)]
    lines = []
    for gbit, dash in zip(LINK_GBIT, _DASHES, strict=True):
        inside = [(size, rate) for size in sizes if (rate := line_rate_pps(size, gbit) / 1e6) <= top]
        points: dict[str, Any] = {"x": [round(size, 2) for size, _ in inside]}
        points["y"] = [round(rate, 5) for _, rate in inside]
        look: dict[str, Any] = {"line": {"dash": dash, "width": 1, "color": _FAINT}}
        hover = {"hovertemplate": f"{gbit} GbE is full: %{{y:.2f}} Mpps<extra></extra>"}
        if inside:
            lines.append({"type": "scatter", "mode": "lines", "name": f"{gbit} GbE", **points, **look, **hover})
    return lines


def _look(number: int) -> tuple[str, str]:
    """Return colour and mark of a line: beyond as many lines as there are colours, the marks tell them apart."""
    return COLOURS[number % len(COLOURS)], _SYMBOLS[number // len(COLOURS) % len(_SYMBOLS)]


def _line_with_band(shown: str, points: Sequence[Rate], colour: str, symbol: str) -> list[dict[str, Any]]:
    sizes = [rate.packet_bytes for rate in points]
    lows, highs = [rate.pps.low / 1e6 for rate in points], [rate.pps.high / 1e6 for rate in points]
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    outline = {"x": sizes + sizes[::-1], "y": highs + lows[::-1], "fill": "toself"}
    look = {"fillcolor": f"rgba({red},{green},{blue},0.18)", "line": {"width": 0}, "hoverinfo": "skip"}
    band = {"type": "scatter", "mode": "lines", **outline, **look, "legendgroup": shown, "showlegend": False}
    line = {
        "type": "scatter",
        "mode": "lines+markers",
        **{"name": shown, "legendgroup": shown},
        **{"x": sizes, "y": [rate.pps.value / 1e6 for rate in points]},
        **{"line": {"color": colour, "width": 2}, "marker": {"symbol": symbol, "size": 7}},
        "customdata": [list(ends) for ends in zip(lows, highs, strict=True)],
        "hovertemplate": "%{y:.3f} Mpps [%{customdata[0]:.2f}, %{customdata[1]:.2f}] at %{x} B",
    }
    if len(points) == 1:  # a band needs two sizes
        line["error_y"] = {**_arms([points[0].pps], 1e6), "color": colour}
    return [band, line]


def _arms(intervals: Sequence[Interval], divisor: float = 1.0) -> dict[str, Any]:
    """Return how far intervals reach above and below their values."""
    above = [(interval.high - interval.value) / divisor for interval in intervals]
    below = [(interval.value - interval.low) / divisor for interval in intervals]
    return {"type": "data", "symmetric": False, "array": above, "arrayminus": below}


def gains(later: Sequence[Gain]) -> Figure:
    """What each later variant gains over the first: a mark and its 90 % interval; hollow where the sign is open."""
    percents = [gain.gain_percent for gain in later]
    symbols = ["circle" if gain.certain else "circle-open" for gain in later]
    points = {"x": [percent.value for percent in percents], "y": labels([gain.after for gain in later])}
    data = {
        "type": "scatter",
        "mode": "markers",
        **points,
        "marker": {"size": 10, "color": COLOURS[2], "symbol": symbols},
        "error_x": {**_arms(percents), "thickness": 1.5, "width": 4, "color": COLOURS[2]},
        "customdata": [[percent.low, percent.high] for percent in percents],
        "hovertemplate": "%{y}: %{x:+.1f} % [%{customdata[0]:+.1f}, %{customdata[1]:+.1f}]<extra></extra>",
    }
    title = f"gain over {label(later[0].before)} at {later[0].packet_bytes} B, % (hollow: the sign is open)"
    axes = {
        "yaxis": _axis("", type="category", autorange="reversed"),
        "xaxis": _axis(title, rangemode="tozero", zeroline=True, zerolinecolor=_FAINT),
    }
    return _figure([data], 120 + 26 * len(later), showlegend=False, **axes)


def cycle_stack(points: Sequence[Point]) -> Figure:
    """Worker cycles per packet of each variant, by layer of the stack's taxonomy."""
    names = labels([point.access for point in points])[::-1]
    data = []
    for layer, heights in drawn([stack(point.breakdown_cycles) for point in points]):
        look: dict[str, Any] = {"name": layer.title, "y": names, "marker": {"color": layer.colour}}
        look["x"] = heights[::-1]
        hover = {"hovertemplate": f"{layer.group}: {layer.title}: %{{x:.1f}} cycles"}
        data.append({"type": "bar", "orientation": "h", **look, **hover})
    place = {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "traceorder": "normal"}
    layout = {
        "barmode": "stack",
        "xaxis": _axis("worker cycles per packet"),
        "yaxis": _axis("", type="category"),
        "margin": {"l": 50, "r": 12, "t": 34, "b": 110},
        "legend": place,
    }
    return _figure(data, 220 + 44 * len(points), **layout)


def waterfall(
    comparisons: Sequence[Comparison], targets: Mapping[str, str], made_up_of: DrawnParts | None = None
) -> Figure:
    """From the nanoseconds of the first variant to those of another, by what saves or costs them; a button for each.

    Where the mouse rests on a part of the first comparison, its interval is shown.

    Only the end of the long bars is shown: the axis begins where the differences can be seen, and its title says so.
    """
    first = [comparison.differences[0] for comparison in comparisons]
    known = [made_up_of.parts if made_up_of else {}, *({} for _ in first[1:])]
    falls = [_fall(difference, targets, ends) for difference, ends in zip(first, known, strict=True)]
    data = [{**fall, "visible": number == 0} for number, fall in enumerate(falls)]
    spans = [_span(difference) for difference in first]
    names = labels([comparison.after for comparison in comparisons])
    shown = [{"visible": [number == other for other in range(len(first))]} for number in range(len(first))]
    buttons = [
        {"label": name, "method": "update", "args": [see, {"xaxis.range": list(span)}]}
        for name, see, span in zip(names, shown, spans, strict=True)
    ]
    most = max(len(fall["y"]) for fall in data)
    layout = {
        "showlegend": False,
        "margin": {"l": 50, "r": 12, "t": 50, "b": 48},
        "xaxis": _axis("ns per packet (the axis does not begin at 0)", range=list(spans[0])),
        "yaxis": _axis("", type="category", autorange="reversed"),
        "updatemenus": [_buttons(buttons)] if len(buttons) > 1 else [],
    }
    return _figure(data, 140 + 30 * most, **layout)


def _fall(difference: Difference, targets: Mapping[str, str], ends: Mapping[str, Interval]) -> dict[str, Any]:
    parts = [(name, value) for name, value in difference.made_up_of.items() if abs(value) >= 0.005]
    shown, rest = parts[:_PARTS], parts[_PARTS:]
    if rest:
        shown.append(("everything else", sum(value for _, value in rest)))
    before, after = difference.before, difference.after
    values = [before.ns_per_packet, *(-value for _, value in shown), after.ns_per_packet]
    reach = abs(values[0] - values[-1]) or 1.0
    inside = [True, *(abs(value) > _ROOM * reach for value in values[1:-1]), True]
    texts = [f"{values[0]:.1f}", *(f"{value:+.2f}" for value in values[1:-1]), f"{values[-1]:.1f}"]
    written = {"text": texts, "textposition": ["inside" if room else "outside" for room in inside], "textangle": 0}
    return {
        "type": "waterfall",
        "orientation": "h",
        "x": values,
        "y": labels([before.access, *(name for name, _ in shown), after.access]),
        "measure": ["absolute", *("relative" for _ in shown), "total"],
        "customdata": [None, *(link_target(name, targets) for name, _ in shown), None],
        "hovertext": ["", *(_between(ends.get(name)) for name, _ in shown), ""],
        **written,
        **{"insidetextanchor": "end", "constraintext": "none", "cliponaxis": False},
        "increasing": {"marker": {"color": _WORSE}},
        "decreasing": {"marker": {"color": _BETTER}},
        "totals": {"marker": {"color": COLOURS[0]}},
        "hovertemplate": "%{y}: %{delta:+.2f} ns%{hovertext}<extra></extra>",
    }


def _between(saved: Interval | None) -> str:
    """Return the ends between which a saving lies as those of a change."""
    return f" [{unsigned(-saved.high, 2):+.2f}, {unsigned(-saved.low, 2):+.2f}]" if saved else ""


def _span(difference: Difference) -> tuple[float, float]:
    """Return the ends of the axis: everything that a part of the fall passes, and half as much of what is shared."""
    steps = (-value for value in difference.made_up_of.values())
    ends = list(accumulate(steps, initial=difference.before.ns_per_packet))
    reach = max(max(ends) - min(ends), 0.02 * max(ends))
    return round(max(0.0, min(ends) - reach / 2), 3), round(max(ends) + reach / 8, 3)


def _buttons(buttons: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a choice: buttons side by side, or a list that opens where they would not fit on a phone."""
    few = len(buttons) <= _BUTTONS
    kind = {"type": "buttons", "direction": "right"} if few else {"type": "dropdown", "direction": "down"}
    place = {"x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"}
    look = {"bgcolor": "rgba(128,128,128,0.15)", "active": 0, "showactive": not few}
    return {**kind, "buttons": buttons, **place, **look}


def tornado(result: Sensitivities, targets: Mapping[str, str]) -> Figure:
    """What the answer becomes when one input alone stands at either end of its central 90 %."""
    shown = [index for index in result.indices if index.values["swing"] > 0][:_BARS]
    factor, unit = (1e-6, "Mpps") if result.output == "pps" else (1.0, "gain, %")
    base = result.nominal * factor
    names = labels([_short(index.key) for index in shown])
    data = []
    for end, colour in (("low", COLOURS[2]), ("high", COLOURS[4])):
        answers = [index.values[end] * factor for index in shown]
        bars = {"y": names, "x": [answer - base for answer in answers], "base": [base] * len(shown)}
        links = [link_target(index.key, targets) for index in shown]
        custom = [list(pair) for pair in zip(answers, links, strict=True)]
        hover = f"%{{y}}: %{{customdata[0]:.2f}} {unit}<extra>{end} end</extra>"
        look = {"customdata": custom, "marker": {"color": colour}, "hovertemplate": hover}
        data.append({"type": "bar", "orientation": "h", "name": f"{end} end of the range", **bars, **look})
    axes = {"xaxis": _axis(unit, zeroline=False), "yaxis": _axis("", type="category", autorange="reversed")}
    return _figure(data, 160 + 28 * len(shown), barmode="overlay", **axes)


def latency(points: Sequence[Point]) -> Figure:
    """Median and tail latency from posting to use, per variant."""
    names = labels([point.access for point in points])
    data = []
    for key, name, colour in zip(("p50", "p99", "p999"), ("median", "99 %", "99.9 %"), COLOURS[2:5], strict=True):
        bars = {"x": names, "y": [_finite(point.latency_us[key]) for point in points], "marker": {"color": colour}}
        data.append({"type": "bar", "name": name, **bars, "hovertemplate": f"{name}: %{{y:.2f}} us<extra></extra>"})
    axes = {"xaxis": _axis("", type="category"), "yaxis": _axis("us, posting to use")}
    legend = {"orientation": "h", "y": 1.02, "yanchor": "bottom"}
    return _figure(data, 340, barmode="group", legend=legend, **axes)


def _short(key: str) -> str:
    """Return a key without the parts that most keys share; the table beside the chart has it whole."""
    return key.removeprefix("cpu.primitives.").removeprefix("kernel.steps.").removesuffix(".instructions")


def _finite(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None
