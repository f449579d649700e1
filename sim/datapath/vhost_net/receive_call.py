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
        return replace(check, sample=(R.INTERRUPT_OFF, R.NO_INTERRUPT), jumps=skip)
    outside = (
        Jump(R.EVENT_WANTED, "<", 0, "no_call", R.RECEIVE_SIGNALLED),
        Jump(R.EVENT_WANTED, ">=", 0, "no_call", R.USED_INDEX),
    )  # fmt: skip
    return replace(check, sample=(R.EVENT_WANTED, R.RECEIVE_EVENT), jumps=outside)


def call_rows(after: tuple[Jump, ...]) -> list[Draft]:
    """Return the rows of a call and of none; `after` decides what follows a flush."""
    return [
        worker_row(
            "call", "call: signal the eventfd", "call", function="vhost_signal", primitives=("eventfd_signal",),
            effects=(add(R.CALLS),),
        ),
        worker_row(
            "no_call", "end of a flush", "flush", function="vhost_signal",
            effects=(copy(R.RECEIVE_SIGNALLED, R.USED_INDEX),), jumps=after,
        ),
    ]  # fmt: skip
