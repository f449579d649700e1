"""The Plan: rows with integer costs, fused into segments, which an engine runs without knowing what they mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property

from sim.config.tables.quantity import Quantity
from sim.costs.audit import Ledger
from sim.costs.draws import somewhere, total
from sim.costs.table import Component
from sim.datapath.plan.registers import Condition, Effect, Register
from sim.datapath.plan.step import LINE_BYTES, LineAccess, Row
from sim.datapath.traffic import Arrivals, SizeClasses

#: Actors that are always at it and never what bounds a rate.
BACKGROUND = ("mm", "notifier", "other_task", "iotlb-updates", "iotlb-misses", "windows")


@dataclass(frozen=True)
class Segment:
    """Consecutive rows that nothing can come between: the first may read at its start, the last write at its end.

    `rows` are their numbers in the Plan. `class_costs` replaces `cost_ps` under a mix of sizes: a cost for each size
    class of the worker's packet. `following` is the segment that comes next where no jump is taken.
    """

    index: int
    actor: int
    rows: tuple[int, ...]
    first: Row
    last: Row
    cost_ps: int
    unit_ps: int
    unit: int | None
    waits_after: bool
    effects: tuple[Effect, ...]
    jumps: tuple[tuple[Condition, int], ...]
    following: int
    class_costs: tuple[int, ...] = ()

    @cached_property
    def read(self) -> LineAccess | None:
        """What is read at its start."""
        return self.first.access if self.first.reads else None

    @cached_property
    def brings_next(self) -> bool:
        """Whether lines behind those that it reads come along: they hold the next entries, smaller than a line."""
        return self.read is not None and 0 < self.read.stride < LINE_BYTES

    @cached_property
    def fills_ring(self) -> bool:
        """Whether what is posted on the ring (of queue 0) and not yet used changes at its end."""
        return any(effect.target in (Register.RING_AVAIL_IDX, Register.RING_USED_IDX) for effect in self.effects)

    @cached_property
    def write(self) -> LineAccess | None:
        """What is written at its end."""
        return self.last.access if self.last.writes else None


class Wait(IntEnum):
    """What an actor waits for: the line of a read by the state in which it is found, stores, another actor."""

    NEAR_HIT = 0
    FAR_HIT = 1
    TRANSFER = 2
    CLEAN = 3
    STORES = 4
    BLOCKED = 5


@dataclass(frozen=True)
class Latencies:
    """Waiting times of memory accesses, in whole picoseconds, and the store buffer.

    `prefetched_ps` is that of a transfer whose line comes with the one before it.
    """

    near_hit_ps: int
    far_hit_ps: int
    transfer_ps: int
    prefetched_ps: int
    clean_ps: int
    stream_ps: int
    store_buffer: int


@dataclass(frozen=True)
class Plan:
    """Everything that an engine needs for one scenario, access variant and packet size.

    It is that of one core, which serves `queues`; registers stand in so many `banks`, one for each queue or session;
    `lanes` such cores share what moves lines, which takes
    `uncore_ps_per_line`. `actors` are named in the order in which simultaneous events happen, the worker first.
    `period_ps` is that of the rarest thing that comes again and again; `has_sink` says whether used packets may still
    wait for something with a pace of its own. `setup` is what mapping the ring costs once,
    `notes` say where the variant is not what it is called, `basis` what rates and times are those of. Under a mix
    of sizes `class_rows` has, for each row whose cost depends on the size, that of each size class.
    `posted` and `used` count the packets between which latency is taken, of which at most `in_flight` are under way;
    `handled` counts those that the worker has done with.
    Of an application's packet `payload_bytes` are messages; so many `transactions` are always outstanding.
    `bounding` are the actors that may bound the rate, the last on the way of a packet first, where packets are lost
    between them (else all, in any order).
    `banks` of registers are simulated: one for each queue, and for both rings of a guest that forwards.
    `wait_names` are what a breakdown calls each kind of waiting: the name that holds, of those that may hold in a draw.
    `line_moves` are the parts of a breakdown that move a line from one cache to another. `first_owner` is the actor
    that has written every line at the start of time.
    """

    access: str
    packet_bytes: int
    actors: tuple[str, ...]
    rows: tuple[Row, ...]
    segments: tuple[Segment, ...]
    entry: tuple[int, ...]
    regions: dict[str, int]
    initial: dict[int, int]
    latencies: Latencies
    wait_names: dict[Wait, Mapping[str, bool]]
    line_moves: tuple[str, ...]
    first_owner: int
    cycle_ps: float
    ring_packets: int
    in_flight: int
    posted: int = Register.RING_AVAIL_IDX
    used: int = Register.RING_USED_IDX
    handled: int = Register.LAST_AVAIL_IDX
    arrivals: Arrivals | None = None
    classes: SizeClasses | None = None
    class_rows: dict[int, tuple[Row, ...]] = field(default_factory=dict)
    backlog: int = 1
    period_ps: int = 0
    has_sink: bool = False
    bounding: tuple[str, ...] = ()
    queues: int = 1
    banks: int = 1
    lanes: int = 1
    uncore_ps_per_line: float = 0.0
    setup: tuple[Component, ...] = ()
    notes: tuple[str, ...] = ()
    basis: str = ""
    payload_bytes: int = 0
    transactions: int = 0
    ledger: Ledger = field(default_factory=Ledger, compare=False)

    @property
    def steady(self) -> bool:
        """Whether each lap of the ring is soon like the last one: nothing is random, nor rare, nor fills up slowly."""
        random = self.arrivals is not None or self.classes is not None
        return not random and not self.has_sink and not somewhere(self.period_ps)

    @property
    def load_period_ps(self) -> int:
        """Time after which the load comes again as before, in ps (0: there is none)."""
        return 0 if self.arrivals is None else self.arrivals.period_ps

    @cached_property
    def inputs(self) -> dict[str, Quantity]:
        """The table entries that were read while the Plan was built, by key, in the order of the tables."""
        return self.ledger.entries()

    @cached_property
    def moved_lines(self) -> tuple[tuple[int, int | None, float], ...]:
        """Lines that rows move without reading them: segment, size class (None: of all), lines per execution."""
        return tuple(
            (segment.index, size_class, total(counts))
            for segment in self.segments
            for number in segment.rows
            for size_class, row in self._rows_of(number)
            if (counts := [part.count for part in row.components if part.primitive in self.line_moves])
        )

    def _rows_of(self, number: int) -> Iterable[tuple[int | None, Row]]:
        """Return the row of that number, or those of its size classes."""
        return enumerate(self.class_rows[number]) if number in self.class_rows else [(None, self.rows[number])]

    @property
    def lines(self) -> int:
        """Number of tracked cache lines."""
        return sum(self.regions.values())

    def first_line(self, region: str) -> int:
        """Number of the first line of a region."""
        before = 0
        for name, lines in self.regions.items():
            if name == region:
                return before
            before += lines
        raise KeyError(region)
