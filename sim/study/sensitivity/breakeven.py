"""Break-even: the value of one key at which a target is just met, or that it is met always or never."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from math import isfinite
from typing import Any

from sim.config.answer import Answer, Record
from sim.config.errors import ConfigError
from sim.config.scenario.scenario import Scenario
from sim.config.tables.quantity import Quantity
from sim.study.runs.asked import Point, every_point, unread
from sim.study.runs.case import gain_percent, saved_ns, sides_of, value_of, worker_ns
from sim.study.runs.pool import run_cases
from sim.study.uncertainty.intervals import Interval

#: Gives the scenario in which the key has a value.
Varied = Callable[[float], Scenario]

_TARGET = re.compile(r"\s*(\w+)\s*(>=|<=|>|<)\s*([-+]?[0-9.]+(?:[eE][-+]?\d+)?)\s*(%|[kMG]?)\s*")
#: What a letter behind a number multiplies it by.
_LETTERS = {"k": 1e3, "M": 1e6, "G": 1e9}
_QUANTITIES = ("gain", "saved_ns", "pps", "ns_per_packet")
OF_PAIRS = ("gain", "saved_ns")
#: Places at which the range is looked at before roots are searched between neighbours that differ.
_LOOKS = 17
#: Whole numbers next to the middle that are tried before a gap of refused ones is taken as it is.
_TRIES = 32


@dataclass(frozen=True)
class Target:
    """What is to hold: a quantity, a relation and a number (gain in percent)."""

    quantity: str
    relation: str
    value: float

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read `gain>=10%`, `saved_ns>=30`, `pps>=6M` or `ns_per_packet<=200`. ConfigError for anything else."""
        parts = _TARGET.fullmatch(text)
        if not parts or parts[1] not in _QUANTITIES:
            wanted = f"one of {', '.join(_QUANTITIES)}, a relation and a number are needed, as in pps>=30M"
            raise ConfigError(wanted, key="target", got=text)
        try:
            value = float(parts[3]) * _LETTERS.get(parts[4], 1.0)
        except ValueError:
            raise ConfigError(f"'{parts[3]}' is not a number", key="target", got=text) from None
        if not isfinite(value):
            raise ConfigError(f"'{parts[3]}' is out of range", key="target", got=text)
        if (parts[1] == "gain") != (parts[4] == "%"):
            raise ConfigError("a gain is given in percent (gain>=10%), nothing else is", key="target", got=text)
        return cls(parts[1], parts[2], value)

    def margin(self, value: float) -> float:
        """Return by how much a value is above (below, for < and <=) the target: met where it is not negative."""
        return value - self.value if self.relation.startswith(">") else self.value - value

    def met(self, value: float) -> bool:
        """Whether a value meets the target."""
        return self.margin(value) > 0 or (self.margin(value) == 0 and self.relation.endswith("="))

    def __str__(self) -> str:
        return f"{self.quantity} {self.relation} {self.value:g}{' %' if self.quantity == 'gain' else ''}"


@dataclass(frozen=True)
class Crossing:
    """Where a target begins or ceases to be met as the key grows."""

    value: float
    begins: bool


@dataclass(frozen=True)
class DrawnPlace:
    """What the target looks at with one value of the key: of a measurement, of the parameters, and how often it meets.

    `met` is the share of draws, as they would be measured, in which the target is met; `value` is None for the scenario
    as it is.
    """

    value: float | None
    measured: Interval
    of_parameters: Interval
    met: float

    def row(self, quantity: str) -> Record:
        """Return the ends of both intervals of a quantity as columns of a table, and the share."""
        ends = self.measured.ends(quantity) | self.of_parameters.ends(f"{quantity}_of_parameters")
        return {**ends, "met_in_draws": self.met}

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        ends = {"measured": self.measured.to_dict(), "of_parameters": self.of_parameters.to_dict()}
        return {"value": self.value, **ends, "met": self.met}


@dataclass(frozen=True)
class DrawnBreakEven:
    """A break-even in draws: the scenario as it is, places of the range, and where the target crosses.

    `crosses`, `always` and `never` are shares of the draws as they would be measured. The intervals of the crossing are
    of those draws that cross once, as the answer does; None where the answer does not, or none does.
    """

    draws: int
    seed: int
    as_it_is: DrawnPlace
    places: tuple[DrawnPlace, ...]
    crosses: float
    always: float
    never: float
    crossing: Interval | None
    crossing_of_parameters: Interval | None

    def sentence(self, unit: str = "") -> str:
        """Say how often the target is met as things are, and where it begins or ceases to be met."""
        said = f"As it is, the target is met in {self.as_it_is.met:.0%} of {self.draws} draws"
        shares = {"crosses in": self.crosses, "is always met in": self.always, "is never met in": self.never}
        listed = ", ".join(f"{words} {share:.0%}" for words, share in shares.items() if share)
        said += f"; over the range it {listed}"
        if self.crossing is None or self.crossing_of_parameters is None:
            return said
        unit = f" {unit}" if unit else ""
        ends = [f"[{ends.low:.5g}, {ends.high:.5g}]" for ends in (self.crossing, self.crossing_of_parameters)]
        return f"{said}, at {self.crossing.value:.5g}{unit} {ends[0]}, of the parameters {ends[1]}"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        crossings = {"crossing": self.crossing, "crossing_of_parameters": self.crossing_of_parameters}
        return {
            "draws": self.draws,
            "seed": self.seed,
            "as_it_is": self.as_it_is.to_dict(),
            "places": [place.to_dict() for place in self.places],
            "crosses": self.crosses,
            "always": self.always,
            "never": self.never,
            **{name: ends.to_dict() if ends else None for name, ends in crossings.items()},
        }


@dataclass(frozen=True, repr=False)
class BreakEven(Answer):
    """The answer: crossings inside a range, or `always` or `never`; `looks` are the places that were tried first.

    `basis` says what rates and times are those of, `drawn` how sure the answer is, where it was drawn.
    """

    key: str
    unit: str
    target: Target
    low: float
    high: float
    tolerance: float
    looks: tuple[tuple[float, float], ...]
    crossings: tuple[Crossing, ...]
    left_out: tuple[str, ...] = ()
    basis: str = ""
    drawn: DrawnBreakEven | None = None

    @property
    def verdict(self) -> str:
        """`always`, `never` or `crosses`."""
        if self.crossings:
            return "crosses"
        return "always" if self.target.met(self.looks[0][1]) else "never"

    def headline(self) -> str:
        """Return the answer."""
        return self.sentence()

    def records(self) -> list[Record]:
        """Return the values that were looked at, and whether the target was met there.

        Those of them that were drawn have the ends of both 90 % intervals, and the share of draws in which it is met.
        """
        places = {place.value: place.row(self.target.quantity) for place in self.drawn.places} if self.drawn else {}
        return [
            {
                "key": self.key,
                "value": place,
                "unit": self.unit,
                self.target.quantity: value,
                "met": self.target.met(value),
                "basis": self.basis,
                **places.get(place, {}),
            }
            for place, value in self.looks
        ]

    def sentence(self) -> str:
        """Say the answer."""
        where = f"{self.key} from {self.low:g} to {self.high:g}{self.unit and ' ' + self.unit}"
        if self.verdict != "crosses":
            values = [value for _, value in self.looks]
            spread = f"it goes from {min(values):.4g} to {max(values):.4g}"
            return f"{self.target}: {self.verdict}, for {where} ({spread})"
        parts = [f"{'from' if root.begins else 'up to'} {root.value:.5g}" for root in self.crossings]
        return f"{self.target} holds {' and '.join(parts)}{self.unit and ' ' + self.unit} of {where}"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "schema": 1,
            "key": self.key,
            "unit": self.unit,
            "target": str(self.target),
            "low": self.low,
            "high": self.high,
            "tolerance": self.tolerance,
            "verdict": self.verdict,
            "crossings": [root.__dict__ for root in self.crossings],
            "looks": [{"value": x, self.target.quantity: y} for x, y in self.looks],
            "left_out": list(self.left_out),
            "basis": self.basis,
            **({"uncertainty": self.drawn.to_dict()} if self.drawn else {}),
        }


def breakeven(
    varied: Varied,
    base: Scenario,
    key: str,
    target: Target,
    *,
    low: float | None = None,
    high: float | None = None,
    tolerance: float = 1e-3,
) -> BreakEven:
    """Find where a target is just met as a key goes through a range (default: that of its table entry).

    `tolerance` is a share of the range. The target looks at the first access variant of the scenario, or at the second
    against the first. A key of whole numbers is searched in whole numbers; values that the scenario refuses are left
    out by name. Raises ConfigError when there is no range, or no value of it can be run.
    """
    entry, unit = value_of(base, key), ""
    if isinstance(entry, Quantity):
        low, high, unit = entry.low if low is None else low, entry.high if high is None else high, entry.unit
    whole = isinstance(entry, int)
    if low is None or high is None:
        raise ConfigError("has no range of its own; a low and a high end are needed", key="vary", got=key)
    for end, value in (("low", low), ("high", high)):
        if not isfinite(value):
            raise ConfigError("a finite number is needed", key=end, got=value)
    if not low <= high:
        raise ConfigError(f"is above the high end, {high:g}", key="low", got=f"{low:g}")
    if not 0 < tolerance <= 1:
        raise ConfigError("a share above 0 and up to 1 is needed", key="tolerance", got=f"{tolerance:g}")
    ends = [int(end) if whole else end for end in (low, high)]
    if value_of(base, key) is not None and unread([key], points_at_ends(varied, base, ends)):
        raise ConfigError("is not read in this scenario", key="vary", got=key)
    if target.quantity in OF_PAIRS and len(base.access) < 2:
        raise ConfigError("two access variants are needed", key="target", got=target)

    def value_at(x: float) -> float:
        return _observe(varied(int(x) if whole else x), target)

    result = search(value_at, key, unit, target, low, high, tolerance, whole)
    return replace(result, basis=base.queues.basis)


def points_at_ends(varied: Varied, base: Scenario, ends: Iterable[float]) -> Iterator[Point]:
    """Yield the points of the scenario, then those with the key at ends of its range."""
    yield from every_point(base)
    for end in ends:
        with suppress(ConfigError):
            yield from every_point(varied(end))


def search(
    value_at: Callable[[float], float],
    key: str,
    unit: str,
    target: Target,
    low: float,
    high: float,
    tolerance: float,
    whole: bool = False,
) -> BreakEven:
    """Look at the range in even steps (geometric for whole numbers), then search between places that differ."""
    looks: list[tuple[float, float]] = []
    left_out = []
    for place in _places(low, high, whole):
        try:
            looks.append((place, value_at(place)))
        except ConfigError as error:
            left_out.append(f"{place:g}: {error.replace(file=None)}")
    if not looks:
        raise ConfigError(f"no value can be run; {left_out[0]}", key="vary", got=key)
    crossings, width = [], tolerance * (high - low)
    for (x1, y1), (x2, y2) in pairwise(looks):
        if target.met(y1) != target.met(y2):
            root = _bisect(value_at, target, x1, x2) if whole else _root(value_at, target, x1, x2, width)
            crossings.append(Crossing(root, target.met(y2)))
    return BreakEven(key, unit, target, low, high, tolerance, tuple(looks), tuple(crossings), tuple(left_out))


def _places(low: float, high: float, whole: bool) -> list[float]:
    """Return the places of a range that are looked at first."""
    shares = [number / (_LOOKS - 1) for number in range(_LOOKS)] if high > low else [0.0]
    if whole and low > 0:
        powers = [float(1 << bits) for bits in range(32) if low <= 1 << bits <= high]  # sizes of rings
        return sorted({*(float(round(low * (high / low) ** share)) for share in shares), *powers})
    even = [low + share * (high - low) for share in shares]
    return sorted({float(round(place)) for place in even}) if whole else even


def _root(value_at: Callable[[float], float], target: Target, x1: float, x2: float, width: float) -> float:
    ends = [target.margin(value_at(x)) for x in (x1, x2)]
    if ends[0] * ends[1] > 0 or 0 in ends:  # the margin is 0 at an end, or the rate is not smooth to the last digit
        return x1 if abs(ends[0]) < abs(ends[1]) else x2
    from scipy.optimize import brentq  # it takes longer to import than a short run does

    return float(brentq(lambda x: target.margin(value_at(x)), x1, x2, xtol=width))


def _bisect(value_at: Callable[[float], float], target: Target, x1: float, x2: float) -> float:
    """Return the first whole number that meets the target, or the last where it ceases to be met."""
    wanted = target.met(value_at(x2))
    while (tried := _nearest_run(value_at, x1, x2)) is not None:
        place, value = tried
        x1, x2 = (x1, place) if target.met(value) == wanted else (place, x2)
    return x2 if wanted else x1


def _nearest_run(value_at: Callable[[float], float], x1: float, x2: float) -> tuple[float, float] | None:
    """Run the whole number between two others that is nearest to their middle and not refused."""
    between = sorted(range(int(x1) + 1, int(x2)), key=lambda place: abs(place - (x1 + x2) / 2))
    for place in between[:_TRIES]:
        try:
            return float(place), value_at(float(place))
        except ConfigError:
            continue
    return None


def looked_at(scenario: Scenario, target: Target) -> Scenario:
    """Return a scenario with nothing but what a target looks at: its first size, and one variant or two."""
    first = scenario.traffic.model_copy(update={"packet_bytes": scenario.traffic.packet_bytes[:1]})
    pair = scenario.access[: 2 if target.quantity in OF_PAIRS else 1]
    return scenario.model_copy(update={"access": pair, "traffic": first})


def answer(quantity: str, rates: Any, scenario: Scenario) -> Any:
    """Return what a target looks at, of the rates of one variant or two in packets/s; arrays draw by draw."""
    if quantity == "gain":
        return gain_percent(rates[0], rates[1])
    if quantity == "saved_ns":
        return saved_ns(rates[0], rates[1], scenario, scenario)
    return rates[0] if quantity == "pps" else worker_ns(rates[0], scenario)


def _observe(scenario: Scenario, target: Target) -> float:
    rates = run_cases([side.case for side in sides_of(looked_at(scenario, target))]).tolist()
    return float(answer(target.quantity, rates, scenario))
