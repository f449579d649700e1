"""Registers: everything that the steps of a datapath count, what is asked of them and how they change.

Registers are monotonic 64-bit counters, so no comparison ever wraps. Their names are those of the kernel's variables
where it has one: `LAST_AVAIL_IDX` is `vq->last_avail_idx`, `AVAIL_IDX` the cached `vq->avail_idx`, `RING_AVAIL_IDX`
what is in the ring itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, auto
from typing import Literal

Relation = Literal["==", "!=", ">=", "<"]


@dataclass(frozen=True)
class Condition:
    """Whether `left - right RELATION constant` holds."""

    left: int
    relation: Relation
    constant: int
    right: int | None = None


class Compared:
    """What can be compared: with a constant, and a register with another one too."""

    def _test(self, relation: Relation, other: Register | int, more: int = 0) -> Condition:
        raise NotImplementedError

    def equals(self, other: Register | int = 0) -> Condition:
        """Return the test `self == other`."""
        return self._test("==", other)

    def differs(self, other: Register | int = 0) -> Condition:
        """Return the test `self != other`."""
        return self._test("!=", other)

    def at_least(self, other: Register | int = 0) -> Condition:
        """Return the test `self >= other`."""
        return self._test(">=", other)

    def above(self, other: Register | int = 0) -> Condition:
        """Return the test `self > other`."""
        return self._test(">=", other, more=1)

    def below(self, other: Register | int = 0) -> Condition:
        """Return the test `self < other`."""
        return self._test("<", other)


@dataclass(frozen=True)
class RegisterDifference(Compared):
    """`left - right`, to be compared with a constant."""

    left: int
    right: int

    def _test(self, relation: Relation, other: Register | int, more: int = 0) -> Condition:
        return Condition(self.left, relation, other + more, self.right)


@dataclass(frozen=True)
class Effect:
    """A change of a register at the end of a step: set to a constant, copy or add `source` plus a constant, count down.

    `countdown` subtracts `source` and adds `constant` when the result is not above 0.
    """

    op: Literal["set", "copy", "add", "countdown"]
    target: int
    source: int | None = None
    constant: int = 0


class Register(Compared, IntEnum):
    """Everything that rows count. The first group is shared between the actors, the others are private."""

    @staticmethod
    def _generate_next_value_(name: str, start: int, count: int, last_values: list[int]) -> int:
        """Number the registers from 0 in the order in which they stand here."""
        return count

    def minus(self, other: Register) -> RegisterDifference:
        """Return `self - other`, to be compared."""
        return RegisterDifference(self, other)

    def _test(self, relation: Relation, other: Register | int, more: int = 0) -> Condition:
        if isinstance(other, Register):
            return Condition(self, relation, more, other)
        return Condition(self, relation, other + more)

    def add(self, constant: int = 1) -> Effect:
        """Return the effect `self += constant`."""
        return Effect("add", self, None, constant)

    def add_register(self, source: Register) -> Effect:
        """Return the effect `self += source`."""
        return Effect("add", self, source)

    def put(self, constant: int) -> Effect:
        """Return the effect `self = constant`."""
        return Effect("set", self, None, constant)

    def copy(self, source: int, plus: int = 0) -> Effect:
        """Return the effect `self = source + plus`."""
        return Effect("copy", self, source, plus)

    def count_down(self, source: Register, again: int = 0) -> Effect:
        """Return the effect `self -= source`, and `self += again` where that is not above 0."""
        return Effect("countdown", self, source, again)

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
    QUEUE_STOPPED = auto()  # the transmit queue of a guest that routes
    # driver, packed ring: packets published before the last kick check
    KICK_CHECKED_IDX = auto()
    # shared: calls, and what is behind the worker
    AVAIL_FLAGS_NO_INTERRUPT = auto()  # avail->flags: the driver wants no call
    USED_EVENT_QUARTERS = auto()  # in quarters of a packet: virtqueue_enable_cb_delayed asks for three of those posted
    CALLS = auto()
    SINK_QUEUED = auto()  # frames handed to the NIC or the receiver
    SINK_DONE = auto()
    UPEND_IDX = auto()  # upend_idx: packets sent by zero copy
    ZEROCOPY_COMPLETED = auto()  # of those, the ones whose pages were released
    COPIED = auto()  # frames handed to the NIC that were copied
    # worker, once more
    ZEROCOPY_COMPLETED_SEEN = auto()
    ZEROCOPY_DONE_IDX = auto()  # nvq->done_idx of the zero-copy function: packets whose buffers went back
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
    SOURCE_STOPPED = auto()  # the TAP has stopped its queue: the ptr_ring is full
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
    BATCH_PACKETS = auto()  # IN_ORDER: packets of the batch, each with one used element
    SAVED_AVAIL_IDX = auto()  # vq->last_avail_idx before the packet: where to go back to when buffers run out
    WAKES_SEEN = auto()
    INTERRUPT_OFF = auto()  # avail->flags as last read
    RX_USED_EVENT_SEEN = auto()  # used_event as last read
    SIGNALLED_USED = auto()  # used index at the last notification check
    # receive, driver and source
    RECEIVE_LEFT = auto()  # buffers that this poll may still take
    FREED = auto()  # packets that a guest that forwards could not send
    FORWARD_LEFT = auto()  # packets received that a guest that forwards is about to send
    PRODUCER_DRAWN = auto()  # how often anyone has asked for the producer lock of the ptr_ring
    PRODUCER_SERVED = auto()  # ... and has let it go again
    PRODUCER_TICKET = auto()  # PRODUCER_DRAWN when this one asked
    ROOM_SEEN = auto()  # CONSUMED as last read by the source
    WAIT_SEEN = auto()  # SOCKET_WAIT as last read by the source
    # an application, shared: of all its sessions
    SEGMENTS_SENT = auto()
    SEGMENTS_ACKNOWLEDGED = auto()  # as the sender knows
    ANSWERS = auto()  # acknowledgements and replies put on their way back
    ANSWERS_TAKEN = auto()  # of those, the ones that the worker has taken
    ANSWERED = auto()  # of those, the ones that it has handed over
    ANSWERS_QUIET = auto()  # the guest polls the queue of answers and wants no call for them
    ANSWERS_EVENT = auto()  # avail_event or used_event of the ring of answers
    ANSWER_CALLS = auto()
    XMIT_DRAWN = auto()  # how often a session has asked for the lock of the driver's queue
    XMIT_SERVED = auto()  # ... and has let it go again
    # ... of each session
    WINDOW_SENT = auto()  # its segments
    WINDOW_ACKNOWLEDGED = auto()  # of those, the ones that are acknowledged
    # an application, of one actor: its sender
    GATHERED = auto()  # bytes in the open segment
    TICKET = auto()  # the last segment of this session, by number
    NO_SPACE = auto()  # the program sleeps until enough of what it wrote has been acknowledged
    ANSWERS_SEEN = auto()
    ANSWERED_NOW = auto()
    ANSWER_CALLS_SEEN = auto()
    XMIT_TICKET = auto()  # XMIT_DRAWN when it asked
    # ... its reader
    READ_NEXT = auto()  # the next packet of this session, by number
    UNREAD = auto()  # bytes of it
    UNACKNOWLEDGED = auto()  # packets read since the last acknowledgement
    # ... and the worker, on the way back
    ANSWERS_BATCH = auto()
    ANSWERS_QUIET_SEEN = auto()
    ANSWERS_EVENT_SEEN = auto()
    ANSWERS_SIGNALLED = auto()  # ANSWERED at the last notification check
    SHARED_OUT = auto()  # of SEGMENTS_ACKNOWLEDGED, those that a session has been told of


#: Registers, as the programs of actors name them.
R = Register

#: Registers of one queue, and one that is always 0: those of queue k stand `k x BANK` further on.
BANK = len(Register) + 1

#: Registers that several actors look at; a change of another one is nobody else's business.
_SHARED = """
    RING_AVAIL_IDX RING_USED_IDX USED_FLAGS_NO_NOTIFY AVAIL_EVENT KICKS NOTIFY_OFF MAPPED INVALIDATING TEARING_DOWN
    IN_ROUND FLUSHES INVALIDATIONS OTHER_TASK WORKER_KICKS IOTLB_CLEARS IOTLB_MISSES AVAIL_FLAGS_NO_INTERRUPT
    USED_EVENT_QUARTERS CALLS SINK_QUEUED SINK_DONE UPEND_IDX ZEROCOPY_COMPLETED COPIED PRODUCED CONSUMED
    SOCKET_WAIT WAKES USED_EVENT SOURCE_STOPPED PRODUCER_DRAWN PRODUCER_SERVED SEGMENTS_SENT SEGMENTS_ACKNOWLEDGED
    ANSWERS ANSWERS_TAKEN ANSWERED ANSWERS_QUIET ANSWERS_EVENT ANSWER_CALLS XMIT_DRAWN XMIT_SERVED WINDOW_SENT
    WINDOW_ACKNOWLEDGED
"""
SHARED = frozenset(Register[name] for name in _SHARED.split())
