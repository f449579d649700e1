"""Runs of one Plan that was built for several draws at once: one structure, packed once, simulated by one loop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sim.config.scenario.scenario import Run
from sim.costs.draws import somewhere, value_at
from sim.datapath.plan.plan import Plan
from sim.engine.arrays import Arrays, Integers
from sim.engine.fast import FastEngine, check_indices, note_draws
from sim.engine.horizon import check_horizon
from sim.engine.order import TieOrder
from sim.engine.packed import Packed
from sim.engine.result import WORKER, Point, Span, measured_from, point
from sim.engine.simulate import stopping, until_precise
from sim.engine.statistics import Estimate, estimates

#: Draws that the loop is given at a time, their packets, so that a command can be stopped between, and the integers
#: that it notes of them (32 MB).
_DRAWS_AT_A_TIME, _PACKETS_AT_A_TIME, _NOTED_AT_A_TIME = 128, 2_000_000, 4_000_000
#: So often draws are looked at together; what is left then takes long, and is run draw by draw.
_LOOKS = 4


@dataclass(frozen=True)
class Behind:
    """What lies behind the warm-up of some draws.

    Attributes
    ----------
    span
        What segments counted.
    draws, packets, elapsed_ps
        Numbers of the draws, packets of one queue, and simulated time, shapes (draws,).
    """

    span: Span
    draws: Integers
    packets: Integers
    elapsed_ps: Integers

    def pps(self) -> list[float]:
        """Return the packets per second of each draw, of all queues together."""
        return [float(rate) for rate in self.span.pps(self.packets, self.elapsed_ps)]

    def times_ns(self) -> list[dict[str, float]]:
        """Return the time of a worker core per packet, by primitive and kind of waiting, of each draw."""
        plan = self.span.plan
        breakdown_ps = self.span.breakdown_ps(WORKER) | {"uncore": self.span.uncore_ps(self.elapsed_ps)}
        columns = {name: np.broadcast_to(ps, self.draws.shape).tolist() for name, ps in breakdown_ps.items()}
        return [
            {name: column[row] / (packets * plan.queues) / 1e3 for name, column in columns.items() if column[row]}
            for row, packets in enumerate(self.packets.tolist())
        ]


class DrawnRuns:
    """Runs of one Plan at the prices of each of its draws, as `simulate` would run each alone; on the fast engine only.

    Raises ConfigError as `simulate` does where all draws would, and `Divided` where some would.
    """

    def __init__(self, plan: Plan, run: Run, draws: int) -> None:
        check_horizon(plan, run.packets)
        self._plan, self._run, self._draws = plan, run, draws
        self._packed, self._looks = Packed(plan, TieOrder.stated(len(plan.actors))), stopping(plan, run)

    @property
    def inputs(self) -> list[str]:
        """Keys of the table entries that the Plan depends on, in the order of the tables."""
        return list(self._plan.inputs)

    def packed(self, draw: int) -> Arrays:
        """Return the arrays of one draw at the start of time."""
        return self._packed.arrays(draw)

    def together(self) -> Iterator[Behind]:
        """Run the draws together up to the first looks, and yield those that are precise by then."""
        if self._plan.arrivals is not None or somewhere(self._plan.period_ps):  # these take many looks
            return
        left = np.arange(self._draws)
        for look in range(_LOOKS):
            packets = self._looks.packets(look, self._run)
            precise = [behind for part in self._parts(left, packets) for behind in self._at_look(part, packets)]
            yield from precise
            left = np.setdiff1d(left, [draw for behind in precise for draw in behind.draws])
            if packets == self._run.packets or not len(left):
                return

    def alone(self, draw: int) -> Behind:
        """Run one draw as long as it takes. Raises what its run does."""
        engine, rate = self._ran(draw)
        first, last = measured_from(self._plan, engine.checkpoints.taken, rate), engine.checkpoints.taken[-1]
        number, packets, elapsed_ps = np.array([[draw], [last.packets - first.packets], [last.time_ps - first.time_ps]])
        return Behind(Span(self._plan, (last.counts - first.counts)[None], number), number, packets, elapsed_ps)

    def point(self, draw: int) -> Point:
        """Return all that one draw says, run as long as it takes. Raises what its run does."""
        engine, rate = self._ran(draw)
        return point(self._plan, engine.checkpoints.taken, rate, engine.machine, draw)

    def _ran(self, draw: int) -> tuple[FastEngine, Estimate]:
        engine = FastEngine(self._plan, self._looks.every, arrays=self.packed(draw))
        return engine, until_precise(engine, self._run, self._looks, value_at(self._plan.period_ps, draw))

    def _at_look(self, draws: Integers, packets: int) -> Iterator[Behind]:
        """Run some draws from the start until so many packets are used, and yield those that are precise."""
        prices = self._packed.prices
        noted = note_draws(
            self._packed, prices[draws] if len(prices) > 1 else prices, len(draws), packets, self._looks.every
        )
        check_indices(self._plan, noted.ends[noted.checkpoints > 0])
        for checkpoints in np.unique(noted.checkpoints[noted.checkpoints > 1]).tolist():
            rows = np.flatnonzero(noted.checkpoints == checkpoints)
            times, used = noted.times_ps[rows, :checkpoints], noted.packets[rows, :checkpoints]
            rates = estimates(times, used)
            enough = [packets == self._run.packets or self._looks.enough(rate, self._run) for rate in rates]
            firsts = np.array([rate.first for rate in rates])
            for first in np.unique(firsts[enough]).tolist():
                these = np.flatnonzero(enough & (firsts == first))
                last, counts = checkpoints - 1, noted.counts[rows[these]]
                numbers, span_packets = draws[rows[these]], used[these, last] - used[these, first]
                span = Span(self._plan, counts[:, last] - counts[:, first], numbers)
                yield Behind(span, numbers, span_packets, times[these, last] - times[these, first])

    def _parts(self, draws: Integers, packets: int) -> Iterator[Integers]:
        """Part draws of so many packets into as many as are run at a time."""
        noted = (packets // self._looks.every + 2) * self._packed.counted
        at_a_time = max(1, min(_DRAWS_AT_A_TIME, _PACKETS_AT_A_TIME // packets, _NOTED_AT_A_TIME // noted))
        for first in range(0, len(draws), at_a_time):
            yield draws[first : first + at_a_time]
