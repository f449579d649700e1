"""DPDK virtio-user (testpmd txonly)."""

from __future__ import annotations

from dataclasses import replace

from sim.config.scenario.scenario import Scenario
from sim.datapath.drivers.post import kick_rows, publish_row, write_rows
from sim.datapath.memory.rings import SplitRing
from sim.datapath.plan.plan import Condition, Jump, Register
from sim.datapath.plan.step import Draft, add, driver_row, go, put

R = Register


def virtio_user_rows(scenario: Scenario, ring: SplitRing) -> list[Draft]:
    """Return virtio_xmit_pkts: bursts, bulk reclaim above a threshold, else one used element at a time."""
    chain, threshold = ring.chain, ring.queue.size - scenario.driver.free_threshold
    full = Jump(R.NUM_FREE, "<", chain, "reclaim")
    bulk_from = max(1, threshold // chain + 1)
    used = driver_row(
        "reclaim_one", "used->ring[i].id", "packet", "virtio_xmit_cleanup", access=ring.used_element(R.LAST_USED_IDX)
    )
    freed = (add(R.LAST_USED_IDX), add(R.NUM_FREE, chain))
    return [
        driver_row(
            "burst", "used->idx at the start of a burst", "burst", "virtio_xmit_pkts", access=ring.used_index(),
            sample=(R.USED_IDX_SEEN, R.RING_USED_IDX), effects=(put(R.BURST_LEFT, scenario.driver.burst),),
            takes_arrivals=True, jumps=(Jump(R.USED_IDX_SEEN, ">=", bulk_from, "bulk", R.LAST_USED_IDX), full, go("write")),
        ),
        replace(
            used, label="bulk", step="used->ring[i].id, reclaim in bulk", effects=freed,
            jumps=(Jump(R.USED_IDX_SEEN, ">=", 1, "bulk", R.LAST_USED_IDX), full, go("write")),
        ),
        driver_row(
            "reclaim", "used->idx, ring full", "packet", "virtio_xmit_pkts", access=ring.used_index(),
            sample=(R.USED_IDX_SEEN, R.RING_USED_IDX), jumps=(Jump(R.USED_IDX_SEEN, "==", 0, "full", R.LAST_USED_IDX),),
        ),
        replace(used, effects=freed),
        *write_rows(scenario, ring, (Jump(R.BURST_LEFT, "<", 1, "publish"), full, go("write"))),
        driver_row(
            "full", "no descriptor free", "burst", "virtio_xmit_pkts",
            jumps=(Jump(R.AVAIL_IDX_SHADOW, "==", 0, "wait", R.RING_AVAIL_IDX),),
        ),
        publish_row(ring),
        *kick_rows(scenario, ring, "burst"),
        driver_row(
            "wait", "poll used->idx", "burst", "virtio_xmit_pkts",
            condition=Condition(R.RING_USED_IDX, "!=", 0, R.LAST_USED_IDX), jumps=(go("burst"),),
        ),
    ]  # fmt: skip
