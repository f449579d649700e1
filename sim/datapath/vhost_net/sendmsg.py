"""One sendmsg per packet (tun_get_user): copies into a page fragment or an skb, program or stack for each packet."""

from __future__ import annotations

from sim.config.scenario.scenario import Scenario
from sim.datapath.memory.rings import SplitRing
from sim.datapath.plan.plan import Jump, Register
from sim.datapath.plan.step import Draft, go, put, worker_row
from sim.datapath.vhost_net.backend import backend_rows, room_at_sink, to_sink
from sim.datapath.vhost_net.modes import SEND
from sim.datapath.vhost_net.path import GOOD_COPY_BYTES, TransmitPath

R = Register

#: Largest linear part of an skb (SKB_MAX_HEAD of one page): more bytes go into page fragments.
_LINEAR_BYTES = 3584


def before_send_rows(ring: SplitRing, path: TransmitPath) -> list[Draft]:
    """Return what stands between fetch and sendmsg: a flush of what went before, or a look at the avail index."""
    if path.gives_back == "before-send":
        return [
            worker_row(
                "flush_before", "no XDP buffer: flush first", "packet", function="handle_tx_copy",
                effects=(put(R.AFTER_FLUSH, SEND),), jumps=(Jump(R.DONE_IDX, ">=", 1, "flush"), go("send")),
            )
        ]  # fmt: skip
    if not path.looks_ahead:
        return []
    ask = worker_row(
        "more_wanted", "is there more (MSG_MORE)", "packet", function="tx_can_batch",
        jumps=(Jump(R.AVAIL_IDX, "<", 2, "more", R.LAST_AVAIL_IDX), go("send")),
    )  # fmt: skip
    look = worker_row(
        "more", "avail->idx, cached one used up", "refill", "refill", accessor="avail_index_read",
        access=ring.avail_index(), sample=(R.AVAIL_IDX, R.RING_AVAIL_IDX), function="vhost_vq_avail_empty",
    )  # fmt: skip
    return [ask, look]


def send_rows(scenario: Scenario, path: TransmitPath) -> list[Draft]:
    """Return one packet's sendmsg, copied: header, body, and what the backend does with it."""
    send = worker_row("send", "sendmsg", "packet", "single_send", condition=room_at_sink(scenario))
    header = worker_row(
        "header_copy", "vnet header", "packet", "single_header", accessor="single_header",
        copied="first",
    )  # fmt: skip
    if path.buffer == "build":
        body = [
            worker_row("single_build", "buffer in the page fragment", "packet", "single_build"),
            worker_row(
                "payload_copy", "packet bytes", "packet", "single_copy", accessor="single_copy",
                bytes=path.packet_bytes, copied="rest",
            ),
        ]  # fmt: skip
    else:
        body = _skb_rows(scenario, path.packet_bytes)
    behind = backend_rows(scenario, batched=False, expand_bytes=0 if path.buffer == "build" else path.packet_bytes)
    sent = worker_row(
        "sent", "end of sendmsg", "packet", function="tun_sendmsg", effects=to_sink(scenario, batched=False)
    )
    return [send, header, *body, *behind, sent]


def _skb_rows(scenario: Scenario, packet_bytes: int) -> list[Draft]:
    """Return tun_alloc_skb and the copies into its linear part and its pages, one per piece of the guest's buffer."""
    page = scenario.kernel.behaviour.page_bytes
    pages = -(-max(0, packet_bytes - _LINEAR_BYTES) // page)
    pieces = max(1 + pages, scenario.virtqueue.descriptors_per_packet)
    rows = [worker_row("skb_alloc", "allocate an skb", "packet", "skb_alloc")]
    if pages:
        rows.append(worker_row("skb_pages", "pages of the skb", "packet", "skb_page", times=pages))
    copy = worker_row(
        "payload_copy", "packet bytes", "packet", "skb_copy", accessor="skb_copy", bytes=-(-packet_bytes // pieces),
        times=pieces, copied="rest",
    )  # fmt: skip
    return [*rows, copy]


def pinned_rows(scenario: Scenario, path: TransmitPath) -> list[Draft]:
    """Return one packet's sendmsg by zero copy: header and first bytes are copied, the pages of the rest are pinned."""
    linear = min(GOOD_COPY_BYTES, path.packet_bytes)
    rest = path.packet_bytes - linear
    pages = -(-rest // scenario.kernel.behaviour.page_bytes)
    rows = [
        worker_row(
            "pin_send", "sendmsg by zero copy", "packet", "zerocopy_send", primitives=("lock_rmw",),
            condition=room_at_sink(scenario),
        ),
        worker_row(
            "pin_header", "vnet header", "packet", "single_header", accessor="single_header",
            copied="first",
        ),
        worker_row(
            "pin_linear", "first bytes of the packet", "packet", "skb_copy", accessor="skb_copy", bytes=linear,
            copied="rest", copied_bytes=linear,
        ),
    ]  # fmt: skip
    if pages:
        rows.append(
            worker_row("pin_pages", "pin the pages of the rest", "packet", "zerocopy_page",
                       primitives=("pin_page",) * pages, times=pages)
        )  # fmt: skip
    return rows


def orphan_rows(scenario: Scenario, path: TransmitPath) -> list[Draft]:
    """Return the copy of pinned pages where a packet cannot keep them (skb_orphan_frags), and what follows it."""
    rest = max(1, path.packet_bytes - GOOD_COPY_BYTES)
    copied = worker_row(
        "orphan", "pages copied after all", "packet", "zerocopy_orphan", accessor="kernel_copy", bytes=rest,
        copied="rest", copied_bytes=rest,
    )  # fmt: skip
    return [copied, *backend_rows(scenario, batched=False, expand_bytes=path.packet_bytes)]
