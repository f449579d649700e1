"""rte_vhost_dequeue_burst of DPDK: a thread in user space that polls the ring, row by row. It has no user accesses."""

from __future__ import annotations

from dataclasses import replace

from sim.config.scenario.scenario import Scenario
from sim.datapath.memory.rings import SplitRing
from sim.datapath.plan.plan import Condition, Jump, Register
from sim.datapath.plan.step import Draft, add, copy, go, put, worker_row
from sim.datapath.vhost_net.fetch import fetch_rows
from sim.datapath.vhost_net.used import ELEMENTS, used_rows

R = Register


def vhost_user_rows(scenario: Scenario, packet_bytes: int) -> list[Draft]:
    """Return the rows of the polling thread: bursts of `device.batch` packets, each returned with one index write."""
    ring = SplitRing(scenario.virtqueue)
    rows = [
        worker_row(
            "poll", "poll avail->idx while the ring is empty", "drain", function="rte_vhost_dequeue_burst",
            operation="hold", condition=Condition(R.RING_AVAIL_IDX, "!=", 0, R.LAST_AVAIL_IDX),
        ),
        worker_row(
            "dequeue", "lock the queue, start of a burst", "flush", "dpdk_burst", primitives=("lock_rmw",),
            drains_stores=True, jumps=(go("refill"),),
        ),
        *fetch_rows(scenario, ring, empty="poll"),
        *_packet_rows(scenario, packet_bytes),
        *_end_rows(scenario, ring),
    ]  # fmt: skip
    # No fence ever ends a window here: lines overlap as far as the reorder buffer reaches.
    return [replace(row, far_read=row.access is not None and not row.access.write) for row in rows]


def _packet_rows(scenario: Scenario, packet_bytes: int) -> list[Draft]:
    return [
        worker_row("translate", "guest physical to own address", "packet", "translate"),
        worker_row("mbuf", "mbuf from the pool", "packet", "dpdk_mbuf"),
        worker_row(
            "header_copy", "vnet header, parsed in place", "packet", "dpdk_copy", accessor="header_copy",
            copied="first",
        ),
        worker_row(
            "payload_copy", "packet bytes", "packet", "payload_copy", accessor="payload_copy", bytes=packet_bytes,
            copied="rest",
        ),
        worker_row(
            "packet_done", "packet into the burst", "packet", "dpdk_packet_done",
            effects=(add(R.LAST_AVAIL_IDX), add(R.DONE_IDX), add(R.SENT_PKTS)),
            jumps=(
                Jump(R.DONE_IDX, ">=", scenario.device.batch, "flush"), Jump(R.AVAIL_IDX, "==", 0, "flush", R.LAST_AVAIL_IDX), go("head"),
            ),
        ),
    ]  # fmt: skip


def _end_rows(scenario: Scenario, ring: SplitRing) -> list[Draft]:
    """flush_shadow_used_ring_split, vhost_vring_call_split; then the program drops the packets."""
    used = used_rows(scenario, ring)
    used[-1] = replace(used[-1], jumps=())
    return [
        worker_row("flush", "shadow used ring", "flush", "dpdk_flush", effects=(copy(R.SENT_PKTS, R.DONE_IDX),), jumps=ELEMENTS),
        *used,
        worker_row(
            "backend", "the program drops the packets", "packet", "dpdk_free", unit=R.SENT_PKTS, per_unit=True,
            effects=(put(R.SENT_PKTS, 0),), jumps=(go("poll"),),
        ),
    ]  # fmt: skip
