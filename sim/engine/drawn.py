"""Runs of one structure at the prices of several draws: a Plan built once and packed once, simulated by one loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sim.config.progress import Counted
from sim.config.scenario.scenario import Run
from sim.costs.draws import Divided, Formulas, Values, somewhere
from sim.datapath.plan.plan import Plan
from sim.engine.arrays import Arrays, Integers, Noted
from sim.engine.fast import FastDraws, FastEngine, check_indices
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


class Structure:
    """A Plan whose numbers remember how they came about, packed once, to be run at other values of its entries.

    `numbers` are those of what may be drawn, by key, None for what was not read; what `otherwise` says of some holds
    where draws say nothing: their own value was that of a draw. Raises ConfigError as `simulate` does.
    """

    def __init__(
        self,
        plan: Plan,
        run: Run,
        formulas: Formulas,
        numbers: Mapping[str, int | None],
        otherwise: Mapping[str, float],
    ) -> None:
        check_horizon(plan, run.packets)
        self.plan, self.run, self.looks = plan, run, stopping(plan, run)
        self.packed = Packed(plan, TieOrder.stated(len(plan.actors)))
        never_precise = not run.precision and self.looks.packets(_LOOKS - 1, run) < run.packets
        self.looks_many_times = plan.arrivals is not None or somewhere(plan.period_ps) or never_precise
        _ = plan.moved_lines  # worked out before the formulas are closed
        formulas.close()
        self._formulas, self._otherwise = formulas, otherwise
        self._numbers = numbers

    def at(self, values: Mapping[str, Any], draws: int, *, reading_alike: bool = False) -> DrawnRuns:
        """Return the runs of some draws: values of entries by key, one for all draws or an array of one per draw.

        Raises Divided where some draws have another structure, or all; or, `reading_alike`, read something else.
        """
        return DrawnRuns(self, self._at(values, reading_alike), draws)

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Return whether a run has this structure with other values of some entries, and reads the same."""
        try:
            self._at(values, reading_alike=True)
        except Divided:
            return False
        return True

    def _at(self, values: Mapping[str, Any], reading_alike: bool) -> Values:
        said = {**self._otherwise, **values}
        read = {number: value for key, value in said.items() if (number := self._numbers[key]) is not None}
        with np.errstate(divide="raise", invalid="raise", over="raise"):
            return self._formulas.at(read, reading_alike=reading_alike)


class DrawnRuns:
    """Runs of one structure in several draws, as `simulate` would run each alone; on the fast engine only."""

    def __init__(self, structure: Structure, at: Values, draws: int) -> None:
        self._structure, self.plan, self._run, self._looks = structure, structure.plan, structure.run, structure.looks
        self._at, self._draws = at, draws
        self._prices = structure.packed.prices(at, draws)

    def packed(self, draw: int) -> Arrays:
        """Return the arrays of one draw at the start of time."""
        return self._structure.packed.arrays(self._prices[draw])

    def together(self) -> Iterator[Behind]:
        """Run the draws together up to the first looks, and yield those that are precise by then."""
        if self._structure.looks_many_times:
            return
        most_packets = self._looks.packets(_LOOKS - 1, self._run)
        for part in self._parts(most_packets):
            runs = FastDraws(self._structure.packed, self._prices[part], len(part), most_packets, self._looks.every)
            left = np.arange(len(part))
            for look in range(_LOOKS):
                packets = self._looks.packets(look, self._run)
                is_last = packets == self._run.packets
                runs.run(left, packets)
                precise, left = self._at_look(runs.noted, part, left, is_last=is_last)
                yield from precise
                if is_last or not len(left):
                    break

    def alone(self, draw: int) -> Behind:
        """Run one draw as long as it takes. Raises what its run does."""
        engine, rate = self._ran(draw)
        first, last = measured_from(self.plan, engine.checkpoints.taken, rate), engine.checkpoints.taken[-1]
        number, packets, elapsed_ps = np.array([[draw], [last.packets - first.packets], [last.time_ps - first.time_ps]])
        return Behind(self._span((last.counts - first.counts)[None], number), number, packets, elapsed_ps)

    def point(self, draw: int, progress: Counted | None = None) -> Point:
        """Return all that one draw says, run as long as it takes. Raises what its run does."""
        engine, rate = self._ran(draw, progress)
        return point(self.plan, engine.checkpoints.taken, rate, engine.machine, self._prices_of(draw))

    def _span(self, counts: Integers, draws: Integers) -> Span:
        return Span(self.plan, counts, self._prices_of(draws))

    def _prices_of(self, draws: Integers | int) -> Callable[[Any], Any]:
        """Return what says what a price of the Plan is in some draws; in one, it is a plain number."""

        def price(value: Any) -> Any:
            values = self._at(value)
            if not isinstance(values, np.ndarray):
                return values
            return values[draws].item() if isinstance(draws, int) else values[draws]

        return price

    def _ran(self, draw: int, progress: Counted | None = None) -> tuple[FastEngine, Estimate]:
        engine, period_ps = FastEngine(self.plan, self._looks.every, arrays=self.packed(draw)), self.plan.period_ps
        return engine, until_precise(engine, self._run, self._looks, self._prices_of(draw)(period_ps), progress)

    def _at_look(self, noted: Noted, part: Integers, left: Integers, *, is_last: bool) -> tuple[list[Behind], Integers]:
        """Return those of a part's draws that are precise by now, and the numbers in it of the others.

        One that has come to a single checkpoint is in neither: alone it is measured from the start of time then.
        """
        checkpoints = noted.checkpoints[left]
        check_indices(self.plan, noted.ends[left[checkpoints > 0]])
        precise, others = [], [left[:0]]
        for number in np.unique(checkpoints[checkpoints > 1]).tolist():
            rows = left[checkpoints == number]
            times, used = noted.times_ps[rows, :number], noted.packets[rows, :number]
            rates = estimates(times, used)
            enough = np.array([is_last or self._looks.enough(rate, self._run) for rate in rates])
            others.append(rows[~enough])
            firsts = np.array([rate.first for rate in rates])
            for first in np.unique(firsts[enough]).tolist():
                these = np.flatnonzero(enough & (firsts == first))
                last, draws = number - 1, part[rows[these]]
                counts = noted.counts[rows[these], last] - noted.counts[rows[these], first]
                packets = used[these, last] - used[these, first]
                behind = Behind(self._span(counts, draws), draws, packets, times[these, last] - times[these, first])
                precise.append(behind)
        return precise, np.concatenate(others)

    def _parts(self, packets: int) -> Iterator[Integers]:
        """Part the draws, of so many packets at most, into as many as are run at a time."""
        packed = self._structure.packed
        noted = (packets // self._looks.every + 2) * packed.counted + packed.live
        at_a_time = max(1, min(_DRAWS_AT_A_TIME, _PACKETS_AT_A_TIME // packets, _NOTED_AT_A_TIME // noted))
        for first in range(0, self._draws, at_a_time):
            yield np.arange(first, min(first + at_a_time, self._draws))
