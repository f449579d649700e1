"""The structures of cases: Plans that are built once and run at many values of their tables; those of late are kept."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from sim.costs.audit import Itself, quantities
from sim.costs.draws import tracing
from sim.datapath import Plan, build_plan
from sim.study.runs.case import Case, entry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sim.engine.drawn import Structure

#: Switches by key, and how they stand.
Turned = tuple[tuple[str, bool], ...]
#: Cases whose structures are kept: those of a question at many sizes, and of what competes with it. And how many are
#: kept of each: draws that have yet another one are built by themselves.
_KEPT, _OF_ONE = 160, 8


class Structures:
    """The structures of a case that are known: with its tables as they are, and those that some draws have."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._known: list[Structure | None] = []

    def __len__(self) -> int:
        return len(self._known)

    def get(self, place: int, values: Mapping[str, float]) -> Structure | None:
        """Return one by its place; the first is that of the tables as they are, one more that of a draw's values.

        None where it cannot be built, and where there are too many.
        """
        if place == len(self._known) < _OF_ONE:
            self._known.append(_built(self._case, values if place else {}))
        return self._known[place] if place < len(self._known) else None


@lru_cache(maxsize=_KEPT)
def structures_of(same: Itself[Case], turned: Turned) -> Structures:
    """Return the structures of a case with some of its switches turned."""
    return Structures(same.table.at(dict(turned)))


def read_by(case: Case) -> Plan:
    """Return the Plan of a case for what it has read and which rows it has: with numbers or traced ones."""
    structures = structures_of(Itself(case), ())
    traced = structures.get(0, {}) if len(structures) else None
    return traced.plan if traced else case.plan


def _built(case: Case, values: Mapping[str, float]) -> Structure | None:
    from sim.engine.drawn import Structure  # machine code is loaded only when it is needed

    scenario = case.at(values).scenario
    try:
        with tracing() as formulas:
            plan = build_plan(
                scenario, scenario.access[0].name, scenario.traffic.sizes[0], functions=bool(case.functions)
            )
        of_table = {key: entry(case.scenario, key).value for key in values}
        return Structure(plan, scenario.run, formulas, dict(quantities(scenario)), of_table)
    except Exception:  # which draw it is about shows when each is built by itself
        return None
