"""Commands that show one answer to others: trace."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from sim.cli.options import Configs, Json, Name, Seed, Sets, app, checked_folder, load, say_written, show_data


@app.command()
def trace(
    scenario: Name,
    packets: Annotated[int, typer.Option("--packets", metavar="N", help="run until so many packets are used")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="trace-event JSON to write")],
    access: Annotated[
        str | None, typer.Option("--access", metavar="A", help="access variant (default: the first)")
    ] = None,
    size: Annotated[
        int | None, typer.Option("--size", metavar="N", help="packet size in bytes (default: the first)")
    ] = None,
    sets: Sets = None,
    seed: Seed = None,
    configs: Configs = None,
    as_json: Json = False,
) -> None:
    """Write the simulated execution as a timeline that the Perfetto viewer (or chrome://tracing) opens.

    A track per actor with slices packet > step > primitive or wait, counters of ring, stores and loads, arrows from the
    post of a packet to its completion, marks for kicks and calls. Time starts with empty caches and rings.
    """
    from sim.config import ConfigError
    from sim.report.timeline import timeline_table, write_trace
    from sim.study.timeline import timeline

    if access is not None and "," in access:
        raise ConfigError(f"--access {access}: trace takes one access variant")
    if os.path.isdir(out):  # unlike Path.is_dir, False for a name that is too long
        raise ConfigError(f"--out {out}: is a folder, a file is needed")
    loaded = load(scenario, sets, configs, access=access, sizes=size, seed=seed)
    checked_folder(out.parent)
    found = timeline(loaded, packets)
    written = write_trace(found, out)
    show_data(as_json, found.to_dict(), lambda: timeline_table(found))
    say_written([written])
