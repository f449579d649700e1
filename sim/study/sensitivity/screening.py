"""Morris screening and Sobol indices: what each input does to an answer over the whole of all ranges."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from sim.config.errors import require
from sim.study.runs.case import Floats
from sim.study.sensitivity.tornado import Index

#: Gives the answer at each row of shares (0..1) of the inputs' ranges; NaN where it cannot be run.
Answers = Callable[[Floats], Floats]

_LEVELS = 4


def screen_by(method: Literal["morris", "sobol"]) -> Callable[..., tuple[list[Index], list[str]]]:
    """Return what screens by a method. ConfigError where the library that both take is missing."""
    require("SALib", method)
    return morris if method == "morris" else sobol


def sobol(answer: Answers, keys: Sequence[str], samples: int, seed: int) -> tuple[list[Index], list[str]]:
    """Return first-order and total Sobol indices by Saltelli's scheme, (inputs + 2) x samples runs, and remarks.

    A block of runs with a failure in it is left out whole.
    """
    from SALib.analyze import sobol as analysis
    from SALib.sample import sobol as sampling

    problem, block = _problem(keys), len(keys) + 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a number of samples that is no power of two is the user's choice
        shares = sampling.sample(problem, samples, calc_second_order=False, seed=_analysis_seed(seed))
    answers = answer(np.asarray(shares, dtype=np.float64)).reshape(-1, block)
    kept = answers[np.isfinite(answers).all(axis=1)]
    remarks = _too_few(len(kept), "block of samples", samples)
    if len(kept) < 2 or np.ptp(kept) == 0:
        return [], [*remarks, _constant(kept)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = analysis.analyze(problem, kept.ravel(), calc_second_order=False, seed=_analysis_seed(seed))
    indices = []
    for place, key in enumerate(keys):
        values = {name: float(result[name][place]) for name in ("S1", "ST")}
        half_widths = {name: float(result[f"{name}_conf"][place]) for name in ("S1", "ST")}
        indices.append(Index(key, values, half_widths, _below_zero(values, half_widths)))
    return sorted(indices, key=lambda index: -index.values["ST"]), remarks


def morris(answer: Answers, keys: Sequence[str], trajectories: int, seed: int) -> tuple[list[Index], list[str]]:
    """Return Morris's mean absolute elementary effects per range, their mean and spread, and remarks.

    A trajectory with a failure in it is left out whole.
    """
    from SALib.analyze import morris as analysis
    from SALib.sample import morris as sampling

    problem, block = _problem(keys), len(keys) + 1
    sample = sampling.sample(problem, trajectories, num_levels=_LEVELS, seed=_analysis_seed(seed))
    shares = np.asarray(sample, dtype=np.float64)
    answers = answer(shares).reshape(-1, block)
    whole = np.isfinite(answers).all(axis=1)
    kept, kept_shares = answers[whole], shares.reshape(-1, block, len(keys))[whole].reshape(-1, len(keys))
    remarks = _too_few(len(kept), "trajectory", trajectories)
    if not len(kept) or np.ptp(kept) == 0:
        return [], [*remarks, _constant(kept)]
    settings = {"num_levels": _LEVELS, "seed": _analysis_seed(seed)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = analysis.analyze(problem, kept_shares, kept.ravel(), **settings)
    indices = []
    for place, key in enumerate(keys):
        values = {name: float(result[name][place]) for name in ("mu_star", "mu", "sigma")}
        half_width = float(np.nan_to_num(result["mu_star_conf"][place]))
        indices.append(Index(key, values, {"mu_star": half_width}))
    return sorted(indices, key=lambda index: -index.values["mu_star"]), remarks


def _problem(keys: Sequence[str]) -> dict[str, Any]:
    return {"num_vars": len(keys), "names": list(keys), "bounds": [[0.0, 1.0]] * len(keys)}


def _analysis_seed(seed: int) -> int:
    """SALib takes 0 for "no seed" in places; any other number is as good."""
    return 1 + seed % (2**31 - 2)


def _below_zero(values: dict[str, float], half_widths: dict[str, float]) -> str:
    """Say what an index below zero means: a share of variance cannot be negative, its estimate can."""
    remarks = []
    for name, value in values.items():
        if value < 0:
            inside = value + half_widths[name] >= 0
            why = "0 within its sampling error" if inside else "more samples are needed: 0 is outside its interval"
            remarks.append(f"{name} is estimated below zero: {why}")
    return "; ".join(remarks)


def _too_few(kept: int, unit: str, wanted: int) -> list[str]:
    remarks = []
    if kept < wanted:
        remarks.append(f"{wanted - kept} of {wanted} {unit}s with a failed point in them are left out")
    if kept == 1:
        remarks.append(f"1 {unit}: nothing can be said of how sure the numbers are")
    return remarks


def _constant(answers: Floats) -> str:
    if answers.size == 0:
        return "no point could be run"
    if np.ptp(answers) == 0:
        return f"the answer is {answers.flat[0]:.6g} at every point: it depends on none of these inputs"
    return "too few points for indices"
