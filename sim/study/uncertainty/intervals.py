"""How sure an answer is: every cost drawn from its range, the same draws for all variants, 90 % intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.config.errors import ConfigError
from sim.config.progress import Counted
from sim.config.scenario.scenario import Scenario
from sim.study.runs.case import Floats, Side, gain_percent, saved_ns, worker_ns
from sim.study.runs.pool import Job, run_jobs
from sim.study.uncertainty.distributions import Draws, central_90, draws_of

#: Fewer draws have no quantiles worth the name: their range is shown instead.
FEW_DRAWS = 20
_SHOWN = 6
_ONE_DRAW = "1 draw says nothing of the sign"


@dataclass(frozen=True)
class Interval:
    """A value with the tables as they are, and the 90 % interval of the draws (their range when they are few)."""

    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float]:
        """Return the JSON form."""
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True)
class Rate:
    """Packets per second of one variant at one size, of all queues together."""

    access: str
    packet_bytes: int
    pps: Interval

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"access": self.access, "packet_bytes": self.packet_bytes, "pps": self.pps.to_dict()}


@dataclass(frozen=True)
class Gain:
    """The difference between two variants at one size, draw by draw.

    `gain_percent` compares the rates of all queues together, `saved_ns` is time of one worker core per packet.
    `same_sign` is the share of draws with its sign; a draw within `resolution_ns`, what the runs resolve, has none.
    """

    before: str
    after: str
    packet_bytes: int
    gain_percent: Interval
    saved_ns: Interval
    same_sign: float
    resolution_ns: float

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
            "same_sign": self.same_sign,
            "certain": self.certain,
            "resolution_ns": self.resolution_ns,
        }

    def sentence(self, draws: int) -> str:
        """Say whether the sign is certain."""
        if not self.resolved:
            return f"no difference that the runs resolve ({self.resolution_ns:.1g} ns)"
        if self.certain:
            return f"the sign is certain: all of {draws} draws have it" if draws > 1 else _ONE_DRAW
        return f"the sign is not certain: {self.same_sign:.0%} of {draws} draws have it"


@dataclass(frozen=True)
class Uncertainty:
    """Rates, gains, and which entries make the first gain (or rate) wide: shares of its variance.

    `gains` are over the first variant, at each size; `pairs` are of every later one over each before it but the first,
    at the first size.
    """

    draws: int
    seed: int
    rates: tuple[Rate, ...]
    gains: tuple[Gain, ...]
    pairs: tuple[Gain, ...]
    widest: dict[str, float]
    explained: float
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "draws": self.draws,
            "seed": self.seed,
            "rates": [rate.to_dict() for rate in self.rates],
            "gains": [gain.to_dict() for gain in self.gains],
            "pairs": [gain.to_dict() for gain in self.pairs],
            "share_of_variance": self.widest,
            "explained": self.explained,
            "notes": list(self.notes),
        }


def uncertainty(
    sides: Sequence[Side],
    draws: int,
    seed: int,
    *,
    configs: Path | None = None,
    executor: Executor | None = None,
    progress: Counted | None = None,
) -> Uncertainty:
    """Run every side once with the tables as they are and `draws` times with drawn ones.

    Gains are those of each later side against the first of the same size. Raises ConfigError below 1 draw.
    """
    if draws < 1:
        raise ConfigError("at least 1 draw is needed", key="draws", got=draws)
    groups: dict[str, list[int]] = {}
    for number, side in enumerate(sides):
        groups.setdefault(_tables(side.case.scenario), []).append(number)
    drawn: dict[int, Draws] = {}
    for numbers in groups.values():
        shared = draws_of([sides[number].case for number in numbers], draws, seed, configs)
        drawn.update(dict.fromkeys(numbers, shared))
    cases = [side.case for side in sides]
    jobs = [Job(number, {}) for number in range(len(sides))]
    jobs += [Job(number, drawn[number].row(row)) for number in range(len(sides)) for row in range(draws)]
    outcomes = run_jobs(cases, jobs, executor, progress)
    if any(number < len(sides) for number in outcomes.errors):
        raise ConfigError(next(text for number, text in outcomes.errors.items() if number < len(sides)))
    nominal, table = outcomes.figures[: len(sides)], outcomes.figures[len(sides) :].reshape(len(sides), draws)
    good: npt.NDArray[np.bool_] = np.asarray(np.isfinite(table).all(axis=0))
    if not good.any():
        raise ConfigError(f"every draw fails: {next(iter(outcomes.errors.values()))}")
    notes = _notes(draws, int((~good).sum()), outcomes.errors, table[:, good])
    table = table[:, good]
    rates = tuple(
        Rate(side.label, side.packet_bytes, _interval(float(nominal[number]), table[number]))
        for number, side in enumerate(sides)
    )
    gains, watched = _gains(sides, nominal, table)
    at_first = [number for number, side in enumerate(sides) if side.packet_bytes == sides[0].packet_bytes]
    pairs = [_gain(sides, start, number, nominal, table) for start, number in combinations(at_first[1:], 2)]
    focus = watched if watched is not None else table[0]
    widest, explained = _widest(drawn[0].columns, good, focus) if len(groups) == 1 else ({}, 0.0)
    return Uncertainty(draws, seed, rates, gains, tuple(pairs), widest, explained, notes)


def _tables(scenario: Scenario) -> str:
    """Return what scenarios share that share their draws: names, and the values of the tables under these names."""
    values = str(hash((scenario.cpu.model_dump_json(), scenario.kernel.model_dump_json())))
    return "\0".join((scenario.cpu.name, scenario.kernel.name, str(scenario.calibration), scenario.name, values))


def _interval(value: float, drawn: Floats) -> Interval:
    low, high = (drawn.min(), drawn.max()) if len(drawn) < FEW_DRAWS else central_90(drawn)
    return Interval(value, float(low), float(high))


def _gains(sides: Sequence[Side], nominal: Floats, table: Floats) -> tuple[tuple[Gain, ...], Floats | None]:
    """Compare each later side with the first of its size; also return the drawn gains of the first such pair."""
    first: dict[int, int] = {}
    gains, watched = [], None
    for number, side in enumerate(sides):
        start = first.setdefault(side.packet_bytes, number)
        if start == number:
            continue
        if watched is None:
            watched = gain_percent(table[start], table[number])
        gains.append(_gain(sides, start, number, nominal, table))
    return tuple(gains), watched


def _gain(sides: Sequence[Side], start: int, number: int, nominal: Floats, table: Floats) -> Gain:
    """Compare one side with another, draw by draw."""
    before, after = sides[start], sides[number]
    before_pps, after_pps = float(nominal[start]), float(nominal[number])
    gain = _interval(gain_percent(before_pps, after_pps), gain_percent(table[start], table[number]))
    scenarios = before.case.scenario, after.case.scenario
    saves = saved_ns(table[start], table[number], *scenarios)
    saved = _interval(saved_ns(before_pps, after_pps, *scenarios), saves)
    resolution_ns = scenarios[1].run.precision * worker_ns(after_pps, scenarios[1])
    same = float(np.mean((np.sign(saves) == np.sign(saved.value)) & (np.abs(saves) > resolution_ns)))
    return Gain(before.label, after.label, after.packet_bytes, gain, saved, same, resolution_ns)


def _widest(
    columns: Mapping[str, Floats], good: npt.NDArray[np.bool_], output: Floats
) -> tuple[dict[str, float], float]:
    """Share the variance of an output out to the entries: regression coefficient x covariance (Pratt's measure).

    The shares add up to what a straight line explains. Nothing is said from fewer draws than three per entry.
    """
    names = [name for name, column in columns.items() if np.ptp(column) > 0]
    variance = float(np.var(output))
    if not names or variance == 0 or len(output) < 3 * (len(names) + 1):
        return {}, 0.0
    inputs = np.stack([columns[name][good] for name in names], axis=1)
    inputs = (inputs - inputs.mean(axis=0)) / inputs.std(axis=0)
    centred = output - output.mean()
    slopes = np.linalg.lstsq(inputs, centred, rcond=None)[0]
    shares = slopes * (inputs * centred[:, None]).mean(axis=0) / variance
    merged: dict[str, float] = {}
    for name, share in zip(names, shares, strict=True):
        answer = measured_together(name)
        merged[answer] = merged.get(answer, 0.0) + float(share)
    order = sorted(merged, key=lambda name: -merged[name])[:_SHOWN]
    return {name: merged[name] for name in order}, float(shares.sum())


def measured_together(name: str) -> str:
    """Name what to measure next for an entry: entries that one source gives together are one answer."""
    return "cpu.primitives.stac + clac" if name in ("cpu.primitives.stac", "cpu.primitives.clac") else name


def _notes(draws: int, failed: int, errors: Mapping[int, str], table: Floats) -> tuple[str, ...]:
    notes = []
    if draws == 1:
        notes.append("1 draw: no interval, the ends shown are that draw")
    elif draws < FEW_DRAWS:
        notes.append(f"{draws} draws: too few for quantiles, the ends shown are the lowest and the highest draw")
    if failed:
        notes.append(f"{failed} of {draws} draws failed and are left out: {next(iter(errors.values()))}")
    if draws > 1 and (np.ptp(table, axis=1) == 0).all():
        notes.append("no entry that the answer depends on has a range: every draw gives the same")
    return tuple(notes)
