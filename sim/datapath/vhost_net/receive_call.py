"""Interrupts to the driver: whether it wants one for the buffers just returned (vhost_notify), and the call itself."""

from __future__ import annotations

from dataclasses import replace

from sim.config.scenario.scenario import Scenario
from sim.datapath.plan.plan import Jump, Register
from sim.datapath.plan.step import Draft, add, copy, worker_row

R = Register


def with_decision(scenario: Scenario, check: Draft) -> Draft:
    """Let the notification check skip the call: by the flag, or by the event index lying outside what was returned."""
    if not scenario.virtqueue.event_idx:
        skip = (Jump(R.INTERRUPT_OFF, "==", 1, "no_call"),)
        return replace(check, sample=(R.INTERRUPT_OFF, R.AVAIL_FLAGS_NO_INTERRUPT), jumps=skip)
    outside = (
        Jump(R.RX_USED_EVENT_SEEN, "<", 0, "no_call", R.SIGNALLED_USED),
        Jump(R.RX_USED_EVENT_SEEN, ">=", 0, "no_call", R.RING_USED_IDX),
    )  # fmt: skip
    return replace(check, sample=(R.RX_USED_EVENT_SEEN, R.USED_EVENT), jumps=outside)


def call_rows(after: tuple[Jump, ...]) -> list[Draft]:
    """Return the rows of a call and of none; `after` decides what follows a flush."""
    return [
        worker_row(
            "call", "call: signal the eventfd", "call", function="vhost_signal", primitives=("eventfd_signal",),
            effects=(add(R.CALLS),),
        ),
        worker_row(
            "no_call", "end of a flush", "flush", function="vhost_signal",
            effects=(copy(R.SIGNALLED_USED, R.RING_USED_IDX),), jumps=after,
        ),
    ]  # fmt: skip
