"""The baseline of one host: its measurements as a study, their calibration, and the scenario that starts from it."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np

from sim.config.errors import ConfigError
from sim.config.loading import paths
from sim.config.loading.files import write_whole, written_yaml
from sim.config.loading.load import load_of
from sim.config.progress import Counted
from sim.config.tables.calibration import Calibration
from sim.config.tables.cpu import Cpu
from sim.config.tables.measurement import Measurements
from sim.config.tables.quantity import Quantity
from sim.config.tables.study import CalibrationStudy, Parameter
from sim.study.evidence.calibrate import calibrate, write_calibration
from sim.study.evidence.figures import Figure, figures
from sim.study.runs.case import Floats, nested
from sim.study.runs.pool import Job, run_jobs
from sim.study.sensitivity.tornado import at_both_ends, moving_together
from sim.study.uncertainty.distributions import CENTRAL_90, Ranged

#: An entry is fitted when the ends of its central 90 % move some figure by this much, and no more than so many entries.
_LEAST_SWING = 0.003
_MOST_PARAMETERS = 16

DEFAULT_NAME = "here"
TRIALS = 1024


@dataclass(frozen=True)
class HostBaseline:
    """What was measured on one host: its profile, and the figures that costs can be fitted to, rates first."""

    configs: Path
    profile: Cpu
    figures: tuple[Figure, ...]

    @property
    def first(self) -> Figure:
        """The figure whose configuration is the baseline."""
        return self.figures[0]

    @property
    def files(self) -> list[Measurements]:
        """The measurement files, each once."""
        return list({figure.file.name: figure.file for figure in self.figures}.values())


def own_baseline(configs: Path | None) -> HostBaseline:
    """Collect the measurements in a folder of one's own, with the profile of the CPU that they were taken on.

    Raises ConfigError when there are none that a cost can be fitted to, when they are of several CPUs, and when that
    CPU is no measured profile.
    """
    if configs is None:
        raise ConfigError("the folder with the profile and the measurements of this host is needed", key="configs")
    names = [name for name, file in paths.names("measurement", configs).items() if configs in file.parents]
    files = [load_of(Measurements, name, configs) for name in sorted(names)]
    resolved = figures(files, configs, {"calibration": None})
    used = [figure for figure in resolved if not (figure.problem or figure.entry.is_count) and figure.entry.value]
    if not used:
        why = next((f": {figure.name}: {figure.problem}" for figure in resolved if figure.problem), "")
        raise ConfigError(
            f"no rate, ratio or share of your own that the model makes{why}", file=configs / "measurements"
        )
    used.sort(key=lambda figure: figure.entry.quantity != "pps")
    cpus = {case.scenario.cpu.name: case.scenario.cpu for figure in used for case in figure.cases}
    if len(cpus) > 1:
        raise ConfigError(f"measurements of several CPUs: {', '.join(sorted(cpus))}", file=configs / "measurements")
    (profile,) = cpus.values()
    if profile.measured is None:
        raise ConfigError(
            f"measurements of {used[0].file.name} name cpu={profile.name}, which is no profile of this host; "
            "`vhost-sim measure` writes one",
            file=configs / "measurements",
        )
    return HostBaseline(configs, profile, tuple(used))


def fit_baseline(
    baseline: HostBaseline,
    name: str,
    executor: Executor | None = None,
    progress: Counted | None = None,
) -> Calibration:
    """Fit the entries that move the figures most to those figures; the profile's ranges are the priors."""
    parameters = _free(baseline, executor, progress)
    if not parameters:
        raise ConfigError("no entry with a range moves what was measured", file=baseline.configs / "measurements")
    assert baseline.profile.measured is not None
    host = baseline.profile.measured.machine.model
    study = CalibrationStudy(
        schema_=1,
        name=name,
        title=f"baseline of {host}",
        scenario=baseline.first.file.scenario,
        parameters=parameters,
        measurements=[figure.name for figure in baseline.figures],
        trials=TRIALS,
    )
    return calibrate(study, baseline.configs, executor, progress).model_copy(update={"host": host})


def _free(baseline: HostBaseline, executor: Executor | None, progress: Counted | None) -> list[Parameter]:
    """Return the entries that move some figure, those that move one most first; one of each that move together."""
    cases = [case for figure in baseline.figures for case in figure.cases]
    groups = moving_together(cases)
    entries = {entry.key: entry for group in groups.values() for entry in group}
    together = {key: group for key, group in groups.items() if key in entries}
    values = at_both_ends(together.values())
    jobs = [Job(number, row) for row in values for number in range(len(cases))]
    ends = run_jobs(cases, jobs, executor, progress).figures.reshape(len(together), len(CENTRAL_90), len(cases))
    swings = {key: _swing(row) for key, row in zip(together, ends, strict=True)}
    moving = sorted((key for key, swing in swings.items() if swing > _LEAST_SWING), key=lambda key: -swings[key])
    return [_parameter(entries[key]) for key in moving[:_MOST_PARAMETERS]]


def _swing(ends: Floats) -> float:
    """Return how far the two ends of a range move any figure, as a share; 0 when an end cannot be run."""
    low, high = ends
    if not (np.isfinite(ends).all() and (ends > 0).all()):
        return 0.0
    return float(np.abs(np.log(high / low)).max())


def _parameter(entry: Ranged) -> Parameter:
    root = entry.key.partition(".")[0]
    table = {"cpu": "cpus", "kernel": "kernels"}.get(root)
    return Parameter(key=entry.key, **({table: [entry.home]} if table else {}))


def check_place(baseline: HostBaseline, file: Path) -> None:
    """Raise ConfigError for a calibration that the scenario beside it would not find."""
    configs = baseline.configs
    if file.parent.resolve() != (configs / "calibrations").resolve():
        raise ConfigError(
            f"a baseline belongs into {configs / 'calibrations'}, where its scenario looks for it", file=file
        )


def write_baseline(baseline: HostBaseline, calibration: Calibration, file: Path) -> list[Path]:
    """Write the calibration, and a scenario of the same name with the configuration that was measured."""
    write_calibration(calibration, file)
    first = baseline.first
    table = {
        "schema": 1,
        "kind": "scenario",
        "name": calibration.name,
        "extends": first.file.scenario,
        "title": f"{calibration.title}, as measured in {', '.join(file.name for file in baseline.files)}",
    }
    settings = {**first.file.settings(first.entry), "calibration": calibration.name}
    for key in settings:
        entry = reduce(getattr, key.split("."), first.cases[0].scenario)
        if isinstance(entry, Quantity):  # a file takes no bare number
            settings[key] = entry.model_dump(exclude_none=True)
    table |= nested(settings)
    text = "# Written by `vhost-sim calibrate`: the configuration that was measured, with the costs fitted to it.\n"
    scenario = baseline.configs / "scenarios" / f"{calibration.name}.yaml"
    write_whole(scenario, text + written_yaml(table))
    return [file, scenario]
