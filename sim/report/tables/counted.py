"""Tables about what a kernel was counted to execute, and how a table made of it agrees."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from sim.count.count import CountedConfiguration, CountedKernel
from sim.report.tables.terminal import Columns, TextTable, table_of
from sim.study.evidence.counted import FittedTable

#: Functions of a packet that are listed, those that execute most first.
LISTED = 12


def count_tables(counted: CountedKernel, fitted: FittedTable | None) -> RenderableType:
    """Executed per packet by configuration, by function for the first of them, and the table that was made of it."""
    columns: Columns[CountedConfiguration] = (
        ("configuration", lambda each: each.configuration.name),
        ("STAC=CLAC", lambda each: _windows(each, "stac")),
        ("LFENCE", lambda each: _windows(each, "lfence")),
        ("instructions", lambda each: f"{each.counts.instructions:.0f}"),
        ("returns", lambda each: _kind(each, "return")),
        ("locked", lambda each: _kind(each, "locked")),
    )
    parts: list[RenderableType] = [
        Text(f"Linux {counted.kernel}"),
        table_of("executed per packet", columns, counted.configurations, keys=1),
    ]
    if counted.configurations:
        parts.append(_functions(counted.configurations[0]))
    parts += [Text(f"not counted: {name}: {why}") for name, why in counted.refused.items()]
    if fitted is not None:
        parts.append(_agreement(fitted))
    return Group(*parts)


def _windows(each: CountedConfiguration, kind: str) -> str:
    return f"{each.counts.kinds.get(kind, 0.0):.3f}"


def _kind(each: CountedConfiguration, kind: str) -> str:
    return f"{each.counts.kinds.get(kind, 0.0):.2f}"


def _functions(first: CountedConfiguration) -> RenderableType:
    title = f"functions of {first.configuration.name}"
    table = TextTable(title, ("function", "instructions", "returns"), left=1)
    for function, count in [*first.counts.functions.items()][:LISTED]:
        table.add_row(function, f"{count:.1f}", f"{first.counts.returns.get(function, 0.0):.2f}")
    return table


def _agreement(fitted: FittedTable) -> RenderableType:
    """The table's instructions beside those counted, where they are farthest apart."""
    worst = sorted(fitted.agreements, key=lambda each: -abs(each.error))[:LISTED]
    title = f"{fitted.name}: {fitted.nearest} moved to the counts, worst of {len(fitted.agreements)} configurations"
    table = TextTable(title, ("configuration", "counted", "table", "off by", "windows"), left=1)
    for each in worst:
        numbers = (f"{side['instructions']:.0f}" for side in (each.counted, each.table))
        table.add_row(each.name, *numbers, f"{each.error:+.1%}", "agree" if each.windows_agree else "DIFFER")
    return table
