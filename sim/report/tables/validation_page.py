"""The validation as a page of the documentation."""

from __future__ import annotations

from collections.abc import Iterable

from sim.report.tables.evidence import count_groups, figure_text, interval_text, not_modelled_lines, summary_text
from sim.study.evidence.validate import Validated, Validation

_HEAD = """# Validation

Every published figure of `configs/measurements/` beside what the model predicts, worst first. Written by
`vhost-sim validate --markdown docs/validation.md`; do not edit.

*Error* is predicted over measured, less 1. The *90 % interval* is of what would be measured: ranges of the tables,
noise of the figure and, for a rate, how far sessions lie apart; *inside* says whether it reaches the printed digits.
A figure is *met* when it is off by no more than 10 %, a rate also when it is off by no more than the spread of its
source, a count when it is off by no more than its digits and noise. What is off has its cause in
[mismatches.md](mismatches.md).
"""


def validation_page(validation: Validation) -> str:
    """Return the page as Markdown."""
    rows = [row for row in validation.rows if row.error is not None and not row.figure.entry.is_count]
    parts = [_HEAD, f"Calibration of the measurements' scenarios: `{validation.calibration or 'none'}`.\n"]
    parts.append("".join(f"- {name}: {summary_text(one)}\n" for name, one in validation.summaries().items()))
    parts.append("## Rates, ratios and profile shares\n")
    parts.append(
        _table(
            ("figure", "measured", "predicted", "90 % interval", "error", "inside", "used", "status"),
            map(_cells, rows),
        )
    )
    parts.append("## Executed counts\n")
    parts.append(_table(("counts", "figures", "met", "off", "worst", "error"), _count_cells(validation)))
    parts.append("## Not modelled\n")
    parts.append("".join(f"- {line}\n" for line in not_modelled_lines(validation)))
    return "\n".join(parts)


def _cells(row: Validated) -> tuple[str, ...]:
    return (
        row.figure.name, figure_text(row, row.figure.entry.value), figure_text(row, row.predicted or 0.0),
        interval_text(row), f"{row.error:+.1%}", {True: "yes", False: "no", None: ""}[row.inside],
        "yes" if row.used else "", row.status,
    )  # fmt: skip


def _count_cells(validation: Validation) -> Iterable[tuple[str, ...]]:
    for name, group in count_groups(validation).items():
        off = [row for row in group if row.status == "off"]
        worst = (off[0].figure.entry.id, f"{off[0].error:+.2%}") if off else ("", "")
        yield name, str(len(group)), str(len(group) - len(off)), str(len(off)), *worst


def _table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [columns, ("---",) * len(columns), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
