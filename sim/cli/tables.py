"""Commands that look at tables: list, check."""

from __future__ import annotations

from typing import Annotated

import typer

from sim.cli.options import (
    Configs,
    Form,
    Json,
    command,
    csv_rows,
    one_of,
    show_data,
)

KINDS = {
    "cpus": ("cpu",),
    "kernels": ("kernel",),
    "implementations": ("implementation",),
    "access": ("access",),
    "scenarios": ("scenario",),
    "calibrations": ("calibration",),
    "studies": ("calibration-study", "sensitivity", "sweep"),
    "measurements": ("measurement",),
    "defaults": ("defaults",),
}


@command(
    "list cpus",
    "list scenarios --format md",
    name="list",
)
def list_tables(
    kinds: Annotated[str, typer.Argument(metavar="|".join(KINDS), help="kind of table")],
    configs: Configs = None,
    form: Form = None,
    as_json: Json = False,
) -> None:
    """List the tables that can be named, shipped and your own."""
    from sim.report.tables.catalogue import listings
    from sim.study.catalogue import list_tables as listed

    one_of("list", kinds, tuple(KINDS))
    by_kind = {kind: listed(kind, configs) for kind in KINDS[kinds]}
    named = sorted((table for tables in by_kind.values() for table in tables), key=lambda table: table.name)
    data = {"schema": 1, kinds: [table.to_dict() for table in named]}
    show_data(
        form,
        as_json,
        data=data,
        rows=lambda: csv_rows().listing_rows(by_kind),
        tables=lambda: listings(by_kind),
    )


@command(
    "check",
    "check mine/cpus/this-host.yaml --guesses",
)
def check(
    tables: Annotated[
        list[str] | None, typer.Argument(metavar="FILE", help="files or names (default: every table)")
    ] = None,
    guesses: Annotated[bool, typer.Option("--guesses", help="list the entries graded `guess`, too")] = False,
    configs: Configs = None,
    form: Form = None,
    as_json: Json = False,
) -> None:
    """Audit tables: missing or guessed entries, ranges that do not hold their value, neighbours out of order.

    Exit code 2 when a table has an error, 0 otherwise (warnings are for you to judge).
    """
    from sim.report.tables.catalogue import findings
    from sim.study.catalogue import check as check_tables

    checked = check_tables(tables or (), configs)
    show_data(
        form,
        as_json,
        data=checked.to_dict(),
        rows=lambda: csv_rows().finding_rows(checked),
        tables=lambda: findings(checked, guesses),
    )
    if checked.of("error"):
        raise typer.Exit(2)
