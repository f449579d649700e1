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

from sim.config.answer import Answer, Record, counted
from sim.config.progress import Counted
from sim.study.runs.case import Floats, Side, gain_percent
from sim.study.uncertainty.intervals import FEW_DRAWS, Gain, Rate
from sim.study.uncertainty.nominal import Nominal
from sim.study.uncertainty.runs import Runner, Runs, drawn_runs, pairs_of

#: So many entries at most are named as those that make an answer wide.
_SHOWN = 6


@dataclass(frozen=True, repr=False)
class Uncertainty(Answer):
    """Rates, gains, and which entries make the first gain (or rate) wide: shares of its variance.

    `gains` are over the first variant, at each size; `pairs` are of every later one over each before it but the first,
    at the first size. `precision` is the standard error of an end of the first one's interval, as a share of its width.
    """

    draws: int
    seed: int
    precision: float
    rates: tuple[Rate, ...]
    gains: tuple[Gain, ...]
    pairs: tuple[Gain, ...]
    widest: dict[str, float]
    explained: float
    notes: tuple[str, ...]

    def headline(self) -> str:
        """Return the first gain, or rate, with its interval."""
        first = counted(self.draws, "draw")
        if self.gains:
            gain = self.gains[0]
            return f"{gain.before} -> {gain.after}, {gain.packet_bytes} B: {gain.gain_percent.signed('%')}, {first}"
        rate = self.rates[0]
        low, value, high = (number / 1e6 for number in (rate.pps.low, rate.pps.value, rate.pps.high))
        return f"{rate.access}, {rate.packet_bytes} B: {value:.2f} Mpps [{low:.2f}, {high:.2f}], {first}"

    def records(self) -> list[Record]:
        """Return every rate with the ends of its 90 % intervals, and what its variant gains over the first."""
        gains = {(gain.after, gain.packet_bytes): gain for gain in self.gains}
        records = []
        for rate in self.rates:
            row: Record = {"access": rate.access, "packet_bytes": rate.packet_bytes, "pps": rate.pps.value}
            gain = gains.get((rate.access, rate.packet_bytes))
            records.append(row | rate.ends() | (gain.row() if gain else {}))
        return records

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "draws": self.draws,
            "seed": self.seed,
            "precision": self.precision,
            "rates": [rate.to_dict() for rate in self.rates],
            "gains": [gain.to_dict() for gain in self.gains],
            "pairs": [gain.to_dict() for gain in self.pairs],
            "share_of_variance": self.widest,
            "explained": self.explained,
            "notes": list(self.notes),
        }


def uncertainty(
    sides: Sequence[Side],
    draws: int | None = None,
    seed: int = 1,
    *,
    configs: Path | None = None,
    executor: Executor | None = None,
    progress: Counted | None = None,
    run: Runner | None = None,
    known: Sequence[Nominal] | None = None,
) -> Uncertainty:
    """Run every side once with the tables as they are and `draws` times with drawn ones.

    Gains are those of each later side against the first of the same size. Without a number of draws, as many are made
    as the interval of the first gain (or rate) takes to be precise. `run` makes the rates (default: those of
    `run_jobs`); `known` is what the sides give with the tables as they are, where they were run before. Raises
    ConfigError below 1 draw.
    """
    runs = drawn_runs(sides, draws, seed, configs=configs, executor=executor, progress=progress, run=run, known=known)
    return _answer(runs)


def _answer(runs: Runs) -> Uncertainty:
    """Put rates, gains and what makes them wide together."""
    made, sides = runs.measured(), runs.sides
    pairs = pairs_of(sides)
    at_first = [number for number, side in enumerate(sides) if side.packet_bytes == sides[0].packet_bytes]
    drawn = gain_percent(*made.table[[*pairs[0]]]) if pairs else made.table[0]
    widest, explained = _widest(runs.columns, runs.good, drawn) if runs.columns else ({}, 0.0)
    return Uncertainty(
        draws=runs.number,
        seed=runs.seed,
        precision=runs.precision,
        rates=tuple(made.rate(number) for number in range(len(sides))),
        gains=tuple(made.gain(start, number) for start, number in pairs),
        pairs=tuple(made.gain(start, number) for start, number in combinations(at_first[1:], 2)),
        widest=widest,
        explained=explained,
        notes=_notes(runs.number, int((~runs.good).sum()), runs.errors, made.table),
    )


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
        notes.append("1 draw: no interval of the parameters, their ends are that draw")
    elif draws < FEW_DRAWS:
        notes.append(
            f"{counted(draws, 'draw')}: too few for quantiles, "
            "the ends of the parameters are the lowest and highest draw"
        )
    if failed:
        notes.append(f"{failed} of {counted(draws, 'draw')} failed, left out: {next(iter(errors.values()))}")
    if draws > 1 and (np.ptp(table, axis=1) == 0).all():
        notes.append("no entry that the answer depends on has a range: every draw gives the same")
    return tuple(notes)
