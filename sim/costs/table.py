"""What one primitive costs on one CPU, in picoseconds.

Costs in cycles scale with the clock, costs in ns do not (DESIGN 5). Here they are exact rationals of the table's
numbers; rounding to whole picoseconds happens once, in `Component`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property, partial

from sim.config.errors import ConfigError
from sim.config.scenario.scenario import Placement
from sim.config.tables.cpu import Cpu
from sim.config.tables.quantity import unnoted_reads
from sim.config.tables.vocabulary import PRICED_BY_CPI, PRIMITIVES
from sim.costs.draws import as_in_tables, both, least, most, negated, ratio, read_where, somewhere, total, unless
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
    `spent`: the same time by kernel function. `say` words the formula, which few ask for.
    """

    primitive: str
    count: float
    cost_ps: int
    say: Callable[[], str] = field(compare=False, repr=False)
    behind: tuple[float, ...] = ()
    spent: tuple[Spent, ...] = ()

    @property
    def formula(self) -> str:
        """How the cost comes about."""
        return self.say()


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
        self._prices_ps: dict[str, float] = {}

    def price_ps(self, primitive: str) -> float:
        """Return the price of one in picoseconds. ConfigError names what the table lacks."""
        known = self._prices_ps.get(primitive)
        if known is None:
            known = self._prices_ps[primitive] = self._price_ps(primitive)
        return known

    # Each entry is read where it is needed and not before: what was read is what an answer depends on.

    @cached_property
    def _drain_tail(self) -> float:
        return self.cpu.serialisation.drain_tail.value

    @cached_property
    def _refill(self) -> float:
        return self.cpu.serialisation.refill.value

    @cached_property
    def _scheduler_entries(self) -> float:
        return self.cpu.serialisation.scheduler_entries.value

    @cached_property
    def _lock_hidden(self) -> float:
        return self.cpu.serialisation.lock_hidden.value

    def _price_ps(self, primitive: str) -> float:
        if primitive in PRICED_BY_CPI:
            return self.cpi * self._scale(primitive) * self.cycle_ps
        if primitive not in self.cpu.primitives:
            raise ConfigError(f"{self.cpu.name}: no cost for primitive '{primitive}'; an unknown cost is an error")
        value, unit = self.cpu.primitives[primitive].value, PRIMITIVES[primitive].unit
        if unit == "cycles":
            return value * self.cycle_ps
        if unit == "instructions":
            return value * self.cpi * self.cycle_ps
        if unit == "bytes/cycle":
            return self.cycle_ps / value
        return value * (1e3 if unit == "ns" else 1e6)

    def price_text(self, primitive: str) -> str:
        """Say how the price of one comes about."""
        if primitive in PRICED_BY_CPI:
            scale = self._scale(primitive)
            return f"{self.cpi:g} cycles" + (f" x {scale:g}" if scale != 1 else "")
        value, unit = self.cpu.primitives[primitive].value, PRIMITIVES[primitive].unit
        if unit == "instructions":
            return f"{value:g} x {self.cpi:g} cycles"
        return f"1/{value:g} cycle" if unit == "bytes/cycle" else f"{value:g} {unit}"

    def _scale(self, primitive: str) -> float:
        return self.work_scale if primitive == "instruction" else 1.0

    def barrier_ps(self, primitive: str, behind: float) -> float:
        """Return what a barrier costs behind n instructions, in picoseconds: b + min(t, n) + refill x min(n, Q) cycles.

        It waits for what is in flight, and the work behind it finds an empty scheduler (docs/model.md, Barriers).
        """
        cycles = least(self._drain_tail, behind)
        if self._refill and behind:
            cycles = cycles + self._refill * least(behind, self._scheduler_entries)
        return self.price_ps(primitive) + cycles * self.cycle_ps

    def _barrier_text(self, primitive: str, behind: float) -> str:
        terms = [self.price_text(primitive).removesuffix(" cycles")]
        if tail := min(self._drain_tail, behind):
            terms.append(f"{tail:.4g}")
        if self._refill and behind:
            terms.append(f"{self._refill:.4g} x {min(behind, self._scheduler_entries):.4g}")
        return f"{' + '.join(terms)} cycles"

    def refill_ps(self, behind: float) -> float:
        """Return the part of a barrier's price behind n instructions by which the one before has delayed them."""
        return self._refill * least(behind, self._scheduler_entries) * self.cycle_ps

    def locked_ps(self, primitive: str, behind: float) -> float:
        """Return what a locked operation costs in picoseconds: it goes on beside the work behind the last one."""
        own_ps = self.price_ps(primitive)
        return most(0.0, own_ps - self._beside_lock(behind) * self.cycle_ps) if behind * self.cpi else own_ps

    def _beside_lock(self, behind: float) -> float:
        """Cycles of work that a locked operation hides behind itself."""
        return least(self._lock_hidden, behind * self.cpi)

    def _locked_text(self, primitive: str, behind: float) -> str:
        text = self.price_text(primitive)
        if not behind * self.cpi:
            return text
        return f"max(0, {text.removesuffix(' cycles')} - {self._beside_lock(behind):.4g}) cycles"

    def together(self, primitive: str, items: list[Item]) -> Component:
        """Price the items of one primitive: each barrier and locked operation at its place, everything else alike."""
        count = total(item.count for item in items)
        placed = [(round(item.count), item.behind) for item in items if item.behind is not None]
        if not total(times for times, _ in placed):
            return self.component(primitive, count)
        at_its_place = self.locked_ps if primitive in LOCKED else self.barrier_ps
        cost_ps = round(total(times * at_its_place(primitive, behind) for times, behind in placed))
        places = [behind for times, behind in placed for _ in range(as_in_tables(times))]
        return Component(primitive, count, cost_ps, partial(self._places_text, primitive, places), tuple(places))

    def _places_text(self, primitive: str, places: list[float]) -> str:
        text = self._locked_text if primitive in LOCKED else self._barrier_text
        return " + ".join(text(primitive, behind) for behind in places)

    def item_ps(self, item: Item) -> float:
        """Return the price of one item in picoseconds: a barrier or locked operation at its place."""
        if item.behind is None:
            return item.count * self.price_ps(item.primitive)
        at_its_place = self.locked_ps if item.primitive in LOCKED else self.barrier_ps
        return round(item.count) * at_its_place(item.primitive, item.behind)

    def component(self, primitive: str, count: float, factor: float = 1.0, why: str = "") -> Component:
        """Price `count` of a primitive; `factor` is the share of it that is paid (with the reason in `why`)."""
        cost_ps = round(count * self.price_ps(primitive) * factor)
        return Component(primitive, count, cost_ps, partial(self._text, primitive, count, factor, why))

    def _text(self, primitive: str, count: float, factor: float, why: str) -> str:
        return f"{count:g} x {self.price_text(primitive)}" + (f" x {factor:g} ({why})" if why else "")

    def whole_ps(self, primitive: str) -> int:
        """Return the price of one, rounded to whole picoseconds."""
        return round(self.price_ps(primitive))

    def copy_tail_ps(self, hidden_ps: float, pays: bool) -> float:
        """Return what of a copy runs only behind its first dirty line, where it pays for one (serialisation.md 2).

        Of the work behind it `hidden_ps` of the line is hidden: the more of a reorder buffer that is before anything
        waits, the more of the tail goes on beside it.
        """
        beside: float = ratio(hidden_ps, self.hidden_ps(self.cpu.reorder_buffer.value))
        with _read_where(both(pays, beside < 1)):
            tail_ps = self.cpu.copy_tail.value * self.cycle_ps
        return tail_ps * (1.0 - least(1.0, beside))

    def hidden_ps(self, instructions: float) -> int:
        """Latency of a load that work behind it can hide (DESIGN 6b.3): overlap x min(reorder buffer, work) x CPI."""
        window = least(self.cpu.reorder_buffer.value, instructions)
        return round(self.cpu.overlap.value * window * self.cpi * self.cycle_ps)

    def prefetched_ps(self) -> int:
        """Return the price of a transfer whose line comes with the one before: as far as it comes, a hit in L2.

        Siblings share the caches that it would come into.
        """
        transfer_ps = self.whole_ps(self.transfer_primitive)
        if self.transfer_primitive == "line_transfer_smt":
            return transfer_ps
        share = self.cpu.next_line_prefetch.value
        return transfer_ps - round(share * most(0, transfer_ps - self._where(share > 0, "l2_hit")))

    def reuse_hits(self, footprint_bytes: float) -> dict[str, bool]:
        """Say of each level whether a line comes from it that is met again after so much other data (DESIGN 6b.5)."""
        in_l1 = footprint_bytes <= self.cpu.l1_bytes.value
        beyond = negated(in_l1)
        with _read_where(beyond):
            in_l2 = footprint_bytes <= self.cpu.l2_bytes.value
        return {"l1_hit": in_l1, "l2_hit": both(beyond, in_l2), "l3_hit": both(beyond, negated(in_l2))}

    def reuse_hit_ps(self, hits: Mapping[str, bool]) -> int:
        """Return the price of a line that is met again, of the level that it comes from."""
        return sum(unless(negated(comes), self._where(comes, name)) for name, comes in hits.items() if somewhere(comes))

    def _where(self, holds: bool, primitive: str) -> int:
        """Return the price of one, rounded to whole picoseconds, which is read where something holds.

        It is worked out each time: one that is kept would not be read by who asks for it next.
        """
        with _read_where(holds):
            return round(self._price_ps(primitive))


def _read_where(holds: bool) -> AbstractContextManager[None]:
    """Note what is read inside only where something holds with the tables as they are: else it is for other draws."""
    return nullcontext() if read_where(holds) else unnoted_reads()
