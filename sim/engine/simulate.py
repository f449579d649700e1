"""Run one Plan until it is precise enough: the loop around an engine."""

from __future__ import annotations

from typing import Literal

from sim.config.progress import Counted
from sim.config.scenario.scenario import Run
from sim.datapath.plan.plan import Plan
from sim.engine.horizon import check_horizon
from sim.engine.order import TieOrder
from sim.engine.record import Engine
from sim.engine.reference import ReferenceEngine
from sim.engine.result import Point, point
from sim.engine.statistics import MIN_BATCHES, Estimate, estimate, precise_enough

_BATCH_PACKETS = 1024
_STRETCH = 4


def checkpoint_packets(plan: Plan, run: Run) -> int:
    """Return packets per batch: whole laps of the ring and whole rounds, unless the run is too short for that."""
    wanted = max(_BATCH_PACKETS, 4 * plan.ring_packets)
    return max(1, min(wanted, run.packets // (2 * MIN_BATCHES)))


def _engine(plan: Plan, name: Literal["fast", "reference"], every: int, ties: TieOrder) -> Engine:
    if name == "reference":
        return ReferenceEngine(plan, every, ties=ties)
    from sim.engine.fast import FastEngine  # numba is loaded only when it is needed

    return FastEngine(plan, every, ties)


def simulate(plan: Plan, run: Run, progress: Counted | None = None, tie_fuzz: int = 0) -> Point:
    """Simulate until `run.precision` is met or `run.packets` packets are used; summarise what lies behind warm-up.

    `tie_fuzz` above 0 is the number of a shuffle of simultaneous events (0: the stated order). Raises ConfigError for a
    run that may need more simulated time, looks at an empty ring, or arrivals than there can be (`horizon`).
    """
    check_horizon(plan, run.packets)
    engine = _engine(plan, run.engine, checkpoint_packets(plan, run), TieOrder.stated(len(plan.actors), tie_fuzz))
    target = min(run.packets, (MIN_BATCHES + 2) * engine.checkpoints.every)
    while True:
        engine.run(target)
        taken = engine.checkpoints.taken
        rate = estimate(taken) if len(taken) > 1 else _single(engine)
        if progress is not None:
            progress(target, run.packets)
        long_enough = engine.now_ps >= MIN_BATCHES * plan.period_ps
        if target >= run.packets or (long_enough and precise_enough(rate, run.precision)):
            break
        target = min(run.packets, target + _STRETCH * engine.checkpoints.every)
    return point(plan, taken, rate, engine.machine)


def _single(engine: Engine) -> Estimate:
    """Return the estimate of a run that ended in a single flush: from the start of time to its end, no interval."""
    engine.checkpoints.start()
    first, last = engine.checkpoints.taken
    return Estimate((last.time_ps - first.time_ps) / (last.packets - first.packets), float("inf"), 0, 1)
