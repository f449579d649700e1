"""The kernel's side of an AF_XDP socket that receives: NAPI poll, XDP_REDIRECT into the socket, row by row.

A zero-copy driver: the NIC writes packets straight into the program's memory, at addresses from the fill ring.
"""

from __future__ import annotations

from dataclasses import replace

from sim.config.scenario.scenario import Scenario
from sim.datapath.devices.af_xdp import awake_row, idle_row, sleep_rows
from sim.datapath.memory.xsk_rings import XskRings
from sim.datapath.plan.plan import Jump, Register
from sim.datapath.plan.step import Draft, add, copy, go, put, worker_row
from sim.datapath.vhost_net.modes import CONTINUE, SLEEP

R = Register

_LOAD, _STORE = ("load",), ("store",)


def af_xdp_receive_rows(scenario: Scenario) -> list[Draft]:
    """Return the rows of the NAPI poll: up to `device.batch` packets, then one index write for all of them."""
    rings = XskRings(scenario.virtqueue)
    return [
        worker_row(
            "arrive", "packets of the NIC, start of a poll", "round", "xsk_poll", takes_arrivals=True,
            effects=(put(R.BURST_LEFT, scenario.device.batch), put(R.AFTER_FLUSH, CONTINUE)),
        ),
        worker_row(
            "packet", "descriptor of the NIC", "packet", "xsk_nic_descriptor", marks="posted",
            effects=(add(R.TAKEN), add(R.PRODUCED), add(R.BURST_LEFT, -1)),
            jumps=(Jump(R.AVAIL_IDX, ">=", 1, "fill", R.LAST_AVAIL_IDX),),
        ),
        worker_row(
            "fill_index", "fill producer index", "refill", "xsk_peek", primitives=_LOAD, access=rings.producer("fill"),
            far_read=True, sample=(R.AVAIL_IDX, R.RING_AVAIL_IDX), jumps=(Jump(R.AVAIL_IDX, "==", 0, "no_frame", R.LAST_AVAIL_IDX),),
        ),
        worker_row(
            "fill", "address from the fill ring", "packet", "xsk_fill", primitives=_LOAD, far_read=True,
            access=rings.address("fill", R.LAST_AVAIL_IDX),
        ),
        worker_row(
            "program", "XDP program, redirect", "packet", "xsk_program", primitives=("l3_hit",),
            extra_instructions=scenario.backend.program_instructions.value,
        ),
        worker_row(
            "descriptor", "descriptor of the rx ring", "packet", "xsk_rx_descriptor", primitives=_STORE * 2,
            access=rings.descriptor("rx", R.LAST_AVAIL_IDX, write=True), effects=(add(R.LAST_AVAIL_IDX), add(R.DONE_IDX)),
            jumps=(Jump(R.BURST_LEFT, ">=", 1, "packet"),),
        ),
        *_end_rows(scenario, rings),
    ]  # fmt: skip


def _end_rows(scenario: Scenario, rings: XskRings) -> list[Draft]:
    """The packets of a poll are handed over; without a frame the poll ends until the program has posted some."""
    return [
        worker_row(
            "fill_consumer", "fill consumer index", "flush", function="xskq_cons_release", primitives=_STORE,
            access=rings.consumer("fill", write=True),
        ),
        worker_row(
            "rx_index", "rx producer index", "flush", "xsk_rx_index", primitives=_STORE,
            access=rings.producer("rx", write=True), marks="used", effects=(copy(R.RING_USED_IDX, R.LAST_AVAIL_IDX), put(R.DONE_IDX, 0)),
            jumps=(Jump(R.AFTER_FLUSH, "==", SLEEP, "need_wakeup"), go("arrive")),
        ),
        worker_row(
            "no_frame", "no frame for the packet", "drain", function="xsk_buff_alloc", effects=(put(R.AFTER_FLUSH, SLEEP),),
            jumps=(Jump(R.DONE_IDX, ">=", 1, "fill_consumer"),),
        ),
        *sleep_rows(rings, "fill", again="frames"),
        idle_row(scenario),
        worker_row(
            "frames", "frames in the fill ring", "wakeup", function="xsk_buff_alloc", effects=(put(R.AFTER_FLUSH, CONTINUE),),
            jumps=(Jump(R.NOTIFY_OFF, "==", 1, "fill_index"),),
        ),
        replace(awake_row(rings, "fill"), jumps=(go("fill_index"),)),
    ]  # fmt: skip
