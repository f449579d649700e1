"""Turn drafts into rows: recipes and instruction counts become components with integer costs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sim.config.errors import ConfigError
from sim.config.scenario.scenario import Scenario
from sim.config.scenario.traffic import VNET_HEADER_BYTES
from sim.config.tables.vocabulary import METADATA_ACCESSORS, PAYLOAD_ACCESSORS
from sim.costs import CostTable, Recipes
from sim.costs.recipes import LOCKED, NOT_MAPPED, SERIALISING, Item
from sim.costs.table import Component
from sim.datapath.memory.ring_memory import RingMemory
from sim.datapath.memory.rings import lines_of
from sim.datapath.plan.plan import LineAccess, Row
from sim.datapath.plan.step import Draft

#: Copies that were counted with 64-byte frames.
_COUNTED_WITH_A_FRAME = ("payload_copy", "single_copy", "skb_copy", "kernel_copy", "rx_payload_copy")


class Pricer:
    """Prices the drafts of one scenario under one access variant and packet size."""

    def __init__(self, scenario: Scenario, recipes: Recipes, table: CostTable, packet_bytes: int) -> None:
        self.scenario = scenario
        self.recipes = recipes
        self.table = table
        self.packet_bytes = packet_bytes
        toggles_wait = scenario.cpu.features.smap_waits_for_loads.value
        self.tlb_misses = RingMemory(scenario, recipes.variant).tlb_misses()
        self.waiting = SERIALISING if toggles_wait else tuple(set(SERIALISING) - {"stac", "clac"})

    def price(self, drafts: list[Draft]) -> list[Row]:
        """Return the rows of all drafts, in order."""
        drafts, items = self._parted([(draft, self._items(draft)) for draft in drafts])
        return [
            self._row(
                draft,
                items[number],
                self.table.hidden_ps(self._work_behind(drafts, items, number)),
                draft.far_read and not self._reaches_back(drafts, items, number),
            )
            for number, draft in enumerate(drafts)
        ]

    def _parted(self, priced: list[tuple[Draft, list[Item]]]) -> tuple[list[Draft], list[list[Item]]]:
        """Give a locked operation behind a store a row of its own: it waits for the line that the row has written."""
        drafts: list[Draft] = []
        items: list[list[Item]] = []
        for draft, all_items in priced:
            names = [item.primitive for item in all_items]
            stores = [n for n, name in enumerate(names) if name == "store" or name.startswith("copy_")]
            behind = [n for n, name in enumerate(names) if name in LOCKED and stores and n > stores[-1]]
            if not behind or draft.access is None or not draft.access.write:
                drafts.append(draft)
                items.append(all_items)
                continue
            release = Draft(
                f"{draft.label}_release", draft.actor, f"{draft.step}: let go", draft.scopes, operation="barrier",
                function=self._function(draft), jumps=draft.jumps,
            )  # fmt: skip
            drafts += [replace(draft, jumps=()), release]
            items += [all_items[: behind[0]], all_items[behind[0] :]]
        return drafts, items

    def _reaches_back(self, drafts: list[Draft], items: list[list[Item]], number: int) -> bool:
        """Tell whether the reorder buffer reaches from a row back to the read before it, down the usual path."""
        between: float = 0.0
        for place in reversed([*range(number + 1, len(drafts)), *range(number)]):
            draft = drafts[place]
            if draft.actor != drafts[number].actor:
                continue
            between += self.recipes.instructions(items[place])
            if between > self.table.cpu.reorder_buffer.value:
                return False
            if draft.access is not None and not draft.access.write:
                return True
        return True

    def _items(self, draft: Draft) -> list[Item]:
        """Primitives of one execution in order: the accessor, the step's calls, then the work of the step."""
        recipes = self.recipes
        items = recipes.accessor(draft.accessor, self._bytes(draft)) * draft.times if draft.accessor else []
        items += recipes.calls(list(draft.primitives))
        if draft.accessor in METADATA_ACCESSORS and draft.accessor not in NOT_MAPPED:
            items += self.tlb_misses
        work = draft.extra_instructions
        if draft.kernel_step:
            step = recipes.kernel.step(draft.kernel_step)
            items += recipes.calls(step.calls)
            counted = recipes.instructions(recipes.calls(step.calls, counted=True))
            accessor = draft.spared or draft.accessor
            if accessor:
                counted += recipes.counted(accessor, self._counted_bytes(draft, accessor))
            if step.instructions.value < counted:
                raise ConfigError(
                    f"kernel {recipes.kernel.name}: step '{draft.kernel_step}' has {step.instructions.value:g} "
                    f"instructions, its accessor alone executes {counted:g}"
                )
            work += (step.instructions.value - counted) * draft.times
        return [*items, Item("instruction", work)] if work else items

    def _bytes(self, draft: Draft) -> int:
        if draft.bytes:
            return draft.bytes
        return self.recipes.kernel.accessor(draft.accessor).bytes if draft.accessor else 0

    def _counted_bytes(self, draft: Draft, accessor: str) -> int:
        """Bytes that the counted runs moved: 64-byte frames, 32 used elements."""
        counted = {"used_elements_write": 256, **dict.fromkeys(_COUNTED_WITH_A_FRAME, 64)}
        own = self.recipes.kernel.accessor(accessor).bytes if draft.spared else self._bytes(draft)
        return counted.get(accessor, own)

    def _work_behind(self, drafts: list[Draft], items: list[list[Item]], number: int) -> float:
        """Instructions from the access of a row up to the next primitive that waits for loads, down the usual path."""
        behind: float = 0.0
        enough: float = self.table.cpu.reorder_buffer.value
        after_access = False
        actor = drafts[number].actor
        path = [number, *range(number + 1, len(drafts)), *range(number)]
        for place in path:
            if drafts[place].actor != actor:
                continue
            behind += drafts[place].extra_ns * self.scenario.cpu.core_ghz.value / self.scenario.cpu.cpi.value
            for item in items[place]:
                if place == number and not after_access:
                    after_access = item.primitive in ("load", "copy_startup", "copy_startup_short", "copy_loop")
                    continue
                if item.primitive in self.waiting:
                    return behind
                behind += item.count * self.recipes.instructions_of(item.primitive)
            after_access = True
            if behind >= enough:
                break
        return enough  # nothing waits before the reorder buffer is full, on the next laps if not on this one

    def _row(self, draft: Draft, items: list[Item], hidden_ps: int, new_window: bool) -> Row:
        fixed, unit = self._split_by_unit(draft, items)
        payload = self._payload_lines(draft, hidden_ps)
        names = [item.primitive for item in items]
        before = next((name for name in names if name in self.waiting or name in ("load", "store", "copy_startup")), "")
        components = tuple(self._components(fixed)) + payload
        extra = self._extra(draft)
        return Row(
            label=draft.label,
            actor=draft.actor,
            step=draft.step,
            function=self._function(draft),
            scopes=draft.scopes,
            operation=self._operation(draft),
            kernel_step=draft.kernel_step,
            family=self._family(draft),
            accessor=draft.accessor,
            bytes=self._bytes(draft),
            components=components if draft.per_unit else components + extra,
            unit_components=tuple(self._components(unit)) + (extra if draft.per_unit else ()),
            unit=draft.unit,
            instructions=self.recipes.instructions(fixed),
            unit_instructions=self.recipes.instructions(unit),
            access=draft.access,
            payload_access=self._payload_access(draft),
            waits_before=before in self.waiting or new_window,
            waits_after=any(name in self.waiting for name in names),
            hidden_ps=hidden_ps,
            drains_stores=draft.drains_stores or any(name in LOCKED for name in names),
            sample=draft.sample,
            effects=draft.effects,
            condition=draft.condition,
            takes_arrivals=draft.takes_arrivals and self.scenario.traffic.load.kind != "saturate",
            marks=draft.marks,
            jumps=draft.jumps,
        )

    def _function(self, draft: Draft) -> str:
        step = self.scenario.kernel.steps.get(draft.kernel_step or "")
        return draft.function or (step.function if step else "")

    def _split_by_unit(self, draft: Draft, items: list[Item]) -> tuple[list[Item], list[Item]]:
        """Part what is paid once from what is paid per unit; a copy of n used elements pays its bytes per element."""
        if draft.per_unit:
            return [], items
        if draft.unit is None:
            return items, []
        elements = self._bytes(draft) / 8
        fixed, unit = [], []
        for item in items:
            if item.primitive == "copy_bytes":
                unit.append(Item("copy_bytes", 8 / draft.times))
            elif item.primitive == "copy_loop":
                unit.append(Item("copy_loop", 6 / draft.times))
                fixed.append(Item("copy_loop", item.count - 6 * elements))
            else:
                fixed.append(item)
        return fixed, unit

    def _components(self, items: Iterable[Item]) -> list[Component]:
        counts: dict[str, float] = {}
        for item in items:
            counts[item.primitive] = counts.get(item.primitive, 0) + item.count
        try:
            return [self.table.component(name, count) for name, count in counts.items() if count]
        except KeyError as error:
            raise ConfigError(str(error.args[0])) from None

    @staticmethod
    def _extra(draft: Draft) -> tuple[Component, ...]:
        """Time that is given whole, in ns: an actor's own work, or the host's stack behind the worker."""
        if not draft.extra_ns:
            return ()
        name = draft.extra_name or ("given_time" if draft.actor == "worker" else "driver_work")
        return (Component(name, 1, round(draft.extra_ns * 1000), f"{draft.extra_ns:g} ns"),)

    def _payload_lines(self, draft: Draft, hidden_ps: int) -> tuple[Component, ...]:
        """Lines of the packet that a copy pulls from the sender's cache, and clean ones (DESIGN 6b.4)."""
        if draft.copied == "none":
            return ()
        traffic, table = self.scenario.traffic, self.table
        packet_bytes = draft.copied_bytes or self.packet_bytes
        header = VNET_HEADER_BYTES if self.scenario.device.direction == "tx" else 0  # the TAP writes it on its stack
        whole = header + packet_bytes
        written = packet_bytes if traffic.dirty_bytes == "full" else min(traffic.dirty_bytes, packet_bytes)
        dirty = lines_of(header + written)
        components: list[Component] = []
        if draft.copied in ("first", "whole"):
            transfer_ps = table.whole_ps(table.transfer_primitive)
            exposed = self.scenario.cpu.payload_exposed.value * max(0, transfer_ps - hidden_ps) / transfer_ps
            components.append(
                table.component(table.transfer_primitive, 1, exposed, "exposed part of the payload's line")
            )
        if draft.copied in ("rest", "whole"):
            if dirty > 1:
                components.append(table.component("line_stream", dirty - 1))
            if lines_of(whole) > dirty:
                components.append(table.component("clean_line", lines_of(whole) - dirty))
        return tuple(components)

    def _payload_access(self, draft: Draft) -> LineAccess | None:
        """Name the bytes of the packet's buffer that a copy reads (not tracked as cache lines)."""
        if draft.copied == "none":
            return None
        offset = VNET_HEADER_BYTES if draft.copied == "rest" else 0
        return LineAccess("buf", False, self._bytes(draft), offset=offset)

    @staticmethod
    def _family(draft: Draft) -> str:
        if draft.accessor in METADATA_ACCESSORS or draft.operation in ("barrier", "window"):
            return "metadata"
        return "payload" if draft.accessor else "work"

    @staticmethod
    def _operation(draft: Draft) -> str:
        if draft.accessor in PAYLOAD_ACCESSORS:
            return "copy"
        if draft.access is not None:
            return "write" if draft.access.write else "read"
        return "poll" if draft.condition is not None and draft.operation == "work" else draft.operation
