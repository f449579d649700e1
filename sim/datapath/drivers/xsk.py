"""A program with an AF_XDP socket (xdpsock): txonly sends, rxdrop receives and posts frames again."""

from __future__ import annotations

from sim.config.scenario.scenario import Scenario
from sim.config.tables.vocabulary import SYSTEM_CALL
from sim.datapath.memory.xsk_rings import XskRings
from sim.datapath.plan.program import Program
from sim.datapath.plan.registers import R
from sim.datapath.plan.step import Anchor, Step

_USED_IDX = (R.USED_IDX_SEEN, R.RING_USED_IDX)
_MORE_USED = R.USED_IDX_SEEN.above(R.LAST_USED_IDX)


def xsk_transmit(scenario: Scenario) -> list[Step]:
    """Return the steps of the program: bursts of `driver.burst` packets, one index write and one flags read each."""
    rings, program = XskRings(scenario.virtqueue), Program("driver", "xdpsock")
    full = R.NUM_FREE.below(1)
    with program.each("burst", at=Anchor.BURST):
        program.read("burst", "completion producer index", rings.producer("completion"), sample=_USED_IDX)
        program.change(takes_arrivals=True)
        program.then(R.BURST_LEFT.put(scenario.driver.burst))
        program.jump("reclaim", _MORE_USED)
        program.jump("full", full)
        program.jump("write")
    with program.each("packet"):
        address = rings.address("completion", R.LAST_USED_IDX)
        program.read("reclaim", "address from the completion ring", address)
        program.then(R.LAST_USED_IDX.add(), R.NUM_FREE.add())
        program.jump("reclaim", _MORE_USED)
    with program.each("burst"):
        program.write("reclaimed", "completion consumer index", rings.consumer("completion", write=True))
        program.change(sometimes="something is completed")
    with program.each("packet"):
        descriptor = rings.descriptor("tx", R.AVAIL_IDX_SHADOW, write=True)
        program.write("write", "build the packet, write its descriptor", descriptor)
        program.change(extra_ns=scenario.driver.packet_cost.value)
        program.then(R.AVAIL_IDX_SHADOW.add(), R.TAKEN.add(), R.NUM_FREE.add(-1), R.BURST_LEFT.add(-1))
        program.jump("publish", R.BURST_LEFT.below(1))
        program.jump("full", full)
        program.jump("write")
    with program.each("burst"):
        program.step("full", "no frame free", sometimes="no frame is free")
        program.jump("wait", R.AVAIL_IDX_SHADOW.equals(R.RING_AVAIL_IDX))
        program.write("publish", "tx producer index", rings.producer("tx", write=True), marks="posted")
        program.then(R.RING_AVAIL_IDX.copy(R.AVAIL_IDX_SHADOW))
    _wake_kernel(program, rings, "tx", "sendto() wakes the kernel")
    with program.each("burst"):
        program.step("wait", "poll the completion producer index", sometimes="no frame is free")
        program.change(condition=R.RING_USED_IDX.differs(R.LAST_USED_IDX))
        program.jump(Anchor.BURST)
    return program.steps


def xsk_receive(scenario: Scenario) -> list[Step]:
    """Return the steps of the program: bursts of `driver.burst` packets, each ring's index written once per burst."""
    rings, program, size = XskRings(scenario.virtqueue), Program("driver", "xdpsock"), scenario.virtqueue.size
    with program.each("burst", at=Anchor.BURST):
        program.read("look", "rx producer index", rings.producer("rx"), sample=_USED_IDX)
        program.then(R.RECEIVE_LEFT.put(scenario.driver.burst))
        program.jump("wait", R.USED_IDX_SEEN.equals(R.LAST_USED_IDX))
    with program.each("packet"):
        program.read("element", "descriptor of the rx ring, the packet", rings.descriptor("rx", R.LAST_USED_IDX))
        program.change(primitives=("l3_hit",), extra_ns=scenario.driver.packet_cost.value)
        program.then(R.LAST_USED_IDX.add(), R.RECEIVE_LEFT.add(-1))
        program.jump("consumed", R.RECEIVE_LEFT.below(1))
        program.jump("element", _MORE_USED)
    with program.each("burst"):
        program.write("consumed", "rx consumer index", rings.consumer("rx", write=True))
    with program.each("packet"):
        address = rings.address("fill", R.AVAIL_IDX_SHADOW, write=True)
        program.write("post_buffer", "address into the fill ring", address)
        program.then(R.AVAIL_IDX_SHADOW.add())
        program.jump("post_buffer", R.AVAIL_IDX_SHADOW.minus(R.LAST_USED_IDX).below(size))
    with program.each("burst"):
        program.write("publish", "fill producer index", rings.producer("fill", write=True))
        program.then(R.RING_AVAIL_IDX.copy(R.AVAIL_IDX_SHADOW))
    _wake_kernel(program, rings, "fill", "recvfrom() wakes the kernel")
    with program.each("burst"):
        program.step("wait", "poll the rx producer index", sometimes="no packet is there")
        program.change(condition=R.RING_USED_IDX.differs(R.LAST_USED_IDX))
        program.jump(Anchor.BURST)
    return program.steps


def _wake_kernel(program: Program, rings: XskRings, ring: str, title: str) -> None:
    """A system call if the kernel's side asks for one."""
    with program.each("burst"):
        program.read("kick_check", f"{ring} flags", rings.flags(ring))
        program.change(sample=(R.NO_NOTIFY_SEEN, R.USED_FLAGS_NO_NOTIFY))
        program.jump(Anchor.BURST, R.NO_NOTIFY_SEEN.equals(1))
    with program.each("kick"):
        program.step("kick", title, primitives=(*SYSTEM_CALL, "eventfd_signal"))
        program.then(R.KICKS.add())
        program.jump(Anchor.BURST)
