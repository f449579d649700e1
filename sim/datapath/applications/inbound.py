"""A stream into the guest: its stack above NAPI, a program that reads, and acknowledgements through the transmit queue.

Interrupt, poll and program share one CPU of the guest: it reads what has come while no interrupt waits.
"""

from __future__ import annotations

from typing import Any

from sim.config.scenario.scenario import Scenario
from sim.config.scenario.traffic import VNET_HEADER_BYTES
from sim.datapath.applications.answers import AnswerRing, both_queues, give_back, unless_asked
from sim.datapath.applications.messages import (
    answer_bytes,
    calls,
    packets_per_answer,
    payload,
)
from sim.datapath.applications.socket_calls import read_calls
from sim.datapath.drivers.post import kick_primitives
from sim.datapath.memory.receive_memory import ReceiveMemory
from sim.datapath.plan.program import Program, also_kicking, retarget
from sim.datapath.plan.registers import R
from sim.datapath.plan.step import Anchor, Step, Target

_NONE_LEFT = R.ANSWERS.equals(R.ANSWERS_TAKEN)
_CALLED = R.CALLS.differs(R.CALLS_SEEN)


# -- the guest --------------------------------------------------------------------------------------------------------


def read_in_guest(scenario: Scenario, memory: ReceiveMemory, poll: list[Step]) -> list[Step]:
    """Return the steps of a guest's CPU: virtnet_poll, what its stack does above, and the program that reads."""
    poll = [also_kicking(retarget(step, _read_next), [R.KICKS]) for step in poll]
    guest = Program("driver", "tcp_recvmsg")
    with guest.each("call", sometimes="nothing is to be read"):
        guest.step("asleep", "sleep until an interrupt, wake up", operation="hold", condition=_CALLED)
        guest.change(primitives=("worker_wakeup", "context_switch"), function="schedule")
    guest.add(poll)
    _read(guest, scenario, memory)
    _acknowledge(guest, scenario)
    return guest.steps


def _read_next(target: Target) -> Target:
    """Where the driver waits for an interrupt, the program reads."""
    return "reader" if target is Anchor.INTERRUPT else target


def _read(guest: Program, scenario: Scenario, memory: ReceiveMemory) -> None:
    carried = payload(scenario)
    with guest.each("packet", "call", sometimes="between two packets"):
        guest.step("reader", "what next?", function="tcp_recvmsg")
        guest.jump(Anchor.INTERRUPT, _CALLED)
        guest.jump("take", R.LAST_USED_IDX.minus(R.READ_NEXT).at_least(memory.heads))
        guest.jump("asleep")
    with guest.each("packet"):
        # the calls are those of what brought it there
        guest.step("take", "a packet of the socket's queue", primitives=calls(scenario, "arrive"))
        guest.then(R.UNREAD.add(carried), R.READ_NEXT.add(memory.heads), R.UNACKNOWLEDGED.add())
    read_calls(guest, scenario)
    guest.jump("acknowledge", R.UNACKNOWLEDGED.at_least(packets_per_answer(scenario)))
    guest.jump("reader")


def _acknowledge(guest: Program, scenario: Scenario) -> None:
    """An acknowledgement down to start_xmit of the transmit queue, which kicks if the worker sleeps."""
    memory = AnswerRing(scenario)
    ring, place, event_idx = memory.ring, memory.place, scenario.virtqueue.event_idx
    with guest.each("answer"):
        whole = memory.buffer(R.ANSWERS, VNET_HEADER_BYTES + answer_bytes(scenario), write=True)
        guest.write("acknowledge", "an acknowledgement, down to start_xmit", whole, function="__tcp_send_ack")
        guest.change(extra_instructions=scenario.sockets.answer.value, extra_ns=scenario.driver.pktgen_cost.value)
        guest.change(primitives=calls(scenario, "answer"))
        guest.write("answer_chain", "write the descriptors", place(ring.chain_write(R.ANSWERS)))
        guest.change(function="virtqueue_add_outbuf")
        slot = place(ring.avail_entry(R.ANSWERS, write=True))
        guest.write("answer_slot", "avail->ring[i]", slot, function="virtqueue_add_outbuf")
        guest.write(
            "answer_publish", "avail->idx", place(ring.avail_index(write=True)), function="virtqueue_add_outbuf"
        )
        guest.then(R.ANSWERS.add(), R.UNACKNOWLEDGED.put(0))
        guest.barrier("answer_barrier", "smp_mb before the notification check", "virtqueue_kick_prepare")
        wanted = ring.avail_event() if event_idx else ring.used_flags()
        guest.read("answer_check", "avail_event" if event_idx else "used->flags", place(wanted))
        guest.change(function="virtqueue_kick_prepare")
        unless_asked(guest, event_idx, "reader", old=(R.ANSWERS, -1), new=R.ANSWERS)
        guest.step("answer_kick", "kick: exit of the virtual machine", primitives=kick_primitives(scenario))
        guest.change(function="virtqueue_notify", sometimes="the worker wants a kick")
        guest.then(R.WORKER_KICKS.add())
        guest.jump("reader")


# -- the worker -------------------------------------------------------------------------------------------------------


def with_acknowledgements(scenario: Scenario, steps: list[Step]) -> list[Step]:
    """Return the worker's steps with both queues of a pair: the handler of receive, and acknowledgements between."""
    wakes = {"take_wake": (R.WAKES, R.WAKES_SEEN), "take_kick": (R.KICKS, R.KICKS_SEEN)}
    core = both_queues(steps, Anchor.IDLE_SOCKET, wakes)
    _carry(core, scenario)
    return core.steps


def _carry(tx: Program, scenario: Scenario) -> None:
    """handle_tx for all acknowledgements that wait: into a batch, up the host's stack, to the socket of the sender."""
    memory, event_idx = AnswerRing(scenario), scenario.virtqueue.event_idx
    ring, place, taken, frame = memory.ring, memory.place, R.ANSWERS_TAKEN, answer_bytes(scenario)
    whole = VNET_HEADER_BYTES + frame
    one_copy = scenario.kernel.behaviour.header_with_payload
    with tx.each("answer_batch", at=Anchor.ANSWERS):
        tx.step("answers", "start of a round of acknowledgements", "round_start")
        tx.then(R.ANSWERS_BATCH.put(0))
        if not event_idx:
            tx.then(R.ANSWERS_QUIET.put(1))
            flags = place(ring.used_flags(write=True))
            tx.write("answers_off", "used->flags = NO_NOTIFY", flags, "used_flags_write", "disable_notify")
        tx.read("answers_refill", "avail->idx", place(ring.avail_index()), "avail_index_read", "refill")
    with tx.each("answer"):
        tx.read("answer_head", "avail->ring[i]", place(ring.avail_entry(taken)), "avail_entry_read", "head")
        tx.read("answer_descriptor", "descriptor", place(ring.descriptor(taken, 0)), "descriptor_read", "descriptor")
        tx.step("answer_translate", "guest physical to user address", "translate")
        tx.step("answer_iov", "iov_iter bookkeeping", "iov_iter")
        tx.step("answer_build", "XDP buffer in the page fragment", "build_xdp")
        tx.step("answer_chain", "calls down to the copies", "copy_chain")
        if not one_copy:
            tx.copy("answer_header", "vnet header", "header_copy", "header_copy")
        n_bytes = whole if one_copy else frame
        place_of = memory.buffer(taken, whole)
        tx.copy("answer_copy", "acknowledgement", "payload_copy", "payload_copy", bytes=n_bytes, access=place_of)
        tx.step("answer_done", "end of the packet", "packet_done")
        tx.step("answer_next", "next descriptor wanted", "get_descriptor")
        tx.then(taken.add(), R.ANSWERS_BATCH.add())
        tx.jump("answers_flush", _NONE_LEFT)
        tx.jump("answers_flush", R.ANSWERS_BATCH.at_least(scenario.device.batch))
        tx.jump("answer_head")
    _flush(tx, scenario, memory)


def _flush(tx: Program, scenario: Scenario, memory: AnswerRing) -> None:
    """The batch goes up the stack, its buffers go back; notifications on, one more look, the end of the round."""
    ring, place, event_idx = memory.ring, memory.place, scenario.virtqueue.event_idx
    packets = packets_per_answer(scenario)
    with tx.each("answer_batch"):
        tx.step("answers_flush", "hand the batch to the TAP", "send_batch")
    with tx.each("answer"):
        each: dict[str, Any] = {"unit": R.ANSWERS_BATCH, "per_unit": True}
        tx.step("answers_skb", "skb from the packet's buffer", "backend_skb", **each)
        tx.step("answers_receive", "skb up the host's stack", "skb_receive", **each)
        tx.step("answers_socket", "from IP to the segments that it frees", function="tcp_ack", **each)
        tx.change(
            extra_instructions=scenario.sockets.acknowledge.value,
            primitives=calls(scenario, "acknowledge", worker=True),
        )
        tx.then(*[R.SEGMENTS_ACKNOWLEDGED.add_register(R.ANSWERS_BATCH)] * packets)
    with tx.each("answer_batch"):
        give_back(tx, scenario, str)
        on, put = (ring.avail_event(write=True), "avail_event_write") if event_idx else (None, "used_flags_write")
        tx.write("answers_on", "notifications on", place(on or ring.used_flags(write=True)), put, "enable_notify")
        tx.then(R.ANSWERS_EVENT.copy(R.ANSWERS_TAKEN) if event_idx else R.ANSWERS_QUIET.put(0))
        tx.barrier("answers_on_barrier", "smp_mb before the recheck", "vhost_enable_notify")
        tx.read("answers_recheck", "avail->idx, recheck", place(ring.avail_index()), "avail_index_read", "recheck")
        tx.step("answers_end", "end of a round of acknowledgements", "round_end")
        tx.jump(Anchor.ANSWERS, R.ANSWERS.differs(R.ANSWERS_TAKEN))
        tx.jump(Anchor.OTHER_QUEUE)
