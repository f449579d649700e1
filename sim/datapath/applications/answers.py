"""What comes back: acknowledgements and replies, from the reader through the worker into the guest.

They take the receive queue of the same worker: a ring of its own, with buffers of one page each, which the guest posts
again as it takes a frame. Each handler runs for a while and then the other one (vhost_worker): answers first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sim.config.scenario.scenario import Scenario
from sim.config.scenario.traffic import VNET_HEADER_BYTES
from sim.config.tables.vocabulary import INTERRUPT
from sim.datapath.applications.messages import answer_bytes, calls
from sim.datapath.host.queues import asleep, kicked_again, unless_kicked
from sim.datapath.memory.receive_memory import PACKET_LINES, POINTER_BYTES
from sim.datapath.memory.rings import SplitRing, lines_of
from sim.datapath.plan.lock import producer_lock
from sim.datapath.plan.program import Program, index_of, retarget
from sim.datapath.plan.registers import Effect, R, Register
from sim.datapath.plan.step import LINE_BYTES, Anchor, Jump, LineAccess, Step, Target
from sim.datapath.vhost_net.rx import HEADER_BYTES

_SKB_LINES = PACKET_LINES["skb"]
_NONE_LEFT = R.ANSWERS.equals(R.ANSWERS_TAKEN)


@dataclass(frozen=True)
class AnswerRing:
    """The receive queue's ring, the socket's ptr_ring and the packets in both; regions of their own."""

    scenario: Scenario

    @property
    def ring(self) -> SplitRing:
        """Geometry of the virtqueue: as large as the other one."""
        plain = {"descriptors_per_packet": 1, "indirect": False, "in_order": False}
        return SplitRing(self.scenario.virtqueue.model_copy(update=plain))

    @property
    def _pool(self) -> int:
        return self.ring.packets

    @property
    def _stride(self) -> int:
        return LINE_BYTES * lines_of(VNET_HEADER_BYTES + answer_bytes(self.scenario))

    def regions(self) -> dict[str, int]:
        """Map each region to its number of cache lines."""
        own = {
            "slots": lines_of(POINTER_BYTES * self._pool),
            "packets": self._pool * _SKB_LINES,
            "buffers": self._pool * lines_of(self._stride),
        }
        return {f"answer_{name}": lines for name, lines in (self.ring.regions() | own).items()}

    @staticmethod
    def place(access: LineAccess) -> LineAccess:
        """Return a place of a ring in the regions of this one."""
        return replace(access, region=f"answer_{access.region}")

    def slot(self, position: Register, write: bool = False) -> LineAccess:
        """One slot of the ptr_ring."""
        stride = POINTER_BYTES
        return LineAccess("answer_slots", write, stride, index=position, modulo=self._pool, stride=stride)

    def packet(self, position: Register, first: int, lines: int, write: bool = False) -> LineAccess:
        """Lines of a packet's description."""
        n_bytes, offset = LINE_BYTES * lines, LINE_BYTES * first
        access = LineAccess("answer_packets", write, n_bytes, offset, index=position, modulo=self._pool)
        return replace(access, stride=LINE_BYTES * _SKB_LINES)

    def buffer(self, position: Register, n_bytes: int, offset: int = 0, write: bool = False) -> LineAccess:
        """Bytes of the buffer of one answer."""
        access = LineAccess("answer_buffers", write, n_bytes, offset, index=position, modulo=self._pool)
        return replace(access, stride=self._stride)


# -- the reader puts one on its way -----------------------------------------------------------------------------------


def put_answer(reader: Program, scenario: Scenario, label: str, onward: str, **work: Any) -> None:
    """An answer, made by the step of that label, into the TAP's ptr_ring, under its lock.

    A worker that has taken all others is woken.
    """
    memory, lock = AnswerRing(scenario), producer_lock()
    work["extra_instructions"] += scenario.sockets.tap_xmit.value
    work["primitives"] += calls(scenario, "tap_xmit")
    described = memory.packet(R.ANSWERS, 0, _SKB_LINES, write=True)
    with reader.each("answer"):
        if scenario.traffic.sessions > 1:  # which answer it is shows inside
            reader.step(label, "an answer, down to the TAP", **work)
            lock.queue_up(reader)
            lock.take(reader, "answer_lock", "lock the ptr_ring", function="tun_net_xmit")
            reader.write("answer_describe", "lines of the answer", described, function="__ptr_ring_produce")
        else:
            reader.write(label, "an answer, down to the TAP", described, **work)
            reader.step("answer_lock", "lock the ptr_ring", function="tun_net_xmit")
            reader.change(primitives=("spin_lock",), drains_stores=True)
        reader.write("answer_put", "into its slot", memory.slot(R.ANSWERS, write=True), function="__ptr_ring_produce")
        reader.then(R.ANSWERS.add())
        if scenario.traffic.sessions > 1:
            lock.let_go(reader, "answer_unlock", "unlock the ptr_ring", function="tun_net_xmit")
        reader.jump("answer_wake", R.ANSWERS.minus(R.ANSWERS_TAKEN).below(2))
        reader.jump(onward)
        reader.step("answer_wake", "wake the worker", function="vhost_poll_wakeup", primitives=("eventfd_signal",))
        reader.change(sometimes="no other answer waits")
        reader.then(R.WORKER_KICKS.add())
        reader.jump(onward)


# -- the worker carries it --------------------------------------------------------------------------------------------


def with_answers(scenario: Scenario, steps: list[Step]) -> list[Step]:
    """Return the worker's steps with both queues of a pair: the handler of transmit, and answers between its rounds.

    Where it polls an empty ring it looks for answers, too (vhost_net_busy_poll).
    """
    polls = any(Anchor.POLL in step.anchors for step in steps)
    steps = [_looks_for_answers(step) if Anchor.POLL in step.anchors else step for step in steps]
    core = both_queues(steps, Anchor.IDLE, {"take_kick": (R.KICKS, R.KICKS_SEEN)})
    core.at(Anchor.ANSWERS)
    _carry(core, scenario, "", Anchor.OTHER_QUEUE)
    if polls:
        _carry(core, scenario, "_polled", Anchor.POLL)
    return core.steps


def _looks_for_answers(poll: Step) -> Step:
    """A look at the empty ring is one at the socket, too."""
    return replace(poll, jumps=(Jump("answers_polled", R.ANSWERS.differs(R.ANSWERS_TAKEN)), *poll.jumps))


def both_queues(steps: list[Step], idle: Anchor, wakes: dict[str, tuple[Register, Register]]) -> Program:
    """Return the program of a worker that serves a handler's queue and answers in turn (vhost_worker).

    Answers are no queue of `serve`: their ring itself says whether any wait, and they have no rounds of a handler. The
    worker sleeps at `idle` until anyone kicks it, first takes the answers that wait, then runs a round of the handler
    if that has more work or one of its `wakes` (a register and what the worker has seen of it) has come.
    """
    out = [step for step in steps if Anchor.SCHEDULED_OUT in step.anchors]
    turns: dict[Target, Target] = {Anchor.ROUND: "again"}
    turns |= dict.fromkeys((Anchor.IDLE, Anchor.IDLE_SOCKET, Anchor.SCHEDULED_OUT), "rest")
    sleeping = [step for step in steps if {Anchor.IDLE, Anchor.IDLE_SOCKET} & {*step.anchors}]
    resting: dict[str, Any] = {"scopes": ("visit",), "sometimes": "neither queue has work"}
    core = Program("worker", "vhost_worker")
    title = "sleep until kicked, wake up"
    core.add([asleep(steps[index_of(steps, idle)], anchors=(Anchor.IDLE,), jumps=(), title=title, **resting)])
    with core.each("visit"):
        core.step("visit", "work of which queue?")
        core.jump(Anchor.ANSWERS, R.ANSWERS.differs(R.ANSWERS_TAKEN))
        core.at(Anchor.OTHER_QUEUE)
        core.step("other_queue", "has the other queue work?", sometimes="no further answers have come")
        core.jump("go_on", R.PENDING.at_least(1))
        for label, (register, seen) in wakes.items():
            core.jump(label, register.differs(seen))
        core.step("rest", "nothing to do", sometimes="neither queue has work")
        core.jump("visit", R.ANSWERS.differs(R.ANSWERS_TAKEN))  # more than one batch
        unless_kicked(core, Anchor.SCHEDULED_OUT if out else Anchor.IDLE)
    with core.each("visit", sometimes="the queue has work"):
        kicked_again(core, "visit")
        core.step("again", "more work: behind the other queue")
        core.then(R.PENDING.put(1))
        core.jump("visit")
        core.step("go_on", "the work that was left")
        core.then(R.PENDING.put(0))
        core.jump(Anchor.ROUND)
        for label, (register, seen) in wakes.items():
            core.step(label, "take its work", sample=(seen, register))
            core.jump(Anchor.ROUND)
    core.add(replace(step, **resting) for step in out)
    core.add(
        retarget(step, lambda target: turns.get(target, target))
        for step in steps
        if step not in sleeping and step not in out
    )
    return core


def _carry(rx: Program, scenario: Scenario, suffix: str, onward: Target) -> None:
    """handle_rx for all answers that wait: out of the ptr_ring, into buffers of the guest, one flush, a call."""
    memory = AnswerRing(scenario)
    ring, place = memory.ring, memory.place
    behaviour, frame, taken = scenario.kernel.behaviour, answer_bytes(scenario), R.ANSWERS_TAKEN
    sometimes = "answers come while it polls" if suffix else ""

    def at(label: str) -> str:
        return f"{label}{suffix}"

    with rx.each("answer_batch", sometimes=sometimes):
        rx.step(at("answers"), "start of a round of answers", "rx_round_start")
        rx.then(R.ANSWERS_BATCH.put(0))
        rx.step(at("answers_lock"), "lock the ptr_ring", "rx_take", primitives=("spin_lock",), drains_stores=True)
        rx.read(at("answers_refill"), "avail->idx", place(ring.avail_index()), "avail_index_read", "refill")
    with rx.each("answer", sometimes=sometimes):
        rx.read(at("answer_take"), "slot of the ptr_ring", memory.slot(taken), counted_as="rx_taken")
        rx.step(at("answer_next"), "next answer wanted", "rx_peek")
        rx.read(at("answer_length"), "length of the answer", memory.packet(taken, 1, 1), far_read=True)
        rx.change(function="vhost_net_buf_peek")
        rx.read(at("answer_head"), "avail->ring[i]", place(ring.avail_entry(taken)), "avail_entry_read", "head")
        descriptor = place(ring.descriptor(taken, 0))
        rx.read(at("answer_descriptor"), "descriptor", descriptor, "descriptor_read", "descriptor")
        rx.step(at("answer_translate"), "guest physical to user address", "translate")
        rx.step(at("answer_buffer"), "next buffer wanted", "rx_buffer")
        rx.step(at("answer_receive"), "iov_iter, call of recvmsg", "rx_packet")
        rx.read(at("answer_tun"), "vnet header", memory.packet(taken, 2, 3), counted_as="rx_tun_skb", far_read=True)
        header = memory.buffer(taken, VNET_HEADER_BYTES, write=True)
        rx.copy(at("answer_header"), "vnet header", "rx_header_copy", "rx_header_copy", access=header)
        rest = memory.buffer(taken, VNET_HEADER_BYTES - HEADER_BYTES, HEADER_BYTES, write=True)
        if behaviour.zeroes_header_rest:
            rx.copy(at("answer_zero"), "zeroes over num_buffers", "rx_header_zero", "rx_header_zero", access=rest)
        whole = memory.buffer(taken, frame, VNET_HEADER_BYTES, write=True)
        rx.copy(
            at("answer_copy"), "bytes of the answer", "rx_payload_copy", "rx_payload_copy", access=whole, bytes=frame
        )
        freed = memory.packet(taken, 0, 1, write=True)
        rx.write(at("answer_free"), "free the packet", freed, counted_as="rx_free_skb")
        rx.copy(at("answer_buffers"), "num_buffers", "rx_num_buffers_copy", "rx_num_buffers", access=rest)
        rx.step(at("answer_done"), "answer into the batch", "rx_packet_done")
        rx.then(taken.add(), R.ANSWERS_BATCH.add())
        rx.jump(at("answers_flush"), _NONE_LEFT)
        rx.jump(at("answers_flush"), R.ANSWERS_BATCH.at_least(scenario.device.batch))
        rx.jump(at("answer_take"))
    _flush_answers(rx, scenario, at, onward, sometimes)


def _flush_answers(rx: Program, scenario: Scenario, at: Callable[[str], str], onward: Target, sometimes: str) -> None:
    """vhost_net_signal_used for the queue of answers, and the end of the round."""
    with rx.each("answer_batch", sometimes=sometimes):
        rx.step(at("answers_flush"), "give buffers back", function="vhost_net_signal_used")
        give_back(rx, scenario, at, R.ANSWERS_SIGNALLED.copy(R.ANSWERED), R.ANSWERED.copy(R.ANSWERS_TAKEN))
        event_idx = scenario.virtqueue.event_idx
        unless_asked(rx, event_idx, at("answers_poll"), old=(R.ANSWERS_SIGNALLED, 0), new=R.ANSWERED)
        often = sometimes or "the guest wants a call"
        rx.step(at("answers_call"), "call: signal the eventfd", primitives=("eventfd_signal",), sometimes=often)
        rx.change(function="vhost_signal")
        rx.then(R.ANSWER_CALLS.add())
        rx.step(at("answers_poll"), "wait queue of the socket", "rx_poll_start", primitives=("spin_lock",))
        rx.change(drains_stores=True)
        rx.step(at("answers_end"), "end of a round of answers", "rx_round_end")
        rx.jump(onward)


def give_back(worker: Program, scenario: Scenario, at: Callable[[str], str], *done: Effect) -> None:
    """Used elements and index of a batch on the ring of answers, a barrier, and whether the guest wants a call."""
    memory, event_idx = AnswerRing(scenario), scenario.virtqueue.event_idx
    ring, place = memory.ring, memory.place
    elements = place(ring.used_elements(R.ANSWERS_TAKEN, R.ANSWERS_BATCH))
    worker.write(at("answers_used"), "used elements", elements, counted_as="used_elements", unit=R.ANSWERS_BATCH)
    worker.change(accessor="used_elements_write", bytes=8 * scenario.device.batch)
    index = place(ring.used_index(write=True))
    worker.write(at("answers_index"), "used->idx", index, "used_index_write", "used_index")
    worker.then(*done)
    worker.barrier(at("answers_barrier"), "smp_mb before the notification check", "vhost_notify")
    wanted, accessor = (ring.used_event(), "used_event_read") if event_idx else (ring.avail_flags(), "avail_flags_read")
    title = "used_event" if event_idx else "avail->flags"
    worker.read(at("answers_check"), title, place(wanted), accessor, "notify_check")


def unless_asked(asks: Program, event_idx: bool, onward: str, old: tuple[Register, int], new: Register) -> None:
    """The last step looks whether the other side wants to be told, and goes `onward` if not.

    With an event index it does when the event is not below `old` and below `new` (vring_need_event); else when its flag
    is 0.
    """
    if not event_idx:
        asks.change(sample=(R.ANSWERS_QUIET_SEEN, R.ANSWERS_QUIET))
        asks.jump(onward, R.ANSWERS_QUIET_SEEN.equals(1))
        return
    register, more = old
    asks.change(sample=(R.ANSWERS_EVENT_SEEN, R.ANSWERS_EVENT))
    asks.jump(onward, R.ANSWERS_EVENT_SEEN.minus(register).below(more))
    asks.jump(onward, R.ANSWERS_EVENT_SEEN.at_least(new))


# -- the guest takes it -----------------------------------------------------------------------------------------------


def take_answers(guest: Program, scenario: Scenario, memory: AnswerRing, packets: int, **work: Any) -> None:
    """An interrupt, then virtnet_poll: each answer goes up to its socket, and its buffer is posted again.

    An answer stands for so many `packets`; `work` is what it executes above the driver.
    """
    ring, place = memory.ring, memory.place
    seen, now = R.ANSWERS_SEEN, (R.ANSWERED_NOW, R.ANSWERED)
    with guest.each("call", at=Anchor.ANSWERED):
        guest.step("answered", "interrupt of the receive queue", primitives=INTERRUPT)
        guest.change(function="skb_recv_done", sample=(R.ANSWER_CALLS_SEEN, R.ANSWER_CALLS))
        if ring.queue.event_idx:
            guest.step("answered_off", "interrupts off (nothing written)", function="virtqueue_disable_cb")
        else:
            flags = place(ring.avail_flags(write=True))
            guest.write("answered_off", "avail->flags = NO_INTERRUPT", flags, function="virtqueue_disable_cb")
            guest.then(R.ANSWERS_QUIET.put(1))
    with guest.each("answer", "call"):
        guest.read("answer_more", "used->idx", place(ring.used_index()), function="virtqueue_get_buf", sample=now)
        guest.jump("answers_over", R.ANSWERED_NOW.equals(seen))
    with guest.each("answer"):
        guest.read("answer_element", "used->ring[i]", place(ring.used_element(seen)), function="virtqueue_get_buf")
        whole = VNET_HEADER_BYTES + answer_bytes(scenario)
        guest.read("answer_read", "the answer, up to its socket", memory.buffer(seen, whole), function="tcp_ack")
        guest.change(extra_ns=scenario.driver.packet_cost.value, **work)
        chain = place(ring.chain_write(seen))
        guest.write("answer_post", "write the descriptor of a new buffer", chain, function="virtqueue_add")
        entry = place(ring.avail_entry(seen, write=True))
        guest.write("answer_slot", "avail->ring[i]", entry, function="virtqueue_add")
        guest.write("answer_publish", "avail->idx", place(ring.avail_index(write=True)), function="virtqueue_add")
        guest.then(seen.add(), R.SEGMENTS_ACKNOWLEDGED.add(packets))
        guest.jump("answer_more")
    with guest.each("call"):
        if ring.queue.event_idx:
            guest.write("answers_over", "used_event", place(ring.used_event(write=True)))
        else:
            guest.write("answers_over", "avail->flags = 0", place(ring.avail_flags(write=True)))
        guest.change(function="virtqueue_enable_cb_prepare")
        guest.then(R.ANSWERS_EVENT.copy(seen) if ring.queue.event_idx else R.ANSWERS_QUIET.put(0))
        guest.read("answers_recheck", "used->idx, once more", place(ring.used_index()), sample=now)
        guest.change(function="virtqueue_poll", primitives=("lock_rmw",), drains_stores=True)
        guest.jump("answered_off", R.ANSWERED_NOW.differs(seen))
        guest.jump(Anchor.APPLICATION)
