"""handle_rx: packets from the TAP's ptr_ring into the guest's buffers, step by step (kernel-accesses.md B.4, B.5).

Steps stand in the order in which a busy worker meets them. The ring side (fetch, used elements) is that of transmit.
"""

from __future__ import annotations

from collections.abc import Callable

from sim.config.scenario.scenario import Scenario
from sim.config.scenario.traffic import VNET_HEADER_BYTES
from sim.datapath.memory.receive_memory import ReceiveMemory
from sim.datapath.memory.rings import SplitRing
from sim.datapath.plan.program import Program
from sim.datapath.plan.registers import Effect, R
from sim.datapath.plan.step import Anchor, Step
from sim.datapath.vhost_net.allocation import freed_skb
from sim.datapath.vhost_net.path import Next, next_packet, round_packets
from sim.datapath.vhost_net.tx import (
    end_round,
    fetch,
    kicked_meanwhile,
    look_again,
    look_for_notification,
    notifications_off,
    notifications_off_again,
    sleep_until_kicked,
    used_elements,
    used_index,
    wake_primitives,
)

#: Bytes of struct virtio_net_hdr, which the TAP writes; num_buffers of the vnet header stands behind them.
HEADER_BYTES = 10


def receive(scenario: Scenario, packet_bytes: int) -> list[Step]:
    """Return the steps of the worker for packets of one size."""
    ring, memory = SplitRing(scenario.virtqueue), ReceiveMemory(scenario, packet_bytes)
    rx = Program("worker", "handle_rx")
    _wake_up(rx, scenario, ring)
    _take_packets(rx, scenario, memory)
    fetch(rx, scenario, ring, chains=memory.heads)
    with rx.each("packet", repeats=memory.heads):  # get_rx_bufs: one buffer fetched; does the packet need another?
        rx.step("translate", "guest physical to user address", "translate")
        rx.step("next_buffer", "next buffer wanted", "rx_buffer")
        rx.then(R.LAST_AVAIL_IDX.add(), R.HEADS_LEFT.add(-1))
        rx.jump("receive", R.HEADS_LEFT.below(1))
        next_packet(rx)
    _copy(rx, scenario, memory)
    _end_packet(rx, scenario, memory)
    _flush(rx, scenario, ring)
    _no_buffers(rx, scenario, ring)
    _no_packets(rx, memory)
    return rx.steps


def _wake_up(rx: Program, scenario: Scenario, ring: SplitRing) -> None:
    """From sleep to the first packet of a round. The first packet of all wakes a worker that waits for the socket."""
    with rx.each("socket_empty", at=Anchor.IDLE_SOCKET):
        rx.step("idle_socket", "sleep until a packet comes, wake up", operation="hold", function="vhost_worker")
        rx.change(primitives=wake_primitives(scenario), sample=(R.WAKES_SEEN, R.WAKES))
        rx.change(condition=R.WAKES.differs(R.WAKES_SEEN), sometimes="it waited for the socket")
        rx.jump(Anchor.ROUND)
    sleep_until_kicked(rx, scenario)
    rx.jump(Anchor.ROUND)
    with rx.each("round", at=Anchor.ROUND):
        rx.step("round", "start of a round, socket polling off", "rx_round_start")
        rx.then(R.SENT_PKTS.put(0), R.AFTER_FLUSH.put(Next.PACKET), R.SOCKET_WAIT.put(0))
        rx.jump(Anchor.RECEIVE_PACKET, R.NOTIFY_OFF.equals(1))
    notifications_off(rx, scenario, ring)
    rx.jump(Anchor.RECEIVE_PACKET)


def _take_packets(rx: Program, scenario: Scenario, memory: ReceiveMemory) -> None:
    """vhost_net_buf_peek: packets out of the ptr_ring, up to a batch at once; then the length of the next packet."""
    skb = scenario.receive.source.kind == "skb"
    with rx.each("packet", "socket_empty", at=Anchor.RECEIVE_PACKET):
        rx.step("next", "next packet wanted", "rx_peek")
        rx.jump("length", R.BUFFERED.at_least(1))
    with rx.each("ring_batch"):
        rx.step("ring_lock", "lock the ptr_ring", "rx_take", primitives=("spin_lock",), drains_stores=True)
        rx.then(R.GRAB_LEFT.put(scenario.receive.ring_batch))
    with rx.each("packet", "ring_batch"):
        rx.read("take", "slot of the ptr_ring", memory.slot(R.GRABBED), counted_as="rx_taken")
        rx.change(sample=(R.PRODUCED_SEEN, R.PRODUCED))
        rx.jump("taken", R.PRODUCED_SEEN.equals(R.GRABBED))
    with rx.each("packet"):
        rx.step("take_count", "one packet more", function="ptr_ring_consume_batched")
        rx.then(R.GRABBED.add(), R.BUFFERED.add(), R.UNCLEARED.add(), R.GRAB_LEFT.add(-1))
    clear_slots(rx, scenario, memory, _take_more)
    with rx.each("ring_batch"):
        rx.step("taken", "unlock the ptr_ring", function="vhost_net_buf_produce")
        rx.jump(Anchor.POLL_SOCKET, R.BUFFERED.below(1))
    with rx.each("packet"):
        rx.read("length", "length of the packet", memory.packet(R.RECEIVED, 1 if skb else 0, 1), far_read=True)
        rx.change(function="vhost_net_buf_peek")
        rx.then(R.SAVED_AVAIL_IDX.copy(R.LAST_AVAIL_IDX), R.HEADS_LEFT.put(memory.heads))
        next_packet(rx)


def clear_slots(rx: Program, scenario: Scenario, memory: ReceiveMemory, onward: Callable[[Program], None]) -> None:
    """__ptr_ring_discard_one: slots that were taken are cleared, which may start a queue that waits for room.

    `onward` says where the step before goes that leaves them, and where the last one does.
    """
    rx.jump("clear", R.UNCLEARED.at_least(memory.cleared_at_once))
    onward(rx)
    with rx.each("packet"):
        slots = memory.slots(R.GRABBED, R.UNCLEARED)
        rx.write("clear", "clear slots that were taken", slots, function="__ptr_ring_discard_one")
        rx.change(sometimes="two cache lines of slots were taken")
        rx.then(R.CONSUMED.copy(R.GRABBED), R.UNCLEARED.put(0))
        if scenario.receive.source.when_full == "wait":
            rx.jump("wake_queue", R.SOURCE_STOPPED.equals(1))
        onward(rx)
        if scenario.receive.source.when_full == "wait":
            rx.step("wake_queue", "wake the TAP's queue", "rx_wake_queue", primitives=("lock_rmw",))
            rx.change(sometimes="the TAP has stopped its queue")
            rx.then(R.SOURCE_STOPPED.put(0))
            onward(rx)


def _take_more(rx: Program) -> None:
    rx.jump("take", R.GRAB_LEFT.at_least(1))
    rx.jump("taken")


def _copy(rx: Program, scenario: Scenario, memory: ReceiveMemory) -> None:
    """tun_do_read: header and packet into the buffers; then num_buffers over the header."""
    skb, pieces, behaviour = scenario.receive.source.kind == "skb", memory.pieces, scenario.kernel.behaviour
    with rx.each("packet"):
        rx.step("receive", "iov_iter, call of recvmsg", "rx_packet")
        rx.step("tun", "vnet header from the packet", "rx_tun_skb" if skb else "rx_tun_frame", far_read=skb)
        if skb:
            rx.change(access=memory.packet(R.RECEIVED, 2, 3))
        header, span = memory.filled(0, VNET_HEADER_BYTES), memory.filled(0, memory.span)
        rx.copy("header_copy", "vnet header", "rx_header_copy", "rx_header_copy", access=header)
        if behaviour.zeroes_header_rest:
            rest = memory.filled(HEADER_BYTES, VNET_HEADER_BYTES - HEADER_BYTES)
            rx.copy("header_zero", "zeroes over num_buffers", "rx_header_zero", "rx_header_zero", access=rest)
        rx.copy("payload_copy", "packet bytes", "rx_payload_copy", "rx_payload_copy", access=span, copied="whole")
        rx.change(bytes=-(-memory.packet_bytes // pieces), times=pieces)
        freed = memory.packet(R.RECEIVED, 0 if skb else 1, 1, write=True)
        rx.write("free", "free the packet", freed, counted_as="rx_free_skb" if skb else "rx_free_frame")
        if skb:
            freed_skb(rx, scenario)
        if scenario.receive.mergeable or behaviour.always_num_buffers:
            written = memory.filled(HEADER_BYTES, VNET_HEADER_BYTES - HEADER_BYTES)
            rx.copy("num_buffers", "num_buffers", "rx_num_buffers_copy", "rx_num_buffers", access=written)


def _end_packet(rx: Program, scenario: Scenario, memory: ReceiveMemory) -> None:
    with rx.each("packet"):
        rx.step("packet_done", "packet into the batch", "rx_packet_done")
        rx.then(R.DONE_IDX.add(memory.heads), R.SENT_PKTS.add(), R.RECEIVED.add(), R.BUFFERED.add(-1))
        rx.then(*packets_of_batch(scenario))
        rx.jump("weight", R.SENT_PKTS.at_least(round_packets(scenario, memory.packet_bytes)))
        rx.jump(Anchor.FLUSH, R.DONE_IDX.at_least(scenario.device.batch + 1))
        rx.jump(Anchor.RECEIVE_PACKET)
    with rx.each("round"):
        rx.step("weight", "round weight reached", sometimes="the round ends by its weight")
        rx.then(R.AFTER_FLUSH.put(Next.REQUEUE))


def _flush(rx: Program, scenario: Scenario, ring: SplitRing) -> None:
    """vhost_net_signal_used: used elements, then a call if the driver wants one for the buffers just returned."""
    with rx.each("flush", at=Anchor.FLUSH):
        rx.step("flush", "give buffers back", function="vhost_net_signal_used")
        used_buffers(rx, scenario, ring)
        look_for_notification(rx, scenario, ring)
        call(rx, scenario)
        rx.jump(Anchor.ROUND_REQUEUED, R.AFTER_FLUSH.equals(Next.REQUEUE))
        rx.jump(Anchor.ROUND_ASLEEP, R.AFTER_FLUSH.equals(Next.SLEEP))
        rx.jump(Anchor.ROUND_WITHOUT_PACKETS, R.AFTER_FLUSH.equals(Next.SOCKET))
        rx.jump(Anchor.RECEIVE_PACKET)


def packets_of_batch(scenario: Scenario) -> tuple[Effect, ...]:
    """Return what counts the packets of a batch, where each has a used element of its own."""
    return (R.BATCH_PACKETS.add(),) if scenario.virtqueue.one_used_element else ()


def used_buffers(rx: Program, scenario: Scenario, ring: SplitRing) -> None:
    """Used elements and index of the buffers that packets have filled.

    An IN_ORDER device writes an element for each packet, one by one (vhost_add_used_n_in_order): it says the length.
    """
    done = [R.RETURNED.copy(R.RECEIVED)]
    if scenario.virtqueue.one_used_element:
        done.append(R.BATCH_PACKETS.put(0))
        elements = ring.used_elements(R.LAST_AVAIL_IDX, R.DONE_IDX)
        rx.write("used_elements", "one used element for each packet, IN_ORDER", elements, "used_element_write")
        rx.change(counted_as="used_element", bytes=8, unit=R.BATCH_PACKETS, per_unit=True, scopes=("packet",))
    else:
        used_elements(rx, scenario, ring, R.LAST_AVAIL_IDX)
    used_index(rx, scenario, ring, R.LAST_AVAIL_IDX, *done)


def call(rx: Program, scenario: Scenario, primitives: tuple[str, ...] = ("eventfd_signal",)) -> None:
    """The check may find that a call is wanted; the end of the flush stands behind it."""
    if scenario.virtqueue.event_idx:
        rx.change(sample=(R.RX_USED_EVENT_SEEN, R.USED_EVENT))
        rx.jump("no_call", R.RX_USED_EVENT_SEEN.below(R.SIGNALLED_USED))
        rx.jump("no_call", R.RX_USED_EVENT_SEEN.at_least(R.RING_USED_IDX))
    else:
        rx.change(sample=(R.INTERRUPT_OFF, R.AVAIL_FLAGS_NO_INTERRUPT))
        rx.jump("no_call", R.INTERRUPT_OFF.equals(1))
    with rx.each("call"):
        rx.step("call", "call: signal the eventfd", function="vhost_signal", primitives=primitives)
        rx.then(R.CALLS.add())
    rx.step("no_call", "end of a flush", function="vhost_signal")
    rx.then(R.SIGNALLED_USED.copy(R.RING_USED_IDX))


def _no_buffers(rx: Program, scenario: Scenario, ring: SplitRing) -> None:
    """No buffer: notifications on, recheck; the heads fetched for the packet are put back; sleep until kicked.

    Flushes last on every kernel: the flush before the recheck of v7.3 is in the transmit handler only.
    """
    with rx.each("drain", at=Anchor.RING_EMPTY):
        look_again(rx, scenario, ring)
        rx.jump("final")
    notifications_off_again(rx, scenario, ring)
    with rx.each("drain_found_work"):
        rx.step("found", "notifications off again, heads put back", "rx_no_buffers")
        rx.then(R.NOTIFY_OFF.put(1), R.LAST_AVAIL_IDX.copy(R.SAVED_AVAIL_IDX))
        rx.jump(Anchor.RECEIVE_PACKET)
    with rx.each("drain"):
        rx.step("final", "heads put back", "rx_no_buffers", sometimes="no buffers came meanwhile")
        rx.then(R.AFTER_FLUSH.put(Next.SLEEP), R.LAST_AVAIL_IDX.copy(R.SAVED_AVAIL_IDX))
        rx.jump(Anchor.FLUSH, R.DONE_IDX.at_least(1))
        rx.jump(Anchor.ROUND_ASLEEP)
    end_round(rx, "end of a round, no buffers", "rx_round_end")
    rx.jump(Anchor.IDLE)
    kicked_meanwhile(rx)


def _no_packets(rx: Program, memory: ReceiveMemory) -> None:
    """No packet: onto the socket's wait queue, look once more (tun_chr_poll), flush, sleep until the source wakes."""
    with rx.each("socket_empty", at=Anchor.POLL_SOCKET):
        rx.step("poll_socket", "wait queue of the socket", "rx_poll_start", primitives=("spin_lock",))
        rx.change(drains_stores=True)
        rx.then(R.SOCKET_WAIT.put(1), R.AFTER_FLUSH.put(Next.SOCKET))
        rx.read("poll_check", "slot of the ptr_ring, once more", memory.slot(R.GRABBED), function="tun_chr_poll")
        rx.jump(Anchor.FLUSH, R.DONE_IDX.at_least(1))
    with rx.each("round", at=Anchor.ROUND_WITHOUT_PACKETS):
        rx.step("end_socket", "end of a round, no packets", "rx_round_end")
        rx.change(sometimes="no packet is there")
        rx.jump("woken", R.WAKES.differs(R.WAKES_SEEN))
        rx.jump(Anchor.ROUND, R.PRODUCED.differs(R.GRABBED))
        rx.jump(Anchor.IDLE_SOCKET)
        rx.step("woken", "woken meanwhile", function="vhost_worker", sample=(R.WAKES_SEEN, R.WAKES))
        rx.change(sometimes="woken before it slept")
        rx.jump(Anchor.ROUND)
