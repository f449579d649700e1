"""What commands say on stderr: a progress bar of runs that take longer than a second, notices, files written."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_QUIET_SECONDS = 1.0


@contextmanager
def counted_progress(unit: str) -> Iterator[Callable[[int, int], None]]:
    """Give a function to call with how many are done of how many; the bar shows their rate and the time left."""
    started = time.monotonic()
    with progress() as report:

        def counted(done: int, total: int) -> None:
            rate = done / max(time.monotonic() - started, 1e-9)
            report(done / total, f"{done}/{total} {unit}, {rate:.0f}/s")

        yield counted


@contextmanager
def progress() -> Iterator[Callable[[float, str], None]]:
    """Give a function to call with the share done (0..1) and what is being done; the bar goes when the block ends."""
    if not sys.stderr.isatty():
        yield lambda share, label: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
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


def notice(text: str) -> None:
    """Say something on stderr that does not end the command."""
    print(f"vhost-sim: {text}", file=sys.stderr)


def say_written(files: list[Path]) -> None:
    """Name the files that were written."""
    names = ", ".join(file.name for file in files)
    print(f"written to {files[0].parent}/: {names}", file=sys.stderr)
