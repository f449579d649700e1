"""The fast engine: the compiled loop behind the interface of the reference engine."""

from __future__ import annotations

import numpy as np

from sim.datapath.plan.plan import Plan
from sim.datapath.plan.registers import Register
from sim.datapath.traffic import BLOCK, LAST_PS, Arrivals
from sim.engine.arrays import (
    NEVER,
    OCCUPIED_SHIFT,
    TOTAL,
    Arrays,
    Integers,
    Noted,
    Phase,
    Records,
    Snapshots,
    Stop,
    TotalsRow,
    Until,
)
from sim.engine.horizon import too_late
from sim.engine.machine import Count
from sim.engine.machine_code import MachineCode, flat
from sim.engine.order import TieOrder
from sim.engine.packed import Packed, pack
from sim.engine.record import Checkpoint, Checkpoints, DeadlockError, TraceEvent

_TRACE_ROWS = 1 << 16
_EVENTS_BETWEEN_SIGNALS = 1 << 22
#: Checkpoints that the loop notes before it comes back.
_SNAPSHOTS = 32
_loop, _draws = MachineCode("simulate_run"), MachineCode("simulate_draws")


class FastMachine:
    """Totals of a simulation, named as in `Machine`; arrays are views that go on changing."""

    def __init__(self, arrays: Arrays) -> None:
        self._totals = arrays.totals[0]
        self.registers = arrays.registers
        self.histogram = arrays.histogram
        self.counts = arrays.counts
        self.executions, self.units = arrays.counts[:, Count.EXECUTIONS], arrays.counts[:, Count.UNITS]
        self.waits_ps = arrays.counts[:, Count.WAITS_PS : Count.WAIT_EVENTS]
        self.wait_events = arrays.counts[:, Count.WAIT_EVENTS : Count.CLASSES]
        self.class_executions = arrays.counts[:, Count.CLASSES :]

    @property
    def marked_posted(self) -> int:
        """Packets that the driver has published."""
        return int(self._totals["marked_posted"])

    @property
    def marked_used(self) -> int:
        """Packets that the device has used."""
        return int(self._totals["marked_used"])

    @property
    def most_in_flight(self) -> int:
        """Most packets ever posted and not yet used."""
        return int(self._totals["most_in_flight"])

    @property
    def most_occupied(self) -> int:
        """Most entries of the ring that were ever posted and not yet used."""
        return int(self._totals["most_occupied"])

    def occupied_ps(self, now_ps: int) -> int:
        """Return the integral of the ring's occupancy up to now, in entries x ps."""
        return _occupied_ps(TotalsRow._make(self._totals.tolist()), now_ps)


def _occupied_ps(totals: TotalsRow, now_ps: int) -> int:
    """Return the integral of the ring's occupancy up to now, in entries x ps, as a row of totals says it."""
    noted = (totals.occupied_high << OCCUPIED_SHIFT) + totals.occupied_low
    return noted + totals.occupied * (now_ps - totals.occupied_since_ps)


def check_indices(plan: Plan, totals: Records, registers: Integers | None = None) -> None:
    """Raise RuntimeError when a count of a run, or of several, has left its bounds: the model or the loop is at fault.

    `registers` are those of a run with arrivals.
    """
    bounds = {
        "packets under way": (totals["marked_posted"] - totals["marked_used"], plan.in_flight),
        "entries of the ring": (totals["occupied"], plan.ring_packets),
        "time": (totals["now_ps"], LAST_PS),
    }
    if plan.arrivals is not None and registers is not None:
        waiting = registers[Register.ARRIVED] - registers[Register.TAKEN]
        bounds["packets that wait"] = (waiting, NEVER)
    for name, (values, most) in bounds.items():
        outside = values[(values < 0) | (values > most)]
        if outside.size:
            raise RuntimeError(f"{name}: {outside[0]} is not within 0 to {most}; the model is at fault")


class FastDraws:
    """Draws of a Plan from the start of time, with a checkpoint after each `every` packets, and at most so many.

    Rows of `prices` are draws, or there is one for all of them.
    """

    def __init__(self, packed: Packed, prices: Integers, draws: int, most_packets: int, every: int) -> None:
        self._packed, self._prices, self._every = packed, prices, every
        self._buffer = np.empty_like(packed.start)
        self._arrays = packed.views(self._buffer)
        checkpoints = most_packets // every + 2
        self.noted = Noted(
            checkpoints=np.zeros(draws, dtype=np.int64),
            times_ps=np.empty((draws, checkpoints), dtype=np.int64),
            packets=np.empty((draws, checkpoints), dtype=np.int64),
            counts=np.empty((draws, checkpoints, *self._arrays.counts.shape), dtype=np.int64),
            ends=np.zeros(draws, dtype=TOTAL),
            states=np.empty((draws, packed.live), dtype=np.int64),
        )

    def run(self, draws: Integers, packets: int) -> None:
        """Simulate some of them, by number, until so many packets are used; each goes on from where it stopped."""
        trace = np.empty((0, len(TraceEvent.__annotations__)), dtype=np.int64)
        until = Until(trace, packets, self._every, _EVENTS_BETWEEN_SIGNALS)
        packed = self._packed
        _draws(self._arrays, self._buffer, draws, packed.start, packed.places, self._prices, until, self.noted)


class FastEngine:
    """Runs a Plan exactly as `ReferenceEngine` does, some hundred times as fast.

    `run` continues where the last one stopped. `arrays` are those of the Plan, where somebody has packed it.
    """

    def __init__(
        self, plan: Plan, checkpoint_packets: int, ties: TieOrder | None = None, arrays: Arrays | None = None
    ) -> None:
        self.plan = plan
        self.trace: list[TraceEvent] | None = None
        self.checkpoints = Checkpoints(checkpoint_packets)
        self._arrays = arrays or pack(plan, ties or TieOrder.stated(len(plan.actors)))
        self._flat = flat(self._arrays)
        self._totals = self._arrays.totals[0]
        self._snapshots = Snapshots(
            totals=np.empty(_SNAPSHOTS, dtype=TOTAL),
            dropped=np.empty(_SNAPSHOTS, dtype=np.int64),
            counts=np.empty((_SNAPSHOTS, *self._arrays.counts.shape), dtype=np.int64),
            histograms=np.empty((_SNAPSHOTS, len(self._arrays.histogram)), dtype=np.int64),
        )
        self.machine = FastMachine(self._arrays)

    @property
    def now_ps(self) -> int:
        """Simulated time."""
        return int(self._totals["now_ps"])

    @property
    def events(self) -> int:
        """Rows (fused segments) that have ended."""
        return int(self._totals["sequence"])

    @property
    def accounted_ps(self) -> list[int]:
        """By actor: when its row in progress ends, or when it began to wait."""
        actors = self._arrays.actors
        running = actors["phase"] == Phase.RUNNING
        return [int(time) for time in np.where(running, actors["due_ps"], actors["arrived_ps"])]

    def run(self, packets: int) -> None:
        """Simulate until that many packets have been used, counted from the start.

        Raises DeadlockError when no actor can go on.
        """
        if self.machine.marked_used >= packets:
            return
        trace = np.empty((0 if self.trace is None else _TRACE_ROWS, len(TraceEvent.__annotations__)), dtype=np.int64)
        flat_trace, stop = flat(trace), Stop.PAUSED
        while stop != Stop.REACHED:
            due_at, every, room = self.checkpoints.due_at, self.checkpoints.every, self.checkpoints.room
            snapshots = flat(Snapshots(*(array[:room] for array in self._snapshots)))
            try:
                stop = Stop(_loop(self._flat, flat_trace, packets, due_at, every, _EVENTS_BETWEEN_SIGNALS, snapshots))
            finally:  # where somebody interrupts, too: the loop has come to its end by then
                self._take_snapshots()
                if self.trace is not None:
                    self.trace += self._recorded(trace)
            if stop == Stop.CHECKPOINT:
                continue  # indices are looked at where the loop stops for another reason
            if stop == Stop.DEADLOCK:
                where = [self.plan.segments[segment] for segment in self._arrays.actors["segment"]]
                raise DeadlockError(self.plan, where)
            elif stop == Stop.LATE:
                raise too_late(self.plan)
            elif stop == Stop.NO_ARRIVALS and self.plan.arrivals is not None:
                self._go_on_to(self.plan.arrivals, int(self._arrays.actors["due_ps"].min()))
            check_indices(self.plan, self._arrays.totals, self._arrays.registers)

    def _go_on_to(self, arrivals: Arrivals, time_ps: int) -> None:
        """Give the loop the first arrivals behind a time; of those before it asks only that they have arrived."""
        number = arrivals.first_behind(time_ps)
        self._totals["arrivals_from"] = number * BLOCK
        times = np.require(arrivals.block(number), requirements=["C", "W"])
        self._arrays = self._arrays._replace(arrivals=times)
        self._flat = flat(self._arrays)

    def _take_snapshots(self) -> None:
        """Take the checkpoints that the loop has noted."""
        noted = self._snapshots
        rows = noted.totals[: int(self._totals["snapshots"])].tolist()
        for number, totals in enumerate(map(TotalsRow._make, rows)):
            histogram = noted.histograms[number, totals.first_bucket : totals.last_bucket + 1]
            filled = histogram.nonzero()[0]
            self.checkpoints.take(
                Checkpoint(
                    time_ps=totals.now_ps,
                    packets=totals.marked_used,
                    counts=noted.counts[number].copy(),
                    buckets=filled + totals.first_bucket,
                    latencies=histogram[filled],
                    occupied_ps=_occupied_ps(totals, totals.now_ps),
                    dropped=int(noted.dropped[number]),
                )
            )
        self._totals["snapshots"] = 0

    def _recorded(self, trace: Integers) -> list[TraceEvent]:
        """Take what the loop has recorded."""
        recorded = int(self._arrays.totals["recorded"][0])
        self._arrays.totals["recorded"] = 0
        return [TraceEvent(*row) for row in trace[:recorded].tolist()]
