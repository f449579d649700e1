"""Inputs of a sensitivity study: shares of their ranges become values, values become scenarios and runs."""

from __future__ import annotations

from concurrent.futures import Executor
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sim.config.errors import ConfigError
from sim.config.loading.load import load_scenario
from sim.config.scenario.scenario import Scenario
from sim.config.tables.study import Sensitivity, Value
from sim.costs.audit import quantities
from sim.study.evidence.figures import Case
from sim.study.runs.pool import Job, Outcomes, Progress, run_jobs
from sim.study.runs.values import entry
from sim.study.sweep.design import at_share
from sim.study.uncertainty.distributions import at_shares
from sim.study.uncertainty.intervals import one_point

Floats = npt.NDArray[np.float64]
Point = dict[str, Value]


class Inputs:
    """The inputs of one study on its scenario; `fixed` are those without a range, which are left out."""

    def __init__(self, study: Sensitivity, configs: Path | None = None) -> None:
        self.study, self.configs = study, configs
        self.base = self._load({})
        self.own = {key: entry(self.base, key) for key, axis in study.inputs.items() if axis is None}
        self.fixed = [key for key, quantity in self.own.items() if quantity.drawn_from == "fixed"]
        self.fixed += [key for key, axis in study.inputs.items() if axis is not None and axis.values is None
                       and axis.low == axis.high]  # fmt: skip
        self.keys = [key for key in study.inputs if key not in self.fixed]
        self._tied = {
            key: [name for name, other in quantities(self.base) if other.moves_with == key] for key in self.own
        }
        self._cases: list[Case] = []
        self._numbers: dict[tuple[tuple[str, Value], ...], int | str] = {}

    def _load(self, settings: Point) -> Scenario:
        study = self.study
        everything = {**study.set, **settings, "access": study.access}
        return load_scenario(study.scenario, settings=everything, configs=self.configs)

    def point(self, shares: Floats) -> Point:
        """Return the values of all inputs at shares (0..1) of their ranges; entries that move along are included."""
        values: Point = {}
        for key, share in zip(self.keys, shares, strict=True):
            axis = self.study.inputs[key]
            if axis is not None:
                values[key] = at_share(axis, float(share))
                continue
            for name in (key, *self._tied[key]):
                values[name] = float(at_shares(entry(self.base, name), np.array(share)))
        return values

    def belongs(self, name: str, key: str) -> bool:
        """Whether a value is that of an input or of an entry that moves along with it."""
        return name == key or name in self._tied.get(key, [])

    def choices(self, key: str) -> list[Value] | None:
        """Return the values of an input that lists them, None for a range."""
        axis = self.study.inputs[key]
        return None if axis is None else axis.values

    def run(self, points: list[Point], executor: Executor | None = None, progress: Progress | None = None) -> Outcomes:
        """Return the answer at each point; a point that fails is NaN, with what it died of."""
        jobs: list[Job] = []
        places: list[int] = []
        refused: dict[int, str] = {}
        sides = 2 if self.study.output == "gain" else 1
        for number, point in enumerate(points):
            first = self._case(point)
            if isinstance(first, str):
                refused[number] = first
                continue
            values = {key: float(value) for key, value in point.items() if self._is_entry(key)}
            jobs += [Job(first + side, values) for side in range(sides)]
            places.append(number)
        outcomes = run_jobs(self._cases, jobs, executor, progress)
        rates = outcomes.figures.reshape(-1, sides)
        answers = np.full(len(points), np.nan)
        answers[places] = 100 * (rates[:, 1] / rates[:, 0] - 1) if sides == 2 else rates[:, 0]
        errors = {places[job // sides]: text for job, text in outcomes.errors.items()}
        return Outcomes(answers, {**refused, **errors})

    def _is_entry(self, key: str) -> bool:
        return key in self.own or any(key in names for names in self._tied.values())

    def _case(self, point: Point) -> int | str:
        """Return the number of the first case with a point's settings, or why they are refused."""
        settings = {key: value for key, value in point.items() if not self._is_entry(key)}
        name = tuple(settings.items())
        if name not in self._numbers:
            try:
                scenario = self._load(settings)
                size = scenario.traffic.sizes[0]
                cases = [Case(one_point(scenario, access, size)) for access in self.study.access]
                self._numbers[name] = len(self._cases)
                self._cases += cases
            except ConfigError as error:
                self._numbers[name] = str(error)
        return self._numbers[name]

    def describe(self, number: int, point: Point, why: str) -> str:
        """Name a point that failed."""
        return f"point {number} ({', '.join(f'{key}={value}' for key, value in point.items())}): {why}"
