"""The Plan: rows of steps with integer costs, which an engine runs without knowing what they mean.

A *row* is one step of one actor. It may wait for a condition, sample a shared value and read one place of a ring at its
start, take a fixed time (plus a time per unit of a register), and write one place and change registers at its end; then
jumps decide which row comes next. Registers are monotonic 64-bit counters, so no comparison ever wraps.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, auto
from typing import Literal

from sim.costs.table import Component
from sim.datapath.traffic import Arrivals, SizeClasses

Scope = Literal[
    "packet", "page_refill", "flush", "refill", "drain", "drain_found_work", "poll", "round", "invalidation", "wakeup",
    "burst", "window", "kick", "call", "ring_batch", "socket_empty",
]  # fmt: skip
Relation = Literal["==", "!=", ">=", "<"]


class Register(IntEnum):
    """Everything that rows count. The first group is shared between the actors, the others are private."""

    @staticmethod
    def _generate_next_value_(name: str, start: int, count: int, last_values: list[int]) -> int:
        """Number the registers from 0 in the order in which they stand here."""
        return count

    RING_AVAIL_IDX = auto()
    RING_USED_IDX = auto()
    USED_FLAGS_NO_NOTIFY = auto()
    AVAIL_EVENT = auto()
    KICKS = auto()
    # worker
    AVAIL_IDX = auto()  # vq->avail_idx: the avail index as last read
    LAST_AVAIL_IDX = auto()  # vq->last_avail_idx: packets fetched
    DONE_IDX = auto()  # nvq->done_idx: packets in the batch
    SENT_PKTS = auto()  # packets of this round
    AFTER_FLUSH = auto()  # what follows the flush
    NOTIFY_OFF = auto()  # notifications are off
    RECHECKED_AVAIL_IDX = auto()  # avail index read by the recheck
    USED_ROOM = auto()  # used ring entries up to its end
    PAGE_FRAG_LEFT = auto()  # buffers left in the page fragment
    KICKS_SEEN = auto()
    # driver
    AVAIL_IDX_SHADOW = auto()  # packets written, published or not
    NUM_FREE = auto()  # free ring descriptors
    LAST_USED_IDX = auto()  # used elements read
    USED_IDX_SEEN = auto()
    BURST_LEFT = auto()
    OLD_AVAIL_IDX = auto()  # avail index before the last publication
    NO_NOTIFY_SEEN = auto()
    AVAIL_EVENT_SEEN = auto()
    ARRIVED = auto()  # packets that have arrived in front of the driver, as last seen
    TAKEN = auto()  # packets that the driver has taken from there, or that were dropped
    DROPPED = auto()
    # the host's memory management and scheduler, and what the worker knows of them
    MAPPED = auto()
    INVALIDATING = auto()  # the ring cannot be mapped now
    TEARING_DOWN = auto()  # somebody else holds the virtqueue's mutex
    IN_ROUND = auto()  # the worker holds it
    FLUSHES = auto()  # invalidations that the worker has not paid for
    FLUSHES_SEEN = auto()
    INVALIDATIONS = auto()
    HANDLED = auto()  # those of them that the notifier has begun to handle
    OTHER_TASK = auto()  # another task wants the worker's core
    # several queues on one core
    WORKER_KICKS = auto()  # kicks of all queues
    WORKER_KICKS_SEEN = auto()
    PENDING = auto()  # the queue has more work
    WORKED = auto()  # some queue had work
    # device IOTLB: messages so far (shared), as last seen by the worker
    IOTLB_CLEARS = auto()
    IOTLB_MISSES = auto()
    CLEARS_NOW = auto()
    CLEARS_SEEN = auto()
    MISSES_NOW = auto()
    MISSES_SEEN = auto()
    # worker, chains read in one user access window
    WINDOW_END = auto()
    WINDOW_CHAINS = auto()
    # driver, packed ring: packets published before the last kick check
    KICK_CHECKED_IDX = auto()
    # shared: calls, and what is behind the worker
    AVAIL_FLAGS_NO_INTERRUPT = auto()  # avail->flags: the driver wants no call
    USED_EVENT_QUARTERS = (
        auto()
    )  # in quarters of a packet: virtqueue_enable_cb_delayed asks for three quarters of those posted
    CALLS = auto()
    SINK_QUEUED = auto()  # frames handed to the NIC or the receiver
    SINK_DONE = auto()
    UPEND_IDX = auto()  # upend_idx: packets sent by zero copy
    ZEROCOPY_COMPLETED = auto()  # of those, the ones whose pages were released
    COPIED = auto()  # frames handed to the NIC that were copied
    # worker, once more
    ZEROCOPY_COMPLETED_SEEN = auto()
    ZEROCOPY_DONE_IDX = (
        auto()
    )  # nvq->done_idx of the zero-copy function: packets sent by zero copy whose buffers went back
    USED_END = auto()  # where a batch of the zero-copy function ends in the used ring
    COPY_ONLY = auto()  # packets until zero copy is tried again
    POLLS_LEFT = auto()
    POLL_LIMIT = auto()
    USED_EVENT_SEEN = auto()  # used_event or NO_INTERRUPT as read
    SIGNALLED_USED_QUARTERS = auto()  # vq->signalled_used, in quarters
    USED_QUARTERS = auto()
    # driver, once more
    CALLS_SEEN = auto()
    DRIVER_QUARTERS = auto()
    # sink
    TURN = auto()  # whose turn it is, a frame of pinned pages or a copied one
    ZEROCOPY_COMPLETIONS_LEFT = auto()  # zero-copy completions until the worker is woken
    COPIED_SENT = auto()
    # receive, shared
    PRODUCED = auto()  # packets put into the TAP's ptr_ring
    CONSUMED = auto()  # packets whose slot of the ptr_ring is free again
    SOCKET_WAIT = auto()  # the worker waits for the socket
    WAKES = auto()  # wake-ups by the source
    USED_EVENT = auto()
    # receive, worker
    GRABBED = auto()  # packets taken from the ptr_ring
    GRAB_LEFT = auto()  # packets that this visit may still take
    UNCLEARED = auto()  # slots taken and not yet cleared
    PRODUCED_SEEN = auto()
    BUFFERED = auto()  # packets taken and not yet received
    RECEIVED = auto()  # packets written into guest buffers
    RETURNED = auto()  # packets whose buffers are in the used ring
    HEADS_LEFT = auto()  # buffers that the packet still needs
    SAVED_AVAIL_IDX = auto()  # vq->last_avail_idx before the packet: where to go back to when buffers run out
    WAKES_SEEN = auto()
    INTERRUPT_OFF = auto()  # avail->flags as last read
    RX_USED_EVENT_SEEN = auto()  # used_event as last read
    SIGNALLED_USED = auto()  # used index at the last notification check
    # receive, driver and source
    RECEIVE_LEFT = auto()  # buffers that this poll may still take
    ROOM_SEEN = auto()  # CONSUMED as last read by the source
    WAIT_SEEN = auto()  # SOCKET_WAIT as last read by the source


#: Registers of one queue, and one that is always 0: those of queue k stand `k x BANK` further on.
BANK = len(Register) + 1

#: Registers that both actors look at; a change of another one is nobody else's business.
SHARED = (
    Register.RING_AVAIL_IDX, Register.RING_USED_IDX, Register.USED_FLAGS_NO_NOTIFY, Register.AVAIL_EVENT, Register.KICKS, Register.NOTIFY_OFF,
    Register.MAPPED, Register.INVALIDATING, Register.TEARING_DOWN, Register.IN_ROUND, Register.FLUSHES,
    Register.INVALIDATIONS, Register.OTHER_TASK, Register.WORKER_KICKS,
    Register.IOTLB_CLEARS, Register.IOTLB_MISSES,
    Register.AVAIL_FLAGS_NO_INTERRUPT, Register.USED_EVENT_QUARTERS, Register.CALLS, Register.SINK_QUEUED, Register.SINK_DONE,
    Register.UPEND_IDX, Register.ZEROCOPY_COMPLETED, Register.COPIED,
    Register.PRODUCED, Register.CONSUMED, Register.SOCKET_WAIT, Register.WAKES, Register.USED_EVENT,
)  # fmt: skip

#: Actors that are always at it and never what bounds a rate.
BACKGROUND = ("mm", "notifier", "other_task", "iotlb-updates", "iotlb-misses")


@dataclass(frozen=True)
class LineAccess:
    """Bytes of one region that a row reads (at its start) or writes (at its end).

    The offset is `offset + ((index x times + plus) mod modulo) x stride`; with `count`, that many strides from there.
    """

    region: str
    write: bool
    bytes: int
    offset: int = 0
    index: int | None = None
    times: int = 1
    plus: int = 0
    modulo: int = 1
    stride: int = 0
    count: int | None = None


@dataclass(frozen=True)
class Jump:
    """Go to `target` when `left - right RELATION constant` holds at the end of the row."""

    left: int
    relation: Relation
    constant: int
    target: str
    right: int | None = None

    @property
    def always(self) -> bool:
        """Tell whether it is taken whatever the registers hold: none of them is ever negative."""
        return self.relation == ">=" and self.constant <= 0 and self.right is None


@dataclass(frozen=True)
class Effect:
    """Change a register at the end of a row: set to a constant, copy or add `source` plus a constant, or count down.

    `countdown` subtracts `source` and adds `constant` when the result is not above 0.
    """

    op: Literal["set", "copy", "add", "countdown"]
    target: int
    source: int | None = None
    constant: int = 0


@dataclass(frozen=True)
class Condition:
    """Hold the actor at the start of a row until `left - right RELATION constant`."""

    left: int
    relation: Relation
    constant: int
    right: int | None = None


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
    unit: int | None = None
    instructions: float = 0.0
    unit_instructions: float = 0.0
    access: LineAccess | None = None
    payload_access: LineAccess | None = None
    waits_before: bool = False
    waits_after: bool = False
    hidden_ps: int = 0
    drains_stores: bool = False
    sample: tuple[int, int] | None = None
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
    unit: int | None
    read: LineAccess | None
    write: LineAccess | None
    hidden_ps: int
    waits_before: bool
    waits_after: bool
    drains_stores: bool
    sample: tuple[int, int] | None
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

    It is that of one core, which serves `queues`; `lanes` such cores share what moves lines, which takes
    `uncore_ps_per_line`. `actors` are named in the order in which simultaneous events happen, the worker first.
    `period_ps` is that of the rarest thing that comes again and again. `setup` is what mapping the ring costs once,
    `notes` say where the variant is not what it is called. Under a mix of sizes `class_rows` has, for each row whose
    cost depends on the size, that of each size class.
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
    initial: dict[int, int]
    latencies: Latencies
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
    queues: int = 1
    lanes: int = 1
    uncore_ps_per_line: float = 0.0
    setup: tuple[Component, ...] = ()
    notes: tuple[str, ...] = ()

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
