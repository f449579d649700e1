"""The structures of cases: Plans that are built once and run at many values of their tables; those of late are kept."""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from operator import index
from typing import TYPE_CHECKING

from sim.config.scenario.traffic import Traffic
from sim.config.tables.quantity import Reads, noting_reads
from sim.costs.audit import Itself, quantities
from sim.costs.draws import tracing
from sim.datapath import Plan, build_plan
from sim.study.runs.case import SIZE, Case, entry, one_point

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sim.config.scenario.scenario import Scenario
    from sim.costs.audit import Ledger
    from sim.costs.draws import Formulas
    from sim.engine.drawn import Structure

#: Switches by key, and how they stand.
Turned = tuple[tuple[str, bool], ...]
#: Cases whose structures are kept: those of a question at many sizes, and of what competes with it. And how many are
#: kept of each: draws that have yet another one are built by themselves.
_KEPT, _OF_ONE = 160, 16


class Structures:
    """The structures of a case that are known: with its tables as they are, and those that some draws have."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._known: list[Structure | None] = []
        self._of_any_size = _is_of_any_size(case.scenario)

    def __len__(self) -> int:
        return len(self._known)

    def get(self, place: int, values: Mapping[str, float]) -> Structure | None:
        """Return one by its place; the first is that of the tables as they are, one more that of a draw's values.

        None where it cannot be built, and where there are too many.
        """
        if place == len(self._known) < _OF_ONE:
            self._known.append(self._built(values if place else {SIZE: values[SIZE]}))
        return self._known[place] if place < len(self._known) else None

    def known(self, values: Mapping[str, float]) -> Structure | None:
        """Return the one that the case has at some values of its entries and its size, where it is known."""
        values = {SIZE: self._case.scenario.traffic.sizes[0], **values}
        return next((known for known in self._known if known and known.holds(values)), None)

    def _built(self, values: Mapping[str, float]) -> Structure | None:
        """Build a Plan traced, of any size where that is possible; else of the one that is among the values."""
        from sim.engine.drawn import Structure  # machine code is loaded only when it is needed

        case, scenario = self._case, self._case.at(values).scenario
        of_table = {key: entry(case.scenario, key).value for key in values if key != SIZE}
        for any_size in (True, False) if self._of_any_size else (False,):
            with suppress(Exception):  # which draw it is about shows when each is built by itself
                plan, formulas, size = _traced(scenario, bool(case.functions), any_size=any_size)
                numbers = {key: formulas.number_of(known) for key, known in quantities(scenario)} | {SIZE: size}
                return Structure(plan, scenario.run, formulas, numbers, of_table)
            self._of_any_size = False
        return None


@lru_cache(maxsize=_KEPT)
def structures_of(same: Itself[Case], turned: Turned) -> Structures:
    """Return the structures of a case with some of its switches turned."""
    return Structures(same.wrapped.at(dict(turned)))


def read_by(case: Case) -> Plan:
    """Return the Plan of a case for what it has read and which rows it has: with numbers or traced ones."""
    base = case.based({})
    traced = structures_of(Itself(base.case), ()).known(base.values)
    return traced.plan if traced else case.plan


def ledger_of(
    scenario: Scenario, access: str, size: int, *, functions: bool = False
) -> tuple[Ledger, Callable[[int], bool]]:
    """Return what the Plan of a point has read, and what says whether that of another size goes the same way.

    One that does has read the same. ConfigError where there is no Plan.
    """
    if _is_of_any_size(scenario):
        with suppress(Exception):  # what is wrong is said by a Plan with numbers
            plan, formulas, number = _traced(one_point(scenario, access, size), functions, any_size=True)
            formulas.close()
            return plan.ledger, lambda other: _holds(formulas, number, other)
    return build_plan(scenario, access, size, functions=functions).ledger, lambda other: other == size


def _holds(formulas: Formulas, number: int, size: int) -> bool:
    with suppress(Exception):
        formulas.at({number: size}, reading_alike=True)
        return True
    return False


def _is_of_any_size(scenario: Scenario) -> bool:
    return scenario.traffic.mix is None and scenario.traffic.application == "none"


def _traced(scenario: Scenario, functions: bool, *, any_size: bool) -> tuple[Plan, Formulas, int]:
    """Return the Plan of a scenario traced, with its formulas and the number that the size of a packet has in them.

    Of `any_size` it is unless something looks at the sizes of the traffic itself.
    """
    bytes_of_packet = scenario.traffic.sizes[0]
    with noting_reads() as read, tracing() as formulas:
        size = formulas.given(bytes_of_packet)
        if not any_size:
            index(size)
        asked = size if any_size else bytes_of_packet
        plan = build_plan(scenario, scenario.access[0].name, asked, functions=functions)
        if any(_looks_at_sizes(reads) for reads in (read, plan.ledger.read, plan.ledger.read_for_setup)):
            index(size)
    return plan, formulas, size.number


def _looks_at_sizes(reads: Reads) -> bool:
    """Return whether what was read says of which sizes packets are, beside the one that a Plan is asked for."""
    return any(name == "packet_bytes" and isinstance(table, Traffic) for (_, name), table in reads.items())
