"""Commands about evidence: calibrate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sim.cli.options import (
    Configs,
    Json,
    app,
    checked_folder,
    say_written,
    show_data,
)


@app.command()
def calibrate(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="name of a calibration study or a YAML file")],
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="where to write the calibration")] = None,
    configs: Configs = None,
    as_json: Json = False,
) -> None:
    """Fit the one parameter that a study names to its measured rate, and write it with prior and range."""
    from sim.report.text import calibration_table
    from sim.study.calibrate import calibrate as fit
    from sim.study.calibrate import load_study, write_calibration

    loaded = load_study(study, configs)
    if out is not None:
        checked_folder(out.parent)
    calibration = fit(loaded, configs)
    show_data(as_json, calibration.to_dict(), lambda: calibration_table(calibration))
    if out is not None:
        write_calibration(calibration, out)
        say_written([out])
