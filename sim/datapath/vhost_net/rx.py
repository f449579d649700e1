"""handle_rx: packets from the TAP's ptr_ring into the guest's buffers, row by row (kernel-accesses.md B.4, B.5).

Rows stand in the order in which a busy worker meets them. The ring side (fetch, used elements) is that of transmit.
"""

from __future__ import annotations

from dataclasses import replace

from sim.config.scenario.scenario import Scenario
from sim.config.scenario.traffic import VNET_HEADER_BYTES
from sim.datapath.memory.receive_memory import ReceiveMemory
from sim.datapath.memory.rings import SplitRing
from sim.datapath.plan.plan import Jump, Register
from sim.datapath.plan.step import Draft, add, copy, go, put, worker_row
from sim.datapath.vhost_net.fetch import fetch_rows
from sim.datapath.vhost_net.modes import EMPTY, REQUEUE, SLEEP, SOCKET, round_packets
from sim.datapath.vhost_net.receive_call import call_rows, with_decision
from sim.datapath.vhost_net.receive_wait import empty_ring_rows, empty_socket_rows, wake_rows
from sim.datapath.vhost_net.used import ELEMENTS, used_rows

R = Register


def receive_rows(scenario: Scenario, packet_bytes: int) -> list[Draft]:
    """Return the rows of the worker for packets of one size."""
    ring, memory = SplitRing(scenario.virtqueue), ReceiveMemory(scenario, packet_bytes)
    return [
        *wake_rows(scenario, ring),
        *_take_rows(scenario, memory),
        *fetch_rows(scenario, ring, empty="enable"),
        *_head_rows(),
        *_copy_rows(scenario, memory),
        *_packet_end_rows(scenario, memory),
        *_flush_rows(scenario, ring),
        *empty_ring_rows(scenario, ring),
        *empty_socket_rows(memory),
    ]


def _take_rows(scenario: Scenario, memory: ReceiveMemory) -> list[Draft]:
    """vhost_net_buf_peek: packets out of the ptr_ring, up to a batch at once; then the length of the next packet."""
    more = (Jump(R.GRAB_LEFT, ">=", 1, "take"), go("taken"))
    skb = scenario.receive.source.kind == "skb"
    return [
        worker_row(
            "next", "next packet wanted", "packet", "rx_peek", jumps=(Jump(R.BUFFERED, ">=", 1, "length"),),
        ),
        worker_row(
            "ring_lock", "lock the ptr_ring", "ring_batch", "rx_take", primitives=("spin_lock",), drains_stores=True,
            effects=(put(R.GRAB_LEFT, scenario.receive.ring_batch),),
        ),
        worker_row(
            "take", "slot of the ptr_ring", "packet", "rx_taken", access=memory.slot(R.GRABBED),
            sample=(R.PRODUCED_SEEN, R.PRODUCED), jumps=(Jump(R.PRODUCED_SEEN, "==", 0, "taken", R.GRABBED),),
        ),
        worker_row(
            "take_count", "one packet more", "packet", function="ptr_ring_consume_batched",
            effects=(add(R.GRABBED), add(R.BUFFERED), add(R.UNCLEARED), add(R.GRAB_LEFT, -1)),
            jumps=(Jump(R.UNCLEARED, ">=", memory.cleared_at_once, "clear"), *more),
        ),
        worker_row(
            "clear", "clear slots that were taken", "ring_batch", function="__ptr_ring_discard_one",
            access=memory.slots(R.GRABBED, R.UNCLEARED),
            effects=(copy(R.CONSUMED, R.GRABBED), put(R.UNCLEARED, 0)), jumps=more,
        ),
        worker_row(
            "taken", "unlock the ptr_ring", "ring_batch", function="vhost_net_buf_produce",
            jumps=(Jump(R.BUFFERED, "<", 1, "poll_socket"),),
        ),
        worker_row(
            "length", "length of the packet", "packet", function="vhost_net_buf_peek",
            access=memory.packet(R.RECEIVED, 1 if skb else 0, 1), far_read=True,
            effects=(copy(R.SAVED_AVAIL_IDX, R.LAST_AVAIL_IDX), put(R.HEADS_LEFT, memory.heads)), jumps=(EMPTY, go("head")),
        ),
    ]  # fmt: skip


def _head_rows() -> list[Draft]:
    """get_rx_bufs: one buffer fetched, and whether the packet needs another."""
    return [
        worker_row("translate", "guest physical to user address", "packet", "translate"),
        worker_row(
            "get_descriptor", "next buffer wanted", "packet", "get_descriptor",
            effects=(add(R.LAST_AVAIL_IDX), add(R.HEADS_LEFT, -1)),
            jumps=(Jump(R.HEADS_LEFT, "<", 1, "receive"), EMPTY, go("head")),
        ),
    ]  # fmt: skip


def _copy_rows(scenario: Scenario, memory: ReceiveMemory) -> list[Draft]:
    """tun_do_read: header and packet into the buffers; then num_buffers over the header."""
    skb, pieces = scenario.receive.source.kind == "skb", memory.pieces
    rows = [
        worker_row("receive", "iov_iter, call of recvmsg", "packet", "rx_packet"),
        worker_row(
            "tun", "vnet header from the packet", "packet", "rx_tun_skb" if skb else "rx_tun_frame",
            access=memory.packet(R.RECEIVED, 2, 3) if skb else None, far_read=skb,
        ),
        worker_row(
            "header_copy", "vnet header", "packet", "rx_header_copy", accessor="rx_header_copy",
            access=memory.filled(0, VNET_HEADER_BYTES),
        ),
        worker_row(
            "payload_copy", "packet bytes", "packet", "rx_payload_copy", accessor="rx_payload_copy",
            bytes=-(-memory.packet_bytes // pieces), times=pieces, copied="whole",
            access=memory.filled(0, memory.span),
        ),
        worker_row(
            "free", "free the packet", "packet", "rx_free_skb" if skb else "rx_free_frame",
            access=memory.packet(R.RECEIVED, 0 if skb else 1, 1, write=True),
        ),
    ]  # fmt: skip
    if scenario.receive.mergeable:
        rows.append(
            worker_row(
                "num_buffers", "num_buffers", "packet", "rx_num_buffers", accessor="rx_num_buffers_copy",
                access=memory.filled(10, 2),
            )
        )  # fmt: skip
    return rows


def _packet_end_rows(scenario: Scenario, memory: ReceiveMemory) -> list[Draft]:
    return [
        worker_row(
            "packet_done", "packet into the batch", "packet", "rx_packet_done",
            effects=(add(R.DONE_IDX, memory.heads), add(R.SENT_PKTS), add(R.RECEIVED), add(R.BUFFERED, -1)),
            jumps=(
                Jump(R.SENT_PKTS, ">=", round_packets(scenario, memory.packet_bytes), "weight"),
                Jump(R.DONE_IDX, ">=", scenario.device.batch + 1, "flush"), go("next"),
            ),
        ),
        worker_row("weight", "round weight reached", "round", function="handle_rx", effects=(put(R.AFTER_FLUSH, REQUEUE),)),
    ]  # fmt: skip


def _flush_rows(scenario: Scenario, ring: SplitRing) -> list[Draft]:
    """vhost_net_signal_used: used elements, and what follows them on this path."""
    after = (
        Jump(R.AFTER_FLUSH, "==", REQUEUE, "end_requeue"), Jump(R.AFTER_FLUSH, "==", SLEEP, "end_sleep"),
        Jump(R.AFTER_FLUSH, "==", SOCKET, "end_socket"), go("next"),
    )  # fmt: skip
    rows = [
        worker_row("flush", "give buffers back", "flush", function="vhost_net_signal_used", jumps=ELEMENTS),
        *used_rows(scenario, ring),
    ]
    rows = [replace(row, effects=(*row.effects, copy(R.RETURNED, R.RECEIVED))) if row.marks else row for row in rows]
    rows[-1] = with_decision(scenario, replace(rows[-1], jumps=after))
    return [*rows, *call_rows(after)]
