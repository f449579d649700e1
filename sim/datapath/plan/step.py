"""Steps: what one actor does at one place of its program, and the anchors at which other files find such places.

A *step* may wait for a condition, sample a shared value and read one place of a ring at its start, take a fixed time
(plus a time per unit of a register), and write one place and change registers at its end; then jumps decide which step
comes next. Pricing turns it into a `Row`, the same with what it executes and costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Literal

from sim.costs.table import Component
from sim.datapath.plan.registers import Condition, Effect

LINE_BYTES = 64
#: What a step runs once per.
Scope = Literal[
    "packet",
    "page_refill",
    "flush",
    "refill",
    "drain",
    "drain_found_work",
    "busy_poll",
    "poll",
    "round",
    "invalidation",
    "wakeup",
    "burst",
    "window",
    "kick",
    "call",
    "ring_batch",
    "socket_empty",
    "message",
    "read",
    "answer",
    "answer_batch",
    "visit",
]
#: Lines of the packet that a copy meets: its first one, the others, or all of them.
Copied = Literal["none", "first", "rest", "whole"]
Marks = Literal["posted", "used"]

#: What each operation does, as `explain` and the JSON of a plan name it.
OPERATIONS = {
    "work": "executes instructions (or spends the given time) and touches no line of the ring",
    "read": "reads one place of a ring or of a shared line",
    "write": "writes one place of a ring or of a shared line",
    "copy": "copies packet bytes between the guest's memory and the host's",
    "barrier": "executes a full barrier, which waits until the writes before it own their lines",
    "window": "opens or closes a user access window around several accesses",
    "poll": "waits until another actor has changed something, looking again and again or asleep",
    "hold": "lets time pass: a timer, or somebody else's work that this actor stands for",
    "stall": "takes the worker's core away: an interrupt and its faults, or another task",
}


class Anchor(Enum):
    """A place in an actor's program that has a meaning of its own. Whichever step stands first there is its entry.

    Steps of one file jump to each other by label; to those of another file, and to what a feature may put first, only
    through an anchor.
    """

    # worker
    ROUND = "start of a round"
    NEXT_PACKET = "top of the packet loop, where the handler looks whether a chain is known of"
    REFILL = "the cached avail index is used up: read it again"
    LOOK_AHEAD = "the avail index is looked at before a sendmsg, for MSG_MORE"
    PACKET = "start of a packet: its chain is fetched"
    RECEIVE_PACKET = "start of a received packet"
    SEND = "sendmsg of one packet"
    PACKET_DONE = "end of a packet that was copied"
    FLUSH = "a batch is handed over, its buffers go back"
    RING_EMPTY = "a refill has found nothing"
    DRAIN = "the ring stays empty: flush or notifications on"
    ENABLE = "notifications on, then one more look at the ring"
    WORK_AFTER_ALL = "the look after notifications are on has found work"
    POLL_START = "the worker begins to poll an empty ring"
    POLL = "one look of a worker that polls"
    ROUND_REQUEUED = "end of a round that goes on behind others"
    ROUND_ASLEEP = "end of a round that found its ring empty"
    ROUND_WITHOUT_PACKETS = "end of a round that found no packet to receive"
    IDLE = "asleep until kicked"
    SCHEDULED_OUT = "off the core until kicked"
    POLL_SOCKET = "no packet: wait for the socket"
    IDLE_SOCKET = "asleep until a packet comes"
    ANSWERS = "answers of an application that wait are carried"
    OTHER_QUEUE = "behind answers: has the other queue of the pair work?"
    # driver
    BURST = "start of a burst"
    POST = "one packet into the ring"
    PUBLISH = "what was written is published"
    KICK_CHECK = "does the device want a kick?"
    AFTER_KICK = "behind the kick, or its check"
    FORWARD = "a guest that forwards sends on what it has received"
    RECEIVE = "a guest that forwards looks for received packets again"
    INTERRUPT = "waiting for an interrupt"
    # an application
    APPLICATION = "between two calls of a program"
    ANSWERED = "the interrupt of answers"


#: Where a jump leads: a label of the same file, or an anchor.
Target = str | Anchor


@dataclass(frozen=True)
class LineAccess:
    """Bytes of one region that a step reads (at its start) or writes (at its end).

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
class Times:
    """A primitive that a step executes a number of times that a table gives, which need not be whole."""

    primitive: str
    count: float


@dataclass(frozen=True)
class Jump:
    """Go to `target` at the end of a step when `test` holds; always without one."""

    target: Target
    test: Condition | None = None


@dataclass(frozen=True)
class Step:
    """One step as a datapath writes it.

    Parameters
    ----------
    label, title
        Its name among the steps of its actor, and what it does in the words of a kernel engineer.
    scopes, repeats, sometimes
        What it runs `repeats` times per; `sometimes` names the condition under which it does, if there is one.
    instead_of
        Label of the step whose rarer case it is.
    counted_as, function
        Name of its instruction count in the kernel table, if it has one; the kernel function that it stands for.
    accessor, counted_accessor
        The accessor that it executes; the one that it was counted with, where it executes another or none.
    bytes, times
        Bytes of the access; how often accessor and work repeat within one execution.
    unit, per_unit
        Register of a time per unit; `per_unit` prices everything per unit.
    extra_instructions, extra_function
        Instructions besides those counted, and the kernel's word in `routines` for what executes them, if not itself.
    user_instructions
        Instructions of a process of the host, not of its kernel.
    extra_ns, extra_name
        Time that no primitive stands for, in ns, and how it is shown.
    copied, copied_bytes
        Which lines of the packet a copy meets; only those of the first `copied_bytes` where that is not 0.
    far_read
        Its lines overlap with those of the read before only as far as the reorder buffer reaches.
    unmapped
        It runs in rounds whose ring is not mapped, through the kernel's own accessors.
    """

    label: str
    actor: str
    title: str
    scopes: tuple[Scope, ...]
    anchors: tuple[Anchor, ...] = ()
    repeats: int = 1
    sometimes: str = ""
    instead_of: str = ""
    operation: str = "work"
    counted_as: str | None = None
    function: str = ""
    accessor: str | None = None
    counted_accessor: str | None = None
    bytes: int = 0
    times: int = 1
    primitives: tuple[str | Times, ...] = ()
    extra_instructions: float = 0.0
    extra_function: str = ""
    user_instructions: float = 0.0
    extra_ns: float = 0.0
    extra_name: str = ""
    unit: int | None = None
    per_unit: bool = False
    copied: Copied = "none"
    copied_bytes: int = 0
    access: LineAccess | None = None
    far_read: bool = False
    drains_stores: bool = False
    sample: tuple[int, int] | None = None
    effects: tuple[Effect, ...] = ()
    condition: Condition | None = None
    takes_arrivals: bool = False
    marks: Marks | None = None
    jumps: tuple[Jump, ...] = ()
    unmapped: bool = False

    @property
    def reads(self) -> bool:
        """Whether it reads a place that others write."""
        return self.access is not None and not self.access.write

    @property
    def writes(self) -> bool:
        """Whether it writes a place that others read."""
        return self.access is not None and self.access.write


@dataclass(frozen=True)
class Row(Step):
    """A priced step: `components` are executed once, `unit_components` per unit; costs are whole picoseconds.

    `waits_before` and `waits_after` say whether a primitive that waits for loads stands before its access and anywhere
    in it; `hidden_ps` of the latency of its access is hidden by work behind it. What the row waits for is time of the
    function `waits_in`; `waits_next` runs next.
    """

    family: str = "work"
    components: tuple[Component, ...] = ()
    unit_components: tuple[Component, ...] = ()
    instructions: float = 0.0
    returns: float = 0.0
    unit_instructions: float = 0.0
    payload_access: LineAccess | None = None
    waits_before: bool = False
    waits_after: bool = False
    hidden_ps: int = 0
    waits_in: str = ""
    waits_next: str = ""

    @cached_property
    def cost_ps(self) -> int:
        """Fixed cost of one execution."""
        return sum(component.cost_ps for component in self.components)

    @cached_property
    def unit_ps(self) -> int:
        """Cost per unit of the unit register."""
        return sum(component.cost_ps for component in self.unit_components)
