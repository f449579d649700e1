"""Tables of what an answer depends on: sensitivity, break-even, the decomposition of a gain."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from sim.report.tables.text import table
from sim.study.sensitivity.breakeven import BreakEven
from sim.study.sensitivity.shapley import MECHANISMS, Decomposition
from sim.study.sensitivity.tornado import Sensitivities

#: How half widths of intervals are printed.
_WIDTHS = {"sobol": ".3f", "morris": ".2g", "tornado": ".2g"}


def sensitivity_tables(found: Sensitivities) -> RenderableType:
    """Inputs, most important first; an index below zero is explained, not printed bare."""
    title = f"{found.study}: {found.method} on {found.output}, {found.nominal:.5g} {found.unit}, {found.runs} runs"
    names = list(found.indices[0].values) if found.indices else []
    made = table(title, ("input", *(column for name in names for column in _columns(found, name))))
    for one in found.indices:
        cells = []
        for name in names:
            value = one.values[name]
            below_zero = found.method == "sobol" and value < 0
            cells.append("~0" if below_zero else f"{value:.3f}" if found.method == "sobol" else f"{value:.4g}")
            if name in one.half_widths:
                cells.append(f"+/- {one.half_widths[name]:{_WIDTHS[found.method]}}")
        made.add_row(one.key, *cells)
    lines = [f"{one.key}: {one.remark}" for one in found.indices if one.remark]
    return Group(
        *([made] if found.indices else [Text(title)]), *(Text(f"- {line}") for line in (*lines, *found.findings))
    )


def _columns(found: Sensitivities, name: str) -> tuple[str, ...]:
    return (name, "") if name in found.indices[0].half_widths else (name,)


def breakeven_tables(found: BreakEven) -> RenderableType:
    """The answer in a sentence, and the places that were looked at."""
    made = table("", (f"{found.key}{found.unit and f' ({found.unit})'}", found.target.quantity, "met"), left=0)
    for place, value in found.looks:
        made.add_row(f"{place:.5g}", f"{value:.5g}", "yes" if found.target.met(value) else "no")
    return Group(Text(found.sentence()), made, *_left_out(found))


def _left_out(found: BreakEven) -> list[Text]:
    if not found.left_out:
        return []
    return [Text(f"{len(found.left_out)} values that are refused are left out, the first: {found.left_out[0]}")]


def decomposition_table(found: Decomposition) -> RenderableType:
    """What each mechanism adds to a gain; shares add up to the whole."""
    made = table(
        f"{found.before} -> {found.after} at {found.packet_bytes} B, shared out to mechanisms (Shapley)",
        ("mechanism", "", "saved ns", "gain points", "gain without it"), left=2,
    )  # fmt: skip
    for one in found.shares:
        made.add_row(
            one.mechanism, MECHANISMS[one.mechanism], f"{one.saved_ns:+.2f}", f"{one.gain_points:+.2f}",
            f"{one.gain_without_percent:+.1f} %",
        )  # fmt: skip
    made.add_row("rest", "what differs with all of them off", f"{found.rest_ns:+.2f}", f"{found.rest_points:+.2f}", "")
    made.add_section()
    made.add_row("total", "", f"{found.saved_ns:+.2f}", f"{found.gain_percent:+.2f}", "")
    return made
