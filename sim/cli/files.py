"""Commands whose answer is files: report, trace, sweep."""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path
from typing import Annotated

from typer import Argument, Exit, Option

from sim.cli import options as opt
from sim.cli import output
from sim.cli.completing import tables


@opt.command("report virtio-user-xdp1-tap -o report.html", "report seed-gain -o gain.html")
def report(
    scenario: Annotated[
        str,
        Argument(
            metavar="SCENARIO|STUDY",
            help="a scenario or a sensitivity study: its name or a YAML file",
            autocompletion=tables("scenario", "sensitivity"),
        ),
    ],
    out: Annotated[Path, Option("--out", "-o", metavar="FILE", help="HTML file to write")],
    draws: opt.ChosenDraws = None,
    sets: opt.Sets = None,
    access: opt.Accesses = None,
    sizes: opt.Sizes = None,
    seed: opt.Seed = None,
    jobs: opt.Jobs = None,
    configs: opt.Configs = None,
) -> None:
    """Write one self-contained page for a design review: the answer, how sure it is, why, and what would change it.

    Every access variant is compared with the first, at the first packet size; the headline is about the second, of more
    than three about the one that gains most. A study brings its own tornado.
    """
    from sim.config.errors import require
    from sim.config.loading.files import write_whole
    from sim.report.page.page import page
    from sim.study.review.ask import asked, review
    from sim.study.runs.pool import pool_for
    from sim.study.uncertainty.runs import FIRST_DRAWS

    opt.at_least("--draws", 1, draws)
    opt.checked_file("--out", out)
    require("plotly", "a page")
    short = {"access": access, "sizes": sizes, "seed": seed}
    changes = opt.overrides(sets, **short)
    runs = 20 * (draws or FIRST_DRAWS)
    with output.counted_progress("runs") as progress, pool_for(runs, jobs, processes=jobs is not None) as pool:
        with opt.named_as_given(**short):
            loaded, question, tornado = asked(scenario, configs, changes, pool)
        answer = review(
            loaded,
            draws,
            question=question,
            study_tornado=tornado,
            configs=configs,
            executor=pool,
            progress=progress,
        )
    made_by = ["vhost-sim", "report", scenario]
    made_by += [word for change in changes for word in ("--set", change)]
    made_by += ["--draws", str(draws)] if draws else []
    made_by += [*(["--configs", str(configs)] if configs else []), "-o", "report.html"]
    write_whole(out, page(answer, shlex.join(made_by)))
    output.show_data(
        answer.to_dict(),
        lambda: output.csv_rows().rate_rows(answer.sure, answer.scenario.queues.basis),
        answer.sentence,
    )
    output.say_written([out])


@opt.command("trace virtio-user-xdp1-tap --packets 256 -o trace.json")
def trace(
    scenario: opt.Name,
    packets: Annotated[int, Option("--packets", metavar="N", help="how many packets the timeline holds")],
    out: Annotated[Path, Option("--out", "-o", metavar="FILE", help="trace-event JSON to write")],
    access: opt.OneAccess = None,
    sizes: opt.OneSize = None,
    skip: Annotated[
        int, Option("--skip", metavar="N", help="begin when so many packets are used: leaves warming up out")
    ] = 0,
    sets: opt.Sets = None,
    seed: opt.Seed = None,
    configs: opt.Configs = None,
) -> None:
    """Write the simulated execution as a timeline in the trace-event format, which the Perfetto viewer reads.

    A track per actor with slices packet > step > primitive or wait, counters of ring, stores and loads, arrows from the
    post of a packet to its completion, marks for kicks and calls. Without --skip, time starts with empty caches and
    rings.
    """
    from sim.config.loading.files import write_whole
    from sim.report.export.trace_events import trace_text
    from sim.report.tables.results import timeline_table
    from sim.study.runs.asked import first_point
    from sim.study.timeline.record import timeline

    opt.only_one("trace", access=access, sizes=sizes)
    opt.checked_file("--out", out)
    loaded = opt.load(scenario, sets, configs, first_point, access=access, sizes=sizes, seed=seed)
    recorded = timeline(loaded, packets, skip=skip)
    write_whole(out, trace_text(recorded))
    output.show_data(recorded.to_dict(), recorded.records, lambda: timeline_table(recorded))
    output.say_written([out])


@opt.command("sweep cost-ranges --out out/sweep", "sweep cost-ranges --out out/sweep --resume")
def sweep(
    study: Annotated[
        str,
        Argument(
            metavar="STUDY",
            help="name of a sweep (see `list studies`) or a YAML file",
            autocompletion=tables("sweep"),
        ),
    ],
    jobs: opt.Jobs = None,
    dask: Annotated[str | None, Option("--dask", metavar="ADDRESS", help="run on this Dask scheduler instead")] = None,
    out: Annotated[
        Path | None, Option("--out", "-o", metavar="DIR", help="stream rows to Parquet parts in DIR")
    ] = None,
    resume: Annotated[bool, Option("--resume", help="continue what DIR holds; edited points run anew")] = False,
    configs: opt.Configs = None,
) -> None:
    """Run one scenario at many points: a grid, a Latin hypercube or a Sobol sequence over any keys.

    The same bytes for any number of jobs. A point that is refused or fails becomes a row with its error; the exit code
    is 1 when one has failed, or when all are refused. In a grid with several access variants, gain_percent is what a
    row gains over the first of the same point. Without --out the rows are printed and held in memory; with it they can
    be read with pandas.read_parquet("DIR"), and plots stand beside them: _lines, along each key, and _heat, over two
    keys of a grid. DIR/_sweep.yaml is the sweep again.
    """
    from sim.config.answer import counted
    from sim.study.runs.pool import dask_executor, local_executor
    from sim.study.sweep import run as sweeps

    if resume and out is None:
        opt.refuse("--resume goes with --out")
    if jobs is not None and dask is not None:
        opt.refuse("--jobs and --dask exclude each other")
    loaded = sweeps.load_sweep(study, configs)
    executor = dask_executor(dask) if dask else local_executor(jobs)
    try:
        with executor as pool, output.counted_progress("points") as report:
            outcome = sweeps.run_sweep(
                loaded,
                pool,
                folder=out,
                resume=resume,
                configs=configs,
                jobs=jobs or 2,
                progress=report,
                notice=output.notice,
            )
    except KeyboardInterrupt:
        output.notice("stopped" + (f"; what {out} holds is kept, and --resume goes on" if out else ""))
        raise
    table = partial(output.printed().sweep_table, loaded, outcome, hint="--out DIR keeps them all")
    output.show_data(outcome.to_dict(), lambda: output.csv_rows().sweep_rows(outcome), table)
    if outcome.failed + outcome.refused < outcome.points:
        output.write_files(out, lambda export: export.sweep_writers(outcome))
    if outcome.failed:
        again = "; --resume computes them again" if out else ""
        output.notice(f"{outcome.failed} of {counted(outcome.points, 'point')} failed ({outcome.first_error}){again}")
    elif outcome.refused == outcome.points:
        output.notice(f"every point is refused ({outcome.first_error})")
    if outcome.failed or outcome.refused == outcome.points:
        raise Exit(1)
