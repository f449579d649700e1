"""How sure an answer is: every cost drawn from its range, the same draws for all variants, 90 % intervals.

Two intervals, told apart: *of the parameters* is what ranges and fitted values leave open, the model taken as right;
*of a measurement* is what one of the configuration would give, with the model's own error and the repeats of a rig.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.config.answer import Record
from sim.config.errors import ConfigError
from sim.config.progress import Counted
from sim.config.scenario.scenario import Scenario
from sim.config.tables.cpu import Cpu
from sim.config.tables.kernel import Kernel
from sim.costs.audit import Itself
from sim.study.questions.limits import line_rate_pps
from sim.study.runs.case import Case, Floats, Side, gain_percent, saved_ns, worker_ns
from sim.study.runs.pool import Job, Outcomes, run_jobs
from sim.study.uncertainty.distributions import CENTRAL_90, Draws, central_90, draws_from, ranged
from sim.study.uncertainty.least_counts import largest
from sim.study.uncertainty.measured import Spread, path_of, rate_errors, ratio_errors, scores, spread_of
from sim.study.uncertainty.nominal import Basis, Nominal, basis_of, tried

#: Fewer draws have no quantiles worth the name: their range is shown instead.
FEW_DRAWS = 20
#: Draws are doubled from the first number up to the most, until the standard error of each end of the answer's interval
#: is at most this share of its width.
FIRST_DRAWS, MOST_DRAWS, PRECISION = 100, 1600, 0.05
_ONE_DRAW = "1 draw says nothing of the sign"


#: Makes the figures of jobs, as `run_jobs` does.
Runner = Callable[[Sequence[Case], Sequence[Job], Executor | None, Counted | None], Outcomes]


@dataclass(frozen=True)
class Interval:
    """A value with the tables as they are, and the 90 % interval of the draws (their range when they are few)."""

    value: float
    low: float
    high: float

    def signed(self, unit: str) -> str:
        """Spell it with signs: `+20.4 % [+9.8, +31.7]`."""
        return f"{self.value:+.1f} {unit} [{self.low:+.1f}, {self.high:+.1f}]"

    def ends(self, name: str) -> Record:
        """Return the ends as columns of a table."""
        return {f"{name}_90_low": self.low, f"{name}_90_high": self.high}

    def to_dict(self) -> dict[str, float]:
        """Return the JSON form."""
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True)
class Rate:
    """Packets per second of one variant at one size, of all queues together: of a measurement, of the parameters."""

    access: str
    packet_bytes: int
    pps: Interval
    pps_of_parameters: Interval

    def ends(self, name: str = "") -> Record:
        """Return the ends of both intervals as columns that begin with a name."""
        start = f"{name}_pps".lstrip("_")
        return {**self.pps.ends(start), **self.pps_of_parameters.ends(f"{start}_of_parameters")}

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "access": self.access,
            "packet_bytes": self.packet_bytes,
            "pps": self.pps.to_dict(),
            "pps_of_parameters": self.pps_of_parameters.to_dict(),
        }


@dataclass(frozen=True)
class Gain:
    """The difference between two variants at one size, draw by draw, as it would be measured.

    `gain_percent` compares the rates of all queues together, `saved_ns` is time of one worker core per packet.
    `same_sign` is the share of draws with its sign; a draw within `resolution_ns`, what the runs resolve, has none.
    `path` is the class of the path that both run: executed, or by analogy.
    """

    before: str
    after: str
    packet_bytes: int
    gain_percent: Interval
    saved_ns: Interval
    gain_percent_of_parameters: Interval
    saved_ns_of_parameters: Interval
    same_sign: float
    resolution_ns: float
    path: str

    def ends(self) -> Record:
        """Return the ends of its intervals as columns of a table."""
        names = ("gain_percent", "saved_ns", "gain_percent_of_parameters", "saved_ns_of_parameters")
        return {column: end for name in names for column, end in getattr(self, name).ends(name).items()}

    def row(self) -> Record:
        """Return it as columns of a table: values, ends, and how many draws have its sign."""
        values = {"gain_percent": self.gain_percent.value, "saved_ns": self.saved_ns.value}
        return {**values, **self.ends(), "same_sign": self.same_sign}

    @property
    def resolved(self) -> bool:
        """Whether the runs resolve a difference at all."""
        return abs(self.saved_ns.value) > self.resolution_ns

    @property
    def certain(self) -> bool:
        """Whether every draw has the same sign."""
        return self.same_sign == 1.0 and self.resolved

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "before": self.before,
            "after": self.after,
            "packet_bytes": self.packet_bytes,
            "gain_percent": self.gain_percent.to_dict(),
            "saved_ns": self.saved_ns.to_dict(),
            "gain_percent_of_parameters": self.gain_percent_of_parameters.to_dict(),
            "saved_ns_of_parameters": self.saved_ns_of_parameters.to_dict(),
            "same_sign": self.same_sign,
            "certain": self.certain,
            "resolution_ns": self.resolution_ns,
            "path": self.path,
        }

    def sentence(self, draws: int) -> str:
        """Say whether the sign is certain."""
        if not self.resolved:
            return f"no difference that the runs resolve ({self.resolution_ns:.1g} ns)"
        if self.certain:
            return f"the sign is certain: all of {draws} draws have it" if draws > 1 else _ONE_DRAW
        share = f"{self.same_sign:.0%}"
        return f"the sign is not certain: {'over 99%' if share == '100%' else share} of {draws} draws have it"


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
        figures = self._run([Job(side, drawn[side].row(row)) for side in range(len(self.sides)) for row in further])
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


@dataclass(frozen=True)
class MeasuredDraws:
    """Rates of the sides by draw; how far measurements lie from them: scores of rates and ratios, and what they scale.

    All sides share the scores of a draw: what is not the parameters' own is that of the model and of the rig.
    """

    sides: Sequence[Side]
    nominal: Floats
    table: Floats
    of_rates: Floats
    of_ratios: Floats
    spread: Callable[..., Spread]

    def rates(self, number: int) -> Floats:
        """Return the rates of a side as they would be measured."""
        rates = self.table[number] * np.exp(self.spread(number).rate * self.of_rates)
        return np.asarray(np.minimum(rates, self._full_pps(number)))

    def ratios(self, start: int, number: int) -> Floats:
        """Return the ratios of two sides as they would be measured on one rig."""
        around = np.exp(self.spread(start, number).ratio * self.of_ratios)
        ratios = self.table[number] / self.table[start] * around
        full_pps = self._full_pps(number)
        return np.asarray(ratios if full_pps == np.inf else np.minimum(ratios, full_pps / self.rates(start)))

    def every_rate(self, number: int) -> Floats:
        """Return the rates of a side with every error that model and rig may have, draw by draw."""
        rates = np.outer(self.table[number], np.exp(self.spread(number).rate * rate_errors())).ravel()
        return np.asarray(np.minimum(rates, self._full_pps(number)))

    def every_ratio(self, start: int, number: int) -> Floats:
        """Return the ratios of two sides with every error that model and rig may have, draw by draw."""
        drawn = self.table[number] / self.table[start]
        ratios = np.outer(drawn, np.exp(self.spread(start, number).ratio * ratio_errors())).ravel()
        full_pps = self._full_pps(number)
        return np.asarray(ratios if full_pps == np.inf else np.minimum(ratios, full_pps / self.every_rate(start)))

    def _full_pps(self, number: int) -> float:
        """Return the rate at which the link of a side is full, which no error of model or rig exceeds; inf: no link."""
        scenario = self.sides[number].case.scenario
        if not scenario.leaves_by_nic:
            return np.inf
        line = line_rate_pps(self.sides[number].packet_bytes, scenario.backend.line_gbps)
        return max(line, float(self.nominal[number]), float(self.table[number].max()))

    def rate(self, number: int) -> Rate:
        """Return the rate of a side with its intervals."""
        side, value = self.sides[number], float(self.nominal[number])
        parameters = interval_of(value, self.table[number])
        return Rate(side.label, side.packet_bytes, measured_interval(self.every_rate(number), parameters), parameters)

    def gain(self, start: int, number: int) -> Gain:
        """Compare one side with another, draw by draw."""
        before, after = self.sides[start], self.sides[number]
        before_pps, after_pps = float(self.nominal[start]), float(self.nominal[number])
        ratios, rates = self.ratios(start, number), self.rates(start)
        scenarios = before.case.scenario, after.case.scenario
        saves = saved_ns(rates, rates * ratios, *scenarios)
        gain, saved = gain_percent(before_pps, after_pps), saved_ns(before_pps, after_pps, *scenarios)
        every_ratio, every_rate = self.every_ratio(start, number), self.every_rate(start)
        gain_of_parameters = interval_of(gain, gain_percent(self.table[start], self.table[number]))
        saved_of_parameters = interval_of(saved, saved_ns(self.table[start], self.table[number], *scenarios))
        resolution_ns = scenarios[1].run.precision * worker_ns(after_pps, scenarios[1])
        return Gain(
            before=before.label,
            after=after.label,
            packet_bytes=after.packet_bytes,
            gain_percent=measured_interval(100 * (every_ratio - 1), gain_of_parameters),
            saved_ns=measured_interval(saved_ns(every_rate, every_rate * every_ratio, *scenarios), saved_of_parameters),
            gain_percent_of_parameters=gain_of_parameters,
            saved_ns_of_parameters=saved_of_parameters,
            same_sign=float(np.mean((np.sign(saves) == np.sign(saved)) & (np.abs(saves) > resolution_ns))),
            resolution_ns=resolution_ns,
            path=self.spread(start, number).path,
        )


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


def _tables(scenario: Scenario) -> str:
    """Return what scenarios share that share their draws: names, and the values of the tables under these names."""
    values = _digest(Itself(scenario.cpu)), _digest(Itself(scenario.kernel))
    return "\0".join((scenario.cpu.name, scenario.kernel.name, str(scenario.calibration), scenario.name, *values))


@lru_cache(maxsize=16)
def _digest(same: Itself[Cpu | Kernel]) -> str:
    return str(hash(same.wrapped.model_dump_json()))


def interval_of(value: float, drawn: Floats) -> Interval:
    """Return a value with the central 90 % of its draws, with their range where they are few."""
    low, high = (drawn.min(), drawn.max()) if len(drawn) < FEW_DRAWS else central_90(drawn)
    return Interval(value, float(low), float(high))


def measured_interval(every: Floats, parameters: Interval) -> Interval:
    """Return the central 90 % of what would be measured: no measurement is surer than its parameters are."""
    low, high = central_90(every)
    return Interval(parameters.value, min(low, parameters.low), max(high, parameters.high))
