"""The guest's side of receive: take filled buffers off the used ring, post empty ones, kick."""

from __future__ import annotations

from dataclasses import replace

from sim.config.scenario.scenario import Scenario
from sim.datapath.drivers.post import kick_rows, publish_row
from sim.datapath.drivers.receive_napi import napi_rows
from sim.datapath.memory.receive_memory import ReceiveMemory
from sim.datapath.memory.rings import SplitRing
from sim.datapath.plan.plan import Condition, Jump, Register
from sim.datapath.plan.step import Draft, add, driver_row, go, put

R = Register


def receive_driver_rows(scenario: Scenario, packet_bytes: int) -> list[Draft]:
    """Return the rows of the driver that the scenario names, for packets of one size."""
    ring, memory = SplitRing(scenario.virtqueue), ReceiveMemory(scenario, packet_bytes)
    if scenario.driver.kind == "virtio-net":
        return napi_rows(scenario, ring, memory)
    return virtio_user_receive_rows(scenario, ring, memory)


def virtio_user_receive_rows(scenario: Scenario, ring: SplitRing, memory: ReceiveMemory) -> list[Draft]:
    """Return virtio_recv_mergeable_pkts: polls the used index, posts new buffers and one index write per burst."""
    more = (Jump(R.AVAIL_IDX_SHADOW, "<", ring.packets, "post_buffer", R.LAST_USED_IDX),)
    return [
        driver_row(
            "poll", "used->idx", "burst", "virtio_recv_mergeable_pkts", access=ring.used_index(),
            sample=(R.USED_IDX_SEEN, R.RING_USED_IDX), effects=(put(R.RECEIVE_LEFT, scenario.driver.burst * memory.heads),),
            jumps=(Jump(R.USED_IDX_SEEN, "==", 0, "wait", R.LAST_USED_IDX),),
        ),
        driver_row(
            "element", "used->ring[i]", "packet", "virtqueue_dequeue_burst_rx", access=ring.used_element(R.LAST_USED_IDX),
        ),
        driver_row(
            "read_buffer", "the packet", "packet", "virtio_recv_mergeable_pkts", access=memory.read_back(),
            extra_ns=scenario.driver.packet_cost.value / memory.heads,
            effects=(add(R.LAST_USED_IDX), add(R.RECEIVE_LEFT, -1)),
            jumps=(Jump(R.RECEIVE_LEFT, "<", 1, "post_buffer"), Jump(R.USED_IDX_SEEN, ">=", 1, "element", R.LAST_USED_IDX)),
        ),
        driver_row(
            "post_buffer", "write the descriptors of a new buffer", "packet", "virtqueue_enqueue_recv_refill",
            access=ring.chain_write(R.AVAIL_IDX_SHADOW), effects=(add(R.AVAIL_IDX_SHADOW),), jumps=more,
        ),
        replace(publish_row(ring), marks=None),
        *kick_rows(scenario, ring, "poll"),
        driver_row(
            "wait", "poll used->idx", "burst", "virtio_recv_mergeable_pkts",
            condition=Condition(R.RING_USED_IDX, "!=", 0, R.LAST_USED_IDX), jumps=(go("poll"),),
        ),
    ]  # fmt: skip
