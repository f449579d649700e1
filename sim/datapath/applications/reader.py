"""Who reads messages behind the worker: a process for each session, on a core of its own, that takes packets in turn.

It sleeps while nothing has come. What it has read of a stream is acknowledged as soon as there is enough of it; a
request is answered by a reply, whose send is the answer.
"""

from __future__ import annotations

from sim.config.scenario.scenario import Scenario
from sim.datapath.applications.answers import put_answer
from sim.datapath.applications.messages import (
    calls,
    is_answered,
    of_session,
    packets_per_answer,
    payload,
    segment_work,
)
from sim.datapath.applications.socket_calls import read_calls, send_call
from sim.datapath.plan.program import Program
from sim.datapath.plan.registers import BANK, R
from sim.datapath.plan.step import Step


def readers(scenario: Scenario) -> list[Step]:
    """Return the steps of the readers of all sessions."""
    steps = _reader(scenario)
    return [of_session(step, number) for number in range(scenario.traffic.sessions) for step in steps]


def first_packets(scenario: Scenario) -> dict[int, int]:
    """Return the registers that say which packet each reader takes first: packets come to the sessions in turn."""
    return {R.READ_NEXT + number * BANK: number for number in range(scenario.traffic.sessions)}


def _reader(scenario: Scenario) -> list[Step]:
    sockets, carried, replies = scenario.sockets, payload(scenario), scenario.traffic.application == "tcp-rr"
    waiting = R.SINK_QUEUED.minus(R.READ_NEXT).at_least(1)
    reader = Program("receiver", "tcp_recvmsg")
    with reader.each("packet", sometimes="nothing waits"):
        reader.step("asleep", "sleep until a packet comes, wake up", operation="hold", condition=waiting)
        reader.change(primitives=("worker_wakeup",), function="schedule")
    with reader.each("packet"):
        reader.step("take", "a packet of the socket's queue")
        reader.then(R.UNREAD.add(carried), R.READ_NEXT.add(scenario.traffic.sessions))
    read_calls(reader, scenario)
    reader.then(R.SINK_DONE.add(), R.UNACKNOWLEDGED.add())
    if is_answered(scenario):
        reader.jump("answer", R.UNACKNOWLEDGED.at_least(packets_per_answer(scenario)))
    reader.jump("more")
    if is_answered(scenario):
        function = "tcp_write_xmit" if replies else "__tcp_send_ack"
        work = {
            "extra_instructions": sockets.answer.value,
            "primitives": calls(scenario, "answer"),
            "function": function,
        }
        if replies:
            with reader.each("answer"):
                send_call(reader, scenario, "answer", "send the reply: a call, its copy")
            work |= {"extra_instructions": segment_work(scenario), "primitives": calls(scenario, "send_segment")}
        put_answer(reader, scenario, "segment" if replies else "answer", "answered", **work)
        with reader.each("answer"):
            reader.step("answered", "the answer is on its way", function=function)
            reader.then(R.UNACKNOWLEDGED.put(0))
    with reader.each("packet"):
        reader.step("more", "does another packet wait?", function="tcp_recvmsg")
        reader.jump("take", waiting)
        reader.jump("asleep")
    return reader.steps
