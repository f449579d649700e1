"""What one primitive costs on one CPU, in picoseconds.

Costs in cycles scale with the clock, costs in ns do not (DESIGN 5). Here they are exact rationals of the table's
numbers; rounding to whole picoseconds happens once, in `Component`.
"""

from __future__ import annotations

from dataclasses import dataclass

from sim.config.scenario.scenario import Placement
from sim.config.tables.cpu import Cpu
from sim.config.tables.vocabulary import PRICED_BY_CPI, PRIMITIVES
from sim.costs.recipes import LOCKED, Item


@dataclass(frozen=True)
class Spent:
    """What one kernel function has of a component: time in ps, and instructions.

    `next_function`: of a stall, the function that runs next, where samples without precise events find it.
    """

    function: str
    ps: float
    instructions: float = 0.0
    next_function: str = ""


@dataclass(frozen=True)
class Component:
    """`count` of one primitive in one execution of a row, and what they cost together, in whole picoseconds.

    `behind`: of barriers and locked operations, the instructions since the last one, on which the cost of each depends.
    `spent`: the same time by kernel function.
    """

    primitive: str
    count: float
    cost_ps: int
    formula: str
    behind: tuple[float, ...] = ()
    spent: tuple[Spent, ...] = ()


class CostTable:
    """Prices of all primitives on `cpu`; `work_scale` multiplies the instructions between accesses only."""

    def __init__(self, cpu: Cpu, work_scale: float, placement: Placement) -> None:
        self.cpu = cpu
        self.work_scale = work_scale
        self.cycle_ps = 1000.0 / cpu.core_ghz.value
        self.cpi = cpu.cpi.value * (cpu.smt_slowdown.value if placement.smt_siblings else 1.0)
        apart = "line_transfer" if placement.together else "line_transfer_cross_socket"
        #: Table entry for a line modified in the other actor's core, by placement.
        self.transfer_primitive = "line_transfer_smt" if placement.smt_siblings else apart

    def price(self, primitive: str) -> tuple[float, str]:
        """Return the price of one in picoseconds and how it comes about. KeyError names what the table lacks."""
        if primitive in PRICED_BY_CPI:
            scale = self.work_scale if primitive == "instruction" else 1.0
            text = f"{self.cpi:g} cycles" + (f" x {scale:g}" if scale != 1 else "")
            return self.cpi * scale * self.cycle_ps, text
        if primitive not in self.cpu.primitives:
            raise KeyError(f"{self.cpu.name}: no cost for primitive '{primitive}'; an unknown cost is an error")
        entry = self.cpu.primitives[primitive]
        unit = PRIMITIVES[primitive].unit
        if unit == "cycles":
            return entry.value * self.cycle_ps, f"{entry.value:g} cycles"
        if unit == "instructions":
            return entry.value * self.cpi * self.cycle_ps, f"{entry.value:g} x {self.cpi:g} cycles"
        if unit == "bytes/cycle":
            return self.cycle_ps / entry.value, f"1/{entry.value:g} cycle"
        return entry.value * (1e3 if unit == "ns" else 1e6), f"{entry.value:g} {unit}"

    def barrier(self, primitive: str, behind: float) -> tuple[float, str]:
        """Return what a barrier costs behind n instructions, in picoseconds: b + min(t, n) + refill x min(n, Q) cycles.

        It waits for what is in flight, and the work behind it finds an empty scheduler (docs/model.md, Barriers).
        """
        waits = self.cpu.serialisation
        own, text = self.price(primitive)
        terms = [text.removesuffix(" cycles")]
        cycles = min(waits.drain_tail.value, behind)
        if cycles:
            terms.append(f"{cycles:.4g}")
        if (refill := waits.refill.value) and behind:
            delayed = min(behind, waits.scheduler_entries.value)
            cycles += refill * delayed
            terms.append(f"{refill:.4g} x {delayed:.4g}")
        return own + cycles * self.cycle_ps, f"{' + '.join(terms)} cycles"

    def refill_ps(self, behind: float) -> float:
        """Return the part of a barrier's price behind n instructions by which the one before has delayed them."""
        waits = self.cpu.serialisation
        return waits.refill.value * min(behind, waits.scheduler_entries.value) * self.cycle_ps

    def locked(self, primitive: str, behind: float) -> tuple[float, str]:
        """Return what a locked operation costs in picoseconds: it goes on beside the work behind the last one."""
        own, text = self.price(primitive)
        work_cycles = behind * self.cpi
        if not work_cycles:
            return own, text
        hidden = min(self.cpu.serialisation.lock_hidden.value, work_cycles)
        return max(0.0, own - hidden * self.cycle_ps), f"max(0, {text.removesuffix(' cycles')} - {hidden:.4g}) cycles"

    def together(self, primitive: str, items: list[Item]) -> Component:
        """Price the items of one primitive: each barrier and locked operation at its place, everything else alike."""
        count = sum(item.count for item in items)
        places = [item.behind for item in items if item.behind is not None for _ in range(round(item.count))]
        if not places:
            return self.component(primitive, count)
        at_its_place = self.locked if primitive in LOCKED else self.barrier
        prices = [at_its_place(primitive, behind) for behind in places]
        texts = " + ".join(text for _, text in prices)
        return Component(primitive, count, round(sum(price for price, _ in prices)), texts, tuple(places))

    def item_ps(self, item: Item) -> float:
        """Return the price of one item in picoseconds: a barrier or locked operation at its place."""
        if item.behind is None:
            return item.count * self.price(item.primitive)[0]
        at_its_place = self.locked if item.primitive in LOCKED else self.barrier
        return round(item.count) * at_its_place(item.primitive, item.behind)[0]

    def component(self, primitive: str, count: float, factor: float = 1.0, why: str = "") -> Component:
        """Price `count` of a primitive; `factor` is the share of it that is paid (with the reason in `why`)."""
        one_ps, text = self.price(primitive)
        formula = f"{count:g} x {text}" + (f" x {factor:g} ({why})" if why else "")
        return Component(primitive, count, round(count * one_ps * factor), formula)

    def whole_ps(self, primitive: str) -> int:
        """Return the price of one, rounded to whole picoseconds."""
        return round(self.price(primitive)[0])

    def hidden_ps(self, instructions: float) -> int:
        """Latency of a load that work behind it can hide (DESIGN 6b.3): overlap x min(reorder buffer, work) x CPI."""
        window = min(self.cpu.reorder_buffer.value, instructions)
        return round(self.cpu.overlap.value * window * self.cpi * self.cycle_ps)

    def reuse_hit(self, footprint_bytes: float) -> str:
        """Name the level that a line met again after `footprint_bytes` of other data comes from (DESIGN 6b.5)."""
        if footprint_bytes <= self.cpu.l1_bytes.value:
            return "l1_hit"
        return "l2_hit" if footprint_bytes <= self.cpu.l2_bytes.value else "l3_hit"
