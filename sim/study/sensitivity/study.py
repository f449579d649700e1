"""Which input moves the answer: tornado, Morris screening, Sobol indices, and what to measure next."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sim.config.errors import ConfigError
from sim.config.loading.load import load_table
from sim.config.tables.study import Sensitivity
from sim.study.runs.pool import Progress
from sim.study.sensitivity.inputs import Inputs, Point

Floats = npt.NDArray[np.float64]
Method = Literal["tornado", "morris", "sobol"]

METHODS: tuple[Method, ...] = ("tornado", "morris", "sobol")
#: Shares of a range between which a tornado swings: its central 90 %.
ENDS = (0.05, 0.95)
_LEVELS = 4
_SHOWN = 5


@dataclass(frozen=True)
class Index:
    """One input: numbers of the method by name, half widths of their 95 % intervals, remarks on odd ones.

    tornado: `low`, `high` (answer at the ends or for the extreme choices), `swing`. morris: `mu_star`, `mu`, `sigma`.
    sobol: `S1`, `ST`.
    """

    key: str
    values: dict[str, float]
    half_widths: dict[str, float]
    remark: str = ""


@dataclass(frozen=True)
class Sensitivities:
    """The inputs of a study, most important first, and sentences on what went wrong or is left out."""

    study: str
    method: Method
    output: str
    unit: str
    nominal: float
    runs: int
    indices: tuple[Index, ...]
    findings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form of `vhost-sim sensitivity`."""
        return {"schema": 1, **self.__dict__, "indices": [one.__dict__ for one in self.indices],
                "findings": list(self.findings)}  # fmt: skip


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


def _problem(keys: Sequence[str]) -> dict[str, Any]:
    return {"num_vars": len(keys), "names": list(keys), "bounds": [[0.0, 1.0]] * len(keys)}


def _analysis_seed(seed: int) -> int:
    """SALib takes 0 for "no seed" in places; any other number is as good."""
    return 1 + seed % (2**31 - 2)


def sobol(
    answer: Callable[[Floats], Floats], keys: Sequence[str], samples: int, seed: int
) -> tuple[list[Index], list[str]]:
    """Return first-order and total Sobol indices by Saltelli's scheme, (inputs + 2) x samples runs, and remarks.

    `answer` takes rows of shares (0..1). A block of runs with a failure in it is left out whole.
    """
    from SALib.analyze import sobol as analysis
    from SALib.sample import sobol as sampling

    problem, block = _problem(keys), len(keys) + 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a number of samples that is no power of two is the user's choice
        shares = sampling.sample(problem, samples, calc_second_order=False, seed=_analysis_seed(seed))
    found = answer(np.asarray(shares, dtype=np.float64)).reshape(-1, block)
    kept = found[np.isfinite(found).all(axis=1)]
    said = _too_few(len(kept), "block of samples", samples)
    if len(kept) < 2 or np.ptp(kept) == 0:
        return [], [*said, _constant(kept)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = analysis.analyze(problem, kept.ravel(), calc_second_order=False, seed=_analysis_seed(seed))
    indices = []
    for place, key in enumerate(keys):
        values = {name: float(result[name][place]) for name in ("S1", "ST")}
        widths = {name: float(result[f"{name}_conf"][place]) for name in ("S1", "ST")}
        indices.append(Index(key, values, widths, _negative(values, widths)))
    return sorted(indices, key=lambda one: -one.values["ST"]), said


def _negative(values: dict[str, float], widths: dict[str, float]) -> str:
    """Say what an index below zero means: a share of variance cannot be negative, its estimate can."""
    said = []
    for name, value in values.items():
        if value < 0:
            inside = value + widths[name] >= 0
            why = "0 within its sampling error" if inside else "more samples are needed: 0 is outside its interval"
            said.append(f"{name} is estimated below zero: {why}")
    return "; ".join(said)


def morris(
    answer: Callable[[Floats], Floats], keys: Sequence[str], trajectories: int, seed: int
) -> tuple[list[Index], list[str]]:
    """Return Morris's mean absolute elementary effects per range, their mean and spread, and remarks.

    `answer` takes rows of shares (0..1). A trajectory with a failure in it is left out whole.
    """
    from SALib.analyze import morris as analysis
    from SALib.sample import morris as sampling

    problem, block = _problem(keys), len(keys) + 1
    shares = np.asarray(
        sampling.sample(problem, trajectories, num_levels=_LEVELS, seed=_analysis_seed(seed)), dtype=np.float64
    )
    found = answer(shares).reshape(-1, block)
    good = np.isfinite(found).all(axis=1)
    said = _too_few(int(good.sum()), "trajectory", trajectories)
    if not good.any() or np.ptp(found[good]) == 0:
        return [], [*said, _constant(found[good])]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = analysis.analyze(
            problem, shares.reshape(-1, block, len(keys))[good].reshape(-1, len(keys)), found[good].ravel(),
            num_levels=_LEVELS, seed=_analysis_seed(seed),
        )  # fmt: skip
    indices = [
        Index(
            key,
            {name: float(result[name][place]) for name in ("mu_star", "mu", "sigma")},
            {"mu_star": float(np.nan_to_num(result["mu_star_conf"][place]))},
        )
        for place, key in enumerate(keys)
    ]
    return sorted(indices, key=lambda one: -one.values["mu_star"]), said


def _too_few(kept: int, what: str, wanted: int) -> list[str]:
    said = [f"{wanted - kept} of {wanted} {what}s with a failed point in them are left out"] if kept < wanted else []
    if kept == 1:
        said.append(f"1 {what}: nothing can be said of how sure the numbers are")
    return said


def _constant(answers: Floats) -> str:
    if answers.size == 0:
        return "no point could be run"
    if np.ptp(answers) == 0:
        return f"the answer is {answers.flat[0]:.6g} at every point: it depends on none of these inputs"
    return "too few points for indices"


def measure_next(method: Method, indices: Sequence[Index]) -> list[str]:
    """Say which input to measure next: the one whose range makes the answer widest."""
    name = {"tornado": "swing", "morris": "mu_star", "sobol": "ST"}[method]
    ranked = [one for one in indices if one.values[name] > 0]
    if not ranked:
        return []
    total = sum(one.values[name] ** (1 if method == "sobol" else 2) for one in ranked)
    shares = [one.values[name] ** (1 if method == "sobol" else 2) / total for one in ranked[:3]]
    listed = ", then ".join(f"{one.key} ({share:.0%})" for one, share in zip(ranked, shares, strict=False))
    return [f"measure this next: {listed} of the width of the answer"]
