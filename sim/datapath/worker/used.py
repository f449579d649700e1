"""vhost_add_used_and_signal_n: used elements, used index, notification check."""

from __future__ import annotations

from dataclasses import replace

from sim.config.scenario import Scenario
from sim.datapath.draft import Draft, copy, go, put, worker_row
from sim.datapath.plan import Effect, Jump, Register
from sim.datapath.rings import SplitRing
from sim.datapath.worker.modes import EMPTY, RECHECK, REQUEUE, SLEEP

R = Register

#: Which row writes the used elements: one, some that wrap at the end of the ring, or (fallen through to) some.
ELEMENTS = (Jump(R.DONE, "==", 1, "used_element"), Jump(R.DONE, ">=", 1, "used_wrapped", R.ROOM))


def used_rows(scenario: Scenario, ring: SplitRing) -> list[Draft]:
    """Return the rows that give the buffers of a batch back and look whether the driver wants to know."""
    event_idx = scenario.virtqueue.event_idx
    size, batch = scenario.virtqueue.size, scenario.device.batch
    elements = worker_row(
        "used_elements", "used elements", "flush", "used_elements", accessor="used_elements_write", bytes=8 * batch,
        unit=R.DONE, access=ring.used_elements(R.LAST, R.DONE), jumps=(go("used_index"),),
    )  # fmt: skip
    one = replace(
        elements, label="used_element", step="used element (batch of one)", kernel_step="used_element",
        accessor="used_element_write", bytes=8, unit=None,
    )  # fmt: skip
    return [
        elements,
        replace(elements, label="used_wrapped", step="used elements, wrapping at the end of the ring", times=2),
        one,
        worker_row(
            "used_index", "used->idx", "flush", "used_index", accessor="used_index_write",
            access=ring.used_index(write=True), marks="used",
            effects=(
                copy(R.USED_INDEX, R.LAST), Effect("countdown", R.ROOM, R.DONE, size), put(R.DONE, 0),
            ),
        ),
        worker_row(
            "notify_barrier", "smp_mb before the notification check", "flush", function="vhost_notify",
            operation="barrier", primitives=("lock_rmw",), drains_stores=True,
        ),
        worker_row(
            "notify_check", "used_event" if event_idx else "avail->flags", "flush", "notify_check",
            accessor="used_event_read" if event_idx else "avail_flags_read",
            access=ring.used_event() if event_idx else ring.avail_flags(),
            jumps=(
                Jump(R.MODE, "==", REQUEUE, "end_requeue"), Jump(R.MODE, "==", SLEEP, "end_sleep"),
                Jump(R.MODE, "==", RECHECK, "enable"), EMPTY, go("head"),
            ),
        ),
    ]  # fmt: skip
