"""Draws of counts that fit together: a step executes no less than its own accessor does.

The count of a step (`kernel.steps.used_element`) holds what its accessor executes, and some of that is an entry with a
range of its own (`kernel.object_size_check_instructions`). Drawn each for itself, the whole would sometimes be less
than its part, and the kernel's table refuses that. So a count is drawn from what its range leaves above its part.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sim.config.scenario.scenario import Scenario
from sim.config.tables.quantity import Quantity, noting_reads
from sim.costs.audit import quantities
from sim.datapath import Plan
from sim.datapath.pricing import counted_in_accessors
from sim.study.runs.case import Case, Floats, entry, with_values
from sim.study.runs.structures import read_by

#: How far above its part a count that has no room is drawn: what rounding can take away.
_ROOM = 1e-9


@dataclass(frozen=True)
class CountedEntry:
    """An entry that the accessor of a step reads: how often it counts, and its value in the table."""

    times: float
    value: float


@dataclass(frozen=True)
class LeastCount:
    """The least that the count of a step can be with the tables as they are, and the entries that this depends on."""

    key: str
    quantity: Quantity
    nominal: float
    parts: dict[str, CountedEntry]

    def with_parts(self, values: Mapping[str, float]) -> LeastCount:
        """Return the least count where the tables have other values of the entries that it depends on."""
        moved = {key: part for key, part in self.parts.items() if key in values}
        if not moved:
            return self
        more = sum(part.times * (values[key] - part.value) for key, part in moved.items())
        parts = {key: CountedEntry(part.times, values[key]) for key, part in moved.items()}
        return replace(self, nominal=self.nominal + more, parts={**self.parts, **parts})

    def at(self, values: Mapping[str, Floats]) -> Floats:
        """Return the least count at drawn values of the entries; those that are not drawn have their table's value."""
        drawn = ((part, values[key]) for key, part in self.parts.items() if key in values)
        return np.asarray(self.nominal + sum(part.times * (value - part.value) for part, value in drawn))


def least_counts(cases: Sequence[Case], plans: Sequence[Plan] | None = None) -> tuple[LeastCount, ...]:
    """Return the least counts of all steps that some cases of one scenario run; `plans` are theirs, where known."""
    plans = plans or [read_by(case) for case in cases]
    return largest(count for case, plan in zip(cases, plans, strict=True) for count in _of_case(case, plan))


def largest(counts: Iterable[LeastCount]) -> tuple[LeastCount, ...]:
    """Return the largest least count of each step."""
    least: dict[str, LeastCount] = {}
    for count in counts:
        if count.key not in least or least[count.key].nominal < count.nominal:
            least[count.key] = count
    return tuple(least.values())


def _of_case(case: Case, plan: Plan) -> list[LeastCount]:
    scenario = case.scenario
    access = scenario.access[0].name

    def counted(changed: Scenario) -> dict[str, float]:
        return counted_in_accessors(changed, access, plan.rows)

    with noting_reads() as read:
        base = counted(scenario)
    ranges = {
        key: quantity
        for key, quantity in quantities(scenario.kernel, "kernel.")
        if (id(quantity), "value") in read and key not in base and quantity.drawn_from != "fixed"
    }
    moved = {key: counted(with_values(scenario, {key: known.value + 1})) for key, known in ranges.items()}
    steps = scenario.kernel.steps
    counts = []
    for key, least in base.items():
        if not key.endswith(".returns") or steps[key.split(".")[2]].returns is not None:
            slopes = {name: others[key] - least for name, others in moved.items()}
            parts = {name: CountedEntry(slope, ranges[name].value) for name, slope in slopes.items() if slope}
            counts.append(LeastCount(key, entry(scenario, key), least, parts))
    return counts


def fitted_together(columns: dict[str, Floats], least: Iterable[LeastCount]) -> dict[str, Floats]:
    """Return drawn columns with every count at or above its least.

    What a count's draw has of the range stays its share: it is moved into the part of the range above the least.
    """
    fitted = dict(columns)
    for count in least:
        drawn, floor = fitted.get(count.key, np.array(count.quantity.value)), count.at(fitted)
        low, high = count.quantity.low, count.quantity.high
        if not np.any(floor > low):
            continue
        bottom = np.maximum(low, floor * (1 + _ROOM))
        share = (drawn - low) / (high - low) if high > low else np.ones_like(drawn)
        fitted[count.key] = np.where(bottom > low, np.maximum(bottom + share * (high - bottom), bottom), drawn)
    return fitted


def values_fitted_together(values: Mapping[str, float], least: Iterable[LeastCount]) -> dict[str, float]:
    """Return the values of one draw with every count at or above its least."""
    columns = fitted_together({key: np.array(value) for key, value in values.items()}, least)
    return {key: float(column) for key, column in columns.items()}
