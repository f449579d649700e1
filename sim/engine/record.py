"""What every engine records: steps of a trace, and checkpoints each time a number of packets has been used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sim.datapath.plan import Plan, Segment

MOST_CHECKPOINTS = 512


class DeadlockError(RuntimeError):
    """No actor can go on; says where each of them waits."""

    def __init__(self, plan: Plan, where: Sequence[Segment]) -> None:
        places = (f"{plan.actors[segment.actor]} at '{plan.rows[segment.rows[0]].label}'" for segment in where)
        super().__init__(f"deadlock: nothing can happen any more ({', '.join(places)})")


@dataclass(frozen=True)
class Step:
    """One event of a trace: the end of a row (a fused segment) of one actor."""

    time_ps: int
    priority: int
    sequence: int
    actor: int
    segment: int


class Totals(Protocol):
    """What a machine counts from the start of time: per segment, per kind of waiting, per bucket of latency."""

    registers: Any
    class_executions: Any
    executions: Any
    units: Any
    waits_ps: Any
    wait_events: Any
    histogram: Any

    @property
    def marked_used(self) -> int:
        """Packets that the device has used."""

    @property
    def most_in_flight(self) -> int:
        """Most packets ever posted and not yet used."""

    @property
    def latency_sum_ps(self) -> int:
        """Sum of the latencies of all used packets."""


class Engine(Protocol):
    """Runs a Plan."""

    checkpoints: Checkpoints
    trace: list[Step] | None

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


@dataclass(frozen=True)
class Checkpoint:
    """Totals since the start of the run, taken at the end of the flush that reached the checkpoint."""

    time_ps: int
    packets: int
    executions: npt.NDArray[np.int64]
    units: npt.NDArray[np.int64]
    class_executions: npt.NDArray[np.int64]
    waits_ps: npt.NDArray[np.int64]
    wait_events: npt.NDArray[np.int64]
    histogram: npt.NDArray[np.int64]
    latency_sum_ps: int


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
        if machine.marked_used < self.due_at:
            return
        self.taken.append(
            Checkpoint(
                now_ps, machine.marked_used, _array(machine.executions), _array(machine.units),
                _array(machine.class_executions),
                _array(machine.waits_ps), _array(machine.wait_events), _array(machine.histogram),
                machine.latency_sum_ps,
            )
        )  # fmt: skip
        self._pass(machine.marked_used)
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
        last = self.taken[0]
        zeros = {
            name: np.zeros_like(getattr(last, name))
            for name in ("executions", "units", "class_executions", "waits_ps", "wait_events", "histogram")
        }
        self.taken.insert(0, Checkpoint(time_ps=0, packets=0, latency_sum_ps=0, **zeros))


def _array(values: npt.ArrayLike) -> npt.NDArray[np.int64]:
    return np.array(values, dtype=np.int64)
