"""Intervals of rates and gains: what an answer says of each, in words, as columns and as JSON.

Two of each, told apart: *of the parameters* is what ranges and fitted values leave open, the model taken as right;
*of a measurement* is what one of the configuration would give, with the model's own error and the repeats of a rig.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sim.config.answer import Record
from sim.study.questions.limits import line_rate_pps
from sim.study.runs.case import Floats, Side, gain_percent, saved_ns, worker_ns
from sim.study.uncertainty.distributions import central_90
from sim.study.uncertainty.measured import Spread, rate_errors, ratio_errors

#: Fewer draws have no quantiles worth the name: their range is shown instead.
FEW_DRAWS = 20
_ONE_DRAW = "1 draw says nothing of the sign"


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


def interval_of(value: float, drawn: Floats) -> Interval:
    """Return a value with the central 90 % of its draws, with their range where they are few."""
    low, high = (drawn.min(), drawn.max()) if len(drawn) < FEW_DRAWS else central_90(drawn)
    return Interval(value, float(low), float(high))


def measured_interval(every: Floats, parameters: Interval) -> Interval:
    """Return the central 90 % of what would be measured: no measurement is surer than its parameters are."""
    low, high = central_90(every)
    return Interval(parameters.value, min(low, parameters.low), max(high, parameters.high))
