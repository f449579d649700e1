"""Print to the terminal: colours and its width there, plain lines of a fixed width in a pipe."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.text import Text

from sim.report.fitted import LEAST_WIDTH

#: The width in a pipe, where COLUMNS does not say another.
PIPE_WIDTH = 132


def show(content: RenderableType) -> None:
    """Print tables, as wide as COLUMNS says or the terminal is; in a pipe without colours and spaces at the ends."""
    console = Console(width=_columns(), highlight=False)
    if console.is_terminal:
        console.print(_Visible(content))
    else:
        for line in plain_lines(content, _columns() or PIPE_WIDTH):
            print(line)


def plain_lines(content: RenderableType, width: int) -> Iterator[str]:
    """Yield the lines of a content as a pipe shows them."""
    console = Console(width=width, highlight=False, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(_Visible(content))
    yield from (line.rstrip(" ") for line in capture.get().split("\n")[:-1])


def _columns() -> int | None:
    """Return the width that COLUMNS says, if it says one, and no less than anything can be laid out in."""
    text = os.environ.get("COLUMNS", "")
    if not (text.isascii() and text.isdigit() and text.strip("0")):
        return None
    return max(int(text[:6]), LEAST_WIDTH)


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
