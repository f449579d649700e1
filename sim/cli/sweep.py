"""Commands that simulate many points: sweep."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sim.cli.options import (
    Configs,
    Form,
    Jobs,
    Json,
    command,
    csv_rows,
    printed,
    show_data,
)
from sim.cli.stderr import counted_progress, notice


@command(
    "sweep cost-ranges --out out/sweep",
    "sweep cost-ranges --out out/sweep --resume",
)
def sweep(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="name of a sweep (see `list studies`) or a YAML file")],
    jobs: Jobs = None,
    dask: Annotated[
        str | None, typer.Option("--dask", metavar="ADDRESS", help="run on this Dask scheduler instead")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="stream rows to Parquet parts in DIR")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="continue what DIR holds; edited points run anew")] = False,
    configs: Configs = None,
    form: Form = None,
    as_json: Json = False,
) -> None:
    """Run one scenario at many points: a grid, a Latin hypercube or a Sobol sequence over any keys.

    The same bytes for any number of jobs. A point that fails becomes a row with its error. Without --out the rows are
    printed and held in memory; with it they can be read with pandas.read_parquet("DIR").
    """
    from sim.config.errors import ConfigError
    from sim.study.runs.pool import dask_executor, local_executor
    from sim.study.sweep import run as sweeps

    if resume and out is None:
        raise ConfigError("--resume goes with --out")
    if jobs is not None and dask is not None:
        raise ConfigError("--jobs and --dask exclude each other")
    loaded = sweeps.load_sweep(study, configs)
    executor = dask_executor(dask) if dask else local_executor(jobs)
    with executor as pool, counted_progress("points") as report:
        outcome = sweeps.run_sweep(
            loaded, pool, folder=out, resume=resume, configs=configs, jobs=jobs or 2, progress=report, notice=notice
        )
    show_data(
        form,
        as_json,
        data=outcome.to_dict(),
        rows=lambda: csv_rows().sweep_rows(outcome),
        tables=lambda: printed().sweep_table(loaded, outcome),
    )
