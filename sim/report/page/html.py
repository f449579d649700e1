"""Pieces of HTML in which whatever comes from a file or an option is text: escaped, cut short, of any direction."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

#: Characters of a text that are shown; sentences of the documentation are shorter.
_LONGEST = 1000


@dataclass(frozen=True)
class Link:
    """A cell that leads to a place on the same page, by its id."""

    text: str
    place: str


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
) -> str:
    """Return a table whose first `left` columns are text and whose others are numbers.

    `total` marks the last row; `ids` are the places of the rows, for links.
    """

    def line(cells: Sequence[Cell], tag: str, place: str = "") -> str:
        kinds = ("text" if number < left else "number" for number in range(len(cells)))
        made = (f'<{tag} class="{kind}">{_content(one)}</{tag}>' for kind, one in zip(kinds, cells, strict=True))
        return f"<tr{place}>{''.join(made)}</tr>"

    found = list(rows)
    places = [f' id="{one}"' for one in ids] or [""] * len(found)
    if total and found:
        places[-1] += ' class="total"'
    body = "\n".join(line(row, "td", place) for row, place in zip(found, places, strict=True))
    return f'<div class="wide"><table><thead>{line(head, "th")}</thead><tbody>\n{body}</tbody></table></div>'


def _content(cell: Cell) -> str:
    if isinstance(cell, str):
        return isolated(cell)
    links = (cell,) if isinstance(cell, Link) else cell
    return ", ".join(f'<a href="#{one.place}">{isolated(one.text)}</a>' for one in links)


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
