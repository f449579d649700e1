"""The memory that a ring lies in: its pages, the TLB entries that reach them, what mapping them costs, and whether."""

from __future__ import annotations

from sim.config.scenario.scenario import Scenario
from sim.config.tables.access import Access
from sim.costs import CostTable
from sim.costs.draws import most, somewhere
from sim.costs.recipes import Item
from sim.costs.table import Component
from sim.datapath.memory.rings import ring_of
from sim.datapath.plan.step import LINE_BYTES

PAGE_BYTES = 4096

#: What a device does that may not, or cannot, map its rings.
KERNEL_OWN = Access(
    schema_=1, name="copy_user", title="the kernel's own accessors", source="kernel-accesses.md A.2, E (fallback)"
)


def effective_variant(scenario: Scenario, access: str) -> tuple[Access, tuple[str, ...]]:
    """Return what a variant comes to in this scenario, and why where that is not the variant itself."""
    variant = scenario.variant(access)
    if variant.mapping.maps and scenario.virtqueue.iotlb:
        return KERNEL_OWN, (f"{access}: no ring is mapped with a device IOTLB: copy_user",)
    if variant.mapping.pinned and (limit := scenario.memory.locked_limit_kib) is not None:
        locked_kib = RingMemory(scenario, variant).pages * PAGE_BYTES // 1024
        if locked_kib > limit:
            return KERNEL_OWN, (
                f"{access}: {locked_kib} KiB of ring pages exceed the locked-memory limit of {limit} KiB: copy_user",
            )
    return variant, ()


class RingMemory:
    """The ring of one scenario as one access variant reaches it."""

    def __init__(self, scenario: Scenario, variant: Access) -> None:
        self._scenario = scenario
        self._mapping = variant.mapping
        areas = {area: lines for area, lines in ring_of(scenario.virtqueue).regions().items() if area != "indirect"}
        self._pages = {area: -(-lines * LINE_BYTES // PAGE_BYTES) for area, lines in areas.items()}

    @property
    def areas(self) -> int:
        """Ring areas that are mapped one by one."""
        return len(self._pages)

    @property
    def pages(self) -> int:
        """4 KiB pages of all areas; each area begins a page of its own."""
        return sum(self._pages.values())

    @property
    def tlb_entries(self) -> int:
        """TLB entries of the ring: 4 KiB ones of vmap, one large one of the direct map or of a guest's huge page."""
        guest_pages, mapped_by = self._scenario.memory.guest_pages, self._mapping.pages
        return self.pages if mapped_by == "vmap" or (mapped_by, guest_pages) == ("user", "4k") else 1

    def tlb_misses(self) -> list[Item]:
        """Return the misses of one access: the share of the entries in use that a level has no room for."""
        levels = (self._scenario.cpu.stlb_entries, self._scenario.cpu.l1_dtlb_entries)
        used = self.tlb_entries + self._scenario.memory.other_pages.value
        walks, misses = (most(0.0, 1 - room.value / used) if used else 0.0 for room in levels)
        items = (Item("stlb_hit", misses - walks), Item("page_walk", walks))
        return [item for item in items if somewhere(item.count)]

    def mapping_items(self) -> list[Item]:
        """Return what it takes to map the ring once: per area, then per page."""
        mapping = self._mapping
        return [Item(name) for name in mapping.setup_area * self.areas + mapping.setup_page * self.pages]

    def setup(self, table: CostTable) -> tuple[Component, ...]:
        """Price the set-up at SET_VRING_ADDR. ConfigError names what the CPU table lacks."""
        counts: dict[str, int] = {}
        for name in [*self._mapping.setup, *(item.primitive for item in self.mapping_items())]:
            counts[name] = counts.get(name, 0) + 1
        return tuple(table.component(name, count) for name, count in counts.items())
