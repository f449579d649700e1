"""A fair lock between actors: tickets are drawn in the order in which they come, and served in that order.

    lock = FairLock("producer_lock", R.PRODUCER_DRAWN, R.PRODUCER_SERVED, R.PRODUCER_TICKET)
    actor.step("make", "build the packet")
    lock.queue_up(actor)
    lock.take(actor, "lock", "lock the ptr_ring")
    ...
    lock.let_go(actor, "unlock", "unlock the ptr_ring")

A test and set in one step would exclude others as well, but of those that wait the one that is asked first would always
have it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sim.datapath.plan.program import Program
from sim.datapath.plan.registers import BANK, Condition, Effect, R
from sim.datapath.plan.step import LineAccess

_WORD_BYTES = 4


@dataclass(frozen=True)
class FairLock:
    """A queued spin lock (queued_spin_lock_slowpath) whose word is a cache line of its own.

    `drawn` and `served` count for all actors, `ticket` is a register of the one that asks.
    """

    region: str
    drawn: int
    served: int
    ticket: int

    def regions(self) -> Mapping[str, int]:
        """Map the region of the lock to its number of cache lines."""
        return {self.region: 1}

    def queue_up(self, actor: Program) -> None:
        """At the end of the last step the actor asks for the lock."""
        actor.then(Effect("copy", self.ticket, self.drawn), Effect("add", self.drawn, None, 1))

    def take(self, actor: Program, label: str, title: str, **fields: Any) -> None:
        """Add a step that waits until all who asked earlier have let go, and takes the lock's line from the last."""
        fields = {"primitives": ("spin_lock",), "drains_stores": True, **fields}
        actor.read(label, title, LineAccess(self.region, False, _WORD_BYTES), **fields)
        actor.change(condition=Condition(self.served, "==", 0, self.ticket))

    def let_go(self, actor: Program, label: str, title: str, **fields: Any) -> None:
        """Add a step that lets the lock go."""
        actor.write(label, title, LineAccess(self.region, True, _WORD_BYTES), **fields)
        actor.then(Effect("add", self.served, None, 1))


def producer_lock(number: int = 0) -> FairLock:
    """Return the producer lock of a ptr_ring, as the producer of that number asks for it."""
    ticket = R.PRODUCER_TICKET + number * BANK
    return FairLock("producer_lock", R.PRODUCER_DRAWN, R.PRODUCER_SERVED, ticket)


def transmit_lock() -> FairLock:
    """Return the lock of a device's transmit queue in the guest (`__dev_queue_xmit`), as a session asks for it."""
    return FairLock("transmit_lock", R.XMIT_DRAWN, R.XMIT_SERVED, R.XMIT_TICKET)
