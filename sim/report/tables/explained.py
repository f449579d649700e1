"""Tables of one explanation: the rows with formula, numbers and total; counts; functions; the source of every input."""

from __future__ import annotations

import textwrap

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.text import Text

from sim.costs.table import Component
from sim.datapath.plan.registers import BANK, Register
from sim.datapath.plan.step import Row
from sim.report.tables.evidence import part_table, uncertainty_tables
from sim.report.tables.results import basis_line, heading, notes
from sim.report.tables.sources import cited
from sim.report.tables.terminal import Drawing, TextTable
from sim.study.questions.explain import SCOPES, SHOWN, Explanation
from sim.study.uncertainty.parts import DrawnParts
from sim.study.uncertainty.uncertainty import Uncertainty

_INDENT = "  "
SCOPE_TITLES = {
    "packet": "each packet",
    "refill": "each refill (the avail index is read)",
    "window": "each user access window around a batch",
    "flush": "each flush (a batch is handed over)",
    "drain": "each drain (the ring is found empty)",
    "drain_found_work": "a drain whose recheck finds work",
    "busy_poll": "each time that the worker begins to poll",
    "poll": "each look at an empty ring (busy polling)",
    "call": "each call",
    "round": "each round of the handler",
    "wakeup": "each wake-up",
    "invalidation": "each invalidation of the ring's pages",
    "page_refill": "each page fragment",
    "ring_batch": "each visit to the ptr_ring",
    "socket_empty": "each time that no packet waits",
    "burst": "each burst",
    "kick": "each kick",
    "message": "each call that sends a message",
    "read": "each call that reads",
    "answer": "each acknowledgement or reply",
    "answer_batch": "each round of acknowledgements or replies",
    "visit": "each choice between the two queues of a pair",
}


def chosen_tables(
    explanation: Explanation,
    by: str,
    actor: str,
    sources: bool,
    skid: bool = False,
    sure: Uncertainty | None = None,
    parts: DrawnParts | None = None,
) -> RenderableType:
    """Rows of an actor with their counts, or functions, and the sources of every input where they are wanted.

    With draws the rate and the time of a packet stand below, with their intervals.
    """
    shown = [explanation_tables(explanation, actor), count_table(explanation)]
    if by == "function":
        shown = [function_table(explanation, skid)]
    drawn = [*([uncertainty_tables(sure)] if sure else []), *([part_table(parts)] if parts else [])]
    return Group(*shown, *([source_table(explanation), reference_table(explanation)] if sources else []), *drawn)


def explanation_tables(explanation: Explanation, actor: str = "worker") -> RenderableType:
    """Rows of one actor, grouped by what executes them once, and the total that they add up to.

    Below each row stand the primitives that one execution runs through, their prices in the same order, in cycles, and
    what the price of a barrier is made of.
    """
    rows = Drawing(lambda width: _row_lines(explanation, actor, width))
    warnings = [Text(f"warning: {step}", style="yellow") for step in explanation.misplaced]
    return Group(_head(explanation), Text(""), rows, *_setup(explanation), *notes([explanation.point]), *warnings)


def _row_lines(explanation: Explanation, actor: str, width: int) -> list[Text]:
    """Draw the rows: step, kernel function and numbers on one line, or the function below where they have no room."""
    rows = [row for row in explanation.plan.rows if row.actor == actor]
    steps = max((cell_len(row.title) for row in rows), default=0) + len(_INDENT)
    functions = max((cell_len(row.function) for row in rows), default=0)
    wide = steps + functions + len(_figures("", "", "")) + 1 <= width
    steps = steps if wide else max(width - len(_figures("", "", "")), 0)

    def lines(step: str, function: str, figures: str, style: str = "") -> list[Text]:
        if wide:
            return [Text(f"{_filled(step, steps)} {_filled(function, functions)}{figures}".rstrip(), style=style)]
        first = [_filled(step, steps) + figures] if cell_len(step) <= steps else [step, figures.rjust(width)]
        second = [f"{_INDENT * 2}{function}"] if function else []
        return [Text(line, style=style) for line in (*first, *second)]

    shown = lines("row", "kernel function", _figures("times/packet", "waits", "cycles/packet"), "bold")
    total = 0.0
    for scope, title in SCOPE_TITLES.items():
        mine = [row for row in rows if row.scopes[0] == scope]
        if mine:
            shown.append(Text(f"{title}:", style="bold"))
        for row in mine:
            cycles = explanation.time_cycles(row)
            total += cycles
            rate, waits = f"{explanation.rate(row):.4g}", f"{explanation.wait_cycles(row):.2f}"
            shown += lines(f"{_INDENT}{row.title}", row.function, _figures(rate, waits, f"{cycles:.2f}"))
            if row.components or row.unit_components:
                for text in (executes(row), numbers(row, explanation.plan.cycle_ps), *barriers(row)):
                    shown += [Text(line, style="dim") for line in _wrapped(text, width)]
    return shown + lines(f"total of the {actor}", "", _figures("", "", f"{total:.2f}"), "bold")


def _figures(rate: str, waits: str, cycles: str) -> str:
    return f" {rate:>12} {waits:>8} {cycles:>14}"


def _filled(text: str, cells: int) -> str:
    return text + " " * (cells - cell_len(text))


def _wrapped(text: str, width: int) -> list[str]:
    """Break a formula where it is too long, all its lines as far in."""
    return textwrap.wrap(text, width, initial_indent=_INDENT * 3, subsequent_indent=_INDENT * 3)


def _unit(row: Row) -> str:
    """Return what a row is paid per, whichever queue it belongs to."""
    assert row.unit is not None
    return {Register.FLUSHES_SEEN: "invalidation", Register.WINDOW_CHAINS: "chain of the window"}.get(
        Register(row.unit % BANK), "packet of the batch"
    )


def _setup(explanation: Explanation) -> list[RenderableType]:
    """What mapping the ring costs once, at SET_VRING_ADDR."""
    parts = explanation.plan.setup
    if not parts:
        return []
    total_us = sum(part.cost_ps for part in parts) / 1e6
    text = ", ".join(f"{part.primitive} {part.formula} = {part.cost_ps / 1e6:.3g} us" for part in parts)
    return [Text(f"mapping the ring once: {total_us:.4g} us ({text})")]


def _head(explanation: Explanation) -> RenderableType:
    point = explanation.point
    answer = Text(
        f"{point.access} at {point.packet_bytes} B: {point.pps / 1e6:.3f} Mpps, {point.ns_per_packet:.1f} ns"
        f" = {point.cycles_per_packet:.1f} cycles per packet, bound by the {point.bound_by}"
    )
    return Group(heading(explanation.scenario), answer, basis_line(point.basis))


def _parts(row: Row) -> list[tuple[Component, str]]:
    return [(part, "") for part in row.components] + [(part, " each") for part in row.unit_components]


def barriers(row: Row) -> list[str]:
    """Spell the prices of barriers and locked operations, which depend on how many instructions lie behind them."""
    parts = [part for part, _ in _parts(row) if any(part.behind)]
    texts = [
        f"{part.primitive} behind {' and '.join(f'{n:.3g}' for n in part.behind)}: {part.formula}" for part in parts
    ]
    return ["; ".join(texts)] if texts else []


def executes(row: Row) -> str:
    """Spell what a row executes: `branch + stac + 2 load`; what is paid per packet of a batch says so."""
    texts = []
    for part, unit in _parts(row):
        count = "" if part.count == 1 else f"{part.count:.4g} "
        texts.append(f"{count}{part.primitive}{unit}")
    return " + ".join(texts) or "-"


def numbers(row: Row, cycle_ps: float) -> str:
    """Give the price of each part of `executes` in cycles, in the same order, and their sum."""
    if not row.components and not row.unit_components:
        return "0"
    fixed = " + ".join(f"{part.cost_ps / cycle_ps:.3g}" for part in row.components)
    each = " + ".join(f"{part.cost_ps / cycle_ps:.3g}" for part in row.unit_components)
    sums = []
    if row.components:
        sums.append(fixed if len(row.components) == 1 else f"{fixed} = {row.cost_ps / cycle_ps:.1f}")
    if row.unit_components:
        total = each if len(row.unit_components) == 1 else f"{each} = {row.unit_ps / cycle_ps:.1f}"
        sums.append(f"({total}) for each {_unit(row)}")
    return ", ".join(sums)


def function_table(explanation: Explanation, skid: bool = False) -> RenderableType:
    """Busy cycles of the worker by kernel function, to lay beside `perf report`; with `skid` stalls count behind."""
    functions = explanation.by_function(skid)
    total = sum(functions.values())
    table = TextTable("", ("kernel function", "cycles/packet", "share"))
    for name, cycles in functions.items():
        table.add_row(name, f"{cycles:.2f}", f"{cycles / total:.2%}")
    table.add_section()
    table.add_row("total", f"{total:.2f}", "100.00%")
    return Group(_head(explanation), table)


def count_table(explanation: Explanation) -> RenderableType:
    """Primitives that one packet, flush, refill and so on executes, metadata and payload apart."""
    counts = explanation.counts()
    scopes = [per for per in SCOPES.values() if any(counts["metadata"][per].values())]
    columns = [per.removeprefix("per_").replace("_", " ") for per in scopes]
    title = "primitives executed by metadata accesses, per ...; last column: payload copies of a packet"
    table = TextTable(title, ("", *columns, "payload"))
    for name in SHOWN:
        cells = [counts["metadata"][per].get(name, 0.0) for per in scopes]
        cells.append(counts["payload"]["per_packet"].get(name, 0.0))
        table.add_row(name, *(f"{value:g}" for value in cells))
    return table


def reference_table(explanation: Explanation) -> RenderableType:
    """What the sources of the inputs cite: where each can be looked up, and how sure it is."""
    rows = dict.fromkeys(row for entry in explanation.inputs() for row in cited(entry.quantity.source))
    table = TextTable(
        "what they cite (docs/sources.md says what was found there)", ("cited", "where", "how sure"), left=3
    )
    for row in rows:
        table.add_row(", ".join(row.names), row.where, row.sure)
    return table


def source_table(explanation: Explanation) -> RenderableType:
    """Every input of the answer with its range, distribution, grade and source, largest contribution first."""
    table = TextTable("inputs", ("key", "value", "grade", "source", "cycles/packet"), left=4)
    for entry in explanation.inputs():
        quantity, cycles = entry.quantity, entry.cycles_per_packet
        value = f"{quantity.value:.4g} [{quantity.low:.4g}, {quantity.high:.4g}] {quantity.unit}"
        shown = "" if cycles is None else f"{cycles:.2f}"
        source = f"{quantity.source} (drawn: {quantity.drawn_from})"
        table.add_row(entry.key, value, quantity.grade, source, shown)
    return table
