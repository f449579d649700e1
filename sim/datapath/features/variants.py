"""What ring features and access variants change in the rows of handlers and drivers.

Handlers and drivers are written for a plain split ring, reached access by access. What a round begins with, IN_ORDER, a
deeper device IOTLB, user access windows around batches and the packed layout are translations of those rows, so that
each works with all of them.
"""

from __future__ import annotations

from dataclasses import replace

from sim.config.scenario.scenario import Scenario
from sim.costs import tree_levels
from sim.datapath.features.iotlb import with_round_rows
from sim.datapath.features.packed import packed_rows
from sim.datapath.features.windows import with_windows
from sim.datapath.memory.rings import PackedRing, SplitRing, ring_of
from sim.datapath.plan.plan import Register
from sim.datapath.plan.step import Draft

R = Register

#: Rows of a flush for a batch that wraps at the end of the ring, and for one of a single buffer.
_OTHER_FLUSHES = ("used_wrapped", "used_element")
#: Steps that translate a guest address: of a buffer, or of an indirect table.
_TRANSLATING = ("descriptor", "next_descriptor", "indirect_table", "indirect_descriptor")


def with_features(scenario: Scenario, drafts: list[Draft]) -> list[Draft]:
    """Return the rows for the scenario's virtqueue and access variant."""
    queue, ring, window = scenario.virtqueue, ring_of(scenario.virtqueue), scenario.access[0].window
    drafts = with_round_rows(scenario, drafts)
    deeper = tree_levels(scenario.kernel, queue)
    if deeper:
        drafts = [_deeper(row, deeper) for row in drafts]
    if queue.one_used_element or isinstance(ring, PackedRing):
        drafts = _one_flush(drafts)
    if isinstance(ring, PackedRing):
        return packed_rows(scenario, ring, drafts)
    if queue.in_order:
        drafts = [_in_order(scenario, ring, row) for row in drafts]
    return drafts if window is None else with_windows(scenario, ring, window, drafts)


def _deeper(row: Draft, instructions: float) -> Draft:
    """Add the levels of the device IOTLB's interval tree to a step that translates an address."""
    if row.kernel_step not in _TRANSLATING:
        return row
    return replace(row, extra_instructions=row.extra_instructions + instructions)


def _one_flush(drafts: list[Draft]) -> list[Draft]:
    """Write a batch of one, and one that wraps, like any other."""
    if not any(row.label == "used_elements" for row in drafts):
        return drafts
    return [
        replace(row, jumps=tuple(jump for jump in row.jumps if jump.target not in _OTHER_FLUSHES))
        for row in drafts
        if row.label not in _OTHER_FLUSHES
    ]


def _in_order(scenario: Scenario, ring: SplitRing, row: Draft) -> Draft:
    """Return a row under IN_ORDER: no avail ring entry, one used element per batch, none read by the driver."""
    queue = scenario.virtqueue
    if row.actor == "driver":
        element = row.access is not None and row.access.region == "used" and bool(row.access.stride)
        return replace(row, step="next buffer, IN_ORDER", access=None) if element else row
    if row.accessor == "avail_entry_read" and queue.skips_avail_ring:
        return replace(
            row, step="head = last_avail_idx, IN_ORDER", accessor=None, spared=row.accessor, access=None,
            primitives=("test",),
        )  # fmt: skip
    if row.accessor == "used_elements_write" and queue.one_used_element:
        return replace(
            row, step="one used element for the batch, IN_ORDER", kernel_step="used_element",
            accessor="used_element_write", bytes=8, unit=None, access=ring.used_slot(R.RING_USED_IDX),
        )  # fmt: skip
    return row
