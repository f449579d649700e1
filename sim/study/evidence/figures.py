"""Published figures laid beside the model: which of them it can predict, and as which runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import hypot, sqrt
from pathlib import Path
from typing import Any

import numpy as np

from sim.config.errors import ConfigError
from sim.config.loading import paths
from sim.config.loading.load import Scenarios, load_of
from sim.config.scenario.scenario import Scenario
from sim.config.tables.measurement import COUNTS, Entry, Measurements
from sim.datapath.applications.messages import is_application, payload
from sim.study.runs.case import Case, Floats
from sim.study.runs.functions import known_functions


@dataclass(frozen=True)
class Figure:
    """One published figure and how the model makes it: a case, or two for a ratio or a difference.

    `problem` says why there is none.
    """

    file: Measurements
    entry: Entry
    cases: tuple[Case, ...] = ()
    problem: str | None = None

    @property
    def name(self) -> str:
        """Name by which studies refer to it: FILE/ID."""
        return f"{self.file.name}/{self.entry.id}"

    @property
    def sigma(self) -> float:
        """Relative standard deviation of the figure in its session: noise, and the rounding as an even error."""
        noise = self.file.noise if self.entry.noise is None else self.entry.noise
        if not self.entry.value:
            return noise
        return hypot(noise, (self.entry.high - self.entry.low) / self.entry.value / sqrt(12))

    def combine(self, figures: Floats) -> Floats:
        """Make the figure of what its cases gave (last axis)."""
        if self.entry.quantity == "throughput":
            return np.asarray(figures[..., 0] * payload(self.cases[0].scenario) * 8 / 1e9)
        if len(self.cases) == 1:
            return np.asarray(figures[..., 0])
        first, second = figures[..., 0], figures[..., 1]
        return np.asarray(first - second if self.entry.is_count else first / second)


def load_measurements(configs: Path | None = None) -> list[Measurements]:
    """Load every measurement file, shipped and your own."""
    return [load_of(Measurements, name, configs) for name in sorted(paths.names("measurement", configs))]


def figures(
    files: Sequence[Measurements], configs: Path | None = None, settings: Mapping[str, Any] | None = None
) -> list[Figure]:
    """Resolve every figure of some files; `settings` (a calibration, say) come before the figure's own."""
    scenarios = _Scenarios(configs)
    return [_resolve(file, entry, scenarios, settings or {}) for file in files for entry in file.figures()]


def select(
    files: Sequence[Measurements],
    names: Sequence[str],
    configs: Path | None = None,
    settings: Mapping[str, Any] | None = None,
) -> list[Figure]:
    """Resolve the figures that a study names, by file or as FILE/ID. ConfigError for a name that is none."""
    known = {f"{file.name}/{entry.id}": (file, entry) for file in files for entry in file.figures()}
    chosen: dict[str, tuple[Measurements, Entry]] = {}
    for name in names:
        matching = {full: pair for full, pair in known.items() if name in (full, pair[0].name)}
        if not matching:
            rates = [full for full, (_, entry) in known.items() if entry.quantity not in COUNTS]
            names = [*rates, *(file.name for file in files)]
            raise ConfigError(f"unknown measurement '{name}'", got=name, expected=names)
        chosen.update(matching)
    scenarios = _Scenarios(configs)
    return [_resolve(file, entry, scenarios, settings or {}) for file, entry in chosen.values()]


class _Scenarios:
    """The scenarios that figures refer to: each file is read once, and one configuration is one scenario."""

    def __init__(self, configs: Path | None) -> None:
        self._configs = configs
        self._files: dict[str, Scenarios] = {}
        self._loaded: dict[str, Scenario] = {}

    def load(self, name: str, settings: Mapping[str, Any]) -> Scenario:
        """Return a scenario under settings. ConfigError for anything that is wrong."""
        if name not in self._files:
            self._files[name] = Scenarios(name, self._configs)
        configuration = repr((name, list(settings.items())))
        if configuration not in self._loaded:
            self._loaded[configuration] = self._files[name].load(settings)
        return self._loaded[configuration]


def _resolve(file: Measurements, entry: Entry, scenarios: _Scenarios, settings: Mapping[str, Any]) -> Figure:
    sides = [file.settings(entry)] + ([file.baseline_settings(entry)] if entry.baseline else [])
    try:
        cases = tuple(_case(file, entry, {**settings, **side}, scenarios) for side in sides)
    except ConfigError as error:
        return Figure(file, entry, problem=_in_words(file, str(error.replace(file=None))))
    return Figure(file, entry, cases)


def _in_words(file: Measurements, problem: str) -> str:
    """Say a problem in the words that the file has for the setting that it names, if it has any."""
    return next((words for key, words in file.not_modelled.items() if key in problem), problem)


def _case(file: Measurements, entry: Entry, settings: Mapping[str, Any], scenarios: _Scenarios) -> Case:
    """Resolve one side of a figure; the plan is built, so that what the model does not know shows here."""
    scenario = scenarios.load(file.scenario, settings)
    if entry.quantity == "throughput" and not is_application(scenario):
        raise ConfigError("a throughput is that of an application", key="traffic.application")
    quantity = "pps" if entry.quantity in ("ratio", "throughput") else entry.quantity
    case = Case(scenario, quantity, tuple(entry.functions))
    if entry.functions:
        not_run = scenario.kernel.named_functions if entry.quantity == "instructions" else set()  # 0 is a count, too
        if not (known_functions(case.plan) | not_run) & set(entry.functions):
            raise ConfigError(f"no row of the plan stands for {', '.join(entry.functions)}")
    return case
