"""What a notebook shows: sentences, tables and charts that read well in an editor, on a forge and on a page.

Each is shown in the forms that a notebook keeps: HTML, SVG or Markdown, and the same as plain text.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_MOST_PLACES = 4
#: Cells of fewer characters stay on one line; columns of longer ones get a width that is worth reading.
_SHORT, _LONG = 24, 60


@dataclass(frozen=True)
class Shown:
    """An output of a cell: its forms by media type."""

    forms: Mapping[str, str]

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return dict(self.forms)


def prose(text: str) -> Shown:
    """Show Markdown whose numbers were computed."""
    return Shown({"text/markdown": text, "text/plain": text})


def chart(figure: Figure, says: str) -> Shown:
    """Show a figure as SVG; `says` tells a reader who does not see it what it shows."""
    from sim.report.plots.results import svg

    drawn = svg(figure)
    drawn = drawn[drawn.index("<svg") :]
    label = html.escape(says)
    drawn = drawn.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
    return Shown({"image/svg+xml": drawn, "text/plain": says})


def table(frame: pd.DataFrame) -> Shown:
    """Show a table, without its index, in a box that scrolls when it is wider than the window.

    Numbers of a column are shown with the same number of places, at most four.
    """
    head = [str(name) for name in frame.columns]
    columns = [list(frame.iloc[:, place]) for place in range(len(head))]
    numeric = [all(_is_number(value) for value in column) for column in columns]
    places = [_places(column) for column in columns]
    cells = [[_cell(value, digits) for value in column] for column, digits in zip(columns, places, strict=True)]
    rows = [list(row) for row in zip(*cells, strict=True)]
    lines = [_line(head, "th", numeric), *(_line(row, "td", numeric) for row in rows)]
    opened = f'<div style="overflow-x: auto"><table>\n<thead>{lines[0]}</thead>\n<tbody>\n' + "\n".join(lines[1:])
    return Shown({"text/html": f"{opened}\n</tbody>\n</table></div>", "text/plain": _plain(head, rows, numeric)})


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _places(column: list[Any]) -> int:
    """Return how many places the numbers of a column have."""
    numbers = [value for value in column if _is_number(value) and math.isfinite(value)]
    shown = [f"{value:.{_MOST_PLACES}f}".rstrip("0") for value in numbers]
    return max((len(text.partition(".")[2]) for text in shown), default=0)


def _cell(value: object, places: int) -> str:
    if value is None or value != value:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.{places}f}" if isinstance(value, Real) else str(value)


def _line(cells: list[str], tag: str, numeric: list[bool]) -> str:
    written = []
    for text, number in zip(cells, numeric, strict=True):
        least = "24em" if len(text) > _LONG else "14em"
        wraps = "; white-space: nowrap" if len(text) < _SHORT else f"; min-width: {least}"
        style = f"text-align: {'right' if number else 'left'}{'' if tag == 'th' else wraps}"
        written.append(f'<{tag} style="{style}">{html.escape(text)}</{tag}>')
    return f"<tr>{''.join(written)}</tr>"


def _plain(head: list[str], rows: list[list[str]], numeric: list[bool]) -> str:
    widths = [max(len(row[place]) for row in (head, *rows)) for place in range(len(head))]
    lines = [
        "  ".join(
            text.rjust(width) if number else text.ljust(width)
            for text, width, number in zip(row, widths, numeric, strict=True)
        )
        for row in (head, *rows)
    ]
    return "\n".join(line.rstrip() for line in lines)
