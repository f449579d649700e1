"""Turn drafts into rows: recipes and instruction counts become components with integer costs."""

from __future__ import annotations

from collections.abc import Iterable

from sim.config.errors import ConfigError
from sim.config.kernel import METADATA_ACCESSORS
from sim.config.scenario import VNET_HEADER_BYTES, Scenario
from sim.costs import CostTable, Recipes
from sim.costs.recipes import SERIALISING, Item
from sim.costs.table import Component
from sim.datapath.draft import Draft
from sim.datapath.plan import LineAccess, Row
from sim.datapath.rings import LINE_BYTES, lines_of


class Pricer:
    """Prices the drafts of one scenario under one access variant and packet size."""

    def __init__(self, scenario: Scenario, recipes: Recipes, table: CostTable, packet_bytes: int) -> None:
        self.scenario = scenario
        self.recipes = recipes
        self.table = table
        self.packet_bytes = packet_bytes
        toggles_wait = scenario.cpu.features.smap_waits_for_loads.value
        self.waiting = SERIALISING if toggles_wait else tuple(set(SERIALISING) - {"stac", "clac"})

    def price(self, drafts: list[Draft]) -> list[Row]:
        """Return the rows of all drafts, in order."""
        items = [self._items(draft) for draft in drafts]
        return [
            self._row(draft, items[number], self.table.hidden_ps(self._work_behind(drafts, items, number)))
            for number, draft in enumerate(drafts)
        ]

    def _items(self, draft: Draft) -> list[Item]:
        """Primitives of one execution in order: the accessor, the step's calls, then the work of the step."""
        recipes = self.recipes
        items = recipes.accessor(draft.accessor, self._bytes(draft)) * draft.times if draft.accessor else []
        items += [Item(name) for name in draft.primitives]
        work = draft.extra_instructions
        if draft.kernel_step:
            step = recipes.kernel.steps[draft.kernel_step]
            items += recipes.calls(step.calls)
            counted = recipes.instructions(recipes.calls(step.calls, counted=True))
            if draft.accessor:
                counted += recipes.counted(draft.accessor, self._counted_bytes(draft))
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
        return self.recipes.kernel.accessors[draft.accessor].bytes if draft.accessor else 0

    def _counted_bytes(self, draft: Draft) -> int:
        """Bytes that the counted runs moved: 64-byte frames, 32 used elements."""
        counted = {"payload_copy": 64, "used_elements_write": 256}
        return counted.get(draft.accessor or "", self._bytes(draft))

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

    def _row(self, draft: Draft, items: list[Item], hidden_ps: int) -> Row:
        fixed, unit = self._split_by_unit(draft, items)
        payload = self._payload_lines(draft, hidden_ps)
        names = [item.primitive for item in items]
        before = next((name for name in names if name in self.waiting or name in ("load", "store", "copy_startup")), "")
        components = tuple(self._components(fixed)) + payload + self._driver_work(draft)
        step = self.scenario.kernel.steps.get(draft.kernel_step or "")
        return Row(
            label=draft.label,
            actor=draft.actor,
            step=draft.step,
            function=draft.function or (step.function if step else ""),
            scopes=draft.scopes,
            operation=self._operation(draft),
            kernel_step=draft.kernel_step,
            family=self._family(draft),
            accessor=draft.accessor,
            bytes=self._bytes(draft),
            components=components,
            unit_components=tuple(self._components(unit)),
            unit=draft.unit,
            instructions=self.recipes.instructions(fixed),
            unit_instructions=self.recipes.instructions(unit),
            access=draft.access,
            payload_access=self._payload_access(draft),
            waits_before=before in self.waiting,
            waits_after=any(name in self.waiting for name in names),
            hidden_ps=hidden_ps,
            drains_stores=draft.drains_stores,
            sample=draft.sample,
            effects=draft.effects,
            condition=draft.condition,
            takes_arrivals=draft.takes_arrivals and self.scenario.traffic.load.kind != "saturate",
            marks=draft.marks,
            jumps=draft.jumps,
        )

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

    def _driver_work(self, draft: Draft) -> tuple[Component, ...]:
        if not draft.extra_ns:
            return ()
        return (Component("driver_work", 1, round(draft.extra_ns * 1000), f"{draft.extra_ns:g} ns"),)

    def _payload_lines(self, draft: Draft, hidden_ps: int) -> tuple[Component, ...]:
        """Lines of the packet that a copy pulls from the sender's cache, and clean ones (DESIGN 6b.4)."""
        if draft.copied == "none":
            return ()
        traffic, table = self.scenario.traffic, self.table
        whole = VNET_HEADER_BYTES + self.packet_bytes
        written = self.packet_bytes if traffic.dirty_bytes == "full" else min(traffic.dirty_bytes, self.packet_bytes)
        dirty = lines_of(VNET_HEADER_BYTES + written)
        components: list[Component] = []
        if draft.copied in ("first", "whole"):
            transfer_ps = table.whole_ps(table.transfer_primitive)
            hidden_ps += self._copied_meanwhile_ps(draft, dirty, lines_of(whole))
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

    def _copied_meanwhile_ps(self, draft: Draft, dirty: int, lines: int) -> int:
        """Time in which the rest of one long copy moves while its first line travels; a short copy has no rest.

        Measured: a dirty first line costs a copy of 1500 bytes less than one of 64 (docs/mismatches.md).
        """
        if draft.copied != "whole":
            return 0
        prices = {"copy_bytes": self._bytes(draft) - LINE_BYTES, "clean_line": lines - dirty, "line_stream": dirty - 1}
        return sum(round(count * self.table.price(name)[0]) for name, count in prices.items() if count > 0)

    def _payload_access(self, draft: Draft) -> LineAccess | None:
        """Name the bytes of the packet's buffer that a copy reads (not tracked as cache lines)."""
        if draft.copied == "none":
            return None
        offset = VNET_HEADER_BYTES if draft.copied == "rest" else 0
        return LineAccess("buf", False, self._bytes(draft), offset=offset)

    @staticmethod
    def _family(draft: Draft) -> str:
        if draft.accessor in METADATA_ACCESSORS or draft.operation == "barrier":
            return "metadata"
        return "payload" if draft.accessor else "work"

    @staticmethod
    def _operation(draft: Draft) -> str:
        if draft.accessor in ("header_copy", "payload_copy"):
            return "copy"
        if draft.access is not None:
            return "write" if draft.access.write else "read"
        return "poll" if draft.condition is not None and draft.operation == "work" else draft.operation
