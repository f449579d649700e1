"""Notifications by event index: vring_need_event wakes the other side when old <= event < new, and at no other event.

`event` is put into the registers of a real plan, whose driver is so slow that every flush, publication or poll is by
itself; then rows are counted.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from sim.config import load_scenario
from sim.datapath import build_plan
from sim.datapath.plan.registers import Register
from tests.engine.scenarios import ENGINES

SEED = "virtio-user-xdp1-tap"
RECEIVE = "virtio-user-receive-skb"
BATCH = 8
#: The device asks for calls in quarters of a packet (virtqueue_enable_cb_delayed).
QUARTERS = 4

both_engines = pytest.mark.parametrize("kind", ENGINES)


def executions(kind, label, packets, initial, name, *overrides, access="copy_user"):
    """Return how often a row has run when so many packets are used."""
    bare = [f"access={access}", "virtqueue.event_idx=true", f"driver.burst={BATCH}", f"device.batch={BATCH}"]
    plan = build_plan(load_scenario(name, overrides=[*bare, *overrides]), access, 64, apart=True)
    plan = replace(plan, initial=plan.initial | initial)
    engine = kind(plan, 10**6)
    engine.run(packets)
    (segment,) = [segment for segment in plan.segments if plan.rows[segment.rows[0]].label == label]
    return int(engine.machine.executions[segment.index])


LAYOUTS = {"split": (), "packed": ("virtqueue.layout=packed", "virtqueue.packed_access=ideal")}
every_layout = pytest.mark.parametrize("layout", LAYOUTS)


# -- the device calls the driver --------------------------------------------------------------------------------------


@both_engines
@every_layout
@pytest.mark.parametrize(
    ("event", "called_at"), [(0, 1), (1, 1), (7.75, 1), (8, 2), (8.25, 2), (15.75, 2), (16, 3), (23.75, 3), (24, None)]
)
def test_a_flush_calls_when_it_passes_the_event(kind, layout, event, called_at):
    """The flush from 8 to 16 used passes 8 to 15.75: at event == new nobody is called, at event == old somebody is."""
    asked = {Register.USED_EVENT_QUARTERS: round(event * QUARTERS)}
    slow = ("driver.kind=virtio-net", "driver.stack_cost=20000", *LAYOUTS[layout])
    flushes = (1, 2, 3)
    calls = [executions(kind, "call", flush * BATCH + 1, asked, SEED, *slow) for flush in flushes]
    assert calls == [int(called_at is not None and flush >= called_at) for flush in flushes]


@both_engines
@pytest.mark.parametrize("event", [0, 1, 5])
def test_a_received_packet_interrupts_when_it_passes_the_event(kind, event):
    """One packet at a time; the driver sleeps until it is called."""
    asked = {Register.USED_EVENT: event}
    slow = ("driver.kind=virtio-net", "receive.source.burst=1", "receive.source.packet_cost=50000")
    calls = [executions(kind, "call", packets + 1, asked, RECEIVE, *slow) for packets in range(event, event + 2)]
    assert calls == [0, 1]


# -- the driver kicks the device --------------------------------------------------------------------------------------


@both_engines
@every_layout
@pytest.mark.parametrize("driver", ["virtio-user", "virtio-net"])
@pytest.mark.parametrize("event", [0, 7, 8, 15, 16])
def test_a_publication_kicks_when_it_passes_the_event(kind, layout, driver, event):
    """A busy-polling device leaves avail_event as it is; bursts of 8 publish 0 to 7 and 8 to 15."""
    slow = (f"driver.kind={driver}", "driver.packet_cost=300", "driver.stack_cost=300", *LAYOUTS[layout])
    asked = {Register.AVAIL_EVENT: event, Register.KICKS: 1}
    published = (BATCH, 2 * BATCH)
    kicks = [
        executions(kind, "kick", packets, asked, SEED, *slow, "device.busyloop_timeout_us=1000")
        for packets in published
    ]
    assert kicks == [int(event < packets) for packets in published]
