"""Fit free table entries to published figures: maximum a posteriori, draws of the posterior, findings in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import combinations as pairs
from math import hypot, log
from pathlib import Path

import numpy as np
import yaml

from sim.config.answer import counted
from sim.config.errors import ConfigError
from sim.config.loading.files import write_whole
from sim.config.loading.load import load_of, load_scenario
from sim.config.progress import Counted
from sim.config.scenario.scenario import Scenario
from sim.config.tables.calibration import Calibration, Combination, Correlation, Fitted, Residual, Shift
from sim.config.tables.quantity import Quantity
from sim.config.tables.study import CalibrationStudy, Parameter
from sim.study.evidence.figures import Figure, load_measurements, select
from sim.study.evidence.posterior import CONTRADICTION, Data, Fit, fit
from sim.study.runs.case import Floats, entry
from sim.study.runs.pool import Job, run_jobs
from sim.study.uncertainty.distributions import at_scores, central_90

#: Standard normal score that ends the central 90 %; a parameter pulled beyond 2 is reported as at the edge.
EDGE = 2.0
_STRONG = 0.3
_FAR = 3.0
_PARTS = 6


@dataclass(frozen=True)
class Free:
    """A free parameter with its prior; `tied` are the keys that take its score too, each with its own range."""

    parameter: Parameter
    prior: Quantity
    tied: tuple[tuple[str, Quantity], ...]


def load_study(reference: str, configs: Path | None = None) -> CalibrationStudy:
    """Load a calibration study by name or path."""
    return load_of(CalibrationStudy, reference, configs)


class Problem:
    """The model of one study: scores of parameters and sessions in, logarithms of the measured figures out."""

    def __init__(self, study: CalibrationStudy, used: Sequence[Figure], free: Sequence[Free]) -> None:
        self.study, self.used, self.free = study, list(used), list(free)
        reference = study.reference
        rates = [figure for figure in used if figure.entry.quantity == "pps" and figure.file.name != reference]
        spreads = {figure.file.name: figure.file.spread / 2 for figure in rates if figure.file.spread}
        self.sessions = spreads if reference else {}
        self.cases = [case for figure in used for case in figure.cases]
        self.target = np.log([figure.entry.value for figure in used])
        self.sigma = np.array([figure.sigma for figure in used])
        self.executor: Executor | None = None
        self.progress: Counted | None = None

    @property
    def size(self) -> int:
        """Number of scores: parameters, then sessions."""
        return len(self.free) + len(self.sessions)

    def values(self, scenario: Scenario, scores: Floats) -> dict[str, float]:
        """Return the values that a scenario's entries take at some scores of the parameters."""
        values = {}
        for free, score in zip(self.free, scores, strict=False):
            if free.parameter.concerns(scenario.cpu.name, scenario.kernel.name):
                for key, prior in ((free.parameter.key, free.prior), *free.tied):
                    values[key] = float(at_scores(prior, score))
        return values

    def coordinates(self, points: Floats) -> Floats:
        """Return what the logarithms are smooth in: values as shares of their range, shifts as they are."""
        columns = []
        for number, prior in enumerate(free.prior for free in self.free):
            columns.append((at_scores(prior, points[:, number]) - prior.value) / ((prior.high - prior.low) or 1.0))
        return np.concatenate([np.stack(columns, axis=1), points[:, len(self.free) :]], axis=1)

    def __call__(self, points: Floats) -> Floats:
        """Return the logarithms of the figures, one row per row of scores."""
        cases = list(enumerate(self.cases))
        jobs = [Job(number, self.values(case.scenario, scores)) for scores in points for number, case in cases]
        outcomes = run_jobs(self.cases, jobs, self.executor, self.progress)
        table = outcomes.figures.reshape(len(points), len(self.cases))
        columns, first = [], 0
        for figure in self.used:
            columns.append(np.log(figure.combine(table[:, first : first + len(figure.cases)])))
            first += len(figure.cases)
        return np.stack(columns, axis=1) + points[:, len(self.free) :] @ self._shifts()

    def _shifts(self) -> Floats:
        """Return how each session's score moves each figure; ratios and shares are not moved."""
        moves = np.zeros((len(self.sessions), len(self.used)))
        for row, (name, spread) in enumerate(self.sessions.items()):
            for column, figure in enumerate(self.used):
                if figure.file.name == name and figure.entry.quantity == "pps":
                    moves[row, column] = spread
        return moves


def calibrate(
    study: CalibrationStudy,
    configs: Path | None = None,
    executor: Executor | None = None,
    progress: Counted | None = None,
    without: str | None = None,
) -> Calibration:
    """Fit a study; `without` leaves the figures of one measurement file out.

    Raises ConfigError when a parameter is no entry or a measurement is unknown, and when nothing of it is modelled.
    """
    bare = {"calibration": None}
    named = select(load_measurements(configs), study.measurements, configs, bare)
    wanted = [figure for figure in named if figure.file.name != without]
    used = [figure for figure in wanted if figure.problem is None]
    if not used:
        raise ConfigError(f"study {study.name}: none of its measurements is modelled")
    for figure in used:
        if figure.entry.is_count or not figure.entry.value:
            raise ConfigError(f"study {study.name}: {figure.name} is a count or 0: no cost can be fitted to it")
    problem = Problem(study, used, _free(study, named, configs))
    problem.executor, problem.progress = executor, progress
    data = Data(problem.target, problem.sigma, problem.coordinates)
    fitted = fit(problem, data, problem.size, study.draws, study.trials, study.seed)
    return _report(study, problem, fitted, {f.name: f.problem or "" for f in wanted if f.problem})


def _free(study: CalibrationStudy, figures: Sequence[Figure], configs: Path | None) -> list[Free]:
    free, measured = [], [case.scenario for figure in figures for case in figure.cases]
    for parameter in study.parameters:
        scenario = _with_prior(study, parameter, measured, configs)
        prior = entry(scenario, parameter.key)
        table = scenario.cpu.primitives if parameter.key.startswith("cpu.") else {}
        tied = [(name, other) for name, other in table.items() if other.moves_with == parameter.key]
        free.append(Free(parameter, prior, tuple((f"cpu.primitives.{name}", other) for name, other in tied)))
    return free


def _with_prior(
    study: CalibrationStudy, parameter: Parameter, measured: Sequence[Scenario], configs: Path | None
) -> Scenario:
    """Return the scenario whose entry is the prior of a parameter.

    That is the table of the first CPU or kernel that the parameter names, else the table that its measurements are of.
    ConfigError when those are several whose priors differ, and when no measurement is of what the parameter names.
    """
    concerned = [each for each in measured if parameter.concerns(each.cpu.name, each.kernel.name)]
    if not concerned:
        names = ", ".join((*parameter.cpus, *parameter.kernels))
        raise ConfigError(f"study {study.name}: {parameter.key}: none of its measurements is of {names}")
    family = parameter.key.partition(".")[0]
    named = {"cpu": parameter.cpus[:1], "kernel": parameter.kernels[:1]}
    settings: dict[str, str | None] = {"calibration": None, **{key: names[0] for key, names in named.items() if names}}
    base = load_scenario(study.scenario, settings=settings, configs=configs)
    if named.get(family, [""]):  # a table is named, or none holds the entry
        return base
    of_table = {getattr(each, family).name: each for each in concerned}
    priors = {name: entry(each, parameter.key) for name, each in of_table.items()}
    if len({(prior.value, prior.low, prior.high, prior.drawn_from) for prior in priors.values()}) > 1:
        raise ConfigError(
            f"study {study.name}: {parameter.key}: its measurements are of {' and '.join(sorted(priors))}, "
            f"whose priors differ; a parameter for each is needed ({family}s: [{min(priors)}])"
        )
    return next(iter(of_table.values()))


def _report(study: CalibrationStudy, problem: Problem, fitted: Fit, missing: dict[str, str]) -> Calibration:
    columns: list[Floats] = []
    parameters: list[Fitted] = []
    for number, free in enumerate(problem.free):
        for key, prior in ((free.parameter.key, free.prior), *free.tied):
            sample = at_scores(prior, fitted.draws[:, number])
            parameters.append(_fitted(study, free.parameter, key, prior, float(fitted.scores[number]), sample))
            columns.append(sample)
    shifts = []
    for number, (name, spread) in enumerate(problem.sessions.items(), len(problem.free)):
        error = float(np.std(fitted.draws[:, number])) * spread
        value = float(fitted.scores[number]) * spread
        shifts.append(Shift(session=name, value=_short(value), error=_short(error), spread=_short(spread)))
    residuals = [
        Residual(
            measurement=figure.name,
            measured=figure.entry.value,
            predicted=_short(float(np.exp(predicted))),
            sigma=_short(figure.sigma),
            residual=_short(float(residual), 3),
        )
        for figure, predicted, residual in zip(problem.used, fitted.predicted, fitted.residuals, strict=True)
    ]
    scenarios = [case.scenario for case in problem.cases]
    combinations = _combinations(problem, fitted)
    return Calibration(
        schema_=1,
        name=study.name,
        title=study.title,
        study=study.name,
        fitted_on={
            "cpus": sorted({scenario.cpu.name for scenario in scenarios}),
            "kernels": sorted({scenario.kernel.name for scenario in scenarios}),
            "access": sorted({scenario.access[0].name for scenario in scenarios}),
        },
        parameters=parameters,
        shifts=shifts,
        correlations=_correlations(problem, fitted),
        combinations=combinations,
        residuals=residuals,
        not_modelled=missing,
        chi_square=_short(fitted.chi_square),
        findings=calibration_findings(study, problem.used, fitted, parameters, combinations),
        effective_draws=_short(fitted.effective, 3),
        draws="".join(" ".join(f"{number:.5g}" for number in row) + "\n" for row in np.stack(columns, axis=1)),
    )


def _fitted(
    study: CalibrationStudy, parameter: Parameter, key: str, prior: Quantity, score: float, sample: Floats
) -> Fitted:
    value = float(f"{float(at_scores(prior, np.array(score))):.5g}")
    low, high = (float(f"{number:.5g}") for number in central_90(sample))
    return Fitted(
        key=key,
        cpus=parameter.cpus,
        kernels=parameter.kernels,
        value=value,
        error=_short(float(np.std(sample)), 3),
        unit=prior.unit,
        low=min(low, value),
        high=max(high, value),
        source=f"fitted by calibration {study.name}; prior: {prior.source}",
        grade="derived",
        prior=prior,
        pull=_short(score, 3),
        at_edge=abs(score) > EDGE,
    )


def parameter_names(free: Sequence[Free]) -> list[str]:
    """Return names of parameters: the key, with the first CPU or kernel where the same key is fitted twice."""
    parameters = [parameter.parameter for parameter in free]
    keys = Counter(parameter.key for parameter in parameters)

    def name(parameter: Parameter) -> str:
        tables = ", ".join(parameter.cpus[:1] + parameter.kernels[:1])
        return f"{parameter.key} ({tables})" if keys[parameter.key] > 1 else parameter.key

    return [name(parameter) for parameter in parameters]


def _correlations(problem: Problem, fitted: Fit) -> list[Correlation]:
    """Return the stronger correlations of the draws, strongest first."""
    names = [*parameter_names(problem.free), *(f"session {name}" for name in problem.sessions)]
    if len(names) < 2 or len(fitted.draws) < 3:
        return []
    with np.errstate(invalid="ignore"):
        table = np.atleast_2d(np.corrcoef(fitted.draws.T))
    pairs = [
        Correlation(first=names[a], second=names[b], value=_short(float(table[a, b]), 2))
        for a in range(len(names))
        for b in range(a + 1, len(names))
        if abs(table[a, b]) >= _STRONG
    ]
    return sorted(pairs, key=lambda pair: -abs(pair.value))


def _combinations(problem: Problem, fitted: Fit) -> list[Combination]:
    """Return the directions that the data knows better than the prior, best known first."""
    names = [*parameter_names(problem.free), *(f"session {name}" for name in problem.sessions)]
    made = []
    for information, direction in zip(*fitted.information(), strict=True):
        if information > 1:
            order = np.argsort(-np.abs(direction))[:_PARTS]
            sign = np.sign(direction[order[0]])
            weights = {names[number]: _short(float(sign * direction[number]), 2) for number in order}
            made.append(Combination(information=_short(float(information), 3), weights=weights))
    return made


def _short(value: float, digits: int = 4) -> float:
    return float(f"{value:.{digits}g}")


def write_calibration(calibration: Calibration, file: Path) -> None:
    """Write a calibration file, whole or not at all."""
    text = "# Written by `vhost-sim calibrate`; the numbers are fitted, not measured.\n"
    text += yaml.dump(calibration.to_dict(), Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)
    write_whole(file, text)


class _Dumper(yaml.SafeDumper):
    """Writes the table of draws as a block of lines."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def calibration_findings(
    study: CalibrationStudy,
    used: Sequence[Figure],
    fit: Fit,
    parameters: Sequence[Fitted],
    known: Sequence[Combination],
) -> list[str]:
    """Return the sentences, the general ones first."""
    return [
        _identified(used, parameters, known),
        *_fixed(parameters),
        *_edges(parameters),
        *_contradictions(study, used, fit),
        *_thin(study, fit),
    ]


def _identified(used: Sequence[Figure], parameters: Sequence[Fitted], known: Sequence[Combination]) -> str:
    free = sum(parameter.prior.drawn_from != "fixed" for parameter in parameters)
    verb = "identifies" if len(used) == 1 else "identify"
    said = (
        f"{counted(len(used), 'measurement')} {verb} {counted(len(known), 'combination')} of {counted(free, 'value')}"
    )
    if not known:
        return f"{said}: they say less than the priors"
    parts = "; ".join(
        " ".join(f"{value:+.2f} {name}" for name, value in list(combination.weights.items())[:4])
        for combination in known
    )
    return f"{said} (in scores of the priors: {parts}); along every other direction the priors stand"


def _fixed(parameters: Sequence[Fitted]) -> list[str]:
    names = [parameter.key for parameter in parameters if parameter.prior.drawn_from == "fixed"]
    return [f"low = high in the table, so nothing is fitted: {', '.join(names)}"] if names else []


def _edges(parameters: Sequence[Fitted]) -> list[str]:
    return [
        f"{fitted.key} is at the edge of its range: {fitted.value:g} in "
        f"[{fitted.prior.low:g}, {fitted.prior.high:g}] {fitted.unit}, "
        f"pulled {fitted.pull:+.1f} from the table's {fitted.prior.value:g}"
        for fitted in parameters
        if fitted.at_edge
    ]


def _contradictions(study: CalibrationStudy, used: Sequence[Figure], fit: Fit) -> list[str]:
    """Say when the data cannot all hold, and name the pairs that measured the same thing differently."""
    said = []
    for a, b in pairs(range(len(used)), 2):
        if used[a].cases == used[b].cases:
            first, second = used[a].entry.value, used[b].entry.value
            apart = abs(log(first / second)) / hypot(used[a].sigma, used[b].sigma)
            if apart > _FAR:
                names = f"{used[a].name} and {used[b].name}"
                shifted = study.reference is not None and used[a].file.name != used[b].file.name
                way_out = ", only shifts of their sessions" if shifted else ""
                said.append(
                    f"{names} measured the same configuration {first / second - 1:+.1%} apart "
                    f"({apart:.0f} times their errors): no parameter can meet both{way_out}"
                )
    if fit.consistency < CONTRADICTION:
        worst = max(range(len(used)), key=lambda number: abs(fit.residuals[number]))
        said.append(
            f"the measurements contradict each other or the model: chi-square {fit.chi_square:.1f} for {len(used)}; "
            f"furthest off is {used[worst].name} at {fit.residuals[worst]:+.1f} times its error"
        )
    return said


def _thin(study: CalibrationStudy, fit: Fit) -> list[str]:
    if fit.effective >= 0.1 * study.trials or fit.effective >= study.draws:
        return []
    return [
        f"the posterior sample rests on {fit.effective:.0f} effective of {study.trials} trials: "
        "intervals are rough, more trials make them finer"
    ]
