"""The Plan: rows of steps with integer costs, which an engine runs without knowing what they mean.

A *row* is one step of one actor. It may wait for a condition, sample a shared value and read one place of a ring at its
start, take a fixed time (plus a time per unit of a register), and write one place and change registers at its end; then
jumps decide which row comes next. Registers are monotonic 64-bit counters, so no comparison ever wraps.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal

from sim.costs.table import Component
from sim.datapath.traffic import Arrivals, SizeClasses

Scope = Literal[
    "packet",
    "page_refill",
    "flush",
    "refill",
    "drain",
    "drain_found_work",
    "round",
    "wakeup",
    "burst",
    "kick",
    "ring_batch",
    "socket_empty",
    "call",
]
Relation = Literal["==", "!=", ">=", "<"]


class Register(IntEnum):
    """Everything that rows count. The first group is shared between the actors, the others are private."""

    AVAIL_INDEX = 0
    USED_INDEX = 1
    NO_NOTIFY = 2
    AVAIL_EVENT = 3
    KICKS = 4
    # worker
    SEEN = 5  # vq->avail_idx: the avail index as last read
    LAST = 6  # vq->last_avail_idx: packets fetched
    DONE = 7  # nvq->done_idx: packets in the batch
    SENT = 8  # packets of this round
    MODE = 9  # what follows the flush
    QUIET = 10  # notifications are off
    PEEK = 11  # avail index read by the recheck
    ROOM = 12  # used ring entries up to its end
    FRAGS = 13  # buffers left in the page fragment
    KICKS_SEEN = 14
    # driver
    POSTED = 15  # packets written, published or not
    FREE = 16  # free ring descriptors
    RECLAIMED = 17  # used elements read
    USED_SEEN = 18
    BURST_LEFT = 19
    PUBLISHED = 20  # avail index before the last publication
    QUIET_SEEN = 21
    EVENT_SEEN = 22
    ARRIVED = 23  # packets that have arrived in front of the driver, as last seen
    TAKEN = 24  # packets that the driver has taken from there, or that were dropped
    DROPPED = 25
    # receive, shared
    PRODUCED = 26  # packets put into the TAP's ptr_ring
    CONSUMED = 27  # packets whose slot of the ptr_ring is free again
    SOCKET_WAIT = 28  # the worker waits for the socket
    WAKES = 29  # wake-ups by the source
    CALLS = 30  # interrupts to the driver
    NO_INTERRUPT = 31
    RECEIVE_EVENT = 32
    # receive, worker
    GRABBED = 33  # packets taken from the ptr_ring
    GRAB_LEFT = 34  # packets that this visit may still take
    UNCLEARED = 35  # slots taken and not yet cleared
    PRODUCED_SEEN = 36
    BUFFERED = 37  # packets taken and not yet received
    RECEIVED = 38  # packets written into guest buffers
    RETURNED = 39  # packets whose buffers are in the used ring
    HEADS_LEFT = 40  # buffers that the packet still needs
    SAVED = 41  # vq->last_avail_idx before the packet: where to go back to when buffers run out
    WAKES_SEEN = 42
    INTERRUPT_OFF = 43  # avail->flags as last read
    EVENT_WANTED = 44  # used_event as last read
    RECEIVE_SIGNALLED = 45  # used index at the last notification check
    # receive, driver and source
    RECEIVE_LEFT = 46  # buffers that this poll may still take
    CALLS_SEEN = 47
    ROOM_SEEN = 48  # CONSUMED as last read by the source
    WAIT_SEEN = 49  # SOCKET_WAIT as last read by the source


#: Registers that both actors look at; a change of another one is nobody else's business.
SHARED = (
    Register.AVAIL_INDEX, Register.USED_INDEX, Register.NO_NOTIFY, Register.AVAIL_EVENT, Register.KICKS, Register.QUIET,
    Register.PRODUCED, Register.CONSUMED, Register.SOCKET_WAIT, Register.WAKES, Register.CALLS, Register.NO_INTERRUPT,
    Register.RECEIVE_EVENT,
)  # fmt: skip


@dataclass(frozen=True)
class LineAccess:
    """Bytes of one region that a row reads (at its start) or writes (at its end).

    The offset is `offset + ((index x times + plus) mod modulo) x stride`; with `count`, that many strides from there.
    """

    region: str
    write: bool
    bytes: int
    offset: int = 0
    index: Register | None = None
    times: int = 1
    plus: int = 0
    modulo: int = 1
    stride: int = 0
    count: Register | None = None


@dataclass(frozen=True)
class Jump:
    """Go to `target` when `left - right RELATION constant` holds at the end of the row."""

    left: Register
    relation: Relation
    constant: int
    target: str
    right: Register | None = None


@dataclass(frozen=True)
class Effect:
    """Change a register at the end of a row: set to a constant, copy or add `source` plus a constant, or count down.

    `countdown` subtracts `source` and adds `constant` when the result is not above 0.
    """

    op: Literal["set", "copy", "add", "countdown"]
    target: Register
    source: Register | None = None
    constant: int = 0


@dataclass(frozen=True)
class Condition:
    """Hold the actor at the start of a row until `left - right RELATION constant`."""

    left: Register
    relation: Relation
    constant: int
    right: Register | None = None


@dataclass(frozen=True)
class Row:
    """One priced step of one actor. `counts` are the primitives executed once; costs are whole picoseconds."""

    label: str
    actor: str
    step: str
    function: str
    scopes: tuple[Scope, ...]
    operation: str
    kernel_step: str | None = None
    family: str = "work"
    accessor: str | None = None
    bytes: int = 0
    components: tuple[Component, ...] = ()
    unit_components: tuple[Component, ...] = ()
    unit: Register | None = None
    instructions: float = 0.0
    unit_instructions: float = 0.0
    access: LineAccess | None = None
    payload_access: LineAccess | None = None
    waits_before: bool = False
    waits_after: bool = False
    hidden_ps: int = 0
    drains_stores: bool = False
    sample: tuple[Register, Register] | None = None
    effects: tuple[Effect, ...] = ()
    condition: Condition | None = None
    takes_arrivals: bool = False
    marks: Literal["posted", "used"] | None = None
    jumps: tuple[Jump, ...] = ()

    @property
    def cost_ps(self) -> int:
        """Fixed cost of one execution."""
        return sum(component.cost_ps for component in self.components)

    @property
    def unit_ps(self) -> int:
        """Cost per unit of the unit register."""
        return sum(component.cost_ps for component in self.unit_components)


@dataclass(frozen=True)
class Segment:
    """Consecutive rows that nothing can come between: the first may read at its start, the last write at its end.

    `class_costs` replaces `cost_ps` under a mix of sizes: a cost for each size class of the worker's packet.
    """

    index: int
    actor: int
    rows: tuple[int, ...]
    cost_ps: int
    unit_ps: int
    unit: Register | None
    read: LineAccess | None
    write: LineAccess | None
    hidden_ps: int
    waits_before: bool
    waits_after: bool
    drains_stores: bool
    sample: tuple[Register, Register] | None
    effects: tuple[Effect, ...]
    condition: Condition | None
    takes_arrivals: bool
    marks: str | None
    jumps: tuple[tuple[Jump, int], ...]
    following: int
    class_costs: tuple[int, ...] = ()


@dataclass(frozen=True)
class Latencies:
    """Waiting times of memory accesses, in whole picoseconds, and the store buffer."""

    near_hit_ps: int
    far_hit_ps: int
    far_hit_level: str
    transfer_ps: int
    transfer_name: str
    clean_ps: int
    stream_ps: int
    store_buffer: int


@dataclass(frozen=True)
class Plan:
    """Everything that an engine needs for one scenario, access variant and packet size.

    `actors` are named in the order in which simultaneous events happen, the worker first.
    Under a mix of sizes `class_rows` has, for each row whose cost depends on the size, the row of each size class.
    `posted` and `used` count the packets between which latency is taken, of which at most `in_flight` are under way;
    `handled` counts those that the worker has done with.
    """

    access: str
    packet_bytes: int
    actors: tuple[str, ...]
    rows: tuple[Row, ...]
    segments: tuple[Segment, ...]
    entry: tuple[int, ...]
    regions: dict[str, int]
    initial: dict[Register, int]
    latencies: Latencies
    cycle_ps: float
    ring_packets: int
    in_flight: int
    posted: Register = Register.AVAIL_INDEX
    used: Register = Register.USED_INDEX
    handled: Register = Register.LAST
    arrivals: Arrivals | None = None
    classes: SizeClasses | None = None
    class_rows: dict[int, tuple[Row, ...]] = field(default_factory=dict)
    backlog: int = 1
    notes: tuple[str, ...] = field(default=())

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
