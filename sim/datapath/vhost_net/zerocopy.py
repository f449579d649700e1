"""handle_tx_zerocopy: one packet at a time; short ones are copied, the pages of the others are pinned (B.0, B.3)."""

from __future__ import annotations

from sim.config.scenario.scenario import Scenario
from sim.datapath.plan.program import Program
from sim.datapath.plan.registers import R
from sim.datapath.plan.step import Anchor, Scope
from sim.datapath.vhost_net.allocation import zero_pages
from sim.datapath.vhost_net.path import GOOD_COPY_BYTES, TransmitPath, next_packet
from sim.datapath.vhost_net.sendmsg import after_copy, hand_to_sink, send, send_pinned

#: vhost_net_tx_select_zcopy: where packets cannot keep their pages, one of so many tries.
PACKETS_PER_TRY = 64


def keeps_pages(scenario: Scenario) -> bool:
    """Return whether a frame keeps its pinned pages: only on the way to a NIC, without a program and a local reader."""
    return scenario.backend.forwards and scenario.backend.port == "nic"


def pending_limit(scenario: Scenario) -> int:
    """Zero-copy packets that may be under way: VHOST_MAX_PEND, or a quarter of the ring."""
    return min(scenario.device.max_pending, scenario.virtqueue.size >> 2)


def look_for_completions(tx: Program, path: TransmitPath) -> None:
    """The top of the loop: buffers whose pages were released go back to the driver."""
    scopes: tuple[Scope, ...] = ("packet", "flush") if path.zerocopy else ("packet",)
    with tx.each(*scopes, at=Anchor.NEXT_PACKET):
        tx.step("top", "buffers that came back?", "zerocopy_signal")
        if path.zerocopy:
            tx.change(sample=(R.ZEROCOPY_COMPLETED_SEEN, R.ZEROCOPY_COMPLETED))
            tx.jump("came_back", R.ZEROCOPY_COMPLETED_SEEN.differs(R.ZEROCOPY_DONE_IDX))
        next_packet(tx)
    if path.zerocopy:
        with tx.each("flush"):
            tx.step("came_back", "buffers that came back", function="vhost_zerocopy_signal_used")
            tx.change(sometimes="the flush of packets that were pinned")
            tx.then(R.DONE_IDX.copy(R.ZEROCOPY_COMPLETED_SEEN), R.DONE_IDX.count_down(R.ZEROCOPY_DONE_IDX))
            tx.then(R.ZEROCOPY_DONE_IDX.copy(R.ZEROCOPY_COMPLETED_SEEN))
            tx.then(R.USED_END.copy(R.RING_USED_IDX), R.USED_END.add_register(R.DONE_IDX))
            tx.jump(Anchor.FLUSH)


def select(tx: Program, scenario: Scenario, path: TransmitPath) -> None:
    """The sendmsg of one packet: by zero copy where it may, else copied."""
    if not path.zerocopy:
        send(tx, scenario, path)
        return
    keeps, rest = keeps_pages(scenario), max(1, path.packet_bytes - GOOD_COPY_BYTES)
    tx.at(Anchor.SEND)
    tx.step("send", "zero copy or not", "zerocopy_select")
    if keeps:
        tx.jump("copy_it", R.UPEND_IDX.minus(R.ZEROCOPY_DONE_IDX).at_least(pending_limit(scenario) + 1))
    else:
        tx.then(R.COPY_ONLY.add(-1))
        tx.jump("copy_it", R.COPY_ONLY.at_least(1))
    with tx.each("packet", sometimes="its pages are pinned"):
        send_pinned(tx, scenario, path)
        if not keeps:  # skb_orphan_frags: the packet cannot keep its pages
            zero_pages(tx, scenario, "pin_orphan_zero", -(-rest // scenario.kernel.behaviour.page_bytes))
            tx.copy("pin_orphan", "pages copied after all", "kernel_copy", "zerocopy_orphan", bytes=rest)
            tx.change(copied="rest", copied_bytes=rest)
        after_copy(tx, scenario, batched=False, expand_bytes=path.packet_bytes, prefix="pin_")
        tx.step("pin_sent", "end of sendmsg by zero copy", function="tun_sendmsg")
        if keeps:
            tx.then(R.SINK_QUEUED.add(), R.UPEND_IDX.add())
            tx.jump("pin_done")
        else:
            tx.then(R.COPY_ONLY.put(PACKETS_PER_TRY))
            hand_to_sink(tx, scenario, batched=False)
            tx.jump(Anchor.PACKET_DONE)
    with tx.each("packet", sometimes="it is copied"):
        send(tx, scenario, path, label="copy_it")


def end_pinned_packet(tx: Program, path: TransmitPath, round_packets: int) -> None:
    """The end of a packet sent by zero copy: its buffer goes back later."""
    with tx.each("packet", sometimes="its pages are pinned"):
        tx.step("pin_done", "next packet", "get_descriptor")
        tx.then(R.LAST_AVAIL_IDX.add(), R.SENT_PKTS.add())
        tx.jump(Anchor.ROUND_REQUEUED, R.SENT_PKTS.at_least(round_packets))
        path.next_packet(tx)
