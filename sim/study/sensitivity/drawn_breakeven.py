"""How sure a break-even is: the target at places of the range in each draw of everything else, and where it crosses.

The key that is varied has no range: its value is the question. All places meet the same draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from itertools import pairwise
from pathlib import Path

import numpy as np

from sim.config.progress import Counted
from sim.config.scenario.scenario import Scenario
from sim.study.runs.case import Floats, sides_of, value_of
from sim.study.sensitivity.breakeven import (
    OF_PAIRS,
    BreakEven,
    DrawnBreakEven,
    DrawnPlace,
    Target,
    Varied,
    answer,
    looked_at,
)
from sim.study.uncertainty.intervals import Interval, interval_of, measured_interval
from sim.study.uncertainty.measured import MeasuredDraws
from sim.study.uncertainty.runs import drawn_runs

#: So many places of the range are drawn; the draws are interpolated between them.
_PLACES = 5


def drawn_breakeven(
    result: BreakEven,
    varied: Varied,
    base: Scenario,
    draws: int | None = None,
    seed: int = 1,
    *,
    configs: Path | None = None,
    executor: Executor | None = None,
    progress: Counted | None = None,
) -> DrawnBreakEven:
    """Draw everything else at places of the range of a break-even. ConfigError below 1 draw.

    Without a number of draws, as many are made as the interval of the scenario as it is takes to be precise.
    """
    chosen = np.unique(np.linspace(0, len(result.looks) - 1, _PLACES).round().astype(int))
    values = [result.looks[number][0] for number in chosen]
    whole = isinstance(value_of(base, result.key), int)
    scenarios = [base, *(varied(int(value) if whole else value) for value in values)]
    of_each = [sides_of(looked_at(scenario, result.target)) for scenario in scenarios]
    sides = [side for of_scenario in of_each for side in of_scenario]
    runs = drawn_runs(sides, draws, seed, configs=configs, executor=executor, progress=progress)
    made = runs.measured()
    quantity = result.target.quantity
    width = len(of_each[0])
    starts = range(0, len(sides), width)
    measured, parameters = (
        np.stack([_sample(made, start, quantity, as_measured) for start in starts]) for as_measured in (True, False)
    )
    nominal = [answer(quantity, made.nominal[start : start + width], sides[start].case.scenario) for start in starts]
    places = []
    for value, as_it_is, drawn, of_parameters in zip([None, *values], nominal, measured, parameters, strict=True):
        ends = interval_of(as_it_is, of_parameters)
        places.append(DrawnPlace(value, measured_interval(drawn, ends), ends, _met(result.target, drawn)))
    crossings = _crossings(result.target, values, measured[1:])
    numbers = np.array([len(roots) for roots in crossings])
    first = np.array([result.target.met(drawn) for drawn in measured[1]])
    return DrawnBreakEven(
        draws=runs.number,
        seed=seed,
        as_it_is=places[0],
        places=tuple(places[1:]),
        crosses=float(np.mean(numbers > 0)),
        always=float(np.mean((numbers == 0) & first)),
        never=float(np.mean((numbers == 0) & ~first)),
        crossing=_single(result, crossings),
        crossing_of_parameters=_single(result, _crossings(result.target, values, parameters[1:])),
    )


def _sample(made: MeasuredDraws, start: int, quantity: str, as_measured: bool) -> Floats:
    """Return what the target looks at in each draw, as it would be measured or as the parameters give it."""
    rates = made.every_rate(start) if as_measured else made.table[start]
    if quantity in OF_PAIRS:
        ratios = made.every_ratio(start, start + 1) if as_measured else made.table[start + 1] / made.table[start]
        rates = np.stack([rates, rates * ratios])
    else:
        rates = rates[None]
    return np.asarray(answer(quantity, rates, made.sides[start].case.scenario))


def _met(target: Target, answers: Floats) -> float:
    return float(np.mean([target.met(drawn) for drawn in answers]))


def _crossings(target: Target, values: Sequence[float], answers: Floats) -> list[list[float]]:
    """Return where each draw begins or ceases to meet the target, on straight lines between the places."""
    crossings: list[list[float]] = []
    for drawn in answers.T:
        roots = []
        for (x1, y1), (x2, y2) in pairwise(zip(values, map(target.margin, drawn), strict=True)):
            if (y1 >= 0) != (y2 >= 0):
                roots.append(float(x1 + (x2 - x1) * y1 / (y1 - y2)))
        crossings.append(roots)
    return crossings


def _single(result: BreakEven, crossings: Sequence[Sequence[float]]) -> Interval | None:
    """Return the crossing of the answer with its interval, of the draws that cross once."""
    single = np.array([roots[0] for roots in crossings if len(roots) == 1])
    if len(result.crossings) != 1 or not len(single):
        return None
    return interval_of(result.crossings[0].value, single)
