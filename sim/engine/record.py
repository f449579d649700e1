"""Checkpoints: cumulative integers taken each time a fixed number of packets has been used."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.engine.machine import Machine


@dataclass(frozen=True)
class Checkpoint:
    """Totals since the start of the run, taken at the end of the flush that reached the checkpoint."""

    time_ps: int
    packets: int
    executions: npt.NDArray[np.int64]
    units: npt.NDArray[np.int64]
    waits_ps: npt.NDArray[np.int64]
    wait_events: npt.NDArray[np.int64]
    histogram: npt.NDArray[np.int64]
    latency_sum_ps: int


class Checkpoints:
    """Takes a checkpoint whenever another `every` packets have been used."""

    def __init__(self, every: int) -> None:
        self.every = every
        self.taken: list[Checkpoint] = []
        self._next = 0

    def reach(self, machine: Machine, now_ps: int) -> None:
        """Take a checkpoint if one is due."""
        if machine.marked_used < self._next:
            return
        self._next = (machine.marked_used // self.every + 1) * self.every
        self.taken.append(
            Checkpoint(
                now_ps, machine.marked_used, _array(machine.executions), _array(machine.units),
                _array(machine.waits_ps), _array(machine.wait_events), _array(machine.histogram),
                machine.latency_sum_ps,
            )
        )  # fmt: skip

    def start(self) -> None:
        """Put a checkpoint of all zeros, the start of time, before the others."""
        last = self.taken[0]
        zeros = {
            name: np.zeros_like(getattr(last, name))
            for name in ("executions", "units", "waits_ps", "wait_events", "histogram")
        }
        self.taken.insert(0, Checkpoint(time_ps=0, packets=0, latency_sum_ps=0, **zeros))


def _array(values: list[int] | list[list[int]]) -> npt.NDArray[np.int64]:
    return np.array(values, dtype=np.int64)
