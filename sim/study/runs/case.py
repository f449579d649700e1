"""What is run, with other values in its tables, and what is asked: cases with their figure, sides with their gain."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from math import lcm
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from sim.config.errors import ConfigError
from sim.config.scenario.scenario import Scenario
from sim.config.tables.measurement import COUNTS
from sim.config.tables.quantity import Flag, Quantity, inconceivable
from sim.costs.audit import Itself, quantities
from sim.datapath import Plan, build_plan
from sim.datapath.plan.step import Row
from sim.datapath.vhost_net.path import PageFragment
from sim.engine import simulate
from sim.study.runs.functions import function_times, instructions_of, share

#: Numbers of many runs: rates, shares of ranges, draws.
Floats = npt.NDArray[np.float64]
#: Variants of scenarios whose sides are kept.
_SIDES_KEPT = 64
#: The key of packet sizes: a case has one, which is a value of it as those of its tables are.
SIZE = "traffic.packet_bytes"


def value_of(scenario: Scenario, key: str) -> object:
    """Return what stands under a dotted key, None where nothing does."""
    value: object = scenario
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else getattr(value, part, None)
    return value


def entry(scenario: Scenario, key: str) -> Quantity:
    """Return the table entry of a key. ConfigError when there is none, with the nearest that exists."""
    value = value_of(scenario, key)
    if not isinstance(value, Quantity):
        known = [name for name, _ in quantities(scenario)] if value is None else ()
        raise ConfigError(f"'{key}' is not a table entry with a range", got=key, expected=known)
    return value


def entries(scenario: Scenario, keys: Iterable[str]) -> dict[str, Quantity]:
    """Return the table entries of many keys that are entries, in their order."""
    known = dict(quantities(scenario))
    return {key: known[key] for key in keys}


def with_values(scenario: Scenario, values: Mapping[str, float]) -> Scenario:
    """Return the scenario with other values in some of its table entries (a switch: 0 or 1); ranges and sources stay.

    Under `SIZE` stands the only size of a packet. Of the tables' rules one is looked at, what its unit can be at all;
    others hold as far as the values come from the ranges of the entries. KeyError for a key that is no entry,
    ConfigError for a value that is beyond those bounds.
    """
    if SIZE in values:
        traffic = scenario.traffic.model_copy(update={"packet_bytes": [int(values[SIZE])]})
        scenario = scenario.model_copy(update={"traffic": traffic})
        values = {key: value for key, value in values.items() if key != SIZE}
    if not values:
        return scenario
    changed = _changed(scenario, nested(values), "")
    assert isinstance(changed, Scenario)
    return changed


def check_conceivable(key: str, entry: Quantity, *values: float) -> None:
    """Raise ConfigError for a value that an entry of its unit cannot have."""
    for value in values:
        if problem := inconceivable(float(value), entry.unit):
            raise ConfigError(problem, key=key)


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values by dotted key as tables within tables."""
    tree: dict[str, Any] = {}
    for key, value in values.items():
        branch = tree
        *parents, last = key.split(".")
        for part in parents:
            branch = branch.setdefault(part, {})
        branch[last] = value
    return tree


def _changed(node: Any, tree: Any, key: str) -> Any:
    if isinstance(node, Quantity):
        check_conceivable(key, node, tree)
        return node.model_copy(update={"value": tree})
    if isinstance(node, Flag):
        return node.model_copy(update={"value": bool(tree)})
    if isinstance(node, dict):
        return {**node, **{name: _changed(node[name], below, _below(key, name)) for name, below in tree.items()}}
    if isinstance(node, BaseModel):
        inner = {name: _changed(getattr(node, name), below, _below(key, name)) for name, below in tree.items()}
        return node.model_copy(update=inner)
    raise KeyError(f"no table entry for {tree}")


def _below(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


Number = TypeVar("Number", float, Floats)


@dataclass(frozen=True)
class Case:
    """What is looked at in a scenario: its first access variant and size, and the figure that is wanted.

    `base` is the same case but for some costs or its size, where there is one: it is run in its place, at other values.
    """

    scenario: Scenario
    quantity: str = "pps"
    functions: tuple[str, ...] = ()
    base: Based | None = None

    @cached_property
    def plan(self) -> Plan:
        """Plan of the case, by function where its figure is of some; built once, and not sent to other processes."""
        scenario, by_function = self.scenario, bool(self.functions)
        return build_plan(scenario, scenario.access[0].name, scenario.traffic.sizes[0], functions=by_function)

    def at(self, values: Mapping[str, float]) -> Case:
        """Return the case with other values in some of its table entries; `with_values` says which may be."""
        if not values:
            return self
        return replace(self, scenario=with_values(self.scenario, values), base=self.base and self.based(values))

    def based(self, values: Mapping[str, float]) -> Based:
        """Return what is run in the place of the case with other values."""
        base = self.base or Based(self, {})
        return Based(base.case, {**base.values, **values})

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "plan"}


@dataclass(frozen=True)
class Based:
    """A case, and the values of its table entries that make it another one."""

    case: Case
    values: Mapping[str, float]


def observe(case: Case) -> float:
    """Return the figure of a case in the unit of its quantity. ConfigError when the model does not know it."""
    if case.quantity in COUNTS:
        return _counted(Itself(case.scenario), case.functions)[case.quantity]
    if case.quantity == "pps":
        return simulate(case.plan, case.scenario.run).pps
    if case.quantity == "share":
        return _share(case)
    raise ConfigError(f"the model has no figure '{case.quantity}'")


@lru_cache(maxsize=8)
def _counted(same: Itself[Scenario], functions: tuple[str, ...]) -> dict[str, float]:
    """Count once what several figures ask of one scenario."""
    return executed(Case(same.wrapped, functions=functions).plan, same.wrapped, functions)


def _share(case: Case) -> float:
    """Share of the worker's busy time in some kernel functions."""
    plan = case.plan
    return float(share(function_times(plan, simulate(plan, case.scenario.run)), case.functions))


def executed(plan: Plan, scenario: Scenario, functions: Collection[str] = ()) -> dict[str, float]:
    """Count what the worker executes per packet, exactly: over whole laps, batches and page fragments.

    As in the executed counts, from a start at a batch boundary behind the first lap. Returns `stac`, `clac`, `lfence`,
    `instructions` and `returns`; the instructions of all functions, or of those named (a plan built with `functions`).
    """
    totals = dict.fromkeys(COUNTS, 0.0)
    packets, runs = executions(plan, scenario)
    for row, times, count in runs:
        if functions:
            mine = [part for part in instructions_of(row) if part[0] in functions]
            totals["instructions"] += sum(once * times + each * count for _, once, each in mine)
        else:
            totals["instructions"] += row.instructions * times + row.unit_instructions * count
        totals["returns"] += row.returns * (count if row.per_unit else times)
        for parts, factor in ((row.components, times), (row.unit_components, count)):
            for part in parts:
                if part.primitive in ("stac", "clac", "lfence"):
                    totals[part.primitive] += part.count * factor
    return {name: total / packets for name, total in totals.items()}


def executions(plan: Plan, scenario: Scenario) -> tuple[int, list[tuple[Row, int, int]]]:
    """Return a number of packets and, for each row of the worker, how often it runs in them, and for how many units.

    Over whole laps, batches and page fragments, from a start at a batch boundary behind the first lap.
    """
    from sim.engine.fast import FastEngine

    fragments = PageFragment(scenario.kernel.behaviour, plan.packet_bytes).buffers
    lap = lcm(scenario.driver.burst, plan.ring_packets)
    packets = lcm(lap, fragments)
    engine = FastEngine(plan, checkpoint_packets=10**12)
    engine.run(lap)
    before, units = engine.machine.executions.copy(), engine.machine.units.copy()
    engine.run(lap + packets)
    runs = [
        (
            plan.rows[number],
            int(engine.machine.executions[segment.index] - before[segment.index]),
            int(engine.machine.units[segment.index] - units[segment.index]),
        )
        for segment in plan.segments
        for number in segment.rows
    ]
    return packets, [run for run in runs if run[0].actor == "worker"]


@dataclass(frozen=True)
class Side:
    """One side of a question: its label, and the case that it runs at one size."""

    label: str
    packet_bytes: int
    case: Case


def variants_and_sizes(scenario: Scenario) -> list[tuple[str, int]]:
    """Return each access variant with each packet size, in the order of variants, then sizes."""
    return [(variant.name, size) for variant in scenario.access for size in scenario.traffic.sizes]


def one_point(scenario: Scenario, access: str, size: int) -> Scenario:
    """Return the scenario reduced to one access variant and one packet size (a mix stays a mix)."""
    traffic = scenario.traffic.model_copy(update={"packet_bytes": [size]})
    return scenario.model_copy(update={"access": [scenario.variant(access)], "traffic": traffic})


def sides_of(scenario: Scenario, accesses: Sequence[str] | None = None) -> list[Side]:
    """Return the sides of one scenario: its access variants (or those named) at each of its sizes.

    Each is the same one whoever asks for it: what is known of it serves all.
    """
    names = accesses or [variant.name for variant in scenario.access]
    return [side for name in names for side in _sides_of(Itself(scenario), name)]


@lru_cache(maxsize=_SIDES_KEPT)
def _sides_of(same: Itself[Scenario], access: str) -> tuple[Side, ...]:
    """Return the sides of one access variant, those of further sizes based on the first."""
    scenario = same.wrapped
    first, *others = scenario.traffic.sizes
    base = Case(one_point(scenario, access, first))
    further = (Case(one_point(scenario, access, size), base=Based(base, {SIZE: size})) for size in others)
    return tuple(Side(access, case.scenario.traffic.sizes[0], case) for case in (base, *further))


def gain_percent(before_pps: Number, after_pps: Number) -> Number:
    """Return how many more packets per second all queues carry after than before, in percent; arrays draw by draw."""
    return 100 * (after_pps / before_pps - 1)


def worker_ns(pps: Number, scenario: Scenario) -> Number:
    """Return the time of one worker core per packet, in ns, at a rate of all queues together; arrays draw by draw."""
    return scenario.queues.lanes * 1e9 / pps


def saved_ns(before_pps: Number, after_pps: Number, before: Scenario, after: Scenario) -> Number:
    """Return the nanoseconds that a worker core saves per packet (negative: loses); arrays draw by draw."""
    return worker_ns(before_pps, before) - worker_ns(after_pps, after)


def gain_or_rate(rates: Floats) -> Floats:
    """Return the answer of each row of rates: the gain of the second column over the first, or the only column."""
    return rates[:, 0] if rates.shape[1] == 1 else gain_percent(rates[:, 0], rates[:, 1])
