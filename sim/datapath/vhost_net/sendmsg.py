"""sendmsg to the TAP: one per packet (tun_get_user), with its copies; and what the TAP does behind any copy.

That is the XDP program, the host's stack, the way to a NIC, for one packet or for each of a batch.
"""

from __future__ import annotations

from operator import index
from typing import Any

from sim.config.scenario.scenario import Scenario
from sim.datapath.applications.socket_calls import into_socket
from sim.datapath.host.behind import forward
from sim.datapath.host.sink import has_sink
from sim.datapath.memory.rings import SplitRing
from sim.datapath.plan.program import Program
from sim.datapath.plan.registers import Condition, R
from sim.datapath.plan.step import Anchor
from sim.datapath.vhost_net.allocation import linear_bytes, new_linear_part, new_pages_of_skb, new_skb
from sim.datapath.vhost_net.path import GOOD_COPY_BYTES, Next, TransmitPath


def before_send(tx: Program, ring: SplitRing, path: TransmitPath) -> None:
    """What stands between fetch and sendmsg: a flush of what went before, or a look at the avail index."""
    if path.gives_back == "before-send":
        tx.step("flush_before", "no XDP buffer: flush first", function="handle_tx_copy")
        tx.then(R.AFTER_FLUSH.put(Next.SEND))
        tx.jump(Anchor.FLUSH, R.DONE_IDX.at_least(1))
        tx.jump(Anchor.SEND)
    elif path.looks_ahead:
        tx.step("more_wanted", "is there more (MSG_MORE)", function="tx_can_batch")
        tx.jump("more", R.AVAIL_IDX.minus(R.LAST_AVAIL_IDX).below(2))
        tx.jump(Anchor.SEND)
        with tx.each("refill", at=Anchor.LOOK_AHEAD):
            tx.read("more", "avail->idx, cached one used up", ring.avail_index(), "avail_index_read", "refill")
            tx.change(sample=(R.AVAIL_IDX, R.RING_AVAIL_IDX), function="vhost_vq_avail_empty")


def send(tx: Program, scenario: Scenario, path: TransmitPath, label: str = "send") -> None:
    """One packet's sendmsg, copied: header, body, and what the backend does with it."""
    if label == "send":
        tx.at(Anchor.SEND)
    tx.step(label, "sendmsg", "single_send", condition=room_at_sink(scenario))
    tx.copy("header_copy", "vnet header", "single_header", "single_header", copied="first")
    builds = path.buffer == "build"
    if builds:
        tx.step("single_build", "buffer in the page fragment", "single_build")
        tx.copy("payload_copy", "packet bytes", "single_copy", "single_copy", bytes=path.packet_bytes, copied="rest")
    else:
        _copy_into_skb(tx, scenario, path.packet_bytes)
    after_copy(tx, scenario, batched=False, expand_bytes=0 if builds else path.packet_bytes)
    tx.step("sent", "end of sendmsg", function="tun_sendmsg")
    hand_to_sink(tx, scenario, batched=False)


def _copy_into_skb(tx: Program, scenario: Scenario, packet_bytes: int) -> None:
    """tun_alloc_skb, and the copies into its linear part and its pages, one per piece of the guest's buffer."""
    tx.step("skb_alloc", "allocate an skb", "skb_alloc")
    new_skb(tx, scenario, "skb", linear_bytes(packet_bytes))
    pages = new_pages_of_skb(tx, scenario, packet_bytes)
    pieces = max(1 + pages, scenario.virtqueue.descriptors_per_packet)
    tx.copy("payload_copy", "packet bytes", "skb_copy", "skb_copy", bytes=-(-packet_bytes // pieces), times=pieces)
    tx.change(copied="rest")


def send_pinned(tx: Program, scenario: Scenario, path: TransmitPath) -> None:
    """One packet's sendmsg by zero copy: header and first bytes are copied, the pages of the rest are pinned."""
    linear = min(GOOD_COPY_BYTES, path.packet_bytes)
    pages = index(-(-(path.packet_bytes - linear) // scenario.kernel.behaviour.page_bytes))
    tx.step("pin_send", "sendmsg by zero copy", "zerocopy_send", primitives=("lock_rmw",))
    tx.change(condition=room_at_sink(scenario))
    new_skb(tx, scenario, "pin_skb", linear)
    tx.copy("pin_header", "vnet header", "single_header", "single_header", copied="first")
    tx.copy("pin_linear", "first bytes of the packet", "skb_copy", "skb_copy", bytes=linear)
    tx.change(copied="rest", copied_bytes=linear)
    if pages:
        tx.step("pin_pages", "pin the pages of the rest", "zerocopy_page", primitives=("pin_page",) * pages)
        tx.change(times=pages)


# -- behind the copy --------------------------------------------------------------------------------------------------


def room_at_sink(scenario: Scenario) -> Condition | None:
    """Return the condition under which another frame may go to the NIC or the receiver."""
    return R.SINK_QUEUED.minus(R.SINK_DONE).below(scenario.backend.queue) if has_sink(scenario) else None


def hand_to_sink(worker: Program, scenario: Scenario, batched: bool) -> None:
    """Let the last step hand the packet, or the batch, to the NIC or the receiver."""
    if has_sink(scenario) and batched:
        worker.then(R.SINK_QUEUED.add_register(R.DONE_IDX))
    elif has_sink(scenario):
        worker.then(R.SINK_QUEUED.add(), R.COPIED.add())


def after_copy(worker: Program, scenario: Scenario, batched: bool, expand_bytes: int = 0, prefix: str = "") -> None:
    """Add the steps behind the copy; those of a batch run for each of its packets.

    An skb from tun_alloc_skb (`expand_bytes` of it) meets an XDP program in its generic form, which wants linear memory
    with 256 bytes of headroom: the skb is copied once more.
    """
    backend = scenario.backend
    redirects = backend.kind == "tap-xdp-redirect"
    each: dict[str, Any] = {"unit": R.DONE_IDX, "per_unit": True} if batched else {}
    program: dict[str, Any] = {}
    if backend.runs_xdp:
        program = {"extra_instructions": backend.program_instructions.value, "extra_function": "program"}
    with worker.each("packet", sometimes=worker.sometimes):
        if backend.runs_xdp and expand_bytes:
            worker.copy(f"{prefix}expand", "skb made linear with headroom", "kernel_copy", function="pskb_expand_head")
            worker.change(bytes=expand_bytes)
            new_linear_part(worker, scenario, f"{prefix}expand", expand_bytes)
            worker.step(f"{prefix}backend", "XDP program on the skb", "generic_xdp", **each, **program)
        elif backend.runs_xdp:
            worker.step(f"{prefix}backend", "XDP program on each packet", "backend_packet", **each, **program)
        elif not expand_bytes:
            worker.step(f"{prefix}backend", "skb from the packet's buffer", "backend_skb", **each)
        if backend.takes_skbs and not expand_bytes:
            new_skb(worker, scenario, f"{prefix}skb", **each)
        if redirects:
            worker.step(f"{prefix}redirect", "redirect to the NIC", "redirect_packet", **each)
            with worker.each("flush" if batched else "packet", sometimes=worker.sometimes):
                worker.step(f"{prefix}redirect_flush", "doorbell of the NIC", "redirect_flush")
                worker.change(extra_ns=backend.doorbell_cost.value)
        if backend.goes_up and not batched and backend.rx_frames:
            worker.step(f"{prefix}gather", "gathered with others", "gather_packet")
        if backend.goes_up:
            worker.step(f"{prefix}receive", "skb up the host's stack", "skb_receive", **each)
            if backend.kind in ("tap-xdp-pass", "tap-skb"):
                worker.change(extra_ns=backend.stack_cost.value)
            into_socket(worker, scenario, f"{prefix}receive_socket", **each)
        forward(worker, scenario, batched, each, prefix)
