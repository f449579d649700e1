"""rte_vhost of DPDK: a thread in user space that polls the ring, step by step. It has no user accesses.

`dequeue_burst` transmits (from the guest), `enqueue_burst` receives (into the guest's buffers). A guest that polls
wants no calls; one that is driven by interrupts gets each by a write to an eventfd, which is a system call.
"""

from __future__ import annotations

from dataclasses import replace

from sim.config.errors import ConfigError
from sim.config.scenario.scenario import Scenario
from sim.config.scenario.traffic import VNET_HEADER_BYTES
from sim.config.tables.vocabulary import CALL_BY_WRITE
from sim.datapath.in_flight import function_of
from sim.datapath.memory.receive_memory import ReceiveMemory
from sim.datapath.memory.rings import SplitRing
from sim.datapath.plan.program import Program
from sim.datapath.plan.registers import R
from sim.datapath.plan.step import Anchor, Step
from sim.datapath.vhost_net.path import NONE_KNOWN, Next, next_packet
from sim.datapath.vhost_net.rx import call as call_received
from sim.datapath.vhost_net.rx import packets_of_batch, used_buffers
from sim.datapath.vhost_net.tx import call, fetch, look_for_notification, used_elements, used_index

#: rte_vhost's functions in the place of vhost's.
_FUNCTIONS = {
    "vhost_notify": "vhost_vring_call_split",
    "vhost_signal": "vhost_vring_call_split",
    "eventfd_signal": "eventfd_write",
}


def check_polls(scenario: Scenario) -> None:
    """Raise ConfigError for what rte_vhost is not modelled with."""
    kind = scenario.driver.kind
    if kind not in ("virtio-user", "virtio-net"):
        raise ConfigError(f"{kind} does not go with device.kind vhost_user", key="driver.kind", got=kind)


def dequeue_burst(scenario: Scenario, packet_bytes: int) -> list[Step]:
    """Return the steps of the polling thread: bursts of `device.batch` packets, each returned with one index write."""
    ring, worker = SplitRing(scenario.virtqueue), Program("worker", "rte_vhost_dequeue_burst")
    with worker.each("drain", at=Anchor.RING_EMPTY):
        worker.step("poll", "poll avail->idx while the ring is empty", operation="hold")
        worker.change(condition=R.RING_AVAIL_IDX.differs(R.LAST_AVAIL_IDX))
    with worker.each("flush"):
        worker.step("dequeue", "lock the queue, start of a burst", "dpdk_burst", primitives=("lock_rmw",))
        worker.change(drains_stores=True)
        worker.jump(Anchor.REFILL)
    fetch(worker, scenario, ring)
    with worker.each("packet"):
        worker.step("translate", "guest physical to own address", "translate")
        worker.step("mbuf", "mbuf from the pool", "dpdk_mbuf")
        worker.copy("header_copy", "vnet header, parsed in place", "header_copy", "dpdk_copy", copied="first")
        worker.copy("payload_copy", "packet bytes", "payload_copy", "payload_copy", bytes=packet_bytes, copied="rest")
        worker.step("packet_done", "packet into the burst", "dpdk_packet_done")
        worker.then(R.LAST_AVAIL_IDX.add(), R.DONE_IDX.add(), R.SENT_PKTS.add())
        worker.jump(Anchor.FLUSH, R.DONE_IDX.at_least(scenario.device.batch))
        worker.jump(Anchor.FLUSH, NONE_KNOWN)
        worker.jump(Anchor.PACKET)
    with worker.each("flush", at=Anchor.FLUSH):  # flush_shadow_used_ring_split, vhost_vring_call_split
        worker.step("flush", "shadow used ring", "dpdk_flush")
        worker.then(R.SENT_PKTS.copy(R.DONE_IDX))
        used_elements(worker, scenario, ring, R.LAST_AVAIL_IDX)
        used_index(worker, scenario, ring, R.LAST_AVAIL_IDX)
        look_for_notification(worker, scenario, ring)
        if scenario.driver.kind == "virtio-net":
            call(worker, scenario, CALL_BY_WRITE)
            worker.step("after_flush", "end of a burst")
    with worker.each("packet"):
        worker.step("backend", "the program drops the packets", "dpdk_free", unit=R.SENT_PKTS, per_unit=True)
        worker.then(R.SENT_PKTS.put(0))
        worker.jump(Anchor.RING_EMPTY)
    return _of_dpdk(scenario, worker.steps)


def enqueue_burst(scenario: Scenario, packet_bytes: int) -> list[Step]:
    """Return the steps of the polling thread; a packet that finds no buffer waits for one, and the NIC drops."""
    ring, memory = SplitRing(scenario.virtqueue), ReceiveMemory(scenario, packet_bytes)
    worker = Program("worker", "rte_vhost_enqueue_burst")
    with worker.each("flush"):
        worker.step("nic", "packets of the NIC", "dpdk_burst", primitives=("lock_rmw",), drains_stores=True)
        worker.change(takes_arrivals=True)
        worker.then(R.BURST_LEFT.put(scenario.device.batch), R.AFTER_FLUSH.put(Next.PACKET))
    with worker.each("packet"):
        worker.step("packet", "packet from the NIC", "dpdk_nic", marks="posted")
        worker.then(R.TAKEN.add(), R.PRODUCED.add(), R.BURST_LEFT.add(-1), R.SAVED_AVAIL_IDX.copy(R.LAST_AVAIL_IDX))
        worker.step("buffers", "buffers wanted")
        worker.then(R.HEADS_LEFT.put(memory.heads))
        next_packet(worker)
    fetch(worker, scenario, ring, chains=memory.heads)
    with worker.each("packet", repeats=memory.heads):
        worker.step("translate", "guest physical to own address", "translate")
        worker.step("get_descriptor", "next buffer wanted", function="reserve_avail_buf_split")
        worker.then(R.LAST_AVAIL_IDX.add(), R.HEADS_LEFT.add(-1))
        worker.jump("header_copy", R.HEADS_LEFT.below(1))
        next_packet(worker)
    with worker.each("packet"):
        header, span = memory.filled(0, VNET_HEADER_BYTES), memory.filled(0, memory.span)
        worker.copy("header_copy", "vnet header", "rx_header_copy", "dpdk_copy", access=header)
        worker.copy("payload_copy", "packet bytes", "rx_payload_copy", "payload_copy", access=span, copied="whole")
        worker.change(bytes=-(-memory.packet_bytes // memory.heads), times=memory.heads)
        worker.step("free", "mbuf back to the pool", "dpdk_free")
        worker.step("packet_done", "packet into the burst", "dpdk_packet_done")
        worker.then(R.DONE_IDX.add(memory.heads), R.RECEIVED.add(), *packets_of_batch(scenario))
        worker.jump(Anchor.FLUSH, R.BURST_LEFT.below(1))
        worker.jump("packet")
    with worker.each("drain", at=Anchor.RING_EMPTY):
        worker.step("no_buffer", "no buffer: heads put back")
        worker.then(R.LAST_AVAIL_IDX.copy(R.SAVED_AVAIL_IDX), R.AFTER_FLUSH.put(Next.SLEEP))
        worker.jump(Anchor.FLUSH, R.DONE_IDX.at_least(1))
        worker.jump("starve")
        title = "poll avail->idx until there are buffers"
        worker.read("starve", title, ring.avail_index(), "avail_index_read", operation="hold")
        worker.change(condition=R.RING_AVAIL_IDX.differs(R.AVAIL_IDX), sample=(R.AVAIL_IDX, R.RING_AVAIL_IDX))
        worker.then(R.AFTER_FLUSH.put(Next.PACKET))
        worker.jump("buffers")
    with worker.each("flush", at=Anchor.FLUSH):
        worker.step("flush", "shadow used ring", "dpdk_flush")
        used_buffers(worker, scenario, ring)
        look_for_notification(worker, scenario, ring)
        if scenario.driver.kind == "virtio-net":
            call_received(worker, scenario, CALL_BY_WRITE)
        worker.jump("starve", R.AFTER_FLUSH.equals(Next.SLEEP))
        worker.jump("nic")
    return _of_dpdk(scenario, worker.steps)


def _of_dpdk(scenario: Scenario, steps: list[Step]) -> list[Step]:
    """No fence ever ends a window here: lines overlap as far as the reorder buffer reaches."""
    return [replace(step, far_read=step.reads, function=_function(scenario, step)) for step in steps]


def _function(scenario: Scenario, step: Step) -> str:
    """Return rte_vhost's function for a step, which has a twin for packed rings."""
    function = _FUNCTIONS.get(step.function, step.function)
    if scenario.virtqueue.layout == "packed":
        return (function or function_of(step, scenario.kernel)).replace("_split", "_packed")
    return function
