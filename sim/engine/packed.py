"""A Plan as one buffer of 64-bit integers, packed once for all draws that have its structure.

Draws differ in their prices alone: where these stand in the buffer, and what stands there in each draw.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from sim.costs.draws import Traced, Values, most
from sim.datapath.plan.plan import Plan, Wait
from sim.datapath.plan.registers import Register
from sim.engine.arrays import PREFETCHED, Arrays, Integers, changed, pack_structure
from sim.engine.order import TieOrder

#: Columns of `FIXED` that are prices.
_OF_LATENCIES = ("transfer_ps", "stream_ps", "store_buffer")
#: The field of `Arrays` that is no part of the buffer: the loop is given other arrivals as it goes on. And the last one
#: of it, which nothing that happens depends on.
_ARRIVALS, _HISTOGRAM = Arrays._fields.index("arrivals"), Arrays._fields.index("histogram")


def pack(plan: Plan, ties: TieOrder) -> Arrays:
    """Return the arrays of a Plan at the start of time."""
    packed = Packed(plan, ties)
    return packed.arrays(packed.prices(Values([]))[0])


class Packed:
    """The buffer of a Plan, and where its prices stand.

    Attributes
    ----------
    start
        The buffer at the start of time but for its prices, shape (integers,).
    places
        Where prices stand in it, shape (prices,).
    counted
        Integers that are counted of a run.
    live
        Integers, the first ones, that what happens next depends on.
    """

    def __init__(self, plan: Plan, ties: TieOrder) -> None:
        self._like = pack_structure(plan, ties)
        self.counted = self._like.counts.size
        buffered = [array for number, array in enumerate(self._like) if number != _ARRIVALS]
        self.start: Integers = np.concatenate([array.view(np.int64).ravel() for array in buffered])
        self.live = len(self.start) - self._like[_HISTOGRAM].size
        priced = list(_priced(plan, self.views(np.arange(len(self.start)))))
        self.places: Integers = np.concatenate([np.ravel(places) for places, _ in priced])
        values = [value for _, values in priced for value in values]
        self._traced = [(place, value) for place, value in enumerate(values) if isinstance(value, Traced)]
        self._same: Integers = np.array([0 if isinstance(value, Traced) else value for value in values], np.int64)

    def prices(self, at: Values, draws: int = 1) -> Integers:
        """Return what stands there in so many draws, shape (draws, prices)."""
        prices = np.repeat(self._same[None], draws, axis=0)
        for place, value in self._traced:
            prices[:, place] = at(value)
        return prices

    def arrays(self, prices: Integers) -> Arrays:
        """Return the arrays of a draw with such prices at the start of time."""
        buffer = self.start.copy()
        buffer[self.places] = prices
        return self.views(buffer)

    def views(self, buffer: Integers) -> Arrays:
        """Return a buffer as arrays, which share its memory."""
        fields, begin = list(self._like), 0
        for number, like in enumerate(self._like):
            if number != _ARRIVALS:
                end = begin + like.nbytes // buffer.itemsize
                fields[number] = buffer[begin:end].view(like.dtype).reshape(like.shape)
                begin = end
        return Arrays(*fields)


def _priced(plan: Plan, places: Arrays) -> Iterator[tuple[Integers, list[Any]]]:
    """Yield what depends on prices: where it stands, and the values, each one for all draws or one per draw."""
    segments, latencies, initial = plan.segments, plan.latencies, plan.initial
    yield places.segments["cost_ps"], [0 if segment.class_costs else segment.cost_ps for segment in segments]
    yield places.segments["unit_ps"], [segment.unit_ps for segment in segments]
    yield places.segments["waits_before"], [segment.first.waits_before for segment in segments]
    yield places.segments["waits_after"], [segment.waits_after for segment in segments]
    prefetches = latencies.prefetched_ps < latencies.transfer_ps
    yield places.segments["brings_next"], [segment.brings_next and prefetches for segment in segments]
    waits = {
        Wait.NEAR_HIT: latencies.near_hit_ps,
        Wait.FAR_HIT: latencies.far_hit_ps,
        Wait.TRANSFER: latencies.transfer_ps,
        Wait.CLEAN: latencies.clean_ps,
        PREFETCHED: latencies.prefetched_ps,
    }
    hidden = [(kind, segment.first.hidden_ps) for segment in segments for kind in Wait]
    yield places.exposed_ps, [most(0, waits.get(kind, 0) - hidden_ps) for kind, hidden_ps in hidden]
    yield places.changes["constant"], [effect.constant for s in segments for effect in changed(s.effects)]
    yield places.class_costs, [cost for segment in segments for cost in segment.class_costs]
    for name in _OF_LATENCIES:
        yield places.fixed[name], [getattr(latencies, name)]
    yield places.registers[list(initial)], list(initial.values())
    occupied = initial.get(Register.RING_AVAIL_IDX, 0) - initial.get(Register.RING_USED_IDX, 0)
    yield places.totals["occupied"], [occupied]
    yield places.totals["most_occupied"], [occupied]
