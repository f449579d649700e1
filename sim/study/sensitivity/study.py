"""A sensitivity study: its inputs, and which of them moves the answer by tornado, Morris or Sobol."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sim.config.errors import ConfigError
from sim.config.loading.load import load_scenario, load_table
from sim.config.scenario.scenario import Scenario
from sim.config.tables.sensitivity import Sensitivity
from sim.config.tables.sweep import Value
from sim.costs.audit import quantities
from sim.study.runs.case import Case, one_point
from sim.study.runs.pool import Job, Outcomes, Progress, run_jobs
from sim.study.runs.values import entry
from sim.study.sensitivity.screening import morris, sobol
from sim.study.sensitivity.tornado import ENDS, Index, Method, Sensitivities, measure_next
from sim.study.sweep.design import at_share
from sim.study.uncertainty.distributions import at_shares

Floats = npt.NDArray[np.float64]

Point = dict[str, Value]

_SHOWN = 5


def load_sensitivity(reference: str, configs: Path | None = None) -> Sensitivity:
    """Load a sensitivity study by name or path."""
    study = load_table("sensitivity", reference, configs)
    assert isinstance(study, Sensitivity)
    return study


def sensitivity(
    study: Sensitivity,
    method: Method,
    configs: Path | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Sensitivities:
    """Run a study by one method. Raises ConfigError for an input that is no key and has no range."""
    inputs = Inputs(study, configs)
    findings = [f"{', '.join(inputs.fixed)}: low = high, so nothing can depend on it"] if inputs.fixed else []
    nominal = inputs.run([{}])
    if nominal.errors:
        raise ConfigError(nominal.errors[0])
    runs = {"points": 1}

    def answer(points: list[Point]) -> Floats:
        outcomes = inputs.run(points, executor, progress)
        runs["points"] += len(points)
        findings.extend(_failures(inputs, points, outcomes.errors))
        return outcomes.figures

    if not inputs.keys:
        indices: list[Index] = []
    elif method == "tornado":
        indices = _tornado(inputs, answer, float(nominal.figures[0]))
    else:
        screen = {"morris": morris, "sobol": sobol}[method]
        size = study.trajectories if method == "morris" else study.samples

        def at(shares: Floats) -> Floats:
            return answer([inputs.point(row) for row in shares])

        indices, said = screen(at, inputs.keys, size, study.seed)
        findings += said
    findings += measure_next(method, indices)
    unit = "%" if study.output == "gain" else "packets/s"
    total = runs["points"] * len(study.access if study.output == "gain" else [1])
    return Sensitivities(
        study.name, method, study.output, unit, float(nominal.figures[0]), total, tuple(indices), tuple(findings)
    )


def _failures(inputs: Inputs, points: Sequence[Point], errors: dict[int, str]) -> list[str]:
    said = [inputs.describe(number, points[number], why) for number, why in list(errors.items())[:_SHOWN]]
    if not said:
        return []
    more = len(errors) - len(said)
    return [f"{len(errors)} of {len(points)} points failed and are left out", *said] + (
        [f"... and {more} more"] if more else []
    )


def _tornado(inputs: Inputs, answer: Callable[[list[Point]], Floats], nominal: float) -> list[Index]:
    """Swing one input at a time, the others as they are."""
    points: list[Point] = []
    spans: list[tuple[str, int, int]] = []
    for place, key in enumerate(inputs.keys):
        choices = inputs.choices(key)
        first = len(points)
        if choices is not None:
            points += [{key: choice} for choice in choices]
        else:
            for end in ENDS:
                whole = inputs.point(np.where(np.arange(len(inputs.keys)) == place, end, 0.5))
                points.append({name: value for name, value in whole.items() if inputs.belongs(name, key)})
        spans.append((key, first, len(points)))
    answers = answer(points)
    indices = []
    for key, first, last in spans:
        mine = answers[first:last]
        good = mine[np.isfinite(mine)]
        if len(good) == 0:
            continue
        low, high = (float(good[0]), float(good[-1])) if inputs.choices(key) is None else (good.min(), good.max())
        swing = float(max(*good, nominal) - min(*good, nominal)) if len(good) else 0.0
        indices.append(Index(key, {"low": float(low), "high": float(high), "swing": swing}, {}))
    return sorted(indices, key=lambda one: -one.values["swing"])


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
