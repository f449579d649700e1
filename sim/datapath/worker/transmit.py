"""handle_tx_copy with XDP batching: the transmit handler that the seed is about, row by row.

Rows stand in the order in which a busy worker meets them, so that reading down the list is reading the handler.
Differences between kernels are switches in `kernel.behaviour`; which primitives a row executes is the kernel's recipe.
"""

from __future__ import annotations

from dataclasses import replace

from sim.config.scenario import Scenario
from sim.config.traffic import VNET_HEADER_BYTES
from sim.datapath.draft import Draft, add, go, put, worker_row
from sim.datapath.page_frag import PageFragment
from sim.datapath.plan import Jump, Register
from sim.datapath.rings import SplitRing
from sim.datapath.worker.drain import drain_rows
from sim.datapath.worker.fetch import fetch_rows
from sim.datapath.worker.flush import flush_rows
from sim.datapath.worker.modes import EMPTY, REQUEUE
from sim.datapath.worker.wake import wake_rows

R = Register


def transmit_rows(scenario: Scenario, packet_bytes: int) -> list[Draft]:
    """Return the rows of the worker for packets of one size."""
    ring, kernel = SplitRing(scenario.virtqueue), scenario.kernel
    fragment = PageFragment(kernel.behaviour, packet_bytes)
    return [
        *wake_rows(scenario, ring),
        *fetch_rows(scenario, ring),
        *_copy_rows(scenario, packet_bytes),
        *_packet_end_rows(scenario, fragment, packet_bytes),
        *flush_rows(scenario, ring),
        *drain_rows(scenario, ring),
    ]


def _copy_rows(scenario: Scenario, packet_bytes: int) -> list[Draft]:
    work = [
        worker_row("translate", "guest physical to user address", "packet", "translate"),
        worker_row("iov_iter", "iov_iter bookkeeping", "packet", "iov_iter"),
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


def _packet_end_rows(scenario: Scenario, fragment: PageFragment, packet_bytes: int) -> list[Draft]:
    behaviour = scenario.kernel.behaviour
    jumps = (
        Jump(R.SENT, ">=", behaviour.round_packets, "weight"),
        Jump(R.DONE, ">=", scenario.device.batch, "flush"),
        EMPTY,
        go("head"),
    )
    refill = worker_row("page_refill", "new page fragment, old pages freed", "page_refill", "page_refill")
    rows = [
        worker_row("packet_done", "packet into the batch", "packet", "packet_done"),
        worker_row(
            "get_descriptor", "next descriptor wanted", "packet", "get_descriptor",
            effects=(add(R.LAST), add(R.DONE), add(R.SENT), add(R.FRAGS, -1)),
            jumps=(Jump(R.FRAGS, "<", 1, "page_refill"), *jumps),
        ),
        refill,
    ]  # fmt: skip
    if behaviour.splits_copy_at_page and fragment.crossings:
        rows.append(
            worker_row(
                "page_split", "copies split at a 4 KiB page", "page_refill", "page_split", accessor="payload_copy",
                bytes=64, times=fragment.crossings,
            )
        )  # fmt: skip
    rows[-1] = replace(rows[-1], effects=(put(R.FRAGS, fragment.buffers),), jumps=jumps)
    weight = worker_row(
        "weight", "round weight reached", "round", function="handle_tx", effects=(put(R.MODE, REQUEUE),)
    )
    return [*rows, weight]
