"""Entries of a profile before they are one: repeats with a source, their unit and tolerance, arithmetic by rounds."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from sim.config.tables.quantity import Grade

T = TypeVar("T")


class Rule(NamedTuple):
    """Unit of an entry, and the half width that its interval has at least: relative, and in its unit."""

    unit: str
    tolerance: float
    resolution: float = 0.0


_OF_PRIMITIVES = {
    Rule("cycles", 0.03, 0.3): "l1_hit",
    Rule("cycles", 0.05, 0.5): "lfence mfence lock_rmw spin_lock mask l2_hit",
    Rule("cycles", 0.05, 5.0): "syscall",
    Rule("cycles", 0.1, 1.0): "stlb_hit copy_startup_short",
    Rule("cycles", 0.1, 2.0): "copy_startup",
    Rule("cycles", 0.15, 1.5): "stac clac",
    Rule("cycles", 0.2, 0.5): "retpoline safe_ret",
    Rule("cycles", 0.2, 3.0): "page_walk",
    Rule("cycles", 0.3, 0.5): "call indirect_call",
    Rule("ns", 0.1, 1.0): "line_transfer line_transfer_cross_socket",
    Rule("ns", 0.1, 3.0): "eventfd_signal pin_page",
    Rule("ns", 0.15): "l3_hit memory_local",
    Rule("ns", 0.15, 0.1): "line_stream line_stream_copy",
    Rule("ns", 0.2, 0.15): "clean_line",
    Rule("us", 0.4): "worker_wakeup",
    Rule("bytes/cycle", 0.05, 0.5): "copy_bytes",
}
RULES = {
    "core_ghz": Rule("GHz", 0.05),
    "payload_exposed": Rule("fraction", 0.1, 0.05),
    "copy_tail": Rule("cycles", 0.2, 3.0),
    "next_line_prefetch": Rule("fraction", 0.2, 0.05),
    "overlap": Rule("fraction", 0.15, 0.05),
    "serialisation.drain_tail": Rule("cycles", 0.1, 1.0),
    "serialisation.refill": Rule("cycles/instruction", 0.1, 0.05),
    "serialisation.lock_hidden": Rule("cycles", 0.1, 1.0),
    **{f"primitives.{name}": rule for rule, names in _OF_PRIMITIVES.items() for name in names.split()},
}


@dataclass(frozen=True)
class DerivedEntry:
    """A table entry: a value per round. `spans` are further readings that its range must hold, too.

    An `exact` one was not timed, so that its interval is its value.
    """

    key: str
    repeats: list[float]
    source: str
    spans: tuple[float, ...] = ()
    grade: Grade = "measured-here"
    exact: bool = False

    @property
    def rule(self) -> Rule:
        """Unit and least half widths."""
        rule = RULES[self.key]
        return Rule(rule.unit, 0.0) if self.exact else rule


def primitive(name: str, repeats: list[float], source: str, spans: tuple[float, ...] = ()) -> DerivedEntry:
    """Return the entry of a primitive."""
    return DerivedEntry(f"primitives.{name}", repeats, source, spans)


def combine(operation: Callable[..., float], *series: Sequence[float | None]) -> list[float]:
    """Apply an operation round by round, leaving out rounds in which one of its inputs was not possible."""
    rounds = zip(*series, strict=True)
    return [operation(*values) for values in rounds if None not in values]


def present(series: Sequence[float | None]) -> list[float]:
    """Return the rounds in which a benchmark was possible."""
    return [value for value in series if value is not None]


def middles(*series: Sequence[float]) -> tuple[float, ...]:
    """Return the median of each series that is not empty."""
    return tuple(statistics.median(values) for values in series if values)


def line_fit(points: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """Return intercept and slope of the least-squares line through (x, y)."""
    fit = statistics.linear_regression([x for x, _ in points], [y for _, y in points])
    return fit.intercept, fit.slope


def per_round(series: Sequence[Sequence[float | None]], operation: Callable[[list[float]], T]) -> list[T]:
    """Apply an operation to the values of each round in which all of them were possible."""
    rounds = zip(*series, strict=True)
    return [operation([v for v in values if v is not None]) for values in rounds if None not in values]
