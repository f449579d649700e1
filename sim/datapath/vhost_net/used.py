"""vhost_add_used_and_signal_n: used elements, used index, notification check."""

from __future__ import annotations

from dataclasses import replace

from sim.config.scenario.scenario import Scenario
from sim.datapath.memory.rings import SplitRing
from sim.datapath.plan.plan import Effect, Jump, Register
from sim.datapath.plan.step import Draft, copy, go, put, worker_row

R = Register

#: Which row writes the used elements: one, some that wrap at the end of the ring, or (fallen through to) some.
ELEMENTS = (Jump(R.DONE_IDX, "==", 1, "used_element"), Jump(R.DONE_IDX, ">=", 1, "used_wrapped", R.USED_ROOM))


def used_rows(scenario: Scenario, ring: SplitRing) -> list[Draft]:
    """Return the rows that give the buffers of a batch back and look whether the driver wants to know."""
    return [
        *element_rows(scenario, ring, R.LAST_AVAIL_IDX),
        *used_index_rows(scenario, ring, R.LAST_AVAIL_IDX),
        check_row(scenario, ring),
    ]


def element_rows(scenario: Scenario, ring: SplitRing, end: Register) -> list[Draft]:
    """Return the writes of a batch's used elements: several at once, wrapping at the end of the ring, or one."""
    elements = worker_row(
        "used_elements", "used elements", "flush", "used_elements", accessor="used_elements_write",
        bytes=8 * scenario.device.batch, unit=R.DONE_IDX, access=ring.used_elements(end, R.DONE_IDX), jumps=(go("used_index"),),
    )  # fmt: skip
    return [
        elements,
        replace(elements, label="used_wrapped", step="used elements, wrapping at the end of the ring", times=2),
        single_row(ring, end),
    ]


def single_row(ring: SplitRing, end: Register) -> Draft:
    """Return the write of a single used element."""
    return worker_row(
        "used_element", "used element (batch of one)", "flush", "used_element", accessor="used_element_write", bytes=8,
        access=ring.used_elements(end, R.DONE_IDX), jumps=(go("used_index"),),
    )  # fmt: skip


def used_index_rows(scenario: Scenario, ring: SplitRing, end: Register) -> list[Draft]:
    """Return the write of the used index up to `end`, and the full barrier behind it."""
    return [
        worker_row(
            "used_index", "used->idx", "flush", "used_index", accessor="used_index_write",
            access=ring.used_index(write=True), marks="used",
            effects=(
                copy(R.RING_USED_IDX, end), Effect("countdown", R.USED_ROOM, R.DONE_IDX, scenario.virtqueue.size), put(R.DONE_IDX, 0),
            ),
        ),
        worker_row(
            "notify_barrier", "smp_mb before the notification check", "flush", function="vhost_notify",
            operation="barrier", primitives=("lock_rmw",), drains_stores=True,
        ),
    ]  # fmt: skip


def check_row(scenario: Scenario, ring: SplitRing) -> Draft:
    """Return the look at what the driver wants."""
    event_idx = scenario.virtqueue.event_idx
    return worker_row(
        "notify_check", "used_event" if event_idx else "avail->flags", "flush", "notify_check",
        accessor="used_event_read" if event_idx else "avail_flags_read",
        access=ring.used_event() if event_idx else ring.avail_flags(),
    )  # fmt: skip
