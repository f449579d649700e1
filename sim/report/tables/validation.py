"""Published figures beside their predictions: the tables, the page of the documentation, the causes of errors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.text import Text

from sim.config.answer import counted
from sim.config.loading.load import load_of
from sim.config.tables.documents import Mismatches
from sim.report.tables.terminal import Columns, TextTable, table_of
from sim.study.evidence.validate import Summary, Validated, Validation

_INSIDE = {True: "yes", False: "no", None: ""}
_FIGURE_COLUMNS: Columns[Validated] = (
    ("measurement", lambda row: row.figure.name),
    ("measured", lambda row: figure_text(row, row.figure.entry.value)),
    ("predicted", lambda row: figure_text(row, row.predicted or 0.0)),
    ("90 % interval", lambda row: interval_text(row)),
    ("error", lambda row: f"{row.error:+.1%}"),
    ("inside", lambda row: _INSIDE[row.inside]),
    ("used", lambda row: "yes" if row.used else ""),
    ("status", lambda row: row.status),
)
_SOURCE_COLUMNS: Columns[tuple[str, Summary]] = (
    ("source", lambda fold: fold[0]),
    ("figures", lambda fold: str(fold[1].figures)),
    ("median error", lambda fold: f"{fold[1].median_error:.1%}"),
    ("bias", lambda fold: f"{fold[1].bias:+.1%}"),
    ("within 10 %", lambda fold: f"{fold[1].within['10%']:.0%}"),
    ("interval holds", lambda fold: "" if fold[1].coverage is None else f"{fold[1].coverage:.0%}"),
)
_COUNT_HEAD = ("figures", "met", "off", "worst", "error")


def validation_tables(validation: Validation, everything: bool = False) -> RenderableType:
    """Every figure beside its prediction, worst first; counts by kernel and quantity unless all are wanted."""
    title = f"published figures, calibration {validation.calibration or 'none'}: worst first"
    rows = [row for row in validation.rows if row.status != "not modelled"]
    figures = table_of(title, _FIGURE_COLUMNS, [row for row in rows if everything or not row.figure.entry.is_count])
    counts = TextTable("executed counts", ("", *_COUNT_HEAD))
    for cells in _count_rows(validation):
        counts.add_row(*cells)
    lines: list[RenderableType] = [figures, *([counts] if counts.rows and not everything else [])]
    lines += [Text(f"not modelled: {line}") for line in not_modelled_lines(validation)]
    lines += [Text(f"{label}: {summary_text(summary)}") for label, summary in validation.summaries().items()]
    return Group(*lines)


def _count_rows(validation: Validation) -> Iterable[tuple[str, ...]]:
    """Return how many counts of a kernel are met and off, and the worst that is off."""
    for name, group in count_groups(validation).items():
        off = [row for row in group if row.status == "off"]
        worst = (off[0].figure.entry.id, f"{off[0].error:+.2%}") if off else ("", "")
        yield name, str(len(group)), str(len(group) - len(off)), str(len(off)), *worst


def count_groups(validation: Validation) -> dict[str, list[Validated]]:
    """Put modelled counts together by file, kernel and quantity, worst first within each."""
    groups: dict[str, list[Validated]] = {}
    for row in validation.rows:
        if row.figure.entry.is_count and row.error is not None:
            kernel = row.figure.cases[0].scenario.kernel.name
            groups.setdefault(f"{row.figure.file.name} {kernel} {row.figure.entry.quantity}", []).append(row)
    return dict(sorted(groups.items()))


def figure_text(row: Validated, value: float) -> str:
    """Print a figure in its customary unit."""
    quantity = row.figure.entry.quantity
    if quantity == "pps":
        return f"{value / 1e6:.3f}M"
    return f"{value:.1%}" if quantity == "share" else f"{value:.4g}"


def interval_text(row: Validated) -> str:
    """Print the interval of a prediction; counts have none."""
    if row.low is None or row.high is None:
        return ""
    return f"[{figure_text(row, row.low)}, {figure_text(row, row.high)}]"


def not_modelled_lines(validation: Validation) -> list[str]:
    """Say what is not modelled and why, figures of one file and reason together."""
    groups: dict[tuple[str, str], list[str]] = {}
    for row in validation.of("not modelled"):
        groups.setdefault((row.figure.file.name, row.problem or ""), []).append(row.figure.entry.id)
    return [
        f"{file}, {ids[0] if len(ids) == 1 else f'{len(ids)} figures ({ids[0]} ...)'}: {why}"
        for (file, why), ids in groups.items()
    ]


def summary_text(summary: Summary) -> str:
    """One line: how many are how near, median, bias, coverage."""
    near = ", ".join(f"{share:.0%} within {limit}" for limit, share in summary.within.items())
    held = "" if summary.coverage is None else f", 90 % intervals hold {summary.coverage:.0%}"
    errors = f"median error {summary.median_error:.1%}, bias {summary.bias:+.1%}"
    return f"{counted(summary.figures, 'figure')}: {near}; {errors}{held}"


def left_out_table(folds: Sequence[tuple[str, Validation]]) -> RenderableType:
    """Each source predicted by a calibration that did not see it."""
    firsts = [(name, list(validation.summaries().values())[:1]) for name, validation in folds]
    rows = [(name, summary) for name, summaries in firsts for summary in summaries]
    return table_of("leave one source out", _SOURCE_COLUMNS, rows)


_HEAD = """# Validation

Every published figure of `configs/measurements/` beside what the model predicts, worst first. Written by
`vhost-sim validate --markdown docs/validation.md`; do not edit.

*Error* is predicted over measured, less 1. The *90 % interval* is of what would be measured: ranges of the tables,
how far the model itself is off (by leaving each source out in turn, in the calibration), how far a rig repeats itself
(ratios 2 %, rates 3.3 %, another rig 15 %), noise and rounding of the figure; of a share of a profile, the ranges and
the noise alone. *Inside* says whether it reaches the printed digits.
A figure is *met* when it is off by no more than 10 %, a rate also when it is off by no more than the spread of its
source, a count when it is off by no more than its digits and noise. What is off has its cause in
[mismatches.md](mismatches.md).
"""


def validation_page(validation: Validation) -> str:
    """Return the validation as a page of the documentation, in Markdown."""
    rows = [row for row in validation.rows if row.error is not None and not row.figure.entry.is_count]
    summaries = [f"- {label}: {summary_text(summary)}\n" for label, summary in validation.summaries().items()]
    columns = (("figure", _FIGURE_COLUMNS[0][1]), *_FIGURE_COLUMNS[1:])
    figures = [tuple(text(row) for _, text in columns) for row in rows]
    parts = (
        _HEAD,
        f"Calibration of the measurements' scenarios: `{validation.calibration or 'none'}`.\n",
        "".join(summaries),
        "## Rates, ratios and profile shares\n",
        _pipe_table([heading for heading, _ in columns], figures),
        "## Executed counts\n",
        _pipe_table(("counts", *_COUNT_HEAD), _count_rows(validation)),
        "## Not modelled\n",
        "".join(f"- {line}\n" for line in not_modelled_lines(validation)),
    )
    return "\n".join(parts)


def _pipe_table(head: Sequence[str], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


_NAMED = re.compile(r"([\w-]+)/(?=`)|`([^`]+)`")


@dataclass(frozen=True)
class Cause:
    """One row of the table: the figures that it names as FILE/ID (none: it speaks of counts), and its texts."""

    about: str
    figures: tuple[str, ...]
    off_by: str
    text: str
    changed: str


def causes() -> list[Cause]:
    """Return the causes, in the order of the table."""
    rows = load_of(Mismatches).figures
    return [Cause(row.figures, named_figures(row.figures), row.off_by, row.cause, row.changed) for row in rows]


def named_figures(text: str) -> tuple[str, ...]:
    """Return the figures that a text names: FILE/`ID`, and further `ID` of the same file."""
    file, names = "", []
    for match in _NAMED.finditer(text):
        if match[1]:
            file = match[1]
        elif file:
            names.append(f"{file}/{match[2]}")
    return tuple(names)


def by_cause(rows: Iterable[Validated]) -> tuple[list[tuple[Cause, list[Validated]]], list[Validated]]:
    """Put figures together by the cause that names them; those that no cause names come second.

    Causes of none of the figures are left out; figures keep their order.
    """
    known = [row for row in rows if row.error is not None]
    groups = [(cause, [row for row in known if row.figure.name in cause.figures]) for cause in causes()]
    named = {name for cause, _ in groups for name in cause.figures}
    return [group for group in groups if group[1]], [row for row in known if row.figure.name not in named]
