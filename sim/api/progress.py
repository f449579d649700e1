"""How far a long call is: told to a function of the caller's own, or drawn as a bar in a notebook or a terminal."""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sim.config.progress import Counted, Progress

#: What a caller may give: a function, or whether a bar is drawn.
Shown = Progress | bool | None

#: A call that takes no longer shows no bar.
_QUIET_SECONDS = 1.0
#: Seconds between two states of a bar in a notebook, which travel to a browser.
_BETWEEN_SECONDS = 0.2


@contextmanager
def reporting(progress: Shown) -> Iterator[Progress | None]:
    """Give what is told how far a call is: the caller's function, a bar that goes when the block ends, or nothing."""
    if callable(progress):
        yield progress
    elif not progress:
        yield None
    elif in_notebook():
        yield from _in_cell()
    else:
        with terminal_bar() as report:
            yield report


@contextmanager
def counting(progress: Shown, unit: str) -> Iterator[Counted | None]:
    """Give the same to a call that counts: it is told how many are done, and of how many."""
    with reporting(progress) as report:
        yield None if report is None else counted_by(report, unit)


def counted_by(report: Progress, unit: str) -> Counted:
    """Return a function that says how many are done of how many, and how many a second."""
    started = time.monotonic()

    def counted(done: int, total: int) -> None:
        rate = done / max(time.monotonic() - started, 1e-9)
        report(done / total, f"{done}/{total} {unit}, {rate:.0f}/s")

    return counted


def in_notebook() -> bool:
    """Return whether this runs in a kernel, whose cells show HTML."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


def _in_cell(display: Callable[..., Any] | None = None) -> Iterator[Progress]:
    """Draw a bar in a cell, once the call has taken a second; it is empty when the call ends."""
    from IPython import display as shown

    show: Any = display or shown.display
    as_html: Any = shown.HTML
    drawn: list[Any] = []
    last = time.monotonic() + _QUIET_SECONDS - _BETWEEN_SECONDS

    def report(share: float, label: str) -> None:
        nonlocal last
        if time.monotonic() - last < _BETWEEN_SECONDS:
            return
        last = time.monotonic()
        bar = as_html(f'<progress max="1" value="{share:.3f}"></progress> {share:.0%} {html.escape(label)}')
        if drawn:
            drawn[0].update(bar)
        else:
            drawn.append(show(bar, display_id=True))

    try:
        yield report
    finally:
        if drawn:
            drawn[0].update(as_html(""))


@contextmanager
def terminal_bar() -> Iterator[Progress]:
    """Draw a bar on standard error, once the call has taken a second; nothing where that is no terminal."""
    if not sys.stderr.isatty():
        yield lambda share, label: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeRemainingColumn(),
    )
    bar = Bar(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task("", total=1.0)
    started = time.monotonic()

    def report(share: float, label: str) -> None:
        if time.monotonic() - started > _QUIET_SECONDS:
            bar.start()
            bar.update(task, completed=share, description=label)

    try:
        yield report
    finally:
        bar.stop()
