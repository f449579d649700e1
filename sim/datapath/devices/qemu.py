"""QEMU's virtio-net without vhost, transmit: its main loop takes packets off the ring and writes each into the TAP.

A kick wakes the main loop, which reads the eventfd and runs the bottom half: up to `TX_BURST` packets, each popped off
the ring, written by one writev(2), given back and signalled by itself. Ring accesses are a process's loads and stores.
QEMU's source is not among the facts: which functions follow is from memory, what they execute a guess.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from sim.config.errors import ConfigError
from sim.config.scenario.scenario import Scenario
from sim.config.tables.vocabulary import CALL_BY_WRITE, SYSTEM_CALL
from sim.datapath.devices.tap_write import check_backend, into_tap
from sim.datapath.memory.rings import SplitRing
from sim.datapath.plan.program import Program
from sim.datapath.plan.registers import R
from sim.datapath.plan.step import Anchor, Step
from sim.datapath.vhost_net.path import next_packet
from sim.datapath.vhost_net.tx import (
    call,
    fetch,
    look_again,
    look_for_notification,
    notifications_off,
    notifications_off_again,
    used_index,
    wake_primitives,
)

#: Packets of one bottom half (tx_burst of virtio-net).
TX_BURST = 256
#: ppoll(2) of the main loop, and read(2) of the eventfd that it found readable.
_TURN = (*SYSTEM_CALL, *SYSTEM_CALL)
#: QEMU's functions for what an access of the ring does.
_FUNCTIONS = {
    "avail_index_read": "virtio_queue_empty",
    "used_index_write": "virtqueue_split_flush",
    "used_flags_write": "virtio_queue_set_notification",
    "avail_event_write": "virtio_queue_set_notification",
}


@contextmanager
def ring_side(loop: Program, function: str) -> Iterator[Program]:
    """Let QEMU execute the ring's steps that are written inside: the accesses, and nothing that was counted in vhost.

    `function` does what no access says of itself.
    """
    side = Program("worker", function)
    yield side
    for step in side.steps:
        own = replace(step, function=_FUNCTIONS.get(step.accessor or "", function))
        loop.add([replace(own, counted_as=None, counted_accessor=None)])


def check_emulates(scenario: Scenario) -> None:
    """Raise ConfigError for what QEMU's own virtio-net is not modelled with."""
    if scenario.driver.kind != "virtio-net":
        raise ConfigError(
            f"{scenario.driver.kind} does not go with device.kind qemu: its guest is Linux",
            key="driver.kind",
            got=scenario.driver.kind,
        )
    if scenario.traffic.mix is not None:
        raise ConfigError("is not modelled with device.kind qemu", key="traffic.mix")
    if scenario.device.direction == "tx":
        check_backend(scenario)


def flush_transmit(scenario: Scenario, packet_bytes: int) -> list[Step]:
    """Return the steps of the main loop for packets of one size."""
    ring, loop = SplitRing(scenario.virtqueue), Program("worker", "virtio_net_flush_tx")
    _main_loop(loop, scenario, ring)
    with ring_side(loop, "virtqueue_split_pop") as side:
        fetch(side, scenario, ring)
    with loop.each("packet"):
        loop.step("element", "VirtQueueElement: allocated, guest pages mapped, freed", function="virtqueue_split_pop")
        loop.change(user_instructions=scenario.device.element_instructions.value)
        loop.step("writev", "writev(2), up to the file", "write_call", primitives=SYSTEM_CALL)
        into_tap(loop, scenario, packet_bytes, shared=True)
        loop.step("done", "end of the call", function="virtqueue_push")
        loop.then(R.LAST_AVAIL_IDX.add(), R.DONE_IDX.add(), R.SENT_PKTS.add())
        elements = ring.used_elements(R.LAST_AVAIL_IDX, R.DONE_IDX)
        loop.write("used_one", "used element", elements, "used_element_write", function="virtqueue_split_fill", bytes=8)
    with ring_side(loop, "virtio_notify") as side, side.each("packet"):
        used_index(side, scenario, ring, R.LAST_AVAIL_IDX)
        look_for_notification(side, scenario, ring)
        call(side, scenario, CALL_BY_WRITE)
    with loop.each("packet"):
        loop.step("after_flush", "next packet, or the end of the burst")
        loop.jump("again", R.SENT_PKTS.at_least(TX_BURST))
        next_packet(loop)
    _end_of_burst(loop, scenario, ring)
    return in_layout(scenario, loop.steps)


def idle_until_kicked(loop: Program, scenario: Scenario, title: str) -> None:
    """Add the sleep of the main loop in ppoll, and the turn that a kick begins."""
    with loop.each("wakeup", at=Anchor.IDLE):
        loop.step("idle", title, operation="hold", user_instructions=scenario.device.loop_instructions.value)
        loop.change(primitives=(*wake_primitives(scenario), *_TURN), function="main_loop_wait")
        loop.change(condition=R.KICKS.differs(R.KICKS_SEEN), sample=(R.KICKS_SEEN, R.KICKS))
        loop.change(sometimes="no kick came before it slept")


def idle_unless_kicked(loop: Program, scenario: Scenario) -> None:
    """Let the last step lead to sleep, or to another round where a kick has come before."""
    loop.jump("kicked", R.KICKS.differs(R.KICKS_SEEN))
    loop.jump(Anchor.IDLE)
    loop.step("kicked", "kicked meanwhile: ppoll, read of the eventfd", function="main_loop_wait")
    loop.change(primitives=_TURN, user_instructions=scenario.device.loop_instructions.value)
    loop.change(sample=(R.KICKS_SEEN, R.KICKS), sometimes="kicked between recheck and sleep")
    loop.jump(Anchor.ROUND)


def in_layout(scenario: Scenario, steps: list[Step]) -> list[Step]:
    """Return the steps with the functions that QEMU has for the layout of the ring."""
    if scenario.virtqueue.layout == "split":
        return steps
    return [replace(step, function=step.function.replace("_split_", "_packed_")) for step in steps]


def _main_loop(loop: Program, scenario: Scenario, ring: SplitRing) -> None:
    """From sleep in ppoll to the first packet of a bottom half."""
    idle_until_kicked(loop, scenario, "ppoll until kicked; read of the eventfd, bottom half scheduled")
    with loop.each("round", at=Anchor.ROUND):
        loop.step("round", "bottom half", function="virtio_net_tx_bh")
        loop.then(R.SENT_PKTS.put(0))
        loop.jump(Anchor.NEXT_PACKET, R.NOTIFY_OFF.equals(1))
    with ring_side(loop, "virtio_queue_set_notification") as side:
        notifications_off(side, scenario, ring)
    with loop.each("round", at=Anchor.NEXT_PACKET):
        loop.step("burst", "up to tx_burst packets", function="virtio_net_flush_tx")
        next_packet(loop)


def _end_of_burst(loop: Program, scenario: Scenario, ring: SplitRing) -> None:
    """The bottom half ends: at TX_BURST packets scheduled again, at an empty ring behind one more look."""
    turn = scenario.device.loop_instructions.value
    with loop.each("round"):
        loop.step("again", "bottom half scheduled again: a turn of the loop", primitives=SYSTEM_CALL)
        loop.change(function="main_loop_wait", user_instructions=turn, sometimes="the burst was full")
        loop.jump(Anchor.ROUND)
    with ring_side(loop, "virtio_queue_set_notification") as side:
        with side.each("drain", at=Anchor.RING_EMPTY):
            look_again(side, scenario, ring)
            side.jump("end_sleep")
        notifications_off_again(side, scenario, ring)
        with side.each("drain_found_work"):
            side.step("found", "notifications off again")
            side.then(R.NOTIFY_OFF.put(1))
            side.jump("again")
    with loop.each("round"):
        loop.step("end_sleep", "nothing left: back to the main loop", function="virtio_net_tx_bh")
        loop.change(sometimes="the ring is empty")
        idle_unless_kicked(loop, scenario)
