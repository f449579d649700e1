"""Intervals of rates and gains: what an answer says of each, in words, as columns and as JSON.

Two of each, told apart: *of the parameters* is what ranges and fitted values leave open, the model taken as right;
*of a measurement* is what one of the configuration would give, with the model's own error and the repeats of a rig.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sim.config.answer import Record, rounded
from sim.study.runs.case import Floats
from sim.study.uncertainty.distributions import central_90

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
            return f"no difference that the runs resolve ({rounded(self.resolution_ns, 1)} ns)"
        if self.certain:
            return f"the sign is certain: all of {draws} draws have it" if draws > 1 else _ONE_DRAW
        share = f"{self.same_sign:.0%}"
        return f"the sign is not certain: {'over 99%' if share == '100%' else share} of {draws} draws have it"


def interval_of(value: float, drawn: Floats) -> Interval:
    """Return a value with the central 90 % of its draws, with their range where they are few."""
    low, high = (drawn.min(), drawn.max()) if len(drawn) < FEW_DRAWS else central_90(drawn)
    return Interval(value, float(low), float(high))


def measured_interval(every: Floats, parameters: Interval) -> Interval:
    """Return the central 90 % of what would be measured: no measurement is surer than its parameters are."""
    low, high = central_90(every)
    return Interval(parameters.value, min(low, parameters.low), max(high, parameters.high))
