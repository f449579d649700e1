"""Turn steps into rows: recipes and instruction counts become components with integer costs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cached_property, partial
from typing import TypeVar

from sim.config.errors import ConfigError
from sim.config.scenario.scenario import Scenario
from sim.config.scenario.traffic import VNET_HEADER_BYTES
from sim.config.tables.kernel import StepCount
from sim.config.tables.quantity import Quantity, unnoted_reads
from sim.costs import CostTable, Recipes
from sim.costs.draws import as_in_tables, both, either, least, most, negated, ratio, somewhere, total
from sim.costs.recipes import LOCKED, Functions, Item, returns
from sim.costs.table import Component, Spent
from sim.datapath.applications.messages import is_application
from sim.datapath.in_flight import InFlight, function_of, waiting
from sim.datapath.memory.ring_memory import RingMemory
from sim.datapath.memory.rings import lines_of
from sim.datapath.plan.step import LineAccess, Row, Step, Times

Priced = TypeVar("Priced")

#: Copies that were counted with 64-byte frames.
_COUNTED_WITH_A_FRAME = ("payload_copy", "single_copy", "skb_copy", "kernel_copy", "rx_payload_copy")


def _whole(component: Component, function: str, next_function: str = "") -> Component:
    """Return a component whose whole time is one function's."""
    return replace(component, spent=(Spent(function, component.cost_ps, 0.0, next_function),))


def _in_ns(time_ns: float) -> str:
    return f"{time_ns:g} ns"


def _together(primitive: str, table: CostTable, items: list[Item]) -> Component:
    return table.together(primitive, items)


def _one_by_one(table: CostTable, items: list[Item]) -> list[float]:
    return [table.item_ps(item) for item in items]


def counted_in_accessors(scenario: Scenario, access: str, rows: Iterable[Row]) -> dict[str, float]:
    """Return what accessor and calls of the counted steps executed in the counted runs, by the key of the step's count.

    No count of a step can be less than that.
    """
    variant = scenario.variant(access)
    recipes = Recipes(scenario.kernel, variant, scenario.cpu, scenario.mitigations, scenario.virtqueue)
    table = CostTable(scenario.cpu, scenario.kernel.work_scale.value, scenario.placement)
    pricer = Pricer(scenario, recipes, table, scenario.traffic.sizes[0])
    least: dict[str, float] = {}
    for row in rows:
        if row.counted_as:
            key, counted = f"kernel.steps.{row.counted_as}", pricer.counted(row, recipes.kernel.step(row.counted_as))
            for name, count in (("instructions", recipes.instructions(counted)), ("returns", returns(counted))):
                least[f"{key}.{name}"] = max(count, least.get(f"{key}.{name}", 0.0))
    return least


class Pricer:
    """Prices the steps of one scenario under one access variant and packet size, with `functions` by function, too."""

    def __init__(
        self, scenario: Scenario, recipes: Recipes, table: CostTable, packet_bytes: int, functions: bool = False
    ) -> None:
        self.scenario = scenario
        self.recipes = recipes
        self.table = table
        self.packet_bytes = packet_bytes
        self.functions = functions
        self.waiting = waiting(scenario.cpu)
        self._counted: dict[tuple[object, ...], list[Item]] = {}

    @cached_property
    def tlb_misses(self) -> list[Item]:
        """TLB misses of one access of ring metadata."""
        return RingMemory(self.scenario, self.recipes.variant).tlb_misses()

    def price(self, steps: list[Step]) -> list[Row]:
        """Return the rows of all steps, in order."""
        steps, items = self._parted([(step, self._items(step)) for step in steps])
        flight = InFlight(steps, items, self.recipes, self.scenario.cpu, self.functions)
        return [
            self._row(
                step,
                flight.placed(number),
                self.table.hidden_ps(flight.work_behind(number)),
                step.far_read and negated(flight.reaches_back(number)),
            )
            for number, step in enumerate(steps)
        ]

    def _parted(self, priced: list[tuple[Step, list[Item]]]) -> tuple[list[Step], list[list[Item]]]:
        """Give a locked operation behind a store a row of its own: it waits for the line that the row has written."""
        steps: list[Step] = []
        items: list[list[Item]] = []
        for step, all_items in priced:
            names = [item.primitive for item in all_items]
            stores = [n for n, name in enumerate(names) if name == "store" or name.startswith("copy_")]
            behind = [n for n, name in enumerate(names) if name in LOCKED and stores and n > stores[-1]]
            if not behind or step.access is None or not step.access.write:
                steps.append(step)
                items.append(all_items)
                continue
            release = Step(f"{step.label}_release", step.actor, f"{step.title}: let go", step.scopes)
            release = replace(release, operation="barrier", function=self._function(step), jumps=step.jumps)
            release = replace(release, sometimes=step.sometimes, instead_of=step.instead_of, repeats=step.repeats)
            release = replace(release, unmapped=step.unmapped)
            steps += [replace(step, jumps=()), release]
            items += [all_items[: behind[0]], all_items[behind[0] :]]
        return steps, items

    def _items(self, step: Step) -> list[Item]:
        """Primitives of one execution in order: the accessor, the step's calls, then the work of the step."""
        recipes, function = self.recipes, self._function(step)
        items = recipes.accessor(step.accessor, self._bytes(step)) * step.times if step.accessor else []
        if step.accessor and self.functions:
            items = recipes.in_functions(step.accessor, items, function)
        items += [item for primitive in step.primitives for item in self._executed(primitive)]
        if step.accessor and recipes.in_ring(step.accessor):
            items += self.tlb_misses
        work = step.extra_instructions
        if step.counted_as:
            entry = recipes.kernel.step(step.counted_as)
            items += recipes.calls(entry.calls)
            counted = recipes.instructions(self.counted(step, entry))
            work += self._besides(step, entry.instructions, counted) * step.times
        items = [*items, Item("instruction", work, functions=self._split(step, work))] if work else items
        if step.user_instructions:
            items = [*items, Item("user_instruction", step.user_instructions)]
        if recipes.return_sequence is not None and step.actor == "worker":
            executed = self._returns(step, items)
            items = [*items, Item(recipes.return_sequence, executed)] if executed else items
        return [recipes.in_function(item, function) for item in items] if self.functions else items

    def _executed(self, primitive: str | Times) -> list[Item]:
        """Primitives of a step besides its accessor; of several locked operations the first stands apart."""
        if isinstance(primitive, str):
            return self.recipes.calls([primitive])
        first = least(1.0, primitive.count) if primitive.primitive in LOCKED else primitive.count
        return [
            replace(item, count=item.count * count)
            for count in (first, primitive.count - first)
            if count
            for item in self.recipes.calls([primitive.primitive])
        ]

    def _split(self, step: Step, work: float) -> Functions:
        """Return the work of a step by function: as the kernel's table splits it, and what comes besides."""
        if not self.functions:
            return ()
        kernel, function, extra = self.recipes.kernel, self._function(step), step.extra_instructions
        counted = (work - extra) / step.times
        split = self.recipes.split(step.counted_as, counted, function) if step.counted_as else ((function, counted),)
        named = [(self._in_direction(name), count * step.times) for name, count in split]
        if extra:
            named.append((kernel.routines.get(step.extra_function, function), extra))
        return tuple(named)

    def _in_direction(self, function: str) -> str:
        """Return a function of a step that both directions run, as this one has it."""
        receives = function == "get_tx_bufs" and self.scenario.device.direction == "rx"
        return self.recipes.kernel.routines.get("get_rx_bufs", function) if receives else function

    def counted(self, step: Step, entry: StepCount) -> list[Item]:
        """Return what the counts of a step hold besides its own work: its calls and the kernel's own accessor."""
        accessor = step.counted_accessor or step.accessor
        moved = self._counted_bytes(step, accessor) if accessor else 0
        key = step.counted_as, accessor, moved
        if key not in self._counted:
            items = self.recipes.calls(entry.calls, counted=True)
            self._counted[key] = items + self.recipes.counted(accessor, moved) if accessor else items
        return self._counted[key]

    def _returns(self, step: Step, items: list[Item]) -> float:
        """Returns of one execution: those that were counted, with the accessor's own in the place of the kernel's."""
        executed = returns(items)
        entry = self.recipes.kernel.step(step.counted_as) if step.counted_as else None
        if entry is None or entry.returns is None:
            return executed
        counted = returns(self.counted(step, entry))
        return executed + self._besides(step, entry.returns, counted) * step.times

    def _besides(self, step: Step, count: Quantity, counted: float) -> float:
        """Return what a count of a step holds besides what its accessor and calls executed; ConfigError below that."""
        if count.value < counted:
            raise ConfigError(
                f"kernel {self.recipes.kernel.name}: step '{step.counted_as}' has {count.value:g} {count.unit}, "
                f"its accessor alone executes {counted:g}"
            )
        return count.value - counted

    def _bytes(self, step: Step) -> int:
        if step.bytes:
            return step.bytes
        return self.recipes.kernel.accessor(step.accessor).bytes if step.accessor else 0

    def _counted_bytes(self, step: Step, accessor: str) -> int:
        """Bytes that the counted runs moved: 64-byte frames, 32 used elements."""
        counted = {"used_elements_write": 256, **dict.fromkeys(_COUNTED_WITH_A_FRAME, 64)}.get(accessor)
        if counted is not None:
            return counted
        return self.recipes.kernel.accessor(accessor).bytes if step.counted_accessor else self._bytes(step)

    def _row(self, step: Step, items: list[Item], hidden_ps: int, new_window: bool) -> Row:
        fixed, unit = self._split_by_unit(step, items)
        names = [item.primitive for item in items]
        before = next((name for name in names if name in self.waiting or name in ("load", "store", "copy_startup")), "")
        priced_items = self._components(fixed)
        lines, extra = self._payload_lines(step, priced_items, hidden_ps), self._extra(step)
        waits_in, waits_next = self._waits(step, items)
        if self.functions:
            lines = tuple(_whole(part, waits_in, waits_next) for part in lines)
            extra = tuple(_whole(part, self._function(step)) for part in extra)
        components = (*priced_items, *lines)
        priced = vars(step) | {
            "function": self._function(step),
            "operation": self._operation(step),
            "bytes": self._bytes(step),
            "drains_stores": step.drains_stores or any(name in LOCKED for name in names),
            "takes_arrivals": step.takes_arrivals and self.scenario.traffic.load.kind != "saturate",
        }
        return Row(
            **priced,
            family=self._family(step),
            components=components if step.per_unit else components + extra,
            unit_components=tuple(self._components(unit)) + (extra if step.per_unit else ()),
            instructions=self.recipes.instructions(fixed),
            returns=self._returns(step, items),
            unit_instructions=self.recipes.instructions(unit),
            payload_access=self._payload_access(step),
            waits_before=either((before in self.waiting, new_window)),
            waits_after=any(name in self.waiting for name in names),
            hidden_ps=hidden_ps,
            waits_in=waits_in,
            waits_next=waits_next,
        )

    def _waits(self, step: Step, items: list[Item]) -> tuple[str, str]:
        """Return the function that holds the access of a step, or its locked operation, and the one that runs next.

        Next is what stands behind the window, whose end waits for the loads in it.
        """
        if not self.functions:
            return self._function(step), ""
        names = [item.primitive for item in items]
        access = [n for n, name in enumerate(names) if name in ("load", "store", *LOCKED) or name.startswith("copy_")]
        if not access:
            return self._function(step), ""
        end = next((n for n in range(access[0], len(names)) if names[n] == "clac"), access[-1])
        following = items[end + 1].functions[0][0] if end + 1 < len(items) else items[end].next_function
        return items[access[0]].functions[0][0], following

    def _function(self, step: Step) -> str:
        return function_of(step, self.scenario.kernel)

    def _split_by_unit(self, step: Step, items: list[Item]) -> tuple[list[Item], list[Item]]:
        """Part what is paid once from what is paid per unit; a copy of n used elements pays its bytes per element."""
        if step.per_unit:
            return [], items
        if step.unit is None:
            return items, []
        elements = self._bytes(step) / 8
        fixed, unit = [], []
        for item in items:
            if item.primitive == "copy_bytes":
                unit.append(replace(item, count=8 / step.times))
            elif item.primitive == "copy_loop":
                unit.append(replace(item, count=6 / step.times))
                fixed.append(replace(item, count=item.count - 6 * elements))
            else:
                fixed.append(item)
        return fixed, unit

    def _components(self, items: Iterable[Item]) -> list[Component]:
        groups: dict[str, list[Item]] = {}
        for item in items:
            groups.setdefault(item.primitive, []).append(item)
        executed = [(name, group) for name, group in groups.items() if any(somewhere(item.count) for item in group)]
        components = [self._priced(group, partial(_together, name)) for name, group in executed]
        if not self.functions:
            return components
        return [replace(part, spent=tuple(self._spent(part, groups[part.primitive]))) for part in components]

    def _priced(self, items: list[Item], price: Callable[[CostTable, list[Item]], Priced]) -> Priced:
        """Price items; what only draws may execute is no input with the tables as they are."""
        if any(as_in_tables(item.count) for item in items):
            return price(self.table, items)
        with unnoted_reads():
            return price(self._of_draws, items)

    @cached_property
    def _of_draws(self) -> CostTable:
        """Prices apart from those that were read for the tables as they are."""
        return CostTable(self.scenario.cpu, self.table.work_scale, self.scenario.placement)

    def _spent(self, component: Component, items: list[Item]) -> Iterator[Spent]:
        """Yield the time of a component by function; the refill behind a barrier is that of what it has delayed."""
        prices = self._priced(items, _one_by_one)
        whole_ps = ratio(component.cost_ps, total(prices))  # rounded to whole picoseconds
        for item, price in zip(items, prices, strict=True):
            delayed = total(count for _, count in item.refills)
            refill: float = 0.0
            if delayed:
                refill = round(item.count) * self.table.refill_ps(item.behind or 0.0)
            for function, count in item.refills:
                yield Spent(function, ratio(whole_ps * refill * count, delayed))
            whole = total(count for _, count in item.functions)
            for function, count in item.functions:
                share = ratio(count, whole)
                own = whole_ps * (price - refill) * share
                yield Spent(function, own, self.recipes.instructions([item]) * share, item.next_function)

    @staticmethod
    def _extra(step: Step) -> tuple[Component, ...]:
        """Time that is given whole, in ns: an actor's own work, or the host's stack behind the worker."""
        if not somewhere(step.extra_ns):
            return ()
        name = step.extra_name or ("given_time" if step.actor == "worker" else "driver_work")
        return (Component(name, 1, round(step.extra_ns * 1000), partial(_in_ns, step.extra_ns)),)

    def _payload_lines(self, step: Step, items: list[Component], hidden_ps: int) -> tuple[Component, ...]:
        """Lines of the packet that a copy pulls from the sender's cache, the first beside the rest, and clean ones."""
        if step.copied == "none":
            return ()
        traffic, table = self.scenario.traffic, self.table
        packet_bytes = step.copied_bytes or self.packet_bytes
        header = VNET_HEADER_BYTES if self.scenario.device.direction == "tx" else 0  # the TAP writes it on its stack
        whole = header + packet_bytes
        written = packet_bytes  # by an application, all of it
        if not is_application(self.scenario) and traffic.dirty_bytes != "full":
            written = min(traffic.dirty_bytes, packet_bytes)
        dirty = lines_of(header + written)
        rest: list[Component] = []
        if step.copied in ("rest", "whole") and dirty > 1:
            rest.append(table.component("line_stream_copy", dirty - 1))
        if step.copied in ("rest", "whole") and lines_of(whole) > dirty:
            rest.append(table.component("clean_line", lines_of(whole) - dirty))
        components: list[Component] = []
        if step.copied in ("first", "whole"):
            moved = [part for part in items if part.primitive == "copy_bytes"]
            transfer, transfer_ps = table.transfer_primitive, table.whole_ps(table.transfer_primitive)
            waits = self.scenario.cpu.payload_exposed.value * most(0, transfer_ps - hidden_ps)
            beside: float = sum(part.cost_ps for part in [*rest, *moved])
            tail = table.copy_tail_ps(hidden_ps, both(waits > 0, beside > 0))
            beside = most(0.0, beside - tail)
            exposed = most(0.0, waits - beside) / most(1, transfer_ps)
            components.append(table.component(transfer, 1, exposed, "of the first line, beyond the rest of its copy"))
        return (*components, *rest)

    def _payload_access(self, step: Step) -> LineAccess | None:
        """Name the bytes of the packet's buffer that a copy reads (not tracked as cache lines)."""
        if step.copied == "none":
            return None
        offset = VNET_HEADER_BYTES if step.copied == "rest" else 0
        return LineAccess("buf", False, self._bytes(step), offset=offset)

    def _reach_family(self, step: Step) -> str | None:
        return self.recipes.kernel.reach(step.accessor).family if step.accessor else None

    def _family(self, step: Step) -> str:
        if step.operation in ("barrier", "window"):
            return "metadata"
        return self._reach_family(step) or "work"

    def _operation(self, step: Step) -> str:
        if self._reach_family(step) == "payload":
            return "copy"
        if step.access is not None:
            return "write" if step.access.write else "read"
        return "poll" if step.condition is not None and step.operation == "work" else step.operation
