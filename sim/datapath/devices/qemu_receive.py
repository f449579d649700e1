"""QEMU's virtio-net without vhost, receive: its main loop reads each packet from the TAP and copies it into the guest.

A readable TAP wakes the main loop, which reads up to `TAP_BURST` packets, each by one read(2) into a buffer of its own,
pops as many buffers as it takes, copies it once more, gives it back and signals it by itself. A packet that finds no
buffer waits in QEMU, and the TAP is not polled until the guest has kicked. What is behind the call was counted in
vhost's receive, the call itself as a write; QEMU's source is not among the facts: the order is from memory.
"""

from __future__ import annotations

from sim.config.scenario.scenario import Scenario
from sim.config.scenario.traffic import VNET_HEADER_BYTES
from sim.config.tables.vocabulary import CALL_BY_WRITE, SYSTEM_CALL
from sim.datapath.devices.qemu import idle_unless_kicked, idle_until_kicked, in_layout, ring_side
from sim.datapath.memory.receive_memory import FRAGMENT_BYTES, ReceiveMemory
from sim.datapath.memory.rings import SplitRing
from sim.datapath.plan.program import Program
from sim.datapath.plan.registers import R
from sim.datapath.plan.step import Anchor, Step
from sim.datapath.vhost_net.allocation import freed_skb
from sim.datapath.vhost_net.path import next_packet
from sim.datapath.vhost_net.rx import call, clear_slots
from sim.datapath.vhost_net.tx import (
    fetch,
    look_again,
    look_for_notification,
    notifications_off,
    notifications_off_again,
    used_index,
    wake_primitives,
)

#: Packets of one visit to the TAP (tap_send).
TAP_BURST = 50


def tap_send(scenario: Scenario, packet_bytes: int) -> list[Step]:
    """Return the steps of the main loop for packets of one size."""
    ring, memory = SplitRing(scenario.virtqueue), ReceiveMemory(scenario, packet_bytes)
    loop = Program("worker", "tap_send")
    _main_loop(loop, scenario, ring)
    _read(loop, scenario, memory)
    _pop(loop, scenario, ring, memory)
    _into_guest(loop, scenario, ring, memory)
    _no_buffers(loop, scenario, ring)
    _no_packets(loop, scenario, memory)
    return in_layout(scenario, loop.steps)


def _main_loop(loop: Program, scenario: Scenario, ring: SplitRing) -> None:
    """From sleep in ppoll to the first packet of a visit, which may have waited for a buffer."""
    turn = scenario.device.loop_instructions.value
    with loop.each("socket_empty", at=Anchor.IDLE_SOCKET):
        loop.step("idle_socket", "asleep in ppoll until the TAP is readable", operation="hold")
        loop.change(primitives=wake_primitives(scenario), function="main_loop_wait", user_instructions=turn)
        loop.change(condition=R.WAKES.differs(R.WAKES_SEEN), sample=(R.WAKES_SEEN, R.WAKES))
        loop.change(sometimes="no packet came before it slept")
        loop.jump(Anchor.ROUND)
    idle_until_kicked(loop, scenario, "ppoll until kicked; read of the eventfd")
    loop.jump(Anchor.ROUND)
    with loop.each("round", at=Anchor.ROUND):
        loop.step("round", "the TAP is readable, or the guest has kicked")
        loop.then(R.SENT_PKTS.put(0), R.SOCKET_WAIT.put(0))
        loop.jump(Anchor.NEXT_PACKET, R.NOTIFY_OFF.equals(1))
    with ring_side(loop, "virtio_queue_set_notification") as side:
        notifications_off(side, scenario, ring)
    with loop.each("round", at=Anchor.NEXT_PACKET):
        loop.step("visit", "up to 50 packets, or the one that has waited")
        loop.jump("deliver", R.BUFFERED.at_least(1))
        loop.jump(Anchor.RECEIVE_PACKET)


def _read(loop: Program, scenario: Scenario, memory: ReceiveMemory) -> None:
    """tap_read_packet: one packet out of the ptr_ring, into a buffer of QEMU's own (tun_do_read)."""
    skb, pieces = scenario.receive.source.kind == "skb", -(-memory.packet_bytes // FRAGMENT_BYTES)
    with loop.each("packet", "socket_empty", at=Anchor.RECEIVE_PACKET):
        loop.step("read", "read(2), up to the file", "write_call", primitives=SYSTEM_CALL, function="ksys_read")
        loop.step("read_tap", "from the file to the TAP", "write_tap", function="tun_chr_read_iter")
        loop.step("ring_lock", "lock the ptr_ring", primitives=("spin_lock",), drains_stores=True)
        loop.change(function="tun_ring_recv")
        loop.read("take", "slot of the ptr_ring", memory.slot(R.GRABBED), counted_as="rx_taken")
        loop.change(function="tun_ring_recv", sample=(R.PRODUCED_SEEN, R.PRODUCED))
        loop.jump(Anchor.POLL_SOCKET, R.PRODUCED_SEEN.equals(R.GRABBED))
    with loop.each("packet"):
        loop.step("take_count", "one packet more", function="tun_ring_recv")
        loop.then(R.GRABBED.add(), R.BUFFERED.add(), R.UNCLEARED.add())
    clear_slots(loop, scenario, memory, lambda worker: worker.jump("tun"))
    with loop.each("packet"):
        lines = memory.packet(R.RECEIVED, 1, 4) if skb else memory.packet(R.RECEIVED, 0, 1)
        loop.read("tun", "vnet header from the packet", lines, counted_as="rx_tun_skb" if skb else "rx_tun_frame")
        loop.change(far_read=True)
        loop.copy("header_copy", "vnet header, to QEMU", "rx_header_copy", "rx_header_copy")
        if scenario.kernel.behaviour.zeroes_header_rest:
            loop.copy("header_zero", "zeroes over num_buffers", "rx_header_zero", "rx_header_zero")
        loop.copy("read_copy", "packet bytes, to QEMU", "rx_payload_copy", "rx_payload_copy", copied="whole")
        loop.change(bytes=-(-memory.packet_bytes // pieces), times=pieces)
        freed = memory.packet(R.RECEIVED, 0 if skb else 1, 1, write=True)
        loop.write("free", "free the packet", freed, counted_as="rx_free_skb" if skb else "rx_free_frame")
        if skb:
            freed_skb(loop, scenario)


def _pop(loop: Program, scenario: Scenario, ring: SplitRing, memory: ReceiveMemory) -> None:
    """virtio_net_receive: as many buffers as the packet takes."""
    with loop.each("packet"):
        loop.step("deliver", "filters, buffers wanted", function="virtio_net_receive_rcu")
        loop.then(R.SAVED_AVAIL_IDX.copy(R.LAST_AVAIL_IDX), R.HEADS_LEFT.put(memory.heads))
        next_packet(loop)
    with ring_side(loop, "virtqueue_split_pop") as side:
        fetch(side, scenario, ring, chains=memory.heads)
    with loop.each("packet", repeats=memory.heads):
        loop.step("element", "VirtQueueElement: allocated, guest pages mapped, freed", function="virtqueue_split_pop")
        loop.change(user_instructions=scenario.device.element_instructions.value)
        loop.then(R.LAST_AVAIL_IDX.add(), R.HEADS_LEFT.add(-1))
        loop.jump("header_out", R.HEADS_LEFT.below(1))
        next_packet(loop)


def _into_guest(loop: Program, scenario: Scenario, ring: SplitRing, memory: ReceiveMemory) -> None:
    """The second copy, out of QEMU's buffer; then the used elements, the index and a call of this packet."""
    with loop.each("packet"):
        header, span = memory.filled(0, VNET_HEADER_BYTES), memory.filled(0, memory.span)
        loop.write("header_out", "vnet header, into the guest's buffer", header, primitives=("store", "store"))
        loop.change(function="iov_from_buf")
        loop.copy("payload_out", "packet bytes, into the guest's buffers", "user_copy", access=span)
        loop.change(bytes=-(-memory.packet_bytes // memory.heads), times=memory.heads, function="iov_from_buf")
        loop.then(R.DONE_IDX.add(memory.heads), R.SENT_PKTS.add(), R.RECEIVED.add(), R.BUFFERED.add(-1))
        elements = ring.used_elements(R.LAST_AVAIL_IDX, R.DONE_IDX)
        loop.write("used_one", "used elements", elements, "used_element_write", function="virtqueue_split_fill")
        loop.change(bytes=8, times=1 if scenario.virtqueue.one_used_element else memory.heads)
    with ring_side(loop, "virtio_notify") as side, side.each("packet"):
        used_index(side, scenario, ring, R.LAST_AVAIL_IDX, R.RETURNED.copy(R.RECEIVED))
        look_for_notification(side, scenario, ring)
        call(side, scenario, CALL_BY_WRITE)
        side.jump("again", R.SENT_PKTS.at_least(TAP_BURST))
        side.jump(Anchor.RECEIVE_PACKET)
    with loop.each("round"):
        loop.step("again", "the visit was long enough: a turn of the loop", primitives=SYSTEM_CALL)
        loop.change(user_instructions=scenario.device.loop_instructions.value, function="main_loop_wait")
        loop.change(sometimes="50 packets were read at once")
        loop.jump(Anchor.ROUND)


def _no_buffers(loop: Program, scenario: Scenario, ring: SplitRing) -> None:
    """virtio_net_has_buffers says no behind one more look: the packet waits in QEMU until the guest kicks."""
    with ring_side(loop, "virtio_queue_set_notification") as side:
        with side.each("drain", at=Anchor.RING_EMPTY):
            look_again(side, scenario, ring)
            side.jump("end_sleep")
        notifications_off_again(side, scenario, ring)
        with side.each("drain_found_work"):
            side.step("found", "notifications off again, heads put back")
            side.then(R.NOTIFY_OFF.put(1), R.LAST_AVAIL_IDX.copy(R.SAVED_AVAIL_IDX))
            side.jump("deliver")
    with loop.each("round"):
        loop.step("end_sleep", "no buffers: the TAP is not polled until a kick", sometimes="no buffers came meanwhile")
        loop.change(function="tap_read_poll")
        loop.then(R.LAST_AVAIL_IDX.copy(R.SAVED_AVAIL_IDX))
        idle_unless_kicked(loop, scenario)


def _no_packets(loop: Program, scenario: Scenario, memory: ReceiveMemory) -> None:
    """The read finds nothing: back to ppoll, which looks at the ring once more (tun_chr_poll) before it sleeps."""
    with loop.each("socket_empty", at=Anchor.POLL_SOCKET):
        loop.step("poll_socket", "EAGAIN; ppoll: wait queue of the TAP", function="main_loop_wait")
        loop.change(primitives=(*SYSTEM_CALL, "spin_lock"), drains_stores=True)
        loop.then(R.SOCKET_WAIT.put(1))
        loop.read("poll_check", "slot of the ptr_ring, once more", memory.slot(R.GRABBED), function="tun_chr_poll")
    with loop.each("round"):
        loop.step("end_socket", "nothing to read", function="main_loop_wait", sometimes="no packet is there")
        loop.jump("woken", R.WAKES.differs(R.WAKES_SEEN))
        loop.jump("readable", R.PRODUCED.differs(R.GRABBED))
        loop.jump(Anchor.IDLE_SOCKET)
        loop.step("woken", "woken meanwhile", function="main_loop_wait", sample=(R.WAKES_SEEN, R.WAKES))
        loop.change(sometimes="woken before it slept")
        loop.step("readable", "readable after all: ppoll returns at once", function="main_loop_wait")
        loop.change(user_instructions=scenario.device.loop_instructions.value, sometimes="a packet came meanwhile")
        loop.jump(Anchor.ROUND)
