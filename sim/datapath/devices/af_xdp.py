"""The kernel's side of an AF_XDP socket: NAPI poll of a zero-copy driver, step by step. No user accesses.

The rings are kernel memory that the program maps, so the kernel reads and writes them directly. Transmit: packets stay
where the program wrote them, the NIC takes every descriptor at once (its line rate is not modelled). Receive: the NIC
writes packets straight into the program's memory, at addresses from the fill ring.
"""

from __future__ import annotations

from sim.config.scenario.scenario import Scenario
from sim.datapath.memory.xsk_rings import XskRings
from sim.datapath.plan.program import Program
from sim.datapath.plan.registers import R
from sim.datapath.plan.step import Anchor, Step
from sim.datapath.vhost_net.path import NONE_KNOWN, Next
from sim.datapath.vhost_net.tx import wake_primitives

_LOAD, _STORE = ("load",), ("store",)
_PRODUCER = (R.AVAIL_IDX, R.RING_AVAIL_IDX)


def af_xdp_transmit(scenario: Scenario) -> list[Step]:
    """Return the steps of the NAPI poll: batches of `device.batch` descriptors, one index write each way per batch."""
    rings, poll = XskRings(scenario.virtqueue), Program("worker")
    last, done = R.LAST_AVAIL_IDX, R.DONE_IDX
    _sleep_until_woken(poll, scenario)
    with poll.each("round"):
        poll.step("poll", "start of a poll", "xsk_poll")
        poll.jump("peek", R.NOTIFY_OFF.equals(1))
    _awake(poll, rings, "tx")
    with poll.each("flush", "drain"):  # xsk_tx_peek_release_desc_batch, the NIC's descriptors, then completions
        poll.read("peek", "tx producer index", rings.producer("tx"), counted_as="xsk_peek", primitives=_LOAD)
        poll.change(far_read=True, sample=_PRODUCER)
        poll.jump(Anchor.RING_EMPTY, NONE_KNOWN)
    with poll.each("packet"):
        poll.read("descriptor", "tx descriptor", rings.descriptor("tx", last), counted_as="xsk_descriptor")
        poll.change(primitives=_LOAD * 2, far_read=True)
        poll.step("nic_descriptor", "descriptor of the NIC", "xsk_nic_descriptor")
        poll.then(last.add(), done.add())
        poll.jump("release", done.at_least(scenario.device.batch))
        poll.jump("descriptor", R.AVAIL_IDX.above(last))
    with poll.each("flush"):
        consumer, addresses = rings.consumer("tx", write=True), rings.addresses(last, done)
        poll.write("release", "tx consumer index", consumer, counted_as="xsk_release", primitives=_STORE)
        poll.write("complete", "addresses into the completion ring", addresses, counted_as="xsk_complete")
        poll.change(unit=done, per_unit=True, scopes=("packet",))
        poll.write("complete_index", "completion producer index", rings.producer("completion", write=True))
        poll.change(counted_as="xsk_complete_index", primitives=_STORE, marks="used")
        poll.then(R.RING_USED_IDX.copy(last), done.put(0))
        poll.jump("poll")
    _look_again(poll, rings, "tx", again="poll")
    return poll.steps


def af_xdp_receive(scenario: Scenario) -> list[Step]:
    """Return the steps of the NAPI poll: up to `device.batch` packets, then one index write for all of them."""
    rings, poll = XskRings(scenario.virtqueue), Program("worker")
    last, done = R.LAST_AVAIL_IDX, R.DONE_IDX
    with poll.each("round"):
        poll.step("arrive", "packets of the NIC, start of a poll", "xsk_poll", takes_arrivals=True)
        poll.then(R.BURST_LEFT.put(scenario.device.batch), R.AFTER_FLUSH.put(Next.PACKET))
    with poll.each("packet"):
        poll.step("packet", "descriptor of the NIC", "xsk_nic_descriptor", marks="posted")
        poll.then(R.TAKEN.add(), R.PRODUCED.add(), R.BURST_LEFT.add(-1))
        poll.jump("fill", R.AVAIL_IDX.above(last))
    with poll.each("refill"):
        poll.read("fill_index", "fill producer index", rings.producer("fill"), counted_as="xsk_peek", primitives=_LOAD)
        poll.change(far_read=True, sample=_PRODUCER)
        poll.jump("no_frame", NONE_KNOWN)
    with poll.each("packet"):
        poll.read("fill", "address from the fill ring", rings.address("fill", last), counted_as="xsk_fill")
        poll.change(primitives=_LOAD, far_read=True)
        poll.step("program", "XDP program, redirect", "xsk_program", primitives=("l3_hit",))
        poll.change(extra_instructions=scenario.backend.program_instructions.value)
        poll.write("descriptor", "descriptor of the rx ring", rings.descriptor("rx", last, write=True))
        poll.change(counted_as="xsk_rx_descriptor", primitives=_STORE * 2)
        poll.then(last.add(), done.add())
        poll.jump("packet", R.BURST_LEFT.at_least(1))
    with poll.each("flush"):
        poll.write("fill_consumer", "fill consumer index", rings.consumer("fill", write=True), primitives=_STORE)
        poll.change(function="xskq_cons_release")
        poll.write("rx_index", "rx producer index", rings.producer("rx", write=True), counted_as="xsk_rx_index")
        poll.change(primitives=_STORE, marks="used")
        poll.then(R.RING_USED_IDX.copy(last), done.put(0))
        poll.jump(Anchor.RING_EMPTY, R.AFTER_FLUSH.equals(Next.SLEEP))
        poll.jump("arrive")
    with poll.each("drain"):
        poll.step("no_frame", "no frame for the packet", function="xsk_buff_alloc")
        poll.then(R.AFTER_FLUSH.put(Next.SLEEP))
        poll.jump("fill_consumer", done.at_least(1))
    _look_again(poll, rings, "fill", again="frames")
    _sleep_until_woken(poll, scenario)
    with poll.each("wakeup"):
        poll.step("frames", "frames in the fill ring", function="xsk_buff_alloc")
        poll.then(R.AFTER_FLUSH.put(Next.PACKET))
        poll.jump("fill_index", R.NOTIFY_OFF.equals(1))
    _awake(poll, rings, "fill")
    poll.jump("fill_index")
    return poll.steps


def _sleep_until_woken(poll: Program, scenario: Scenario) -> None:
    """A poll that has ended waits for the program's system call."""
    with poll.each("wakeup", at=Anchor.IDLE):
        poll.step("idle", "sleep until woken by sendto()", operation="hold", function="net_rx_action")
        poll.change(primitives=wake_primitives(scenario), sample=(R.KICKS_SEEN, R.KICKS))
        poll.change(condition=R.KICKS.differs(R.KICKS_SEEN), sometimes="no system call came before it slept")


def _awake(poll: Program, rings: XskRings, ring: str) -> None:
    """The program is told that no system call is needed."""
    with poll.each("wakeup"):
        poll.write("awake", f"{ring} flags: no wake-up needed", rings.flags(ring, write=True), primitives=_STORE)
        poll.change(function="xsk_clear_need_wakeup")
        poll.then(R.NOTIFY_OFF.put(1), R.USED_FLAGS_NO_NOTIFY.put(1))


def _look_again(poll: Program, rings: XskRings, ring: str, again: str) -> None:
    """An empty ring: ask to be woken, look once more (then go on at `again`), end the poll."""
    with poll.each("drain", at=Anchor.RING_EMPTY):
        poll.write("need_wakeup", f"{ring} flags: wake-up needed", rings.flags(ring, write=True), primitives=_STORE)
        poll.change(counted_as="xsk_need_wakeup")
        poll.then(R.NOTIFY_OFF.put(0), R.USED_FLAGS_NO_NOTIFY.put(0))
        poll.barrier("wakeup_barrier", "smp_mb before the recheck", "napi_complete_done")
        poll.read("recheck", f"{ring} producer index, recheck", rings.producer(ring), primitives=_LOAD, far_read=True)
        poll.change(function="xsk_peek", sample=(R.RECHECKED_AVAIL_IDX, R.RING_AVAIL_IDX))
        poll.jump(again, R.RECHECKED_AVAIL_IDX.differs(R.LAST_AVAIL_IDX))
        poll.step("end_poll", "end of a poll", function="napi_complete_done")
        poll.jump("woken", R.KICKS.differs(R.KICKS_SEEN))
        poll.jump(Anchor.IDLE)
        poll.step("woken", "woken meanwhile", function="net_rx_action", sample=(R.KICKS_SEEN, R.KICKS))
        poll.change(sometimes="a system call came before it slept")
        poll.jump(again)
