"""Pieces of HTML in which whatever comes from a file or an option is text: escaped, cut short, of any direction."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sim.report.tables.terminal import Columns, Record
from sim.study.review.review import Review

#: Characters of a text that are shown; sentences of the documentation are shorter.
_LONGEST = 1000


@dataclass(frozen=True)
class Link:
    """A cell that leads to a place on the same page, by its id."""

    text: str
    target: str


#: A text, or links that stand behind each other.
Cell = str | Link | tuple[Link, ...]


def escaped(text: str) -> str:
    """Return a text as HTML shows it, at most 1000 characters of it."""
    short = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return html.escape(short.replace("\0", "\ufffd"))


def isolated(text: str) -> str:
    """Return a text of unknown direction: whatever it is written in, what stands beside it stays where it is."""
    return f"<bdi>{escaped(text)}</bdi>"


def whole(text: str) -> str:
    """Return a text of any length as it is, for a block of its own."""
    return f"<pre>{html.escape(text.replace(chr(0), chr(0xFFFD)))}</pre>"


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    left: int = 1,
    *,
    total: bool = False,
    ids: Sequence[str] = (),
    marked: int | None = None,
) -> str:
    """Return a table whose first `left` columns are text and whose others are numbers.

    `total` marks the last row, `marked` another one by its number; `ids` are the places of the rows, for links.
    """

    def line(cells: Sequence[Cell], tag: str, attributes: str = "") -> str:
        kinds = ("text" if number < left else "number" for number in range(len(cells)))
        written = (f'<{tag} class="{kind}">{_content(cell)}</{tag}>' for kind, cell in zip(kinds, cells, strict=True))
        return f"<tr{attributes}>{''.join(written)}</tr>"

    lines = list(rows)
    attributes = [f' id="{name}"' for name in ids] or [""] * len(lines)
    if total and lines:
        attributes[-1] += ' class="total"'
    if marked is not None:
        attributes[marked] += ' class="asked"'
    body = "\n".join(line(row, "td", attribute) for row, attribute in zip(lines, attributes, strict=True))
    return f'<div class="wide"><table><thead>{line(head, "th")}</thead><tbody>\n{body}</tbody></table></div>'


def table_of(columns: Columns[Record], records: Iterable[Record], left: int = 1) -> str:
    """Return a table with a row for each record."""
    rows = [[text(record) for _, text in columns] for record in records]
    return table([heading for heading, _ in columns], rows, left)


def _content(cell: Cell) -> str:
    """Return a cell; a narrow column parts names like `direct_map_rcu` behind their words, not within them."""
    if isinstance(cell, str):
        return isolated(cell).replace("_", "_<wbr>")
    links = (cell,) if isinstance(cell, Link) else cell
    return ", ".join(f'<a href="#{link.target}">{_content(link.text)}</a>' for link in links)


def chart(name: str, says: str) -> str:
    """Return the place of a chart, and what it says to those who do not see it."""
    return f'<div class="chart" id="{name}" role="img" aria-label="{html.escape(says)}"></div>'


def folded(title: str, content: str, *, printed: bool = True) -> str:
    """Return something that opens on demand, and before printing unless it fills pages with what few want on paper."""
    kind = ' class="printed"' if printed else ""
    return f"<details{kind}><summary>{html.escape(title)}</summary>\n{content}\n</details>"


def embedded(data: object) -> str:
    """Return JSON that may stand inside a script element: no text in it can close the element."""
    return json.dumps(data, allow_nan=False).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def sources_by_key(review: Review) -> dict[str, str]:
    """Return the id on the page of each table entry behind the answer, by its key."""
    return {source.key: f"source-{number}" for number, source in enumerate(review.sources, 1)}


def link_target(name: str, targets: Mapping[str, str]) -> str | None:
    """Return the id of an entry's source, by its key or primitive; of two measured together, that of the first."""
    first = name.split(" + ")[0]
    return next((targets[key] for key in (first, f"cpu.primitives.{first}") if key in targets), None)


def entry(name: str, targets: Mapping[str, str]) -> Cell:
    """Return a name as a cell, which leads to its source where it is that of an entry."""
    target = link_target(name, targets)
    return name if target is None else Link(name, target)
