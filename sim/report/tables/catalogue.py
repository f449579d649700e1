"""Tables about tables: their names, the findings of a check, two CPUs side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from sim.config.tables.quantity import Flag, Quantity
from sim.report.tables.terminal import Columns, TextTable, table_of
from sim.study.catalogue import Checked, Listed
from sim.study.questions.cpus import CpuComparison

#: Differences below this are printed as 0.
_LEAST_SHOWN_NS = 0.005


def listing(kind: str, tables: Sequence[Listed]) -> RenderableType:
    """Names that commands accept, and how much of each table is guessed."""
    columns: Columns[Listed] = (
        (kind, lambda table: table.name),
        ("", lambda table: table.title),
        ("entries", lambda table: str(table.entries)),
        ("guessed", lambda table: str(table.guesses)),
    )
    return table_of("", columns, tables, left=2)


def listings(tables: Mapping[str, Sequence[Listed]]) -> RenderableType:
    """Return the names of several kinds of table, kind by kind."""
    return Group(*(listing(kind, listed) for kind, listed in tables.items()))


def findings(checked: Checked, show_guesses: bool, hint: str = "") -> RenderableType:
    """What a check found, errors first; guesses that are not shown are counted, with a hint at how to list them."""
    lines: list[RenderableType] = []
    for severity in ("error", "warning", "guess") if show_guesses else ("error", "warning"):
        for finding in checked.of(severity):
            key = f" {finding.key}" if finding.key else ""
            lines.append(Text(f"{severity}: {finding.table}{key}: {finding.message}"))
    unlisted = f" ({hint})" if hint and checked.of("guess") and not show_guesses else ""
    return Group(*lines, Text(f"{checked.headline()}{unlisted}"))


def cpu_table(comparison: CpuComparison) -> RenderableType:
    """Entries of two CPU tables side by side, those that matter most to the scenario first."""
    first, second = comparison.first.name, comparison.second.name
    title = (
        f"{first} -> {second} in {comparison.scenario.name} ({comparison.access}, {comparison.packet_bytes} B): "
        f"{comparison.first_ns:.1f} -> {comparison.second_ns:.1f} ns per packet"
    )
    table = TextTable(title, ("entry", first, second, "unit", "ratio", "ns/packet"))
    for difference in comparison.differences:
        ratio = "" if difference.ratio is None else f"{difference.ratio:.2f}"
        worth = f"{difference.worth_ns:+.2f}" if abs(difference.worth_ns) >= _LEAST_SHOWN_NS else "0"
        unit = getattr(difference.first, "unit", "")
        key = difference.key.removeprefix("primitives.")
        table.add_row(key, entry_text(difference.first), entry_text(difference.second), unit, ratio, worth)
    table.add_section()
    table.add_row("together beyond the sum", "", "", "", "", f"{comparison.together_ns:+.2f}")
    table.add_row("total", "", "", "", "", f"{comparison.second_ns - comparison.first_ns:+.2f}")
    return Group(table, Text(f"({comparison.scenario.queues.basis})"))


def entry_text(entry: Quantity | Flag) -> str:
    """Write an entry as value and range."""
    if isinstance(entry, Flag):
        return "yes" if entry.value else "no"
    return f"{entry.value:.4g} [{entry.low:.4g}, {entry.high:.4g}]"
