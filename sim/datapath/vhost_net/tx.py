"""The transmit handlers, row by row: handle_tx_copy with XDP batching, and what it shares with the others.

Rows stand in the order in which a busy worker meets them, so that reading down the list is reading the handler.
Differences between kernels are switches in `kernel.behaviour`; which primitives a row executes is the kernel's recipe.
"""

from __future__ import annotations

from dataclasses import replace

from sim.config.scenario.scenario import Scenario
from sim.config.scenario.traffic import VNET_HEADER_BYTES
from sim.datapath.memory.rings import SplitRing
from sim.datapath.plan.plan import Effect, Jump, Register
from sim.datapath.plan.step import Draft, add, copy, go, put, worker_row
from sim.datapath.vhost_net.drain import drain_rows
from sim.datapath.vhost_net.fetch import fetch_rows
from sim.datapath.vhost_net.flush import flush_rows
from sim.datapath.vhost_net.modes import REQUEUE, round_packets
from sim.datapath.vhost_net.path import TransmitPath, transmit_path
from sim.datapath.vhost_net.poll import poll_rows
from sim.datapath.vhost_net.sendmsg import before_send_rows, send_rows
from sim.datapath.vhost_net.wake import wake_rows
from sim.datapath.vhost_net.zerocopy import pin_done_row, select_rows, top_rows

R = Register


def transmit_rows(scenario: Scenario, packet_bytes: int) -> list[Draft]:
    """Return the rows of the worker for packets of one size."""
    ring, path = SplitRing(scenario.virtqueue), transmit_path(scenario, packet_bytes)
    return [
        *wake_rows(scenario, ring, path),
        *(top_rows(path) if path.zerocopy_function else []),
        *fetch_rows(scenario, ring),
        worker_row("translate", "guest physical to user address", "packet", "translate"),
        worker_row("iov_iter", "iov_iter bookkeeping", "packet", "iov_iter"),
        *_middle_rows(scenario, ring, path),
        *_packet_end_rows(scenario, path),
        *flush_rows(scenario, ring, path),
        *poll_rows(scenario, ring),
        *drain_rows(scenario, ring, path),
    ]


def _middle_rows(scenario: Scenario, ring: SplitRing, path: TransmitPath) -> list[Draft]:
    """Return the rows that move the packet: into the batch, or out by a sendmsg of its own."""
    if path.batched:
        return _copy_rows(scenario, path.packet_bytes)
    send = select_rows(scenario, path) if path.zerocopy_function else send_rows(scenario, path)
    return [*before_send_rows(ring, path), *send]


def _copy_rows(scenario: Scenario, packet_bytes: int) -> list[Draft]:
    work = [
        worker_row("build_xdp", "XDP buffer in the page fragment", "packet", "build_xdp"),
        worker_row("copy_chain", "calls down to the copies", "packet", "copy_chain"),
    ]
    behaviour = scenario.kernel.behaviour
    at_once = behaviour.header_with_payload and scenario.virtqueue.descriptors_per_packet == 1
    payload = worker_row(
        "payload_copy",
        "packet bytes",
        "packet",
        "payload_copy",
        accessor="payload_copy",
        bytes=packet_bytes,
        copied="rest",
    )
    if at_once:
        return [
            *work,
            replace(
                payload, step="vnet header and packet bytes", bytes=VNET_HEADER_BYTES + packet_bytes, copied="whole"
            ),
        ]
    header_step = "second_segment" if behaviour.header_with_payload else "header_copy"
    header = worker_row("header_copy", "vnet header", "packet", header_step, accessor="header_copy", copied="first")
    return [*work, header, payload]


def _packet_end_rows(scenario: Scenario, path: TransmitPath) -> list[Draft]:
    most = round_packets(scenario, path.packet_bytes)
    batch = () if path.gives_back == "before-send" else (Jump(R.DONE_IDX, ">=", scenario.device.batch, "flush"),)
    jumps = (Jump(R.SENT_PKTS, ">=", most, "weight"), *batch, *path.onward)
    if path.gives_back == "each":
        jumps = (Jump(R.SENT_PKTS, ">=", most, "weight"), go("flush"))
    fragment = path.fragment(scenario)
    done: tuple[Effect, ...] = (add(R.DONE_IDX),)
    if path.zerocopy:
        done = (put(R.DONE_IDX, 1), copy(R.USED_END, R.RING_USED_IDX), add(R.USED_END))
    took = (Jump(R.PAGE_FRAG_LEFT, "<", 1, "page_refill"),) if fragment else ()
    rows = [
        worker_row("packet_done", "end of the packet", "packet", "packet_done"),
        worker_row(
            "get_descriptor", "next descriptor wanted", "packet", "get_descriptor",
            effects=(add(R.LAST_AVAIL_IDX), *done, add(R.SENT_PKTS), *((add(R.PAGE_FRAG_LEFT, -1),) if fragment else ())),
            jumps=(*took, *jumps),
        ),
    ]  # fmt: skip
    if fragment:
        behaviour = scenario.kernel.behaviour
        rows.append(worker_row("page_refill", "new page fragment, old pages freed", "page_refill", "page_refill"))
        if behaviour.splits_copy_at_page and fragment.crossings:
            rows.append(
                worker_row(
                    "page_split", "copies split at a 4 KiB page", "page_refill", "page_split", accessor="payload_copy",
                    bytes=64, times=fragment.crossings,
                )
            )  # fmt: skip
        rows[-1] = replace(rows[-1], effects=(put(R.PAGE_FRAG_LEFT, fragment.buffers),), jumps=jumps)
    weight = worker_row(
        "weight", "round weight reached", "round", function="handle_tx", effects=(put(R.AFTER_FLUSH, REQUEUE),)
    )
    return [*rows, *([pin_done_row(path, most)] if path.zerocopy else []), weight]
