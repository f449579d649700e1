"""A program that receives through an AF_XDP socket (xdpsock rxdrop): descriptors in, frames back to the fill ring."""

from __future__ import annotations

from typing import Any

from sim.config.scenario.scenario import Scenario
from sim.datapath.memory.xsk_rings import XskRings
from sim.datapath.plan.plan import Condition, Jump, Register, Scope
from sim.datapath.plan.step import Draft, add, copy, driver_row, go, put

R = Register


def xsk_receive_rows(scenario: Scenario) -> list[Draft]:
    """Return the rows of the program: bursts of `driver.burst` packets, each ring's index written once per burst."""
    rings, size = XskRings(scenario.virtqueue), scenario.virtqueue.size
    return [
        _row(
            "look", "rx producer index", "burst", access=rings.producer("rx"), sample=(R.USED_IDX_SEEN, R.RING_USED_IDX),
            effects=(put(R.RECEIVE_LEFT, scenario.driver.burst),),
            jumps=(Jump(R.USED_IDX_SEEN, "==", 0, "wait", R.LAST_USED_IDX),),
        ),
        _row(
            "element", "descriptor of the rx ring, the packet", "packet", access=rings.descriptor("rx", R.LAST_USED_IDX),
            primitives=("l3_hit",), extra_ns=scenario.driver.packet_cost.value,
            effects=(add(R.LAST_USED_IDX), add(R.RECEIVE_LEFT, -1)),
            jumps=(Jump(R.RECEIVE_LEFT, "<", 1, "consumed"), Jump(R.USED_IDX_SEEN, ">=", 1, "element", R.LAST_USED_IDX)),
        ),
        _row("consumed", "rx consumer index", "burst", access=rings.consumer("rx", write=True)),
        _row(
            "post_buffer", "address into the fill ring", "packet", access=rings.address("fill", R.AVAIL_IDX_SHADOW, write=True),
            effects=(add(R.AVAIL_IDX_SHADOW),), jumps=(Jump(R.AVAIL_IDX_SHADOW, "<", size, "post_buffer", R.LAST_USED_IDX),),
        ),
        _row(
            "publish", "fill producer index", "burst", access=rings.producer("fill", write=True),
            effects=(copy(R.RING_AVAIL_IDX, R.AVAIL_IDX_SHADOW),),
        ),
        _row(
            "kick_check", "fill flags", "burst", access=rings.flags("fill"), sample=(R.NO_NOTIFY_SEEN, R.USED_FLAGS_NO_NOTIFY),
            jumps=(Jump(R.NO_NOTIFY_SEEN, "==", 1, "look"),),
        ),
        _row(
            "kick", "recvfrom() wakes the kernel", "kick", primitives=("syscall", "pti", "eventfd_signal"),
            effects=(add(R.KICKS),), jumps=(go("look"),),
        ),
        _row(
            "wait", "poll the rx producer index", "burst", condition=Condition(R.RING_USED_IDX, "!=", 0, R.LAST_USED_IDX),
            jumps=(go("look"),),
        ),
    ]  # fmt: skip


def _row(label: str, step: str, scope: Scope, **fields: Any) -> Draft:
    return driver_row(label, step, scope, "xdpsock", **fields)
