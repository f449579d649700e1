"""Print to the terminal: colours and its width there, plain lines of a fixed width in a pipe."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.text import Text

from sim.report.tables.fitted import LEAST_WIDTH

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
    """A content whose control characters, which a terminal would obey, are shown as U+FFFD."""

    def __init__(self, content: RenderableType) -> None:
        self._content = Text(content) if isinstance(content, str) else content  # never markup

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for text, style, control in console.render(self._content, options):
            yield Segment(text if control else visible(text), style, control)


def visible(text: str) -> str:
    """Return a text with each control character but the end of a line as U+FFFD."""
    return "".join("\ufffd" if unicodedata.category(sign) == "Cc" and sign != "\n" else sign for sign in text)
