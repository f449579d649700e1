"""vhost_add_used_and_signal_n: used elements, used index, notification check."""

from __future__ import annotations

from dataclasses import replace

from sim.config.scenario import Scenario
from sim.datapath.draft import Draft, copy, go, put, worker_row
from sim.datapath.plan import Effect, Jump, Register
from sim.datapath.rings import SplitRing
from sim.datapath.worker.backend import backend_rows, room_at_sink, to_sink
from sim.datapath.worker.modes import POLL, RECHECK, REQUEUE, SEND, SLEEP
from sim.datapath.worker.path import TransmitPath

R = Register

#: Which row writes the used elements: one, some that wrap at the end of the ring, or (fallen through to) some.
ELEMENTS = (Jump(R.DONE, "==", 1, "used_element"), Jump(R.DONE, ">=", 1, "used_wrapped", R.ROOM))


def flush_rows(scenario: Scenario, ring: SplitRing, path: TransmitPath) -> list[Draft]:
    """Return the rows that hand a batch to the backend and give its buffers back."""
    end = R.USED_END if path.zerocopy else R.LAST
    elements = [_one_row(ring, path, end)] if path.one_by_one else _element_rows(scenario, ring, end)
    return [
        *_hand_over_rows(scenario, path),
        *elements,
        *_used_index_rows(scenario, ring, end),
        *_notify_rows(scenario, ring, path),
    ]


def used_rows(scenario: Scenario, ring: SplitRing) -> list[Draft]:
    """Return the rows that give the buffers of a batch back and look whether the driver wants to know."""
    return [
        *_element_rows(scenario, ring, R.LAST),
        *_used_index_rows(scenario, ring, R.LAST),
        _check_row(scenario, ring),
    ]


def _used_index_rows(scenario: Scenario, ring: SplitRing, end: Register) -> list[Draft]:
    return [
        worker_row(
            "used_index", "used->idx", "flush", "used_index", accessor="used_index_write",
            access=ring.used_index(write=True), marks="used",
            effects=(
                copy(R.USED_INDEX, end), Effect("countdown", R.ROOM, R.DONE, scenario.virtqueue.size), put(R.DONE, 0),
            ),
        ),
        worker_row(
            "notify_barrier", "smp_mb before the notification check", "flush", function="vhost_notify",
            operation="barrier", primitives=("lock_rmw",), drains_stores=True,
        ),
    ]  # fmt: skip


def _hand_over_rows(scenario: Scenario, path: TransmitPath) -> list[Draft]:
    """Return the sendmsg of a batch; packets that were sent one by one are there already."""
    if not path.batched:
        row = worker_row("flush", "buffers go back", "flush", function="vhost_net_signal_used")
        return [row if path.one_by_one else replace(row, jumps=ELEMENTS)]
    behind = backend_rows(scenario, batched=True)
    behind[-1] = replace(behind[-1], effects=to_sink(scenario, batched=True), jumps=ELEMENTS)
    return [
        worker_row(
            "flush", "hand the batch to the backend", "flush", "send_batch", condition=room_at_sink(scenario),
        ),
        *behind,
    ]  # fmt: skip


def _one_row(ring: SplitRing, path: TransmitPath, end: Register) -> Draft:
    """vhost_add_used: the element is a variable on the stack; vhost_add_used_n takes it from an array."""
    accessor = "used_head_write" if path.gives_back == "each" else "used_element_write"
    return replace(_single_row(ring, end), label="used_one", step="used element", accessor=accessor, jumps=())


def _single_row(ring: SplitRing, end: Register) -> Draft:
    return worker_row(
        "used_element", "used element (batch of one)", "flush", "used_element", accessor="used_element_write", bytes=8,
        access=ring.used_elements(end, R.DONE), jumps=(go("used_index"),),
    )  # fmt: skip


def _element_rows(scenario: Scenario, ring: SplitRing, end: Register) -> list[Draft]:
    """Return the writes of a batch's used elements: several at once, wrapping at the end of the ring, or one."""
    elements = worker_row(
        "used_elements", "used elements", "flush", "used_elements", accessor="used_elements_write",
        bytes=8 * scenario.device.batch, unit=R.DONE, access=ring.used_elements(end, R.DONE), jumps=(go("used_index"),),
    )  # fmt: skip
    return [
        elements,
        replace(elements, label="used_wrapped", step="used elements, wrapping at the end of the ring", times=2),
        _single_row(ring, end),
    ]


def _check_row(scenario: Scenario, ring: SplitRing) -> Draft:
    event_idx = scenario.virtqueue.event_idx
    return worker_row(
        "notify_check", "used_event" if event_idx else "avail->flags", "flush", "notify_check",
        accessor="used_event_read" if event_idx else "avail_flags_read",
        access=ring.used_event() if event_idx else ring.avail_flags(),
    )  # fmt: skip


def _notify_rows(scenario: Scenario, ring: SplitRing, path: TransmitPath) -> list[Draft]:
    """Return the look at what the driver wants, and what follows the flush."""
    event_idx = scenario.virtqueue.event_idx
    after = (
        Jump(R.MODE, "==", REQUEUE, "end_requeue"), Jump(R.MODE, "==", SLEEP, "end_sleep"),
        Jump(R.MODE, "==", RECHECK, "enable"),
        *((Jump(R.MODE, "==", SEND, "send"),) if path.gives_back == "before-send" else ()),
        *((Jump(R.MODE, "==", POLL, "poll_start"),) if scenario.device.busyloop_timeout_us else ()),
        *path.onward,
    )  # fmt: skip
    check = _check_row(scenario, ring)
    if scenario.driver.kind != "virtio-net":  # a driver that polls: it wants no calls, nothing depends on what is read
        return [replace(check, jumps=after)]
    return [
        *_call_rows(check, event_idx),
        worker_row("after_flush", "what next", "flush", function="handle_tx", jumps=after),
    ]


def _call_rows(check: Draft, event_idx: bool) -> list[Draft]:
    """Return the check as one that may find a call wanted, and the call."""
    call = worker_row(
        "call", "call: eventfd, injection", "call", function="eventfd_signal", primitives=("eventfd_signal",),
        effects=(Effect("add", R.CALLS, None, 1),),
    )  # fmt: skip
    if not event_idx:
        wanted = (Jump(R.EVENT_READ, "==", 1, "after_flush"),)
        return [replace(check, sample=(R.EVENT_READ, R.NO_INTERRUPT), jumps=wanted), call]
    # vring_need_event: old <= event < new, in quarters of a packet.
    now = (put(R.USED_QUARTERS, 0), *(Effect("add", R.USED_QUARTERS, R.USED_INDEX),) * 4)
    unwanted = (
        Jump(R.EVENT_READ, "<", 0, "signalled", R.NOTIFIED_TO),
        Jump(R.EVENT_READ, ">=", 0, "signalled", R.USED_QUARTERS),
    )  # fmt: skip
    signalled = worker_row(
        "signalled", "signalled_used", "flush", function="vhost_notify", effects=(copy(R.NOTIFIED_TO, R.USED_QUARTERS),)
    )
    return [replace(check, sample=(R.EVENT_READ, R.USED_EVENT), effects=now, jumps=unwanted), call, signalled]
