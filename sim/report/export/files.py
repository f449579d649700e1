"""Write a result to a folder: tables as CSV and Parquet, the resolved scenario, plots as SVG and PNG."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sim.config import ConfigError, Scenario, dump_scenario
from sim.config.answer import flat
from sim.config.errors import lacking
from sim.config.loading.provenance import made_by, made_by_line

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from sim.engine import Point
    from sim.study.evidence.validate import Validation
    from sim.study.questions.capacity import Capacities
    from sim.study.questions.compare import Comparison
    from sim.study.questions.run import Result
    from sim.study.sensitivity.tornado import Sensitivities
    from sim.study.sweep.run import Outcome

Writer = Callable[[Path], None]
#: Points of a sweep that are still drawn.
MOST_DRAWN_POINTS = 100_000


def frame_writers(name: str, frame: pd.DataFrame) -> dict[str, Writer]:
    """Return the files of a table, with what made it: CSV for people, Parquet for programs."""
    whole = frame.assign(**flat(made_by(), "made_by."))
    return {
        f"{name}.csv": lambda file: whole.to_csv(file, index=False, lineterminator="\n"),
        f"{name}.parquet": lambda file: whole.to_parquet(file, index=False),
    }


def figure_writers(name: str, figure: Figure) -> dict[str, Writer]:
    """Return the files of a plot, with what made it in a corner."""
    from sim.report.plots.results import save, stamp

    stamp(figure, made_by_line())
    return {f"{name}{suffix}": lambda file: save(figure, file) for suffix in (".svg", ".png")}


def plots_of(draw: Callable[[], dict[str, Writer]]) -> dict[str, Writer]:
    """Return the files of plots; none where what draws them is not installed."""
    return {} if lacking("matplotlib") else draw()


def scenario_writer(name: str, scenario: Scenario) -> dict[str, Writer]:
    """Return the file of the resolved scenario: running it again gives the same bytes."""

    def write(file: Path) -> None:
        file.write_text(dump_scenario(scenario), encoding="utf-8")

    return {f"{name}.yaml": write}


def result_writers(result: Result) -> dict[str, Writer]:
    """Return the files of `vhost-sim run --out`."""
    return {
        **frame_writers("results", result.to_frame()),
        **scenario_writer("scenario", result.scenario),
        **plots_of(lambda: _rate_plots(result.points, result.scenario.name)),
    }


def _rate_plots(points: Sequence[Point], title: str) -> dict[str, Writer]:
    from sim.report.plots.results import cycles_figure, pps_figure

    return figure_writers("pps", pps_figure(points, title)) | figure_writers("cycles", cycles_figure(points, title))


def comparison_writers(comparison: Comparison, scenarios: list[Scenario]) -> dict[str, Writer]:
    """Return the files of `vhost-sim compare --out`; with two scenarios, both are kept."""
    title = " and ".join(dict.fromkeys(scenario.name for scenario in scenarios))
    names = ["scenario"] if len(scenarios) == 1 else ["scenario-1", "scenario-2"]
    kept = [scenario_writer(name, scenario) for name, scenario in zip(names, scenarios, strict=True)]
    return {
        **frame_writers("comparison", comparison.to_frame()),
        **{name: write for files in kept for name, write in files.items()},
        **plots_of(lambda: _rate_plots(comparison.points(), title)),
    }


def capacity_writers(capacities: Capacities) -> dict[str, Writer]:
    """Return the files of `vhost-sim capacity --out`."""
    return frame_writers("capacity", capacities.to_frame()) | scenario_writer("scenario", capacities.scenario)


def validation_writers(validation: Validation) -> dict[str, Writer]:
    """Return the files of `vhost-sim validate --out`."""

    def plot() -> dict[str, Writer]:
        from sim.report.plots.evidence import validation_figure

        title = f"published figures, calibration {validation.calibration or 'none'}"
        return figure_writers("validation", validation_figure(validation.rows, title))

    return frame_writers("validation", validation.to_frame()) | plots_of(plot)


def sensitivity_writers(result: Sensitivities) -> dict[str, Writer]:
    """Return the files of `vhost-sim sensitivity --out`."""

    def plot() -> dict[str, Writer]:
        from sim.report.plots.evidence import sensitivity_figure

        return figure_writers(result.method, sensitivity_figure(result))

    frame = result.to_frame().drop(columns="unit", errors="ignore")
    return frame_writers(result.method, frame) | plots_of(plot)


def sweep_writers(outcome: Outcome) -> dict[str, Writer]:
    """Return the plots of a sweep that was written to a folder; none of more points than are worth reading again.

    Their names begin with `_`, so that who reads the folder as one table does not meet them.
    """

    def plot() -> dict[str, Writer]:
        from sim.report.plots.sweeps import sweep_figures

        figures = sweep_figures(outcome.sweep, outcome.to_frame())
        written = [figure_writers(f"_{kind}", figure) for kind, figure in figures.items()]
        return {name: write for files in written for name, write in files.items()}

    drawn = outcome.folder is not None and outcome.points <= MOST_DRAWN_POINTS
    return plots_of(plot) if drawn else {}


def check_folder(folder: Path, argument: str = "folder") -> None:
    """Raise ConfigError, before anything is simulated, when results could not be written to `folder`."""
    parent = folder
    while not os.path.exists(parent):  # unlike Path.exists, False for a name that is too long
        parent = parent.parent
    if not parent.is_dir():
        raise ConfigError(f"{parent} is not a folder", key=argument, got=folder)
    try:
        with contextlib.suppress(FileNotFoundError):
            folder.stat()
        with tempfile.TemporaryFile(dir=parent):
            pass
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", key=argument, got=folder) from None


def write_all(folder: Path, writers: dict[str, Writer]) -> list[Path]:
    """Write every file beside the folder first and move them in when all are whole; return what was written."""
    check_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=".", suffix=".partial", dir=folder))
        try:
            for name, write in writers.items():
                write(partial / name)
            for name in writers:
                os.replace(partial / name, folder / name)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", key="folder", got=folder) from None
    return [folder / name for name in writers]
