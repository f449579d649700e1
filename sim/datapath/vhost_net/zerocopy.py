"""handle_tx_zerocopy: one packet at a time; short ones are copied, the pages of the others are pinned (B.0, B.3)."""

from __future__ import annotations

from dataclasses import replace

from sim.config.scenario.scenario import Scenario
from sim.datapath.plan.plan import Effect, Jump, Register
from sim.datapath.plan.step import Draft, add, copy, go, put, worker_row
from sim.datapath.vhost_net.backend import backend_rows, to_sink
from sim.datapath.vhost_net.modes import EMPTY
from sim.datapath.vhost_net.path import TransmitPath
from sim.datapath.vhost_net.sendmsg import orphan_rows, pinned_rows, send_rows

R = Register

#: vhost_net_tx_select_zcopy: where packets cannot keep their pages, one of so many tries.
PACKETS_PER_TRY = 64


def keeps_pages(scenario: Scenario) -> bool:
    """Tell whether a frame keeps its pinned pages: only on the way to a NIC, without a program and a local reader."""
    return scenario.backend.kind == "tap-bridge"


def pending_limit(scenario: Scenario) -> int:
    """Zero-copy packets that may be under way: VHOST_MAX_PEND, or a quarter of the ring."""
    return min(scenario.device.max_pending, scenario.virtqueue.size >> 2)


def top_rows(path: TransmitPath) -> list[Draft]:
    """Return the top of the loop: buffers whose pages were released go back to the driver."""
    look = worker_row(
        "top", "buffers that came back?", "packet", "zerocopy_signal", sample=(R.ZEROCOPY_COMPLETED_SEEN, R.ZEROCOPY_COMPLETED),
        jumps=(Jump(R.ZEROCOPY_COMPLETED_SEEN, "!=", 0, "came_back", R.ZEROCOPY_DONE_IDX), EMPTY, go("head")),
    )  # fmt: skip
    if not path.zerocopy:
        return [worker_row("top", "buffers that came back?", "packet", "zerocopy_signal", jumps=(EMPTY, go("head")))]
    came_back = worker_row(
        "came_back", "buffers that came back", "flush", function="vhost_zerocopy_signal_used",
        effects=(
            copy(R.DONE_IDX, R.ZEROCOPY_COMPLETED_SEEN), Effect("countdown", R.DONE_IDX, R.ZEROCOPY_DONE_IDX),
            copy(R.ZEROCOPY_DONE_IDX, R.ZEROCOPY_COMPLETED_SEEN),
            copy(R.USED_END, R.RING_USED_IDX), Effect("add", R.USED_END, R.DONE_IDX),
        ),
        jumps=(go("flush"),),
    )  # fmt: skip
    return [look, came_back]


def select_rows(scenario: Scenario, path: TransmitPath) -> list[Draft]:
    """Return the sendmsg of one packet: by zero copy where it may, else copied."""
    if not path.zerocopy:
        return send_rows(scenario, path)
    keeps = keeps_pages(scenario)
    if keeps:
        limit = pending_limit(scenario)
        choice = (Jump(R.UPEND_IDX, ">=", limit + 1, "copy_it", R.ZEROCOPY_DONE_IDX),)
    else:
        choice = (Jump(R.COPY_ONLY, ">=", 1, "copy_it"),)
    select = worker_row(
        "send", "zero copy or not", "packet", "zerocopy_select", jumps=choice,
        effects=() if keeps else (add(R.COPY_ONLY, -1),),
    )  # fmt: skip
    pinned = pinned_rows(scenario, path)
    effects: tuple[Effect, ...] = (add(R.SINK_QUEUED), add(R.UPEND_IDX))
    if keeps:
        behind = backend_rows(scenario, batched=False, expand_bytes=path.packet_bytes)
    else:
        behind = orphan_rows(scenario, path)
        effects = (put(R.COPY_ONLY, PACKETS_PER_TRY), *to_sink(scenario, batched=False))
    pinned += _prefixed(behind)
    pinned.append(
        worker_row(
            "pin_sent", "end of sendmsg by zero copy", "packet", function="tun_sendmsg", effects=effects,
            jumps=(go("pin_done" if keeps else "packet_done"),),
        )
    )  # fmt: skip
    first, *others = send_rows(scenario, path)
    return [select, *pinned, replace(first, label="copy_it"), *others]


def pin_done_row(path: TransmitPath, round_packets: int) -> Draft:
    """Return the end of a packet sent by zero copy: its buffer goes back later."""
    return worker_row(
        "pin_done", "next packet", "packet", "get_descriptor", effects=(add(R.LAST_AVAIL_IDX), add(R.SENT_PKTS)),
        jumps=(Jump(R.SENT_PKTS, ">=", round_packets, "end_requeue"), *path.onward),
    )  # fmt: skip


def _prefixed(rows: list[Draft]) -> list[Draft]:
    """Tell the rows of this way apart from those of a packet that is copied."""
    return [replace(row, label=f"pin_{row.label}") for row in rows]
