"""The tables of the terminal as GitHub Markdown, to paste into a mail or an issue."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from sim.report.tables.terminal import Drawing, TextTable, visible

#: As wide as an issue shows without a scroll bar; rows of an explanation stand on one line each.
_DRAWN_WIDTH = 110

#: What Markdown takes for more than text, wherever it stands. An underscore within a word, a bracket that ends no
#: link and an ampersand that begins no entity are text as they are, so that names and intervals stay readable.
_MARKS = re.compile(
    r"""[\\`*<~$|]               # code, emphasis, tags, strikes, formulas, cells
    | (?<![^\W_])_ | _(?![^\W_]) # emphasis around words
    | \](?=[(\[:])               # links, and what they refer to
    | &(?=[\#\w])                # entities""",
    re.VERBOSE,
)
_BEGINS_A_BLOCK = re.compile(r"(?:[#>+=-]|\d+[.)])")


def markdown(content: RenderableType) -> str:
    """Return tables, paragraphs and drawings as Markdown. TypeError for what is none of these."""
    return "\n".join(f"{block}\n" for block in _blocks(content))


def _blocks(content: RenderableType) -> Iterator[str]:
    if isinstance(content, Group):
        for part in content.renderables:
            yield from _blocks(part)
    elif isinstance(content, TextTable):
        if content.title:
            yield f"**{text_of(str(content.title))}**"
        yield _table(content)
    elif isinstance(content, Drawing):
        yield _fenced([line.plain for line in content.lines(_DRAWN_WIDTH)])
    elif isinstance(content, Text | str):
        if str(content).strip():
            yield "\n".join(paragraph_line(line) for line in str(content).splitlines())
    else:
        raise TypeError(f"{type(content).__name__} has no Markdown form")


def _table(table: TextTable) -> str:
    columns = [[str(column.header), *(str(cell) for cell in column.cells)] for column in table.columns]
    rows = [row_of(cells) for cells in zip(*columns, strict=True)]
    rule = "".join(f"| {'---:' if column.justify == 'right' else '---'} " for column in table.columns)
    return "\n".join([rows[0], f"{rule}|", *rows[1:]])


def row_of(cells: Sequence[str]) -> str:
    """Return one row of a table: every cell is text on one line."""
    return "".join(f"| {text_of(cell)} " for cell in cells) + "|"


def paragraph_line(line: str) -> str:
    """Return a line of a paragraph; only one that begins with `- ` stays what Markdown takes it for, a list's item."""
    text = text_of(line)
    item = "- " if text.startswith("- ") else ""
    text = text.removeprefix(item)
    return item + (re.sub(r"^(\d*)", r"\1\\", text, count=1) if _BEGINS_A_BLOCK.match(text) else text)


def text_of(text: str) -> str:
    """Return a text as Markdown that shows it, on one line."""
    return _MARKS.sub(lambda mark: f"\\{mark[0]}", visible(" ".join(text.split())))


def _fenced(lines: Sequence[str]) -> str:
    """Return lines as they are, in a fence that is longer than any within."""
    shown = [visible(part).rstrip(" ") for line in lines for part in line.split("\n")]
    fence = "`" * max(3, 1 + max((len(run) for line in shown for run in re.findall("`+", line)), default=0))
    return "\n".join([f"{fence}text", *shown, fence])
