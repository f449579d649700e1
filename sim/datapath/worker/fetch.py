"""vhost_get_vq_desc: avail index, avail ring entry, descriptors."""

from __future__ import annotations

from dataclasses import replace

from sim.config.scenario import Scenario
from sim.costs import tree_levels
from sim.datapath.draft import Draft, worker_row
from sim.datapath.plan import Jump, Register
from sim.datapath.rings import SplitRing
from sim.datapath.worker.poll import where_empty
from sim.datapath.worker.window import window_rows

R = Register


def fetch_rows(scenario: Scenario, ring: SplitRing, empty: str | None = None) -> list[Draft]:
    """Return the rows that fetch one chain; `empty` is the row for an empty ring, if it is not the transmit drain."""
    empty, queue = empty or where_empty(scenario), scenario.virtqueue
    window = scenario.access[0].window
    refill = Draft(
        "refill", "worker", "avail->idx", ("refill", "drain"), kernel_step="refill", accessor="avail_index_read",
        access=ring.avail_index(), sample=(R.SEEN, R.AVAIL_INDEX), jumps=(Jump(R.SEEN, "==", 0, empty, R.LAST),),
    )  # fmt: skip
    head = worker_row(
        "head", "avail->ring[i]", "packet", "head", accessor="avail_entry_read", access=ring.avail_entry(R.LAST),
    )  # fmt: skip
    if queue.skips_avail_ring:
        in_order = "head = last_avail_idx, IN_ORDER"
        head = replace(
            head, step=in_order, accessor=None, spared="avail_entry_read", access=None, primitives=("test",)
        )  # fmt: skip
    chain = _chain_rows(scenario, ring)
    if window is not None and queue.layout == "split":
        return [refill, *window_rows(scenario, ring, window, head, chain)]
    return [refill, head, *chain]


def _chain_rows(scenario: Scenario, ring: SplitRing) -> list[Draft]:
    """Descriptors and table entries of one chain; each is translated, deeper in the tree with a device IOTLB."""
    rows = _read_rows(scenario, ring)
    deeper = tree_levels(scenario.kernel, scenario.virtqueue)
    return [replace(row, extra_instructions=deeper) for row in rows]


def _read_rows(scenario: Scenario, ring: SplitRing) -> list[Draft]:
    queue = scenario.virtqueue
    descriptor = worker_row(
        "descriptor", "descriptor", "packet", "descriptor", accessor="descriptor_read",
        access=ring.descriptor(R.LAST, 0),
    )  # fmt: skip
    if queue.indirect:
        return [
            descriptor,
            worker_row("indirect_table", "set up the indirect table", "packet", "indirect_table"),
            *(
                worker_row(
                    f"indirect_{number}", f"indirect table entry {number}", "packet", "indirect_descriptor",
                    accessor="indirect_descriptor_read", access=ring.table_entry(R.LAST, number),
                )
                for number in range(queue.descriptors_per_packet)
            ),
        ]  # fmt: skip
    return [
        descriptor,
        *(
            worker_row(
                f"descriptor_{number}", f"descriptor {number} of the chain", "packet", "next_descriptor",
                accessor="descriptor_read", access=ring.descriptor(R.LAST, number),
            )
            for number in range(1, queue.descriptors_per_packet)
        ),
    ]  # fmt: skip
