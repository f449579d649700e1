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
    full = Jump(R.FREE, "<", chain, "reclaim")
    bulk_from = max(1, threshold // chain + 1)
    used = driver_row(
        "reclaim_one", "used->ring[i].id", "packet", "virtio_xmit_cleanup", access=ring.used_element(R.RECLAIMED)
    )
    freed = (add(R.RECLAIMED), add(R.FREE, chain))
    return [
        driver_row(
            "burst", "used->idx at the start of a burst", "burst", "virtio_xmit_pkts", access=ring.used_index(),
            sample=(R.USED_SEEN, R.USED_INDEX), effects=(put(R.BURST_LEFT, scenario.driver.burst),),
            takes_arrivals=True, jumps=(Jump(R.USED_SEEN, ">=", bulk_from, "bulk", R.RECLAIMED), full, go("write")),
        ),
        replace(
            used, label="bulk", step="used->ring[i].id, reclaim in bulk", effects=freed,
            jumps=(Jump(R.USED_SEEN, ">=", 1, "bulk", R.RECLAIMED), full, go("write")),
        ),
        driver_row(
            "reclaim", "used->idx, ring full", "packet", "virtio_xmit_pkts", access=ring.used_index(),
            sample=(R.USED_SEEN, R.USED_INDEX), jumps=(Jump(R.USED_SEEN, "==", 0, "full", R.RECLAIMED),),
        ),
        replace(used, effects=freed),
        *write_rows(scenario, ring, (Jump(R.BURST_LEFT, "<", 1, "publish"), full, go("write"))),
        driver_row(
            "full", "no descriptor free", "burst", "virtio_xmit_pkts",
            jumps=(Jump(R.POSTED, "==", 0, "wait", R.AVAIL_INDEX),),
        ),
        publish_row(ring),
        *kick_rows(scenario, ring, "burst"),
        driver_row(
            "wait", "poll used->idx", "burst", "virtio_xmit_pkts",
            condition=Condition(R.USED_INDEX, "!=", 0, R.RECLAIMED), jumps=(go("burst"),),
        ),
    ]  # fmt: skip
