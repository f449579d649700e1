"""vhost_get_vq_desc: avail index, avail ring entry, descriptors."""

from __future__ import annotations

from sim.config.scenario.scenario import Scenario
from sim.datapath.memory.rings import SplitRing
from sim.datapath.plan.plan import Jump, Register
from sim.datapath.plan.step import Draft, worker_row
from sim.datapath.vhost_net.poll import where_empty

R = Register


def fetch_rows(scenario: Scenario, ring: SplitRing, empty: str | None = None) -> list[Draft]:
    """Return the rows that fetch one chain; `empty` is the row for an empty ring, if it is not the transmit drain."""
    empty, queue = empty or where_empty(scenario), scenario.virtqueue
    rows = [
        Draft(
            "refill", "worker", "avail->idx", ("refill", "drain"), kernel_step="refill", accessor="avail_index_read",
            access=ring.avail_index(), sample=(R.AVAIL_IDX, R.RING_AVAIL_IDX), jumps=(Jump(R.AVAIL_IDX, "==", 0, empty, R.LAST_AVAIL_IDX),),
        ),
        worker_row(
            "head", "avail->ring[i]", "packet", "head", accessor="avail_entry_read", access=ring.avail_entry(R.LAST_AVAIL_IDX),
        ),
        worker_row(
            "descriptor", "descriptor", "packet", "descriptor", accessor="descriptor_read",
            access=ring.descriptor(R.LAST_AVAIL_IDX, 0),
        ),
    ]  # fmt: skip
    if queue.indirect:
        rows.append(worker_row("indirect_table", "set up the indirect table", "packet", "indirect_table"))
        rows += [
            worker_row(
                f"indirect_{number}", f"indirect table entry {number}", "packet", "indirect_descriptor",
                accessor="indirect_descriptor_read", access=ring.table_entry(R.LAST_AVAIL_IDX, number),
            )
            for number in range(queue.descriptors_per_packet)
        ]  # fmt: skip
    else:
        rows += [
            worker_row(
                f"descriptor_{number}", f"descriptor {number} of the chain", "packet", "next_descriptor",
                accessor="descriptor_read", access=ring.descriptor(R.LAST_AVAIL_IDX, number),
            )
            for number in range(1, queue.descriptors_per_packet)
        ]  # fmt: skip
    return rows
