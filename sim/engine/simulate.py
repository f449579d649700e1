"""Run one Plan until it is precise enough: the loop around an engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sim.config.progress import Counted
from sim.config.scenario.scenario import Run
from sim.datapath.plan.plan import Plan
from sim.engine.horizon import check_horizon
from sim.engine.order import TieOrder
from sim.engine.record import MOST_CHECKPOINTS, Engine
from sim.engine.result import Point, point
from sim.engine.statistics import MIN_BATCHES, STEADY_BATCHES, Estimate, estimate, precise_enough

#: Packets per batch, at least: of a steady run, and of others.
_STEADY_PACKETS, _BATCH_PACKETS = 256, 1024
_STRETCH = 4


@dataclass(frozen=True)
class Stopping:
    """When a run is looked at: after so many packets per batch, and not before so many batches behind the warm-up."""

    every: int
    least_batches: int

    def packets(self, look: int, run: Run) -> int:
        """Return the packets before a look; the first is number 0."""
        return min(run.packets, (self.least_batches + 2 + _STRETCH * look) * self.every)

    def enough(self, rate: Estimate, run: Run) -> bool:
        """Return whether a rate is precise enough."""
        return precise_enough(rate, run.precision, self.least_batches)


def stopping(plan: Plan, run: Run, tie_fuzz: int = 0) -> Stopping:
    """Return when a run is looked at: batches are whole laps of the ring, unless the run is too short for that.

    Few batches do where a lap is like the last one, of as many packets as can be under way; not where queues take turns
    at a worker: a turn need not be a lap, and few laps may all hold one turn of the other queues and the next one two.
    """
    if plan.steady and not tie_fuzz:
        every, least = max(_STEADY_PACKETS, plan.in_flight), STEADY_BATCHES if plan.queues == 1 else MIN_BATCHES
    else:
        every, least = max(_BATCH_PACKETS, 4 * plan.ring_packets), MIN_BATCHES
    every = max(1, min(every, run.packets // (2 * least)))
    while not run.precision and run.packets // every >= MOST_CHECKPOINTS:
        every *= 2  # as it would become, since every packet is simulated
    return Stopping(every, least)


def _engine(plan: Plan, name: Literal["fast", "reference"], every: int, ties: TieOrder) -> Engine:
    if name == "reference":
        from sim.engine.reference import ReferenceEngine

        return ReferenceEngine(plan, every, ties=ties)
    from sim.engine.fast import FastEngine  # machine code is loaded only when it is needed

    return FastEngine(plan, every, ties)


def simulate(plan: Plan, run: Run, progress: Counted | None = None, tie_fuzz: int = 0) -> Point:
    """Simulate until `run.precision` is met or `run.packets` packets are used; summarise what lies behind warm-up.

    `tie_fuzz` above 0 is the number of a shuffle of simultaneous events (0: the stated order). Raises ConfigError for a
    run that may need more simulated time, looks at an empty ring, or arrivals than there can be (`horizon`).
    """
    check_horizon(plan, run.packets)
    looks = stopping(plan, run, tie_fuzz)
    engine = _engine(plan, run.engine, looks.every, TieOrder.stated(len(plan.actors), tie_fuzz))
    rate = until_precise(engine, run, looks, plan.period_ps, progress)
    return point(plan, engine.checkpoints.taken, rate, engine.machine)


def until_precise(
    engine: Engine, run: Run, looks: Stopping, period_ps: int, progress: Counted | None = None
) -> Estimate:
    """Run an engine until it is precise enough, for several periods at least; return the last estimate."""
    target = looks.packets(0, run)
    while True:
        engine.run(target)
        taken = engine.checkpoints.taken
        rate = estimate(taken) if len(taken) > 1 else _single(engine)
        if progress is not None:
            progress(target, run.packets)
        whole = engine.now_ps >= MIN_BATCHES * period_ps
        if target >= run.packets or (whole and looks.enough(rate, run)):
            return rate
        target = min(run.packets, target + _STRETCH * engine.checkpoints.every)


def _single(engine: Engine) -> Estimate:
    """Return the estimate of a run that ended in a single flush: from the start of time to its end, no interval."""
    engine.checkpoints.start()
    first, last = engine.checkpoints.taken
    return Estimate((last.time_ps - first.time_ps) / (last.packets - first.packets), float("inf"), 0, 1)
