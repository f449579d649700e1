"""Tables and drawings that fit the width of the terminal without cutting a number, and how they are printed there."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import PaddingDimensions
from rich.segment import Segment
from rich.table import Column, Table
from rich.text import Text

Record = TypeVar("Record")

#: Between two columns of the box stand a space, the divider and a space, or the first two where that spares a block;
#: its edges take one cell on each side.
_GAPS: dict[int, PaddingDimensions] = {3: (0, 1), 2: (0, 1, 0, 0)}
_EDGES = 2
#: Below this width nothing can be laid out, and what is wider than the terminal is left to wrap there.
LEAST_WIDTH = 20
#: A text column is not squeezed further than this, nor a number that holds spaces split up to this length.
_TEXT_CELLS = 24
#: A sign can take two cells.
_SIGN_CELLS = 2
#: So many cells of the width for each column that is repeated in every block.
_KEY_CELLS = 8


class TextTable(Table):
    """A table whose text wraps where it does not fit, and whose further columns then go below.

    The first `left` columns hold text, the others numbers. Each block begins with the `keys` columns that name a row.
    """

    def __init__(self, title: str, columns: Iterable[str], left: int = 1, keys: int = 1) -> None:
        super().__init__(title=title, box=box.SIMPLE_HEAD, pad_edge=False)
        self.keys = keys
        for number, column in enumerate(columns):
            self.add_column(Text(column), justify="left" if number < left else "right")

    def add_row(self, *cells: RenderableType | None, end_section: bool = False, **_: object) -> None:
        """Add a row; cells are text, never markup."""
        super().add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells), end_section=end_section)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the title over the whole width, then the blocks."""
        if self.title:
            yield Text(str(self.title), style="bold")
        rooms = [_Room.of(column) for column in self.columns]
        ways = {gap: blocks(rooms, self.keys, options.max_width, gap) for gap in _GAPS}
        gap = min(ways, key=lambda gap: len(ways[gap]))
        for widths in ways[gap]:
            yield self._block(widths, _GAPS[gap])

    def _block(self, widths: dict[int, int], padding: PaddingDimensions) -> Table:
        """Return the table of some columns, each as wide as it is told."""
        block = Table(box=self.box, pad_edge=False, padding=padding)
        for number, width in widths.items():
            column = self.columns[number]
            block.add_column(column.header, justify=column.justify, width=width, overflow="fold")
        cells = [list(self.columns[number].cells) for number in widths]
        for row, content in zip(self.rows, zip(*cells, strict=True), strict=True):
            block.add_row(*content, end_section=row.end_section)
        return block


@dataclass(frozen=True)
class _Room:
    """The cells that a column needs, those that it would take, and whether it holds text."""

    need: int
    want: int
    is_text: bool

    @classmethod
    def of(cls, column: Column) -> _Room:
        """Measure a column."""
        is_text = column.justify == "left"
        cells = [str(cell) for cell in column.cells]
        least = [_longest_word(str(column.header)), *(_least(cell, is_text) for cell in cells)]
        widest = max((cell_len(line) for cell in (str(column.header), *cells) for line in cell.split("\n")), default=0)
        need = max(least)
        return cls(min(max(need, _TEXT_CELLS), widest) if is_text else need, widest, is_text)


def _least(cell: str, is_text: bool) -> int:
    """Return the cells that a cell needs: a number with its unit or its interval stays whole."""
    return cell_len(cell) if not is_text and cell_len(cell) <= _TEXT_CELLS else _longest_word(cell)


def _longest_word(text: str) -> int:
    return max((cell_len(word) for word in text.split()), default=0)


def blocks(columns: Sequence[_Room], keys: int, width: int, gap: int) -> list[dict[int, int]]:
    """Share columns out to blocks that fit a width; return the width of each column, by its number, in each block."""
    room = max(width, LEAST_WIDTH) - _EDGES
    everything = range(len(columns))
    if _taken([column.want for column in columns], gap) <= room:
        return [{number: columns[number].want for number in everything}]
    keys = max(1, min(keys, room // _KEY_CELLS))
    heads, others = list(everything[:keys]), everything[keys:]
    needs = [column.need for column in columns]
    beside = [min(max(columns[number].need for number in others), room // 2)] if others else []
    while _taken([*(needs[number] for number in heads), *beside], gap) > room:
        longest = max(heads, key=lambda number: needs[number])
        if needs[longest] <= _SIGN_CELLS:
            break
        needs[longest] -= 1
    left = max(room - _taken([needs[number] for number in heads], gap) - gap, _SIGN_CELLS)
    for number in others:
        needs[number] = min(needs[number], left)
    shared: list[list[int]] = []
    for number in others:
        if shared and _taken([needs[member] for member in (*heads, *shared[-1], number)], gap) <= room:
            shared[-1].append(number)
        else:
            shared.append([number])
    return [_grown([*heads, *block], needs, columns, room, gap) for block in shared or [[]]]


def _taken(widths: Sequence[int], gap: int) -> int:
    return sum(widths) + gap * (len(widths) - 1)


def _grown(block: Sequence[int], needs: Sequence[int], columns: Sequence[_Room], room: int, gap: int) -> dict[int, int]:
    """Give the room that is left to numbers first, then to texts in turn."""
    widths = {number: needs[number] for number in block}
    spare = max(room - _taken(list(widths.values()), gap), 0)
    for texts in (False, True):
        growing = [number for number in block if columns[number].is_text == texts]
        while spare and (growing := [number for number in growing if widths[number] < columns[number].want]):
            for number in growing[:spare]:
                widths[number] += 1
                spare -= 1
    return widths


#: The columns of a table: a heading, and what it says of a record.
Columns = Sequence[tuple[str, Callable[[Record], str]]]


def table_of(
    title: str, columns: Columns[Record], records: Iterable[Record], left: int = 1, keys: int = 1
) -> TextTable:
    """Return a table with a row for each record."""
    table = TextTable(title, [heading for heading, _ in columns], left, keys)
    for record in records:
        table.add_row(*(text(record) for _, text in columns))
    return table


class Drawing:
    """Lines that are drawn for a width, such as bars; in Markdown they stand as they are."""

    def __init__(self, draw: Callable[[int], list[Text]]) -> None:
        self.lines = draw

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines for the width that there is."""
        yield from self.lines(max(options.max_width, LEAST_WIDTH))


#: The width in a pipe, where COLUMNS does not say another.
PIPE_WIDTH = 132
#: The width of a terminal that does not know its own.
TERMINAL_WIDTH = 80


def show(content: RenderableType) -> None:
    """Print tables, as wide as COLUMNS says or the terminal is; in a pipe without colours and spaces at the ends."""
    if Console().is_terminal:
        Console(width=_width(TERMINAL_WIDTH), highlight=False).print(_Visible(content))
    else:
        for line in plain_lines(content, _width(PIPE_WIDTH)):
            print(line)


def plain_lines(content: RenderableType, width: int) -> Iterator[str]:
    """Yield the lines of a content as a pipe shows them."""
    console = Console(width=width, highlight=False, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(_Visible(content))
    yield from (line.rstrip(" ") for line in capture.get().split("\n")[:-1])


def _width(fallback: int) -> int:
    """Return the width that COLUMNS says or the terminal has, and no less than anything can be laid out in."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isascii() and columns.isdigit() and columns.strip("0"):
        return max(int(columns[:6]), LEAST_WIDTH)
    try:
        width = os.get_terminal_size(sys.stdout.fileno()).columns
    except (OSError, ValueError):  # no terminal
        width = 0
    return max(width or fallback, LEAST_WIDTH)


class _Visible:
    """A content whose characters that a terminal would obey are shown as U+FFFD."""

    def __init__(self, content: RenderableType) -> None:
        self._content = Text(content) if isinstance(content, str) else content  # never markup

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for text, style, control in console.render(self._content, options):
            yield Segment(text if control else visible(text), style, control)


#: Marks that turn the direction in which what follows is written, over the ends of cells and rows.
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def visible(text: str) -> str:
    """Return a text with each control character but the end of a line, and each mark that turns it, as U+FFFD."""
    return "".join("\ufffd" if sign in _TURNING or _is_control(sign) else sign for sign in text)


def _is_control(sign: str) -> bool:
    return unicodedata.category(sign) in ("Cc", "Cs") and sign != "\n"
