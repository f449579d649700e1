"""rte_vhost_enqueue_burst of DPDK: packets of the program's NIC into the guest's buffers, row by row."""

from __future__ import annotations

from dataclasses import replace

from sim.config.scenario.scenario import Scenario
from sim.config.scenario.traffic import VNET_HEADER_BYTES
from sim.datapath.memory.receive_memory import ReceiveMemory
from sim.datapath.memory.rings import SplitRing
from sim.datapath.plan.plan import Condition, Jump, Register
from sim.datapath.plan.step import Draft, add, copy, go, put, worker_row
from sim.datapath.vhost_net.fetch import fetch_rows
from sim.datapath.vhost_net.modes import CONTINUE, EMPTY, SLEEP
from sim.datapath.vhost_net.used import ELEMENTS, used_rows

R = Register


def vhost_user_receive_rows(scenario: Scenario, packet_bytes: int) -> list[Draft]:
    """Return the rows of the polling thread; a packet that finds no buffer waits for one, and the NIC drops."""
    ring, memory = SplitRing(scenario.virtqueue), ReceiveMemory(scenario, packet_bytes)
    rows = [
        worker_row(
            "nic", "packets of the NIC", "flush", "dpdk_burst", takes_arrivals=True, primitives=("lock_rmw",),
            drains_stores=True, effects=(put(R.BURST_LEFT, scenario.device.batch), put(R.AFTER_FLUSH, CONTINUE)),
        ),
        worker_row(
            "packet", "packet from the NIC", "packet", "dpdk_nic", marks="posted",
            effects=(add(R.TAKEN), add(R.PRODUCED), add(R.BURST_LEFT, -1), copy(R.SAVED_AVAIL_IDX, R.LAST_AVAIL_IDX)),
        ),
        worker_row(
            "buffers", "buffers wanted", "packet", function="rte_vhost_enqueue_burst",
            effects=(put(R.HEADS_LEFT, memory.heads),), jumps=(EMPTY, go("head")),
        ),
        *fetch_rows(scenario, ring, empty="no_buffer"),
        *_copy_rows(memory),
        *_end_rows(scenario, ring, memory),
    ]  # fmt: skip
    return [replace(row, far_read=row.access is not None and not row.access.write) for row in rows]


def _copy_rows(memory: ReceiveMemory) -> list[Draft]:
    return [
        worker_row("translate", "guest physical to own address", "packet", "translate"),
        worker_row(
            "get_descriptor", "next buffer wanted", "packet", function="reserve_avail_buf_split",
            effects=(add(R.LAST_AVAIL_IDX), add(R.HEADS_LEFT, -1)),
            jumps=(Jump(R.HEADS_LEFT, "<", 1, "header_copy"), EMPTY, go("head")),
        ),
        worker_row(
            "header_copy", "vnet header", "packet", "dpdk_copy", accessor="rx_header_copy",
            access=memory.filled(0, VNET_HEADER_BYTES),
        ),
        worker_row(
            "payload_copy", "packet bytes", "packet", "payload_copy", accessor="rx_payload_copy",
            bytes=-(-memory.packet_bytes // memory.heads), times=memory.heads, copied="whole",
            access=memory.filled(0, memory.span),
        ),
        worker_row("free", "mbuf back to the pool", "packet", "dpdk_free"),
    ]  # fmt: skip


def _end_rows(scenario: Scenario, ring: SplitRing, memory: ReceiveMemory) -> list[Draft]:
    used = used_rows(scenario, ring)
    used = [replace(row, effects=(*row.effects, copy(R.RETURNED, R.RECEIVED))) if row.marks else row for row in used]
    used[-1] = replace(used[-1], jumps=(Jump(R.AFTER_FLUSH, "==", SLEEP, "starve"), go("nic")))
    return [
        worker_row(
            "packet_done", "packet into the burst", "packet", "dpdk_packet_done",
            effects=(add(R.DONE_IDX, memory.heads), add(R.RECEIVED)),
            jumps=(Jump(R.BURST_LEFT, "<", 1, "flush"), go("packet")),
        ),
        worker_row(
            "no_buffer", "no buffer: heads put back", "drain", function="rte_vhost_enqueue_burst",
            effects=(copy(R.LAST_AVAIL_IDX, R.SAVED_AVAIL_IDX), put(R.AFTER_FLUSH, SLEEP)), jumps=(Jump(R.DONE_IDX, ">=", 1, "flush"), go("starve")),
        ),
        worker_row(
            "starve", "poll avail->idx until there are buffers", "drain", function="rte_vhost_enqueue_burst",
            operation="hold", condition=Condition(R.RING_AVAIL_IDX, "!=", 0, R.AVAIL_IDX), sample=(R.AVAIL_IDX, R.RING_AVAIL_IDX),
            access=ring.avail_index(), accessor="avail_index_read", effects=(put(R.AFTER_FLUSH, CONTINUE),),
            jumps=(go("buffers"),),
        ),
        worker_row("flush", "shadow used ring", "flush", "dpdk_flush", jumps=ELEMENTS),
        *used,
    ]  # fmt: skip
