"""A sensitivity study: its inputs, and which of them moves the answer by tornado, Morris or Sobol."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from pathlib import Path

import numpy as np

from sim.config.errors import ConfigError
from sim.config.loading import paths
from sim.config.loading.load import load_of, load_scenario
from sim.config.loading.reading import read_yaml
from sim.config.progress import Counted
from sim.config.scenario.scenario import Scenario
from sim.config.tables.study import Sensitivity, Value
from sim.costs.audit import quantities
from sim.study.runs.asked import refuse_unread_axes
from sim.study.runs.case import Case, Floats, entry, gain_or_rate, one_point
from sim.study.runs.pool import Job, Outcomes, run_jobs
from sim.study.sensitivity.screening import screen_by
from sim.study.sensitivity.tornado import Index, Method, Sensitivities, measure_next, swing_of, widest_first
from sim.study.sweep.design import Assignment, at_share, extremes
from sim.study.uncertainty.distributions import CENTRAL_90, at_shares

_SHOWN = 5
_STUDY = "sensitivity"
_OTHER_STUDIES = ("sweep", "calibration-study")


class Inputs:
    """The inputs of one study on its scenario; `fixed` are those without a range, which are left out."""

    def __init__(self, study: Sensitivity, configs: Path | None = None) -> None:
        self.study, self.configs = study, configs
        self.base = self._load({})
        self.own = {key: entry(self.base, key) for key, axis in study.inputs.items() if axis is None}
        self.fixed = [key for key, quantity in self.own.items() if quantity.drawn_from == "fixed"]
        for key, axis in study.inputs.items():
            if axis is not None and axis.values is None and axis.low == axis.high:
                self.fixed.append(key)
        self.keys = [key for key in study.inputs if key not in self.fixed]
        entries = list(quantities(self.base))
        self._tied = {key: [name for name, other in entries if other.moves_with == key] for key in self.own}
        self._cases: list[Case] = []
        self._numbers: dict[tuple[tuple[str, Value], ...], int | str] = {}

    def _load(self, settings: Assignment) -> Scenario:
        study = self.study
        everything = {**study.set, **settings, "access": study.access}
        return load_scenario(study.scenario, settings=everything, configs=self.configs)

    def point(self, shares: Floats) -> Assignment:
        """Return the values of all inputs at shares (0..1) of their ranges; entries that move along are included."""
        values: Assignment = {}
        for key, share in zip(self.keys, shares, strict=True):
            axis = self.study.inputs[key]
            if axis is not None:
                values[key] = at_share(axis, float(share))
                continue
            for name in (key, *self._tied[key]):
                values[name] = float(at_shares(entry(self.base, name), np.array(share)))
        return values

    def swung(self, key: str) -> list[Assignment]:
        """Return the points at which an input alone is moved: each of its choices, or both ends of its range."""
        choices = self.choices(key)
        if choices is not None:
            return [{key: choice} for choice in choices]
        names = {key, *self._tied.get(key, [])}
        at_ends = [self.point(np.where(np.array(self.keys) == key, end, 0.5)) for end in CENTRAL_90]
        return [{name: value for name, value in point.items() if name in names} for point in at_ends]

    def choices(self, key: str) -> list[Value] | None:
        """Return the values of an input that lists them, None for a range."""
        axis = self.study.inputs[key]
        return None if axis is None else axis.values

    def run(
        self, points: list[Assignment], executor: Executor | None = None, progress: Counted | None = None
    ) -> Outcomes:
        """Return the answer at each point; a point that fails is NaN, with its error."""
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
        answers = np.full(len(points), np.nan)
        answers[places] = gain_or_rate(outcomes.figures.reshape(-1, sides))
        errors = {places[job // sides]: text for job, text in outcomes.errors.items()}
        return Outcomes(answers, {**refused, **errors})

    def _is_entry(self, key: str) -> bool:
        return key in self.own or any(key in names for names in self._tied.values())

    def _case(self, point: Assignment) -> int | str:
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


def is_study(name: str, configs: Path | None, overrides: Sequence[str], question: str) -> bool:
    """Return whether a name or a file is a sensitivity study, and not a scenario.

    ConfigError, in the name of the `question`, for a name that is neither, for a study of another kind, and for changes
    of keys beside a study.
    """
    scenarios = paths.names("scenario", configs)
    if name in scenarios:
        return False
    kind = _kind(name, configs)
    if kind is None and "/" not in name and not name.endswith((".yaml", ".yml")):
        known = (*scenarios, *paths.names(_STUDY, configs))
        raise ConfigError(f"unknown scenario or study '{name}'", got=name, expected=known, listed="scenarios")
    if kind in _OTHER_STUDIES:
        raise ConfigError(f"{name} is a {kind}: {question} is of a scenario or of a sensitivity study")
    if kind == _STUDY and overrides:
        raise ConfigError(f"{name}: a study states its own settings; changes of keys go with a scenario")
    return kind == _STUDY


def _kind(name: str, configs: Path | None) -> str | None:
    """Return the kind of study that a name or a file is, None for a scenario's or for what does not exist."""
    if name.endswith((".yaml", ".yml")) and os.path.isfile(name):
        return str(read_yaml(Path(name)).get("kind"))
    return next((kind for kind in (_STUDY, *_OTHER_STUDIES) if name in paths.names(kind, configs)), None)


def load_sensitivity(reference: str, configs: Path | None = None) -> Sensitivity:
    """Load a sensitivity study by name or path. ConfigError for a key of a study of your own that no Plan reads."""
    study, file = load_of(Sensitivity, reference, configs), paths.find("sensitivity", reference, configs)
    if not paths.is_shipped(file):
        settings = {**study.set, "access": study.access}
        axes = {key: [] if axis is None else extremes(axis) for key, axis in study.inputs.items()}
        refuse_unread_axes(file, study.scenario, settings, axes, configs)
    return study


def sensitivity(
    study: Sensitivity,
    method: Method,
    configs: Path | None = None,
    executor: Executor | None = None,
    progress: Counted | None = None,
) -> Sensitivities:
    """Run a study by one method. Raises ConfigError for an input that is no key and has no range."""
    screen = None if method == "tornado" else screen_by(method)
    inputs = Inputs(study, configs)
    findings = [f"{', '.join(inputs.fixed)}: low = high, so nothing can depend on it"] if inputs.fixed else []
    first = inputs.run([{}])
    if first.errors:
        raise ConfigError(first.errors[0])
    nominal, points_run = float(first.figures[0]), 1

    def answer(points: list[Assignment]) -> Floats:
        nonlocal points_run
        outcomes = inputs.run(points, executor, progress)
        points_run += len(points)
        findings.extend(_failures(points, outcomes.errors))
        return outcomes.figures

    def answer_at(shares: Floats) -> Floats:
        return answer([inputs.point(row) for row in shares])

    indices: list[Index] = []
    remarks: list[str] = []
    if inputs.keys and screen is None:
        indices = _tornado(inputs, answer, nominal)
    elif inputs.keys and screen is not None:
        size = study.trajectories if method == "morris" else study.samples
        indices, remarks = screen(answer_at, inputs.keys, size, study.seed)
    findings += [*remarks, *measure_next(method, indices)]
    unit, sides = ("%", len(study.access)) if study.output == "gain" else ("packets/s of all queues", 1)
    runs = points_run * sides
    return Sensitivities(study.name, method, study.output, unit, nominal, runs, tuple(indices), tuple(findings))


def _failures(points: Sequence[Assignment], errors: dict[int, str]) -> list[str]:
    if not errors:
        return []
    shown = [_described(number, points[number], why) for number, why in list(errors.items())[:_SHOWN]]
    more = [f"... and {len(errors) - _SHOWN} more"] if len(errors) > _SHOWN else []
    return [f"{len(errors)} of {len(points)} points failed and are left out", *shown, *more]


def _described(number: int, point: Assignment, why: str) -> str:
    return f"point {number} ({', '.join(f'{key}={value}' for key, value in point.items())}): {why}"


def _tornado(inputs: Inputs, answer: Callable[[list[Assignment]], Floats], nominal: float) -> list[Index]:
    """Swing one input at a time, the others as they are."""
    points = {key: inputs.swung(key) for key in inputs.keys}
    answers = answer([point for swung in points.values() for point in swung])
    swings, first = [], 0
    for key, swung in points.items():
        at_points = answers[first : first + len(swung)]
        swings.append(swing_of(key, at_points, nominal, choices=inputs.choices(key) is not None))
        first += len(swung)
    return widest_first(index for index in swings if index is not None)
