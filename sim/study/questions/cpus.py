"""Compare two CPU tables for one scenario: what each entry that differs is worth, replaced alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.config import Scenario
from sim.config.answer import Answer, Record, flat
from sim.config.loading.load import Scenarios
from sim.config.progress import Progress
from sim.config.tables.cpu import Cpu
from sim.config.tables.quantity import Flag, Quantity
from sim.datapath import build_plan
from sim.engine import simulate
from sim.study.runs.asked import first_point, load_sides


@dataclass(frozen=True)
class CpuDifference:
    """One entry of both tables; `worth_ns` is what a packet takes more with the second table's in its place."""

    key: str
    first: Quantity | Flag
    second: Quantity | Flag
    worth_ns: float

    @property
    def ratio(self) -> float | None:
        """Second over first value; None for a flag, or when the first is 0."""
        if isinstance(self.first, Flag) or not self.first.value:
            return None
        return float(self.second.value / self.first.value)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        first, second = self.first.model_dump(), self.second.model_dump()
        return {"key": self.key, "first": first, "second": second, "ratio": self.ratio, "worth_ns": self.worth_ns}


@dataclass(frozen=True, repr=False)
class CpuComparison(Answer):
    """Two tables under one scenario, access variant and size; differences that matter most come first.

    Times are those of one worker core per packet, rates those of all queues together.
    """

    scenario: Scenario
    access: str
    packet_bytes: int
    first: Cpu
    second: Cpu
    first_ns: float
    second_ns: float
    differences: tuple[CpuDifference, ...]

    @property
    def together_ns(self) -> float:
        """What the replacements do beyond the sum of each alone."""
        return self.second_ns - self.first_ns - sum(difference.worth_ns for difference in self.differences)

    def headline(self) -> str:
        """Return what a packet takes on each."""
        times = f"{self.first.name} {self.first_ns:.1f}, {self.second.name} {self.second_ns:.1f} ns per packet"
        return f"{self.scenario.name}, {self.access}, {self.packet_bytes} B: {times}"

    def records(self) -> list[Record]:
        """Return the entries that differ, those that matter most first."""
        basis = self.scenario.queues.basis
        return [{**flat(difference.to_dict()), "basis": basis} for difference in self.differences]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form of `vhost-sim compare-cpu`."""
        return {
            "schema": 1,
            "scenario": self.scenario.name,
            "access": self.access,
            "packet_bytes": self.packet_bytes,
            "first": self._side(self.first, self.first_ns),
            "second": self._side(self.second, self.second_ns),
            "differences": [difference.to_dict() for difference in self.differences],
            "together_ns": self.together_ns,
            "basis": self.scenario.queues.basis,
        }

    def _side(self, cpu: Cpu, ns: float) -> dict[str, Any]:
        return {"name": cpu.name, "ns_per_packet": ns, "pps": self.scenario.queues.lanes * 1e9 / ns}


def entries(cpu: Cpu) -> Iterator[tuple[str, Quantity | Flag]]:
    """Yield every entry of a CPU table with its key."""
    for name in type(cpu).model_fields:
        value = getattr(cpu, name)
        if isinstance(value, Quantity):
            yield name, value
    for name in type(cpu.features).model_fields:
        yield f"features.{name}", getattr(cpu.features, name)
    for name, quantity in cpu.primitives.items():
        yield f"primitives.{name}", quantity


def same(first: Quantity | Flag, second: Quantity | Flag) -> bool:
    """Whether two values are the same as far as tables write them (sizes are rounded to six digits)."""
    return math.isclose(first.value, second.value, rel_tol=1e-5)


def replaced(cpu: Cpu, key: str, entry: Quantity | Flag) -> Cpu:
    """Return the table with one entry replaced."""
    family, _, name = key.rpartition(".")
    if family == "features":
        return cpu.model_copy(update={"features": cpu.features.model_copy(update={name: entry})})
    if family == "primitives":
        return cpu.model_copy(update={"primitives": {**cpu.primitives, name: entry}})
    return cpu.model_copy(update={name: entry})


def compare_cpus(
    first: str,
    second: str,
    scenario: str,
    overrides: Sequence[str] = (),
    configs: Path | None = None,
    progress: Progress | None = None,
) -> CpuComparison:
    """Compare two CPU tables, by name or file, for the first access variant and size of a scenario under overrides."""
    scenarios = Scenarios(scenario, configs)
    (base, other), _ = load_sides([(scenarios, {"cpu": cpu}) for cpu in (first, second)], overrides, first_point)
    variant, size = base.access[0].name, base.traffic.sizes[0]

    def ns(cpu: Cpu) -> float:
        changed = base.model_copy(update={"cpu": cpu})
        return simulate(build_plan(changed, variant, size), changed.run).ns_per_packet

    theirs = dict(entries(other.cpu))
    shared = [(key, mine) for key, mine in entries(base.cpu) if key in theirs and not same(mine, theirs[key])]
    first_ns, differences = ns(base.cpu), []
    for number, (key, mine) in enumerate(shared):
        if progress is not None:
            progress(number / len(shared), key)
        worth = ns(replaced(base.cpu, key, theirs[key])) - first_ns
        differences.append(CpuDifference(key, mine, theirs[key], worth))
    differences.sort(key=lambda entry: (-abs(entry.worth_ns), entry.key))
    return CpuComparison(base, variant, size, base.cpu, other.cpu, first_ns, ns(other.cpu), tuple(differences))
