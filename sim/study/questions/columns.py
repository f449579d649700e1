"""The columns of a result, stated once: frames, files, JSON, sweeps and printed tables are made from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Generic, TypeVar

from sim.config.scenario.endpoints import MOST_SENDERS
from sim.config.tables.vocabulary import PRIMITIVES
from sim.engine import Point

#: The actors that can have a utilisation; with several queues on a core there is a `driver.1`, `driver.2`, ..., too. Of
#: two workers of a guest that forwards the one at whose ring packets are counted is `worker`.
ACTORS = (
    *("worker", "driver", "receiver", "source", "nic", "worker.rx", "worker.tx"),
    *(f"source.{number}" for number in range(1, MOST_SENDERS)),
)

#: Everything that a breakdown can name: the primitives of the cost tables, waits, and work given in ns.
TIME_PARTS = (*PRIMITIVES, *("store_drain", "idle", "driver_work", "given_time", "invalidation", "preempted", "uncore"))

#: Keys of a point's JSON form that are no columns: the first two depend on the rows of the plan, not on the question.
NOT_COLUMNS = ("line_transfers_per_packet", "events_per_packet", "warmup_packets", "dropped_packets", "notes")


Record = TypeVar("Record")


@dataclass(frozen=True)
class Column(Generic[Record]):
    """One column: its type, the key of the record's JSON form that it shows, and how its value is found.

    The value is None where a record has none. Tables for people show the columns that have a `heading`, and of a record
    what `text` says there; without it, the value as it is.
    """

    name: str
    type: type
    key: str
    value: Callable[[Record], Any]
    heading: str = ""
    text: Callable[[Record], str] | None = None

    def cell(self, record: Record) -> str:
        """Return what a table for people shows of a record."""
        return str(self.value(record)) if self.text is None else self.text(record)


def drivers(queues: int, sessions: int = 1) -> list[str]:
    """Return the names of the drivers of so many queues on one core, or of drivers and readers of so many sessions."""
    names = ["driver", *(f"driver.{number}" for number in range(1, max(queues, sessions)))]
    return names + [f"receiver.{number}" for number in range(1, sessions)]


def columns(actors: Iterable[str] = ACTORS, time_parts: Iterable[str] = TIME_PARTS) -> list[Column[Point]]:
    """Return the columns, in order, with a utilisation for each actor and the cycles of each part of the time.

    Units: packets/s, ns and cycles per packet, us of latency, shares of time, entries of the ring, and for `cycles_*`
    worker cycles per packet.
    """
    return [
        _plain("access", str),
        _plain("packet_bytes", int, "bytes"),
        _plain("pps", float, "Mpps", lambda point: f"{point.pps / 1e6:.3f}"),
        _plain("offered_pps", float, "offered Mpps", lambda point: f"{(point.offered_pps or 0.0) / 1e6:.3f}"),
        _plain("lost_pps", float, "lost Mpps", lambda point: f"{(point.lost_pps or 0.0) / 1e6:.3f}"),
        _plain("lost_share", float, "lost", lambda point: f"{point.lost_share or 0.0:.2%}"),
        _plain("goodput_gbps", float, "Gbit/s", lambda point: f"{point.goodput_gbps or 0.0:.3f}"),
        _plain("transaction_us", float, "us/transaction", lambda point: f"{point.transaction_us or 0.0:.2f}"),
        Column("pps_low", float, "pps_ci", lambda point: point.pps_ci[0], "95 % (run)", run_interval),
        Column("pps_high", float, "pps_ci", lambda point: point.pps_ci[1]),
        _plain("ns_per_packet", float, "ns/packet", lambda point: f"{point.ns_per_packet:.1f}"),
        _plain("cycles_per_packet", float, "cycles/packet", lambda point: f"{point.cycles_per_packet:.1f}"),
        _plain("instructions_per_packet", float),
        _latency("p50", "p50 us"),
        _latency("p99", "p99 us"),
        _latency("p999"),
        *(_utilisation(actor) for actor in actors),
        _occupancy(),
        _plain("bound_by", str, "bound by"),
        _plain("packets", int),
        *(_cycles(part) for part in time_parts),
        _plain("basis", str),
    ]


def columns_of(points: Sequence[Point]) -> list[Column[Point]]:
    """Return the columns that some points fill, utilisations and parts of the time in the order of the points."""
    actors = dict.fromkeys(actor for point in points for actor in point.utilisation)
    parts = dict.fromkeys(part for point in points for part in point.breakdown_ps)
    known = columns(actors, parts)
    return [column for column in known if any(column.value(point) is not None for point in points)]


def row_of(record: Record, wanted: Iterable[Column[Record]]) -> dict[str, Any]:
    """Return a record as a row, without the columns in which it has no value."""
    values = ((column.name, column.value(record)) for column in wanted)
    return {name: value for name, value in values if value is not None}


def run_interval(point: Point) -> str:
    """Spell half the 95 % interval of the simulated rate, in percent."""
    low, high = point.pps_ci
    return f"±{50 * (high - low) / point.pps:.2f} %" if high < float("inf") else "(one batch)"


def _plain(
    name: str, type_: type[str | int | float], heading: str = "", text: Callable[[Point], str] | None = None
) -> Column[Point]:
    return Column(name, type_, name, attrgetter(name), heading, text)


def _latency(name: str, heading: str = "") -> Column[Point]:
    def value(point: Point) -> float:
        return point.latency_us[name]

    return Column(f"latency_{name}_us", float, "latency_us", value, heading, lambda point: f"{value(point):.1f}")


def _utilisation(actor: str) -> Column[Point]:
    def value(point: Point) -> float | None:
        return point.utilisation.get(actor)

    def text(point: Point) -> str:
        return f"{point.utilisation[actor]:.0%}"

    return Column(f"utilisation_{actor}", float, "utilisation", value, actor, text)


def _occupancy() -> Column[Point]:
    def value(point: Point) -> float:
        return point.occupancy["mean"]

    return Column("ring_occupancy_mean", float, "ring_occupancy", value, "ring", lambda point: f"{value(point):.0f}")


def _cycles(part: str) -> Column[Point]:
    def value(point: Point) -> float:
        return point.breakdown_ps.get(part, 0) / point.packets / point.cycle_ps

    return Column(f"cycles_{part}", float, "breakdown_cycles", value)
