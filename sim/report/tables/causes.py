"""Why published figures are missed: the table of causes in `docs/mismatches.md`, and the figures that it names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sim.study.evidence.documents import table_rows
from sim.study.evidence.validate import Validated

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
    """Read the table of causes, in its order; rows of the page's other table begin with a number."""
    rows = [row for row in table_rows("mismatches.md", 4) if not row[0].isdigit()]
    return [Cause(about, named_figures(about), off_by, text, changed) for about, off_by, text, changed in rows]


def named_figures(text: str) -> tuple[str, ...]:
    """Return the figures that a text names: FILE/`ID`, and further `ID` of the same file."""
    file, found = "", []
    for match in _NAMED.finditer(text):
        if match[1]:
            file = match[1]
        elif file:
            found.append(f"{file}/{match[2]}")
    return tuple(found)


def by_cause(rows: Iterable[Validated]) -> tuple[list[tuple[Cause, list[Validated]]], list[Validated]]:
    """Put figures together by the cause that names them; those that no cause names come second.

    Causes of none of the figures are left out; figures keep their order.
    """
    known = [row for row in rows if row.error is not None]
    groups = [(cause, [row for row in known if row.figure.name in cause.figures]) for cause in causes()]
    named = {name for cause, _ in groups for name in cause.figures}
    return [group for group in groups if group[1]], [row for row in known if row.figure.name not in named]
