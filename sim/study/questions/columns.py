"""The columns of a result, stated once: the table of a run, the rows of a sweep and their schema are made from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from sim.config.tables.vocabulary import PRIMITIVES
from sim.engine import Point

#: The actors that can have a utilisation; with several queues on a core there is a `driver.1`, `driver.2`, ..., too.
ACTORS = ("worker", "driver", "receiver", "source", "nic")

#: Everything that a breakdown can name: the primitives of the cost tables, waits, and work given in ns.
TIME_PARTS = (
    *PRIMITIVES,
    *("store_drain", "idle", "driver_work", "given_time", "invalidation", "preempted", "uncore"),
)

#: Keys of a point's JSON form that are no columns: the first two depend on the rows of the plan, not on the question.
NOT_COLUMNS = ("line_transfers_per_packet", "events_per_packet", "warmup_packets", "dropped_packets", "notes")


@dataclass(frozen=True)
class Column:
    """One column: its type, the key of the point's JSON form that it shows, and how its value is found.

    The value is None where a point has none.
    """

    name: str
    type: type[str | int | float]
    key: str
    value: Callable[[Point], Any]


def drivers(queues: int) -> list[str]:
    """Return the names of the drivers of so many queues on one core."""
    return ["driver", *(f"driver.{number}" for number in range(1, queues))]


def columns(actors: Iterable[str] = ACTORS, time_parts: Iterable[str] = TIME_PARTS) -> list[Column]:
    """Return the columns, in order, with a utilisation for each actor and the cycles of each part of the time.

    Units: packets/s, ns and cycles per packet, us of latency, shares of time, packets in the ring, and for `cycles_*`
    worker cycles per packet.
    """
    return [
        _plain("access", str),
        _plain("packet_bytes", int),
        _plain("pps", float),
        Column("pps_low", float, "pps_ci", lambda point: point.pps_ci[0]),
        Column("pps_high", float, "pps_ci", lambda point: point.pps_ci[1]),
        _plain("ns_per_packet", float),
        _plain("cycles_per_packet", float),
        _plain("instructions_per_packet", float),
        *(_latency(name) for name in ("p50", "p99", "p999")),
        *(_utilisation(actor) for actor in actors),
        Column("ring_occupancy_mean", float, "ring_occupancy", lambda point: point.occupancy["mean"]),
        _plain("bound_by", str),
        _plain("packets", int),
        *(_cycles(part) for part in time_parts),
    ]


def columns_of(points: Sequence[Point]) -> list[Column]:
    """Return the columns that some points fill, utilisations and parts of the time in the order of the points."""
    actors = dict.fromkeys(actor for point in points for actor in point.utilisation)
    parts = dict.fromkeys(part for point in points for part in point.breakdown_ps)
    return columns(actors, parts)


def row_of(point: Point, wanted: Iterable[Column]) -> dict[str, Any]:
    """Return a point as a row, without the columns in which it has no value."""
    values = ((column.name, column.value(point)) for column in wanted)
    return {name: value for name, value in values if value is not None}


def _plain(name: str, type_: type[str | int | float]) -> Column:
    return Column(name, type_, name, attrgetter(name))


def _latency(name: str) -> Column:
    return Column(f"latency_{name}_us", float, "latency_us", lambda point: point.latency_us[name])


def _utilisation(actor: str) -> Column:
    return Column(f"utilisation_{actor}", float, "utilisation", lambda point: point.utilisation.get(actor))


def _cycles(part: str) -> Column:
    def value(point: Point) -> float:
        return point.breakdown_ps.get(part, 0) / point.packets / point.cycle_ps

    return Column(f"cycles_{part}", float, "breakdown_cycles", value)
