"""Commands that show one answer to others: report, trace."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from sim.cli.options import (
    Accesses,
    Configs,
    Draws,
    Form,
    Jobs,
    Json,
    Name,
    OneAccess,
    OneSize,
    Seed,
    Sets,
    Sizes,
    at_least,
    checked_file,
    command,
    csv_rows,
    load,
    named_as_given,
    only_one,
    overrides,
    show_data,
)
from sim.cli.stderr import counted_progress, say_written


@command(
    "report virtio-user-xdp1-tap -o report.html",
    "report seed-gain -o gain.html",
)
def report(
    scenario: Annotated[
        str, typer.Argument(metavar="SCENARIO|STUDY", help="a scenario or a sensitivity study: its name or a YAML file")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="HTML file to write")],
    draws: Draws = 100,
    sets: Sets = None,
    access: Accesses = None,
    sizes: Sizes = None,
    seed: Seed = None,
    jobs: Jobs = None,
    configs: Configs = None,
    form: Form = None,
    as_json: Json = False,
) -> None:
    """Write one self-contained page for a design review: the answer, how sure it is, why, and what would change it.

    Every access variant is compared with the first, at the first packet size; the headline is about the second, of more
    than three about the one that gains most. A study brings its own tornado.
    """
    from sim.config.loading.files import write_whole
    from sim.report.page.page import page
    from sim.study.review.ask import asked, review
    from sim.study.runs.pool import pool_for

    at_least("--draws", 1, draws)
    checked_file("--out", out)
    short = {"access": access, "sizes": sizes, "seed": seed}
    changes = overrides(sets, **short)
    with counted_progress("runs") as progress, pool_for(20 * draws, jobs) as pool:
        with named_as_given(**short):
            loaded, question, tornado = asked(scenario, configs, changes, pool)
        answer = review(
            loaded, draws, question=question, study_tornado=tornado, configs=configs, executor=pool, progress=progress
        )
    words = ["vhost-sim", "report", scenario]
    words += [word for change in changes for word in ("--set", change)]
    words += ["--draws", str(draws), *(["--configs", str(configs)] if configs else []), "-o", out.name]
    write_whole(out, page(answer, shlex.join(words)))
    show_data(
        form, as_json, data=answer.to_dict(), rows=lambda: csv_rows().rate_rows(answer.sure), tables=answer.sentence
    )
    say_written([out])


@command(
    "trace virtio-user-xdp1-tap --packets 256 -o trace.json",
)
def trace(
    scenario: Name,
    packets: Annotated[int, typer.Option("--packets", metavar="N", help="how many packets the timeline holds")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="trace-event JSON to write")],
    access: OneAccess = None,
    size: OneSize = None,
    skip: Annotated[
        int, typer.Option("--skip", metavar="N", help="begin when so many packets are used: leaves warming up out")
    ] = 0,
    sets: Sets = None,
    seed: Seed = None,
    configs: Configs = None,
    form: Form = None,
    as_json: Json = False,
) -> None:
    """Write the simulated execution as a timeline in the trace-event format, which the Perfetto viewer reads.

    A track per actor with slices packet > step > primitive or wait, counters of ring, stores and loads, arrows from the
    post of a packet to its completion, marks for kicks and calls. Without --skip, time starts with empty caches and
    rings.
    """
    from sim.config.loading.files import write_whole
    from sim.report.export.trace_events import trace_text
    from sim.report.tables.results import timeline_table
    from sim.study.timeline.record import timeline

    only_one("trace", access)
    checked_file("--out", out)
    loaded = load(scenario, sets, configs, access=access, size=size, seed=seed)
    recorded = timeline(loaded, packets, skip=skip)
    write_whole(out, trace_text(recorded))
    show_data(
        form,
        as_json,
        data=recorded.to_dict(),
        rows=lambda: csv_rows().timeline_rows(recorded),
        tables=lambda: timeline_table(recorded),
    )
    say_written([out])
