"""handle_tx: how the worker transmits a packet, step by step, in the order in which a busy worker meets the steps.

Reading down `transmit` is reading the handler: wake-up, refill, one packet (fetch, copy), the flush of a batch, and the
drain of an empty ring. Differences between kernels are switches in `kernel.behaviour`; what a step executes is the
kernel's recipe of its accessor. Packets that do not go into an XDP batch leave by `sendmsg` or by `zerocopy`. The ring
side (`fetch`, `give_back`, `look_again`) is the same for receive and for the devices beside vhost_net.
"""

from __future__ import annotations

from typing import Any

from sim.config.scenario.scenario import Scenario
from sim.config.scenario.traffic import VNET_HEADER_BYTES
from sim.costs import tree_levels
from sim.datapath.memory.rings import SplitRing
from sim.datapath.plan.program import Program
from sim.datapath.plan.registers import Effect, R
from sim.datapath.plan.step import Anchor, Step
from sim.datapath.vhost_net.allocation import zero_pages
from sim.datapath.vhost_net.path import Next, PageFragment, TransmitPath, round_packets, transmit_path
from sim.datapath.vhost_net.sendmsg import after_copy, before_send, hand_to_sink, room_at_sink, send
from sim.datapath.vhost_net.zerocopy import end_pinned_packet, look_for_completions, select

#: What leaving an idle state costs; a core that polls leaves none.
_IDLE_EXIT = {"poll": (), "c1": ("idle_exit_c1",), "c1e": ("idle_exit_c1e",), "c6": ("idle_exit_c6",)}


def transmit(scenario: Scenario, packet_bytes: int) -> list[Step]:
    """Return the steps of the worker for packets of one size."""
    ring, path = SplitRing(scenario.virtqueue), transmit_path(scenario, packet_bytes)
    tx = Program("worker", "handle_tx")
    _wake_up(tx, scenario, ring, path)
    if path.zerocopy_function:
        look_for_completions(tx, path)
    fetch(tx, scenario, ring, refills="no look ahead has found chains" if path.looks_ahead else "")
    with tx.each("packet"):
        tx.step("translate", "guest physical to user address", "translate")
        tx.step("iov_iter", "iov_iter bookkeeping", "iov_iter")
        if path.batched:
            _copy_into_batch(tx, scenario, path)
        else:
            before_send(tx, ring, path)
            (select if path.zerocopy_function else send)(tx, scenario, path)
    _end_packet(tx, scenario, path)
    _flush(tx, scenario, ring, path)
    if scenario.device.busyloop_timeout_us:
        _busy_poll(tx, scenario, ring)
    _drain(tx, scenario, ring, path)
    return tx.steps


# -- wake-up ----------------------------------------------------------------------------------------------------------


def _wake_up(tx: Program, scenario: Scenario, ring: SplitRing, path: TransmitPath) -> None:
    """From sleep to the first packet of a round."""
    sleep_until_kicked(tx, scenario)
    with tx.each("round", at=Anchor.ROUND):
        tx.step("round", "start of a round", "round_start")
        tx.then(R.SENT_PKTS.put(0), R.AFTER_FLUSH.put(Next.PACKET))
        tx.jump("disable", R.NOTIFY_OFF.equals(0))
        path.next_packet(tx)
    notifications_off(tx, scenario, ring)
    path.next_packet(tx)


def sleep_until_kicked(worker: Program, scenario: Scenario) -> None:
    """vhost_worker sleeps; a kick wakes it."""
    with worker.each("wakeup", at=Anchor.IDLE):
        worker.step("idle", "sleep until kicked, wake up", operation="hold", primitives=wake_primitives(scenario))
        worker.change(function="vhost_worker")
        worker.change(condition=R.KICKS.differs(R.KICKS_SEEN), sample=(R.KICKS_SEEN, R.KICKS))
        worker.change(sometimes="no kick came before it slept")


def wake_primitives(scenario: Scenario) -> tuple[str, ...]:
    """Primitives of a wake-up: the declared idle state is left first."""
    return ("worker_wakeup", *_IDLE_EXIT[scenario.placement.idle_state])


def notifications_off(worker: Program, scenario: Scenario, ring: SplitRing) -> None:
    """vhost_disable_notify: a flag in the ring; with EVENT_IDX one of the worker alone (kernel-accesses.md B.1)."""
    with worker.each("wakeup"):
        if scenario.virtqueue.event_idx:
            worker.step("disable", "notifications off", function="vhost_disable_notify")
            worker.then(R.NOTIFY_OFF.put(1))
        else:
            flags = ring.used_flags(write=True)
            worker.write("disable", "used->flags = NO_NOTIFY", flags, "used_flags_write", "disable_notify")
            worker.then(R.USED_FLAGS_NO_NOTIFY.put(1), R.NOTIFY_OFF.put(1))


# -- one packet -------------------------------------------------------------------------------------------------------


def fetch(worker: Program, scenario: Scenario, ring: SplitRing, chains: int = 1, refills: str = "") -> None:
    """vhost_get_vq_desc: avail index, avail ring entry, descriptors of a chain; a packet takes so many `chains`.

    `refills` says when the avail index is read here, where something else may have read it before.
    """
    queue, last = scenario.virtqueue, R.LAST_AVAIL_IDX
    deeper = tree_levels(scenario.kernel, queue)  # for each address that is translated
    with worker.each("refill", "drain", at=Anchor.REFILL, sometimes=refills):
        worker.read("refill", "avail->idx", ring.avail_index(), "avail_index_read", "refill")
        worker.change(sample=(R.AVAIL_IDX, R.RING_AVAIL_IDX))
        worker.jump(Anchor.RING_EMPTY, R.AVAIL_IDX.equals(last))
    with worker.each("packet", at=Anchor.PACKET, repeats=chains):
        if queue.skips_avail_ring:
            worker.step("head", "head = last_avail_idx, IN_ORDER", "head", primitives=("test",))
            worker.change(counted_accessor="avail_entry_read")
        else:
            worker.read("head", "avail->ring[i]", ring.avail_entry(last), "avail_entry_read", "head")
        worker.read("descriptor", "descriptor", ring.descriptor(last, 0), "descriptor_read", "descriptor")
        worker.change(extra_instructions=deeper)
        if queue.indirect:
            worker.step("indirect_table", "set up the indirect table", "indirect_table")
        for number in range(0 if queue.indirect else 1, queue.descriptors_per_packet):
            if queue.indirect:
                label, title, access = "indirect", f"indirect table entry {number}", ring.table_entry(last, number)
                accessor = counted = "indirect_descriptor"
            else:
                label, title, access = "descriptor", f"descriptor {number} of the chain", ring.descriptor(last, number)
                accessor, counted = "descriptor", "next_descriptor"
            worker.read(f"{label}_{number}", title, access, f"{accessor}_read", counted, extra_instructions=deeper)


def _copy_into_batch(tx: Program, scenario: Scenario, path: TransmitPath) -> None:
    """vhost_net_build_xdp: vnet header and packet into a buffer of the page fragment."""
    behaviour, packet_bytes = scenario.kernel.behaviour, path.packet_bytes
    whole, fragment = VNET_HEADER_BYTES + packet_bytes, path.fragment(scenario)
    if fragment is not None and path.takes_fragment_again(scenario):
        _look_at_fragment(tx, scenario, fragment)
        tx.step("build_xdp", "XDP buffer in the page fragment", "build_xdp")
        tx.then(R.PAGE_FRAG_LEFT.add(-1))
    else:
        tx.step("build_xdp", "XDP buffer in the page fragment", "build_xdp")
    tx.step("copy_chain", "calls down to the copies", "copy_chain")
    if behaviour.header_with_payload and scenario.virtqueue.descriptors_per_packet == 1:
        tx.copy("payload_copy", "vnet header and packet bytes", "payload_copy", "payload_copy")
        tx.change(bytes=whole, copied="whole")
        return
    header = "second_segment" if behaviour.header_with_payload else "header_copy"
    tx.copy("header_copy", "vnet header", "header_copy", header, copied="first")
    tx.copy("payload_copy", "packet bytes", "payload_copy", "payload_copy", bytes=packet_bytes, copied="rest")


def _look_at_fragment(tx: Program, scenario: Scenario, fragment: PageFragment) -> None:
    """page_frag_alloc_align: a used-up page fragment is taken again unless frames of it wait in the batch."""
    tx.jump("build_xdp", R.PAGE_FRAG_LEFT.at_least(1))
    with tx.each("page_refill"):
        tx.step("page_look", "page fragment used up", function="page_frag_alloc_align")
        tx.then(R.PAGE_FRAG_LEFT.put(fragment.buffers))
        tx.jump("build_xdp", R.DONE_IDX.below(1))
        _new_fragment(tx, scenario, fragment)
        tx.change(sometimes="frames of the old one wait in the batch")


def _new_fragment(tx: Program, scenario: Scenario, fragment: PageFragment) -> None:
    """Another page fragment is allocated; where copies split at pages, those that will cross one are counted here."""
    behaviour = scenario.kernel.behaviour
    tx.step("page_refill", "new page fragment, old pages freed", "page_refill")
    zero_pages(tx, scenario, "page_zero", behaviour.page_frag_bytes // behaviour.page_bytes)
    if behaviour.splits_copy_at_page and fragment.crossings:
        tx.copy("page_split", "copies split at a 4 KiB page", "payload_copy", "page_split", bytes=64)
        tx.change(times=fragment.crossings)


def _end_packet(tx: Program, scenario: Scenario, path: TransmitPath) -> None:
    """The end of the packet loop: count the packet, take another page fragment if this one is used up."""
    most = round_packets(scenario, path.packet_bytes)
    fragment = None if path.takes_fragment_again(scenario) else path.fragment(scenario)
    with tx.each("packet", at=Anchor.PACKET_DONE, sometimes="it was copied" if path.zerocopy else ""):
        tx.step("packet_done", "end of the packet", "packet_done")
        tx.step("get_descriptor", "next descriptor wanted", "get_descriptor")
        tx.then(R.LAST_AVAIL_IDX.add())
        if path.zerocopy:
            tx.then(R.DONE_IDX.put(1), R.USED_END.copy(R.RING_USED_IDX), R.USED_END.add())
        else:
            tx.then(R.DONE_IDX.add())
        tx.then(R.SENT_PKTS.add())
        if fragment is not None:
            tx.then(R.PAGE_FRAG_LEFT.add(-1))
            tx.jump("page_refill", R.PAGE_FRAG_LEFT.below(1))
        _after_packet(tx, scenario, path, most)
    if fragment is not None:
        with tx.each("page_refill"):
            _new_fragment(tx, scenario, fragment)
            tx.then(R.PAGE_FRAG_LEFT.put(fragment.buffers))
            _after_packet(tx, scenario, path, most)
    if path.zerocopy:
        end_pinned_packet(tx, path, most)
    with tx.each("round"):
        tx.step("weight", "round weight reached", sometimes="the round ends by its weight")
        tx.then(R.AFTER_FLUSH.put(Next.REQUEUE))


def _after_packet(tx: Program, scenario: Scenario, path: TransmitPath, most: int) -> None:
    """Where the packet loop goes: the end of the round, a flush, or the next packet."""
    tx.jump("weight", R.SENT_PKTS.at_least(most))
    if path.gives_back == "each":
        tx.jump(Anchor.FLUSH)
        return
    if path.gives_back == "batch":
        tx.jump(Anchor.FLUSH, R.DONE_IDX.at_least(scenario.device.batch))
    path.next_packet(tx)


# -- flush ------------------------------------------------------------------------------------------------------------


def _flush(tx: Program, scenario: Scenario, ring: SplitRing, path: TransmitPath) -> None:
    """A batch goes to the backend (packets sent one by one are there already), its buffers go back to the driver."""
    end = R.USED_END if path.zerocopy else R.LAST_AVAIL_IDX
    with tx.each("flush", at=Anchor.FLUSH):
        if path.batched:
            tx.step("flush", "hand the batch to the backend", "send_batch", condition=room_at_sink(scenario))
            after_copy(tx, scenario, batched=True)
            hand_to_sink(tx, scenario, batched=True)
        else:
            tx.step("flush", "buffers go back", function="vhost_net_signal_used")
        if path.one_by_one:
            # vhost_add_used: the element is a variable on the stack; vhost_add_used_n takes it from an array.
            accessor = "used_head_write" if path.gives_back == "each" else "used_element_write"
            tx.write("used_one", "used element", ring.used_elements(end, R.DONE_IDX), accessor, "used_element", bytes=8)
        else:
            used_elements(tx, scenario, ring, end)
        used_index(tx, scenario, ring, end)
        look_for_notification(tx, scenario, ring)
        if scenario.driver.kind == "virtio-net":
            call(tx, scenario)
            tx.step("after_flush", "what next")
        elif scenario.driver.interrupts:
            tx.step("unheard_signal", "signal an eventfd that nobody waits for", "unheard_signal")
        # Another driver polls: it wants no calls, nothing depends on what was read.
        tx.jump(Anchor.ROUND_REQUEUED, R.AFTER_FLUSH.equals(Next.REQUEUE))
        tx.jump(Anchor.ROUND_ASLEEP, R.AFTER_FLUSH.equals(Next.SLEEP))
        tx.jump(Anchor.ENABLE, R.AFTER_FLUSH.equals(Next.RECHECK))
        if path.gives_back == "before-send":
            tx.jump(Anchor.SEND, R.AFTER_FLUSH.equals(Next.SEND))
        if scenario.device.busyloop_timeout_us:
            tx.jump(Anchor.POLL_START, R.AFTER_FLUSH.equals(Next.POLL))
        path.next_packet(tx)


def used_elements(worker: Program, scenario: Scenario, ring: SplitRing, end: R) -> None:
    """Used elements of a batch up to `end`: several at once, in two parts where they wrap, or one.

    The last step chooses. An IN_ORDER device writes one for the whole batch; on a packed ring all are written alike.
    """
    queue, elements = scenario.virtqueue, ring.used_elements(end, R.DONE_IDX)
    if queue.one_used_element:
        element = ring.used_element(R.RING_USED_IDX, write=True)
        worker.write("used_elements", "one used element for the batch, IN_ORDER", element)
        worker.change(accessor="used_element_write", counted_as="used_element", bytes=8)
        worker.jump("used_index")
        return
    several: dict[str, Any] = {"accessor": "used_elements_write", "unit": R.DONE_IDX}
    several["bytes"] = 8 * scenario.device.batch
    if queue.layout == "packed":
        worker.write("used_elements", "used elements", elements, counted_as="used_elements", **several)
        worker.jump("used_index")
        return
    worker.jump("used_element", R.DONE_IDX.equals(1))
    worker.jump("used_wrapped", R.DONE_IDX.above(R.USED_ROOM))
    worker.write("used_elements", "used elements", elements, counted_as="used_elements", **several)
    worker.change(sometimes="a batch of several")
    worker.jump("used_index")
    title = "used elements, wrapping at the end of the ring"
    worker.write("used_wrapped", title, elements, counted_as="used_elements", times=2, **several)
    worker.change(sometimes="a batch that wraps at the end of the ring", instead_of="used_elements")
    worker.jump("used_index")
    worker.write("used_element", "used element (batch of one)", elements, "used_element_write", "used_element", bytes=8)
    worker.change(sometimes="a batch of one", instead_of="used_elements")
    worker.jump("used_index")


def used_index(worker: Program, scenario: Scenario, ring: SplitRing, end: R, *also: Effect) -> None:
    """The used index is written up to `end`, with which `also` changes; a full barrier stands behind it."""
    worker.write("used_index", "used->idx", ring.used_index(write=True), "used_index_write", "used_index", marks="used")
    worker.then(R.RING_USED_IDX.copy(end))
    worker.then(R.USED_ROOM.count_down(R.DONE_IDX, again=scenario.virtqueue.size), R.DONE_IDX.put(0))
    worker.then(*also)
    worker.barrier("notify_barrier", "smp_mb before the notification check", "vhost_notify")


def look_for_notification(worker: Program, scenario: Scenario, ring: SplitRing) -> None:
    """vhost_notify: does the driver want a call?"""
    if scenario.virtqueue.event_idx:
        worker.read("notify_check", "used_event", ring.used_event(), "used_event_read", "notify_check")
    else:
        worker.read("notify_check", "avail->flags", ring.avail_flags(), "avail_flags_read", "notify_check")


def call(tx: Program, scenario: Scenario, primitives: tuple[str, ...] = ("eventfd_signal",)) -> None:
    """The check may find that a call is wanted: vring_need_event, old <= event < new, in quarters of a packet."""
    event_idx = scenario.virtqueue.event_idx
    if event_idx:
        tx.change(sample=(R.USED_EVENT_SEEN, R.USED_EVENT_QUARTERS))
        tx.then(R.USED_QUARTERS.put(0), *[R.USED_QUARTERS.add_register(R.RING_USED_IDX)] * 4)
        tx.jump("signalled", R.USED_EVENT_SEEN.below(R.SIGNALLED_USED_QUARTERS))
        tx.jump("signalled", R.USED_EVENT_SEEN.at_least(R.USED_QUARTERS))
    else:
        tx.change(sample=(R.USED_EVENT_SEEN, R.AVAIL_FLAGS_NO_INTERRUPT))
        tx.jump("after_flush", R.USED_EVENT_SEEN.equals(1))
    with tx.each("call"):
        tx.step("call", "call: eventfd, injection", function="eventfd_signal", primitives=primitives)
        tx.then(R.CALLS.add())
    if event_idx:
        tx.step("signalled", "signalled_used", function="vhost_notify")
        tx.then(R.SIGNALLED_USED_QUARTERS.copy(R.USED_QUARTERS))


# -- an empty ring ----------------------------------------------------------------------------------------------------


def _busy_poll(tx: Program, scenario: Scenario, ring: SplitRing) -> None:
    """vhost_net_busy_poll: flush, then look at the empty ring for a while before it is drained."""
    known = R.AVAIL_IDX.differs(R.LAST_AVAIL_IDX)
    with tx.each("busy_poll", at=Anchor.RING_EMPTY):
        tx.step("poll_first", "flush before polling", function="vhost_net_tx_get_vq_desc")
        tx.then(R.AFTER_FLUSH.put(Next.POLL))
        tx.jump(Anchor.FLUSH, R.DONE_IDX.at_least(1))
        tx.at(Anchor.POLL_START)
        tx.step("poll_start", "begin to poll", function="vhost_net_busy_poll")
        tx.then(R.POLLS_LEFT.copy(R.POLL_LIMIT), R.AFTER_FLUSH.put(Next.PACKET))
        tx.jump(Anchor.POLL)
    with tx.each("poll", at=Anchor.POLL):
        tx.read("poll", "avail->idx, polled", ring.avail_index(), "avail_index_read", "busy_poll")
        tx.change(sample=(R.AVAIL_IDX, R.RING_AVAIL_IDX), extra_ns=scenario.device.poll_pause.value)
        tx.then(R.POLLS_LEFT.add(-1))
        tx.jump(Anchor.PACKET, known)
        tx.jump(Anchor.POLL, R.POLLS_LEFT.at_least(1))
    with tx.each("busy_poll"):
        tx.read("poll_over", "avail->idx, once more", ring.avail_index(), "avail_index_read", "refill")
        tx.change(sample=(R.AVAIL_IDX, R.RING_AVAIL_IDX), sometimes="time was up")
        tx.jump(Anchor.PACKET, known)
        tx.jump(Anchor.DRAIN)


def _drain(tx: Program, scenario: Scenario, ring: SplitRing, path: TransmitPath) -> None:
    """The ring is found empty: notifications on, recheck, sleep; and how a round ends."""
    flush_first, schedules_out = scenario.kernel.behaviour.flush_before_recheck, scenario.device.schedule_out
    with tx.each("drain", at=Anchor.DRAIN):
        if not scenario.device.busyloop_timeout_us:
            tx.at(Anchor.RING_EMPTY)
        if flush_first:
            tx.step("flush_first", "flush before the recheck")
            tx.then(R.AFTER_FLUSH.put(Next.RECHECK))
            tx.jump(Anchor.FLUSH, R.DONE_IDX.at_least(1))
        tx.at(Anchor.ENABLE)
        look_again(tx, scenario, ring)
        if not flush_first:
            tx.jump("final", R.DONE_IDX.at_least(1))
        tx.jump(Anchor.ROUND_ASLEEP)
    notifications_off_again(tx, scenario, ring)
    with tx.each("drain_found_work"):
        tx.step("found", "notifications off again", "get_descriptor")
        tx.then(R.NOTIFY_OFF.put(1), R.AFTER_FLUSH.put(Next.PACKET))
        path.next_packet(tx)
    with tx.each("drain"):
        tx.step("final", "last flush of the round", sometimes="packets wait for a flush")
        tx.then(R.AFTER_FLUSH.put(Next.SLEEP))
        tx.jump(Anchor.FLUSH)
    end_round(tx)
    if schedules_out:
        tx.jump(Anchor.SCHEDULED_OUT)
        with tx.each("wakeup", at=Anchor.SCHEDULED_OUT):
            tx.step("schedule_out", "scheduled out", function="schedule", primitives=("context_switch",))
            tx.change(sometimes="no kick came before it slept")
    tx.jump(Anchor.IDLE)
    kicked_meanwhile(tx)


def look_again(worker: Program, scenario: Scenario, ring: SplitRing) -> None:
    """vhost_enable_notify: notifications on, and one more look at the ring, which may find work after all."""
    if scenario.virtqueue.event_idx:
        worker.write("enable", "avail_event", ring.avail_event(write=True), "avail_event_write", "enable_notify")
        worker.then(R.AVAIL_EVENT.copy(R.AVAIL_IDX), R.NOTIFY_OFF.put(0))
    else:
        worker.write("enable", "used->flags = 0", ring.used_flags(write=True), "used_flags_write", "enable_notify")
        worker.then(R.USED_FLAGS_NO_NOTIFY.put(0), R.NOTIFY_OFF.put(0))
    worker.barrier("enable_barrier", "smp_mb before the recheck", "vhost_enable_notify")
    seen = R.AVAIL_IDX if scenario.kernel.behaviour.recheck_updates_cache else R.RECHECKED_AVAIL_IDX
    worker.read("recheck", "avail->idx, recheck", ring.avail_index(), "avail_index_read", "recheck")
    worker.change(sample=(seen, R.RING_AVAIL_IDX))
    worker.jump(Anchor.WORK_AFTER_ALL, seen.differs(R.LAST_AVAIL_IDX))


def notifications_off_again(worker: Program, scenario: Scenario, ring: SplitRing) -> None:
    """The recheck has found work: with EVENT_IDX nothing is written, the step that is written next comes first."""
    worker.at(Anchor.WORK_AFTER_ALL)
    if not scenario.virtqueue.event_idx:
        with worker.each("drain_found_work"):
            flags = ring.used_flags(write=True)
            worker.write("found_work", "used->flags = NO_NOTIFY again", flags, "used_flags_write", "disable_notify")
            worker.then(R.USED_FLAGS_NO_NOTIFY.put(1))


def end_round(
    worker: Program, asleep: str = "end of a round, ring empty", counted_as: str = "round_end", function: str = ""
) -> None:
    """A round ends: queued again, or asleep unless kicked meanwhile; the caller says where it sleeps."""
    with worker.each("round", at=Anchor.ROUND_REQUEUED):
        worker.step("end_requeue", "end of a round, queued again", counted_as, function=function)
        worker.change(sometimes="it ends by its weight")
        worker.jump(Anchor.ROUND)
        worker.at(Anchor.ROUND_ASLEEP)
        worker.step("end_sleep", asleep, counted_as, function=function, sometimes="the ring is empty")
        worker.jump("kicked", R.KICKS.differs(R.KICKS_SEEN))


def kicked_meanwhile(worker: Program) -> None:
    """The worker was kicked between its recheck and its sleep."""
    with worker.each("round"):
        worker.step("kicked", "kicked meanwhile", function="vhost_worker", sample=(R.KICKS_SEEN, R.KICKS))
        worker.change(sometimes="kicked between recheck and sleep")
        worker.jump(Anchor.ROUND)
