"""Run one Plan until it is precise enough: the loop around an engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sim.config.progress import Counted
from sim.config.scenario.scenario import Run
from sim.costs.draws import value_at
from sim.datapath.plan.plan import Plan
from sim.engine.horizon import check_horizon
from sim.engine.order import TieOrder
from sim.engine.record import Engine
from sim.engine.reference import ReferenceEngine
from sim.engine.result import Point, point, pps_of
from sim.engine.statistics import MIN_BATCHES, Estimate, estimate, precise_enough

if TYPE_CHECKING:
    from sim.engine.arrays import Arrays

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
    rate = _until_precise(engine, run, MIN_BATCHES * plan.period_ps, progress)
    return point(plan, engine.checkpoints.taken, rate, engine.machine)


def _until_precise(engine: Engine, run: Run, least_ps: int, progress: Counted | None = None) -> Estimate:
    """Run an engine until it is precise enough, for `least_ps` of simulated time at least; return the last estimate."""
    target = min(run.packets, (MIN_BATCHES + 2) * engine.checkpoints.every)
    while True:
        engine.run(target)
        taken = engine.checkpoints.taken
        rate = estimate(taken) if len(taken) > 1 else _single(engine)
        if progress is not None:
            progress(target, run.packets)
        if target >= run.packets or (engine.now_ps >= least_ps and precise_enough(rate, run.precision)):
            return rate
        target = min(run.packets, target + _STRETCH * engine.checkpoints.every)


class DrawnRuns:
    """Runs of one Plan that was built for several draws at once: one structure, packed once, at the prices of each.

    Only the fast engine runs one. Raises ConfigError as `simulate` does where all draws would, and `Divided` where some
    would.
    """

    def __init__(self, plan: Plan, run: Run) -> None:
        from sim.engine.packed import Packed

        check_horizon(plan, run.packets)
        self._plan, self._run, self._packed = plan, run, Packed(plan, TieOrder.stated(len(plan.actors)))

    def packed(self, draw: int) -> Arrays:
        """Return the arrays of one draw at the start of time."""
        return self._packed.arrays(draw)

    def pps(self, draw: int) -> float:
        """Return the packets per second of one draw, as `simulate` would for it alone."""
        from sim.engine.fast import FastEngine

        plan = self._plan
        engine = FastEngine(plan, checkpoint_packets(plan, self._run), arrays=self.packed(draw))
        rate = _until_precise(engine, self._run, MIN_BATCHES * value_at(plan.period_ps, draw))
        return pps_of(plan, engine.checkpoints.taken, rate, draw)


def _single(engine: Engine) -> Estimate:
    """Return the estimate of a run that ended in a single flush: from the start of time to its end, no interval."""
    engine.checkpoints.start()
    first, last = engine.checkpoints.taken
    return Estimate((last.time_ps - first.time_ps) / (last.packets - first.packets), float("inf"), 0, 1)
