"""Morris screening and Sobol indices: what each input does to an answer over the whole of all ranges."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.study.sensitivity.tornado import Index

Floats = npt.NDArray[np.float64]


_LEVELS = 4


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
