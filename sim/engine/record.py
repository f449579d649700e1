"""What every engine records: events of a trace, and checkpoints each time a number of packets has been used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from sim.datapath.plan.plan import Plan, Segment
from sim.datapath.plan.registers import Register
from sim.engine.histogram import buckets
from sim.engine.machine import Count

MOST_CHECKPOINTS = 512


class DeadlockError(RuntimeError):
    """No actor can go on; says where each of them waits."""

    def __init__(self, plan: Plan, where: Sequence[Segment]) -> None:
        places = (f"{plan.actors[segment.actor]} at '{plan.rows[segment.rows[0]].label}'" for segment in where)
        super().__init__(f"deadlock: nothing can happen any more ({', '.join(places)})")


@dataclass(frozen=True)
class TraceEvent:
    """One event of a trace: the end of a row (a fused segment) of one actor."""

    time_ps: int
    priority: int
    sequence: int
    actor: int
    segment: int


class Totals(Protocol):
    """What a machine counts from the start of time: per segment, per kind of waiting, per bucket of latency."""

    registers: Any
    histogram: Any

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """All that is counted per segment; columns are those of `Count`."""

    @property
    def marked_used(self) -> int:
        """Packets that the device has used."""

    @property
    def most_occupied(self) -> int:
        """Most entries of the ring that were ever posted and not yet used."""

    def occupied_ps(self, now_ps: int) -> int:
        """Return the integral of the ring's occupancy up to now, in entries x ps."""


class Engine(Protocol):
    """Runs a Plan."""

    checkpoints: Checkpoints
    trace: list[TraceEvent] | None

    @property
    def machine(self) -> Totals:
        """The simulated machine."""

    @property
    def now_ps(self) -> int:
        """Simulated time."""

    @property
    def events(self) -> int:
        """Rows (fused segments) that have ended."""

    def run(self, packets: int) -> None:
        """Simulate until that many packets have been used, counted from the start.

        Raises DeadlockError when no actor can go on.
        """


class Checkpoint(NamedTuple):
    """Totals since the start of the run, taken at the end of the flush that reached the checkpoint."""

    time_ps: int
    packets: int
    counts: npt.NDArray[np.int64]  # rows are segments, columns those of `Count`
    buckets: npt.NDArray[np.int64]  # buckets of the histogram that are not empty
    latencies: npt.NDArray[np.int64]  # packets in each of those
    occupied_ps: int  # entries of the ring that were posted and not yet used, times how long
    dropped: int

    @property
    def executions(self) -> npt.NDArray[np.int64]:
        """Executions of each segment."""
        return self.counts[:, Count.EXECUTIONS]

    @property
    def units(self) -> npt.NDArray[np.int64]:
        """Units that each segment ran for."""
        return self.counts[:, Count.UNITS]

    @property
    def waits_ps(self) -> npt.NDArray[np.int64]:
        """Waiting of each segment, by `Wait`."""
        return self.counts[:, Count.WAITS_PS : Count.WAIT_EVENTS]

    @property
    def wait_events(self) -> npt.NDArray[np.int64]:
        """How often each segment met each kind of `Wait`."""
        return self.counts[:, Count.WAIT_EVENTS : Count.CLASSES]

    @property
    def class_executions(self) -> npt.NDArray[np.int64]:
        """Executions of each segment by size class of the packet."""
        return self.counts[:, Count.CLASSES :]

    @property
    def histogram(self) -> npt.NDArray[np.int64]:
        """Packets by bucket of latency."""
        whole = np.zeros(buckets(), dtype=np.int64)
        whole[self.buckets] = self.latencies
        return whole


class Checkpoints:
    """Takes a checkpoint whenever another `every` packets have been used.

    With more than `MOST_CHECKPOINTS`, `every` doubles and those stay that it would have given from the start, so memory
    stays flat in long runs.
    """

    def __init__(self, every: int) -> None:
        self.every = every
        self.taken: list[Checkpoint] = []
        self.due_at = 0

    def reach(self, machine: Totals, now_ps: int) -> None:
        """Take a checkpoint if one is due."""
        used = machine.marked_used
        if used < self.due_at:
            return
        histogram = np.asarray(machine.histogram)
        filled = (histogram != 0).nonzero()[0]  # few: copies of the whole would be most of what is kept
        counts, dropped = machine.counts.copy(), int(machine.registers[Register.DROPPED])
        latencies = histogram[filled]
        self.take(Checkpoint(now_ps, used, counts, filled, latencies, machine.occupied_ps(now_ps), dropped))

    @property
    def room(self) -> int:
        """Checkpoints that can be taken before `every` doubles, with the one that makes it."""
        return MOST_CHECKPOINTS + 1 - len(self.taken)

    def take(self, checkpoint: Checkpoint) -> None:
        """Take a checkpoint that was due."""
        self.taken.append(checkpoint)
        self._pass(checkpoint.packets)
        while len(self.taken) > MOST_CHECKPOINTS:
            self.every *= 2
            before, self.taken, self.due_at = self.taken, [], 0
            for checkpoint in before:
                if checkpoint.packets >= self.due_at:
                    self.taken.append(checkpoint)
                    self._pass(checkpoint.packets)

    def _pass(self, packets: int) -> None:
        self.due_at = (packets // self.every + 1) * self.every

    def start(self) -> None:
        """Put a checkpoint of all zeros, the start of time, before the others."""
        nothing = np.zeros(0, dtype=np.int64)
        self.taken.insert(0, Checkpoint(0, 0, np.zeros_like(self.taken[0].counts), nothing, nothing, 0, 0))
