"""A program that sends through an AF_XDP socket (xdpsock txonly): completions, descriptors, sendto if asked."""

from __future__ import annotations

from typing import Any

from sim.config.scenario.scenario import Scenario
from sim.datapath.memory.xsk_rings import XskRings
from sim.datapath.plan.plan import Condition, Jump, Register, Scope
from sim.datapath.plan.step import Draft, add, copy, driver_row, go, put

R = Register


def xsk_rows(scenario: Scenario) -> list[Draft]:
    """Return the rows of the program: bursts of `driver.burst` packets, one index write and one flags read each."""
    rings = XskRings(scenario.virtqueue)
    full = Jump(R.NUM_FREE, "<", 1, "full")
    return [
        _row(
            "burst", "completion producer index", "burst", access=rings.producer("completion"),
            sample=(R.USED_IDX_SEEN, R.RING_USED_IDX), effects=(put(R.BURST_LEFT, scenario.driver.burst),),
            takes_arrivals=True,
            jumps=(Jump(R.USED_IDX_SEEN, ">=", 1, "reclaim", R.LAST_USED_IDX), full, go("write")),
        ),
        _row(
            "reclaim", "address from the completion ring", "packet", access=rings.address("completion", R.LAST_USED_IDX),
            effects=(add(R.LAST_USED_IDX), add(R.NUM_FREE)), jumps=(Jump(R.USED_IDX_SEEN, ">=", 1, "reclaim", R.LAST_USED_IDX),),
        ),
        _row(
            "reclaimed", "completion consumer index", "burst", access=rings.consumer("completion", write=True),
        ),
        _row(
            "write", "build the packet, write its descriptor", "packet",
            access=rings.descriptor("tx", R.AVAIL_IDX_SHADOW, write=True), extra_ns=scenario.driver.packet_cost.value,
            effects=(add(R.AVAIL_IDX_SHADOW), add(R.TAKEN), add(R.NUM_FREE, -1), add(R.BURST_LEFT, -1)),
            jumps=(Jump(R.BURST_LEFT, "<", 1, "publish"), full, go("write")),
        ),
        _row(
            "full", "no frame free", "burst", jumps=(Jump(R.AVAIL_IDX_SHADOW, "==", 0, "wait", R.RING_AVAIL_IDX),),
        ),
        _row(
            "publish", "tx producer index", "burst", access=rings.producer("tx", write=True), marks="posted",
            effects=(copy(R.RING_AVAIL_IDX, R.AVAIL_IDX_SHADOW),),
        ),
        _row(
            "kick_check", "tx flags", "burst", access=rings.flags("tx"), sample=(R.NO_NOTIFY_SEEN, R.USED_FLAGS_NO_NOTIFY),
            jumps=(Jump(R.NO_NOTIFY_SEEN, "==", 1, "burst"),),
        ),
        _row(
            "kick", "sendto() wakes the kernel", "kick", primitives=("syscall", "pti", "eventfd_signal"),
            effects=(add(R.KICKS),), jumps=(go("burst"),),
        ),
        _row(
            "wait", "poll the completion producer index", "burst",
            condition=Condition(R.RING_USED_IDX, "!=", 0, R.LAST_USED_IDX), jumps=(go("burst"),),
        ),
    ]  # fmt: skip


def _row(label: str, step: str, scope: Scope, **fields: Any) -> Draft:
    return driver_row(label, step, scope, "xdpsock", **fields)
