"""Where a worker's time and instructions go by kernel function, to lay beside a profile.

A step's instructions are split as the kernel's table says. The window of an accessor (its toggles and barriers, the
bytes, what it waits for) is time of the routine that holds it: the copy routine where a copy is out of line, else the
function that it is inlined in. What a barrier delays behind it is time of the functions that come next.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from sim.costs.draws import ratio, total
from sim.costs.table import Component
from sim.datapath import Plan
from sim.datapath.plan.step import Row
from sim.engine import Point

if TYPE_CHECKING:
    from sim.engine.drawn import Behind


def worker_rows(plan: Plan) -> list[Row]:
    """Return the rows in which the worker does something: all but those asleep."""
    return [row for row in plan.rows if row.actor == "worker" and row.label != "idle"]


def known_functions(plan: Plan) -> set[str]:
    """Return the kernel functions that have a part in the worker's rows. The plan has been built with `functions`."""
    rows = worker_rows(plan)
    parts = (part for row in rows for part in (*row.components, *row.unit_components))
    return {row.waits_in for row in rows} | {spent.function for part in parts for spent in part.spent}


def function_times(plan: Plan, point: Point, skid: bool = False) -> dict[str, float]:
    """Return the worker's busy time in ps per packet by kernel function; it adds up to that of the rows.

    Parameters
    ----------
    plan, point
        A plan built with `functions`, and a run of it.
    skid
        Charge a stall to the function that runs next behind it, as samples without precise events do.
    """
    rates, times, waits = point.row_rates, point.row_times_ps, point.row_waits_ps
    spent = _times(plan, rates, times, waits, skid, lambda price: price)
    return {function: ps for function, ps in spent.items() if function and abs(ps) > _NOTHING_PS}


def shares(behind: Behind, functions: Collection[str]) -> list[float]:
    """Return the share of the worker's busy time in some functions, of each draw of a plan built with `functions`."""
    span = behind.span
    rates, times, waits, _ = span.rows(behind.packets * span.plan.queues)
    spent = {
        function: np.where(np.abs(ps) > _NOTHING_PS, ps, 0.0)
        for function, ps in _times(span.plan, rates, times, waits, False, span.price).items()
        if function
    }
    return list(map(float, np.asarray(share(spent, functions))))


def share(spent: Mapping[str, Any], functions: Collection[str]) -> Any:
    """Return the share of some functions in what all have spent.

    Added up in the order of names: that of rows depends on which of them run in any draw.
    """
    return total(spent.get(name, 0.0) for name in functions) / total(spent[name] for name in sorted(spent))


def _times(
    plan: Plan,
    rates: Mapping[str, Any],
    times: Mapping[str, Any],
    waits: Mapping[str, Any],
    skid: bool,
    price: Callable[[Any], Any],
) -> dict[str, Any]:
    """Split what rows take per packet by function; numbers of one run, or of one draw each."""
    spent: defaultdict[str, Any] = defaultdict(float)
    for row in worker_rows(plan):
        name = f"{row.actor}.{row.label}"
        left, runs = times[name], rates[name]
        if np.any(runs):
            of_units = left - waits[name] - runs * price(row.cost_ps)
            parts = [(row.components, runs), (row.unit_components, ratio(of_units, price(row.unit_ps)))]
            for components, times_per_packet in parts:
                for function, ps in _spent(components, skid):
                    spent[function] = spent[function] + times_per_packet * price(ps)
                    left = left - times_per_packet * price(ps)
        where = row.waits_next if skid and row.waits_next else row.waits_in
        spent[where] = spent[where] + left
    return spent


def instructions_of(row: Row) -> Iterator[tuple[str, float, float]]:
    """Yield the instructions of a row by kernel function: of one execution, and per unit."""
    for component in row.components:
        yield from ((spent.function, spent.instructions, 0.0) for spent in component.spent)
    for component in row.unit_components:
        yield from ((spent.function, 0.0, spent.instructions) for spent in component.spent)


#: What is left of a row when its parts are taken out, and is none.
_NOTHING_PS = 1e-3


def _spent(components: tuple[Component, ...], skid: bool) -> Iterator[tuple[str, float]]:
    for component in components:
        for spent in component.spent:
            yield (spent.next_function if skid and spent.next_function else spent.function), spent.ps
