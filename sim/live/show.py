"""What a page shows of an answer: figures as plain data, tables and sentences as HTML in which any name is a text."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate
from typing import Any

from sim.live.answers import StagedAnswer
from sim.report.page.charts import Figure, cycle_stack, label, rates, waterfall
from sim.report.page.html import escaped, isolated, table
from sim.report.page.numbers import rate_table
from sim.report.tables.conditions import needed, objections, variant_name
from sim.study.evidence.conditions import worth_text
from sim.study.questions.run import Result
from sim.study.review.review import Review

#: What a chart has of Plotly's own buttons: to name those that stay makes an update of a chart run for ever.
_CONFIG = {
    "responsive": True,
    "displaylogo": False,
    "modeBarButtonsToRemove": ["sendDataToCloud", "lasso2d", "select2d", "zoomIn2d", "zoomOut2d", "autoScale2d"],
}
_PALE = "#8793a0"
_NONE = "rgba(0,0,0,0)"
_CLEAR = {"paper_bgcolor": _NONE, "plot_bgcolor": _NONE, "modebar": {"bgcolor": _NONE, "color": _NONE}}
#: What is written on bars of parts, and on those of whole packets.
_ON_PARTS, _ON_WHOLES = "#10161c", "#ffffff"
#: Parts below this many nanoseconds are left out of the table.
_SEEN_NS = 0.05
#: Grades as classes of colour, in the order of what they are worth.
GRADES = ("measured-here", "measured-elsewhere", "vendor", "derived", "fitted", "guess", "a setting")


def headline(answer: StagedAnswer) -> str:
    """Return the answer in a sentence."""
    return answer.review.sentence()


def rates_figure(answer: StagedAnswer, shipped: Result | None) -> Figure:
    """Return packets per second against packet size with bands, as shipped in pale lines."""
    review = answer.review
    figure = rates(review)
    if shipped is not None:
        figure["data"] += _pale(review, shipped)
    return _whole(figure)


def _pale(review: Review, shipped: Result) -> list[dict[str, Any]]:
    """Return a line for each variant of the scenario as it is shipped, where it differs from what is asked."""
    lines = []
    for variant in shipped.scenario.access:
        points = sorted(
            (point for point in shipped.points if point.access == variant.name), key=lambda point: point.packet_bytes
        )
        if _as_asked(review, points):
            continue
        name = f"{label(variant.name)}, as shipped"
        place = {"x": [point.packet_bytes for point in points], "y": [point.pps / 1e6 for point in points]}
        look = {"line": {"color": _PALE, "width": 1.5, "dash": "dot"}, "opacity": 0.8}
        mode = {"type": "scatter", "mode": "lines" if len(points) > 1 else "markers"}
        lines.append({**mode, "name": name, **place, **look, "hovertemplate": "%{y:.3f} Mpps at %{x} B"})
    return lines


def _as_asked(review: Review, points: list[Any]) -> bool:
    now = {(point.access, point.packet_bytes): point.pps for point in review.result.points}
    return all(now.get((point.access, point.packet_bytes)) == point.pps for point in points)


def stack_figure(answer: StagedAnswer) -> Figure:
    """Return the worker's cycles per packet of each variant, by layer, at the first size."""
    review = answer.review
    return _whole(cycle_stack([point for point in review.result.points if point.packet_bytes == review.first_size]))


def waterfall_figure(answer: StagedAnswer) -> Figure:
    """Return what makes up the differences from the first variant; a sentence where there is no other."""
    review = answer.review
    if review.comparisons:
        return _whole(_with_ends(waterfall(review.ordered(), {}, review.parts), review))
    said = {"text": "one variant: there is nothing to compare it with", "showarrow": False, "font": {"color": _PALE}}
    hidden = {"visible": False}
    return _whole(
        {"data": [], "layout": {"height": 90, "xaxis": hidden, "yaxis": hidden, **_CLEAR, "annotations": [said]}}
    )


def _with_ends(figure: Figure, review: Review) -> Figure:
    """Lay the intervals of the parts over the ends of the bars of the first comparison.

    So the number of a part stands where its bar begins; that of a whole packet stays at the end, which alone is seen.
    """
    parts, (fall, *others) = review.parts, figure["data"]
    if parts is None:
        return figure
    named = {label(name): part for name, part in parts.parts.items()}
    relative = [kind == "relative" for kind in fall["measure"]]
    ends = [*accumulate(fall["x"][:-1]), fall["x"][-1]]
    saved = [named.get(name) if is_part else None for name, is_part in zip(fall["y"], relative, strict=True)]
    texts = list(zip(fall["text"], relative, strict=True))
    fall |= {
        **{"insidetextanchor": "start", "insidetextfont": {"color": _ON_PARTS}},
        "text": [text if is_part else "" for text, is_part in texts],
    }
    arms = {
        **{"type": "data", "symmetric": False, "color": _PALE, "thickness": 1.5, "width": 4},
        "array": [max(part.value - part.low, 0.0) if part else 0.0 for part in saved],
        "arrayminus": [max(part.high - part.value, 0.0) if part else 0.0 for part in saved],
    }
    marks = {
        **{"type": "scatter", "mode": "markers+text", "x": ends, "y": fall["y"], "error_x": arms},
        **{"marker": {"size": 1, "color": _PALE}, "hoverinfo": "skip", "visible": True},
        "text": ["" if is_part else text for text, is_part in texts],
        **{"textposition": "middle left", "textfont": {"color": _ON_WHOLES}},
    }
    layout = figure["layout"]
    for menu in layout["updatemenus"]:
        for number, button in enumerate(menu["buttons"]):
            button["args"][0]["visible"].append(number == 0)
    return {"data": [fall, *others, marks], "layout": layout}


def parts_table(answer: StagedAnswer) -> str:
    """Return what makes up the difference of the headline, with intervals; empty until it is known."""
    parts = answer.review.parts
    if parts is None:
        return ""
    rows = [(name, part.signed("ns")) for name, part in parts.parts.items() if abs(part.value) >= _SEEN_NS]
    title = f"what {parts.after} saves over {parts.before}, per packet"
    made = table(("part", "saved"), [*rows, ("total", parts.total.signed("ns"))], total=True)
    said = f"intervals of the parameters, {parts.draws} draws; the lines across the bars of the chart are the same"
    return _scrolling(made, title) + f'<p class="small">{isolated(title)}: {said}</p>'


def _whole(figure: Figure) -> Figure:
    """Return a figure as a page draws it: what the reader has zoomed or hidden stays as numbers move."""
    layout = {**figure["layout"], "uirevision": "page", "autosize": True}
    return {**figure, "layout": layout, "config": _CONFIG}


def sentences(answer: StagedAnswer) -> str:
    """Return what stands under the headline: what bounds the answer, what the evidence says, further variants."""
    review = answer.review
    said = [*review.further_sentences()[:2], *review.preface.bounded]
    said += [review.outside] if review.outside else []
    items = "".join(f"<li>{isolated(sentence)}</li>" for sentence in said)
    return f"<ul>{items}</ul>" if items else ""


def ranking_table(answer: StagedAnswer) -> str:
    """Return every variant that applies, the largest gain first, with what it needs."""
    ranking = answer.review.ranking
    if ranking is None:
        return '<p class="small">variants compete where the worker of a kernel reaches a ring in guest memory</p>'
    rows = [(variant_name(row), row.spelled(), needed(row)) for row in ranking.rows]
    marked = next(number for number, row in enumerate(ranking.rows) if row.asked)
    notes = "".join(f'<p class="small">{isolated(note)}</p>' for note in ranking.notes)
    ranked = table(("variant", f"gain over {ranking.before}", "needs"), rows, left=3, marked=marked)
    return _scrolling(ranked, "every variant, ranked") + notes


def objections_table(answer: StagedAnswer) -> str:
    """Return what is held against the ranked variants, and against which."""
    ranking = answer.review.ranking
    held = objections(ranking) if ranking else {}
    rows = [(text, ", ".join(names)) for text, names in held.items()]
    return _scrolling(table(("objection", "variants"), rows, left=2), "objections")


def rates_table(answer: StagedAnswer) -> str:
    """Return the numbers of the chart of rates, and the gains at the first size."""
    review = answer.review
    gains = [(gain.after, gain.gain_percent.signed("%"), gain.saved_ns.signed("ns")) for gain in review.first_gains()]
    gained = table((f"at {review.first_size} B", "gain", "saved per packet of a worker core"), gains) if gains else ""
    return _scrolling(rate_table(review), "rates") + _scrolling(gained, "gains")


def _scrolling(tables: str, says: str) -> str:
    """Return tables in boxes that scroll by keyboard, too."""
    return tables.replace('<div class="wide">', f'<div class="wide" tabindex="0" role="region" aria-label="{says}">')


def grades(answer: StagedAnswer) -> str:
    """Return how much of the width of the answer inputs of each grade make up: a bar, and the same in words."""
    worth: Mapping[str, float] | None = answer.review.preface.worth
    if not worth:
        return ""
    parts = "".join(
        f'<span class="{grade_class(grade)}" style="flex-grow:{share:.4f}" title="{escaped(grade)} {share:.0%}"></span>'
        for grade, share in worth.items()
    )
    return f'<div class="grades" aria-hidden="true">{parts}</div><p>{isolated(worth_text(worth))}.</p>'


def grade_class(grade: str) -> str:
    """Return the class of a grade's colour."""
    return f"grade-{grade.replace(' ', '-')}" if grade in GRADES else "grade-a-setting"
