"""The flush of transmit: sendmsg hands a batch to the backend, its buffers go back, the driver is told."""

from __future__ import annotations

from dataclasses import replace

from sim.config.scenario.scenario import Scenario
from sim.datapath.memory.rings import SplitRing
from sim.datapath.plan.plan import Effect, Jump, Register
from sim.datapath.plan.step import Draft, copy, put, worker_row
from sim.datapath.vhost_net.backend import backend_rows, room_at_sink, to_sink
from sim.datapath.vhost_net.modes import POLL, RECHECK, REQUEUE, SEND, SLEEP
from sim.datapath.vhost_net.path import TransmitPath
from sim.datapath.vhost_net.used import ELEMENTS, check_row, element_rows, single_row, used_index_rows

R = Register


def flush_rows(scenario: Scenario, ring: SplitRing, path: TransmitPath) -> list[Draft]:
    """Return the rows that hand a batch to the backend and give its buffers back."""
    end = R.USED_END if path.zerocopy else R.LAST_AVAIL_IDX
    elements = [_one_row(ring, path, end)] if path.one_by_one else element_rows(scenario, ring, end)
    return [
        *_hand_over_rows(scenario, path),
        *elements,
        *used_index_rows(scenario, ring, end),
        *_notify_rows(scenario, ring, path),
    ]


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
    return replace(single_row(ring, end), label="used_one", step="used element", accessor=accessor, jumps=())


def _notify_rows(scenario: Scenario, ring: SplitRing, path: TransmitPath) -> list[Draft]:
    """Return the look at what the driver wants, and what follows the flush."""
    event_idx = scenario.virtqueue.event_idx
    after = (
        Jump(R.AFTER_FLUSH, "==", REQUEUE, "end_requeue"), Jump(R.AFTER_FLUSH, "==", SLEEP, "end_sleep"),
        Jump(R.AFTER_FLUSH, "==", RECHECK, "enable"),
        *((Jump(R.AFTER_FLUSH, "==", SEND, "send"),) if path.gives_back == "before-send" else ()),
        *((Jump(R.AFTER_FLUSH, "==", POLL, "poll_start"),) if scenario.device.busyloop_timeout_us else ()),
        *path.onward,
    )  # fmt: skip
    check = check_row(scenario, ring)
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
        wanted = (Jump(R.USED_EVENT_SEEN, "==", 1, "after_flush"),)
        return [replace(check, sample=(R.USED_EVENT_SEEN, R.AVAIL_FLAGS_NO_INTERRUPT), jumps=wanted), call]
    # vring_need_event: old <= event < new, in quarters of a packet.
    now = (put(R.USED_QUARTERS, 0), *(Effect("add", R.USED_QUARTERS, R.RING_USED_IDX),) * 4)
    unwanted = (
        Jump(R.USED_EVENT_SEEN, "<", 0, "signalled", R.SIGNALLED_USED_QUARTERS),
        Jump(R.USED_EVENT_SEEN, ">=", 0, "signalled", R.USED_QUARTERS),
    )  # fmt: skip
    signalled = worker_row(
        "signalled",
        "signalled_used",
        "flush",
        function="vhost_notify",
        effects=(copy(R.SIGNALLED_USED_QUARTERS, R.USED_QUARTERS),),
    )
    return [
        replace(check, sample=(R.USED_EVENT_SEEN, R.USED_EVENT_QUARTERS), effects=now, jumps=unwanted),
        call,
        signalled,
    ]
