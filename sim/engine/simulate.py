"""Run one Plan until it is precise enough: the loop around an engine."""

from __future__ import annotations

from collections.abc import Callable

from sim.config.scenario import Run
from sim.datapath.plan import Plan
from sim.engine.reference import ReferenceEngine
from sim.engine.result import Point, point
from sim.engine.statistics import MIN_BATCHES, Estimate, estimate, precise_enough

#: Told after each stretch of a run: packets simulated so far, packets at most.
Progress = Callable[[int, int], None]

_BATCH_PACKETS = 1024
_STRETCH = 4


def checkpoint_packets(plan: Plan, run: Run) -> int:
    """Return packets per batch: whole laps of the ring and whole rounds, unless the run is too short for that."""
    wanted = max(_BATCH_PACKETS, 4 * plan.ring_packets)
    return max(1, min(wanted, run.packets // (2 * MIN_BATCHES)))


def simulate(plan: Plan, run: Run, saturated: bool = True, progress: Progress | None = None) -> Point:
    """Simulate until `run.precision` is met or `run.packets` packets are used; summarise what lies behind warm-up."""
    every = checkpoint_packets(plan, run)
    engine = ReferenceEngine(plan, every)
    target = min(run.packets, (MIN_BATCHES + 2) * every)
    while True:
        engine.run(target)
        taken = engine.checkpoints.taken
        found = estimate(taken) if len(taken) > 1 else _single(engine)
        if progress is not None:
            progress(target, run.packets)
        if target >= run.packets or precise_enough(found, run.precision):
            break
        target = min(run.packets, target + _STRETCH * every)
    return point(plan, taken, found, engine.machine.most_in_flight, saturated)


def _single(engine: ReferenceEngine) -> Estimate:
    """Estimate from a run that ended in one flush: from the start of time to its end, with no interval."""
    engine.checkpoints.start()
    first, last = engine.checkpoints.taken
    return Estimate((last.time_ps - first.time_ps) / (last.packets - first.packets), float("inf"), 0, 1)
