"""What leaves a command: an answer in the form that is asked for, files of it; on stderr progress and notices."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType

    from sim.study.review.preface import Preface

FORMS = ("table", "csv", "json", "md")
#: The form in which the command that runs prints its answer.
asked_form: ContextVar[str] = ContextVar("form", default=FORMS[0])


def show_under(
    preface: Preface,
    data: dict[str, Any],
    rows: Callable[[], Sequence[dict[str, Any]]],
    tables: Callable[[], RenderableType],
) -> None:
    """Print an answer as `show_data` does, under what was asked and what bounds it, in every form."""
    from sim.report.tables import conditions

    show_data(
        preface.to_dict() | data,
        lambda: conditions.with_asked(rows(), preface),
        lambda: conditions.under(preface, tables()),
    )


def show_data(
    data: dict[str, Any], rows: Callable[[], Sequence[dict[str, Any]]], tables: Callable[[], RenderableType]
) -> None:
    """Print an answer in the form that is asked for: its data as JSON, its rows as CSV, its tables.

    JSON and CSV say what made them.
    """
    form = asked_form.get()
    if form == "json":
        from sim.config.loading.provenance import made_by

        print(json.dumps(data | {"made_by": made_by()}, indent=1, allow_nan=False))
    elif form == "csv":
        from sim.report.tables.rows import csv_text, with_origin

        print(csv_text(with_origin(rows())), end="")
    elif form == "md":
        from sim.report.tables.markdown import markdown

        print(markdown(tables()), end="")
    else:
        from sim.report.tables.terminal import show

        show(tables())


def show_line(key: str, line: str) -> None:
    """Print one text in the form that is asked for, under `key` as data; no terminal breaks the line of a text."""
    if asked_form.get() in ("json", "csv"):
        show_data({key: line}, lambda: [{key: line}], lambda: line)
    else:
        print(line)


def printed() -> Any:
    """Return the module of tables of results, imported only when something is shown."""
    from sim.report.tables import results

    return results


def csv_rows() -> Any:
    """Return the module of CSV rows, imported only when something is shown."""
    from sim.report.tables import rows

    return rows


def write_files(folder: Path | None, writers: Callable[[Any], Any], plots: bool = True) -> None:
    """Write into a folder, if there is one, what `writers` takes from the module of files; name what was written.

    `plots`: there are some among the files, unless what draws them is missing.
    """
    if folder is not None:
        from sim.config.errors import lacking
        from sim.report.export import files

        if wanted := writers(files):
            say_written(files.write_all(folder, wanted))
        if plots and (problem := lacking("matplotlib")) is not None:
            notice(f"plots are left out: {problem}")


@contextmanager
def counted_progress(unit: str) -> Iterator[Callable[[int, int], None]]:
    """Give a function to call with how many are done of how many; the bar shows their rate and the time left."""
    from sim.api.progress import counted_by

    with progress() as report:
        yield counted_by(report, unit)


@contextmanager
def progress() -> Iterator[Callable[[float, str], None]]:
    """Give a function to call with the share done (0..1) and what is being done; the bar goes when the block ends."""
    from sim.api.progress import terminal_bar

    with terminal_bar() as report:
        yield report


def notice(text: str, by: str = "vhost-sim: ") -> None:
    """Say something on stderr: every message leaves here, in a line that no key and no file can make a long one."""
    from sim.config.errors import one_line

    print(by + one_line(text), file=sys.stderr)


def say_written(files: list[Path]) -> None:
    """Name the files that were written."""
    names = ", ".join(file.name for file in files)
    notice(f"written to {files[0].parent}/: {names}", by="")
