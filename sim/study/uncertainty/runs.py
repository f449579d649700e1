"""The runs that intervals rest on: every side with the tables as they are, and with the same draws for all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.config.errors import ConfigError
from sim.config.progress import Counted
from sim.config.scenario.scenario import Scenario
from sim.config.tables.cpu import Cpu
from sim.config.tables.kernel import Kernel
from sim.costs.audit import Itself
from sim.study.runs.case import Case, Floats, Side
from sim.study.runs.pool import Job, Outcomes, run_jobs
from sim.study.uncertainty.distributions import CENTRAL_90, Draws, central_90, draws_from, ranged
from sim.study.uncertainty.least_counts import largest
from sim.study.uncertainty.measured import MeasuredDraws, Spread, path_of, scores, spread_of
from sim.study.uncertainty.nominal import Basis, Nominal, basis_of, tried

#: Draws are doubled from the first number up to the most, until the standard error of each end of the answer's interval
#: is at most this share of its width.
FIRST_DRAWS, MOST_DRAWS, PRECISION = 100, 1600, 0.05
#: Makes the figures of jobs, as `run_jobs` does.
Runner = Callable[[Sequence[Case], Sequence[Job], Executor | None, Counted | None], Outcomes]


def drawn_runs(
    sides: Sequence[Side],
    draws: int | None = None,
    seed: int = 1,
    *,
    configs: Path | None = None,
    executor: Executor | None = None,
    progress: Counted | None = None,
    run: Runner | None = None,
    known: Sequence[Nominal] | None = None,
) -> Runs:
    """Make the runs that an uncertainty rests on."""
    if draws is not None and draws < 1:
        raise ConfigError("at least 1 draw is needed", key="draws", got=draws)
    runs = Runs(sides, seed, configs, executor, progress, run, known)
    runs.draw(FIRST_DRAWS if draws is None else draws)
    while draws is None and runs.number < MOST_DRAWS and runs.precision > PRECISION:
        runs.draw(min(2 * runs.number, MOST_DRAWS))
    return runs


class Runs:
    """The runs of some sides: with the tables as they are, and with so many draws as were asked for up to now."""

    def __init__(
        self,
        sides: Sequence[Side],
        seed: int,
        configs: Path | None,
        executor: Executor | None,
        progress: Counted | None,
        run: Runner | None,
        known: Sequence[Nominal] | None = None,
    ) -> None:
        self.sides, self.seed, self.number = sides, seed, 0
        self._runner = run or run_jobs
        self.errors: dict[int, str] = {}
        self.table: Floats = np.empty((len(sides), 0))
        self.columns: Mapping[str, Floats] = {}
        self._configs, self._executor, self._progress = configs, executor, progress
        self._spreads: dict[tuple[Any, ...], Spread] = {}
        known = known or (None if run else self._as_in_tables())
        self._bases = [nominal.basis for nominal in known] if known else None
        if known:
            self.nominal = np.array([nominal.point.pps for nominal in known])
        else:
            self.nominal = self._run([Job(number, {}) for number in range(len(sides))])
        if self.errors:
            raise ConfigError(next(iter(self.errors.values())))

    def _as_in_tables(self) -> list[Nominal]:
        """Run every side with its tables as they are. ConfigError where one fails."""
        given = tried([side.case for side in self.sides], self._executor, self._progress)
        if failed := [problem for problem in given if isinstance(problem, str)]:
            raise ConfigError(failed[0])
        return [nominal for nominal in given if not isinstance(nominal, str)]

    def _run(self, jobs: list[Job]) -> Floats:
        outcomes = self._runner([side.case for side in self.sides], jobs, self._executor, self._progress)
        self.errors |= outcomes.errors
        return outcomes.figures

    def draw(self, number: int) -> None:
        """Run every side with further draws, until there are so many."""
        self._bases = self._bases or [basis_of(side.case) for side in self.sides]
        drawn = draws_by_side(self.sides, number, self.seed, self._configs, self._bases)
        further = range(self.number, number)
        jobs = [Job(side, values) for side in range(len(self.sides)) for values in drawn[side].rows(further)]
        figures = self._run(jobs)
        self.table = np.concatenate([self.table, figures.reshape(len(self.sides), len(further))], axis=1)
        self.number = number
        self.columns = drawn[0].columns if all(draws is drawn[0] for draws in drawn) else {}
        if not self.good.any():
            raise ConfigError(f"every draw fails: {next(iter(self.errors.values()))}")

    @property
    def good(self) -> npt.NDArray[np.bool_]:
        """Which draws every side has run."""
        return np.asarray(np.isfinite(self.table).all(axis=0))

    @property
    def precision(self) -> float:
        """Standard error of an end of the first gain's (or rate's) interval, as a share of its width."""
        return _error_of_ends(_focus(self.measured()))

    def measured(self) -> MeasuredDraws:
        """Return what the runs say, as the model gives it and as it would be measured."""
        good = self.good
        of_rates, of_ratios = (scores(self.seed, kind, self.number)[good] for kind in ("rate", "ratio"))
        return MeasuredDraws(self.sides, self.nominal, self.table[:, good], of_rates, of_ratios, self.spread)

    def spread(self, *numbers: int) -> Spread:
        """Return how far a measurement of a side, or of two compared with each other, lies from the parameters."""
        cases = [self.sides[number].case for number in numbers]
        path = path_of(self._bases[number].path for number in numbers) if self._bases else None
        rigs = tuple((case.scenario.calibration, case.scenario.cpu.name) for case in cases)
        alike = (path, rigs) if path else numbers
        if alike not in self._spreads:
            self._spreads[alike] = spread_of(cases, self._configs, path)
        return self._spreads[alike]


def pairs_of(sides: Sequence[Side]) -> list[tuple[int, int]]:
    """Return each later side with the first of its size."""
    first: dict[int, int] = {}
    starts = [first.setdefault(side.packet_bytes, number) for number, side in enumerate(sides)]
    return [(start, number) for number, start in enumerate(starts) if start != number]


def _focus(made: MeasuredDraws) -> Floats:
    """Return the sample of the answer: the first gain as a ratio, or the rate of the first side."""
    pairs = pairs_of(made.sides)
    return made.ratios(*pairs[0]) if pairs else made.rates(0)


def _error_of_ends(sample: Floats) -> float:
    """Return the larger standard error of the ends of a sample's central 90 %, as a share of its width.

    The order statistics one standard error of their rank apart show it, whatever the distribution.
    """
    low, high = central_90(sample)
    errors = []
    for share in CENTRAL_90:
        rank = np.sqrt(share * (1 - share) / len(sample))
        below, above = np.quantile(sample, np.clip((share - rank, share + rank), 0.0, 1.0))
        errors.append((above - below) / 2)
    return float(max(errors) / (high - low)) if high > low else 0.0


def draws_by_side(
    sides: Sequence[Side], number: int, seed: int, configs: Path | None = None, bases: Sequence[Basis] | None = None
) -> list[Draws]:
    """Draw `number` values of what each side depends on; sides with the same tables share their draws.

    `bases` are what draws of the sides rest on, where that is known.
    """
    bases = bases or [basis_of(side.case) for side in sides]
    groups: dict[str, list[int]] = {}
    for place, side in enumerate(sides):
        groups.setdefault(_tables(side.case.scenario), []).append(place)
    drawn: dict[int, Draws] = {}
    for places in groups.values():
        scenario = sides[places[0]].case.scenario
        read_by = {key: place for place in places for key in bases[place].keys}
        entries = [ranged(sides[place].case.scenario, key) for key, place in read_by.items()]
        least = largest(count for place in places for count in bases[place].least)
        drawn |= dict.fromkeys(places, draws_from(scenario, entries, least, number, seed, configs))
    return [drawn[place] for place in range(len(sides))]


def _tables(scenario: Scenario) -> str:
    """Return what scenarios share that share their draws: names, and the values of the tables under these names."""
    values = _digest(Itself(scenario.cpu)), _digest(Itself(scenario.kernel))
    return "\0".join((scenario.cpu.name, scenario.kernel.name, str(scenario.calibration), scenario.name, *values))


@lru_cache(maxsize=16)
def _digest(same: Itself[Cpu | Kernel]) -> str:
    return str(hash(same.wrapped.model_dump_json()))
