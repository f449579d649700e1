"""Who writes messages: calls that gather bytes in an open segment, and what leaves goes to the driver below.

A stream writes until its window closes, and goes on when a third of it is open; a segment leaves as soon as it is
full, and never before: Nagle's algorithm holds back what is shorter than a frame while something is unacknowledged. A
session of requests waits for each reply. A datagram leaves with its call. Each session has a CPU of its own; their
segments meet at the lock of the driver's queue. Answers interrupt the CPU of the first session.
"""

from __future__ import annotations

from typing import Any

from sim.config.scenario.scenario import Scenario
from sim.config.tables.vocabulary import SYSTEM_CALL
from sim.datapath.applications.answers import AnswerRing, take_answers
from sim.datapath.applications.messages import (
    arriving,
    calls,
    emptying_work,
    is_answered,
    of_session,
    packets_per_answer,
    payload,
    segment_work,
    window_closes_at,
    window_opens_at,
)
from sim.datapath.applications.socket_calls import own_ns, send_call
from sim.datapath.host.queues import MARK
from sim.datapath.plan.lock import transmit_lock
from sim.datapath.plan.plan import BACKGROUND
from sim.datapath.plan.program import Program, also_kicking, retarget
from sim.datapath.plan.registers import BANK, Condition, Effect, R, RegisterDifference
from sim.datapath.plan.step import Anchor, Step

_CALLED = R.ANSWER_CALLS.differs(R.ANSWER_CALLS_SEEN)
_WINDOWS = BACKGROUND[-1]
#: A CPU that wakes up, and the program on it.
_WOKEN = ("worker_wakeup", "context_switch")


def sessions(scenario: Scenario, xmit: list[Step]) -> list[Step]:
    """Return the steps of all sessions above a driver whose steps send one packet at a time."""
    below, count = [_sent_below(step, R.KICKS) for step in xmit], scenario.traffic.sessions
    steps = [of_session(step, number) for number in range(count) for step in _session(scenario, below, number)]
    if count > 1 and scenario.traffic.application == "tcp-stream":
        steps += _windows(count)
    return steps


def _session(scenario: Scenario, below: list[Step], number: int) -> list[Step]:
    app = Program("driver", "tcp_sendmsg")
    _write(app, scenario)
    app.add(below)
    _go_on(app, scenario, interrupted=number == 0)
    if is_answered(scenario):
        _wait(app, scenario, interrupted=number == 0)
    if is_answered(scenario) and number == 0:
        _take_answers(app, scenario)
    return app.steps


def _windows(sessions: int) -> list[Step]:
    """Whose packet an acknowledgement stands for: it goes round among the sessions that have one under way.

    No step takes time: it is what the numbers in a segment say, of which a ring carries only how many there are.
    """
    windows = Program(_WINDOWS, "tcp_ack")
    with windows.each("packet"):
        for number in range(sessions):
            sent, acknowledged = (register + number * BANK for register in (R.WINDOW_SENT, R.WINDOW_ACKNOWLEDGED))
            windows.step(f"whose{MARK}{number}", "whose packet?", condition=R.SEGMENTS_ACKNOWLEDGED.above(R.SHARED_OUT))
            windows.jump(f"whose{MARK}{(number + 1) % sessions}", Condition(sent, "==", 0, acknowledged))
            windows.step(f"acknowledged{MARK}{number}", f"one of session {number}")
            windows.then(Effect("add", acknowledged, None, 1), R.SHARED_OUT.add())
        windows.jump(f"whose{MARK}0")
    return windows.steps


def host_session(scenario: Scenario, below: list[Step]) -> list[Step]:
    """Return the steps of a process of the host that writes to the guest, above a TAP whose steps send one packet."""
    app = Program("source", "tcp_sendmsg")
    _write(app, scenario)
    app.add(_sent_below(step, R.WAKES) for step in below)
    _go_on(app, scenario, interrupted=False)
    _wait(app, scenario, interrupted=False)
    return app.steps


def _sent_below(step: Step, told: R) -> Step:
    """Where the next burst would begin the program goes on; a signal of the queue is one of the worker, too."""
    return also_kicking(retarget(step, lambda target: "sent" if target is Anchor.BURST else target), [told])


def _write(app: Program, scenario: Scenario) -> None:
    """One call after another until a segment is full; then the segment, under the lock of the driver's queue."""
    traffic, carried = scenario.traffic, payload(scenario)
    message = traffic.message_bytes
    datagrams = traffic.application == "udp"
    with app.each("message"):
        title = "send a message" if traffic.application == "tcp-stream" else "send one message"
        send_call(app, scenario, "send", f"{title}: a call, its copy")
        app.then(R.GATHERED.add(message))
        app.jump("sent_nothing", R.GATHERED.below(carried))
    with app.each("packet"):
        app.step("segment", "the packet goes to the device", function="tcp_write_xmit")
        if not datagrams:
            app.change(extra_instructions=segment_work(scenario), primitives=calls(scenario, "send_segment"))
        app.then(R.GATHERED.add(-carried))
        if traffic.sessions > 1:
            transmit_lock().queue_up(app)
            transmit_lock().take(app, "queue_lock", "lock of the device's queue", function="__dev_queue_xmit")
            app.then(R.WINDOW_SENT.add())
        else:
            app.step("queue_lock", "the device's queue", function="__dev_queue_xmit")
        app.then(R.SEGMENTS_SENT.add(), R.TICKET.copy(R.SEGMENTS_SENT))


def _go_on(app: Program, scenario: Scenario, interrupted: bool) -> None:
    """What comes behind a segment, or a call that gathered: the next one, if the window is open."""
    traffic, carried = scenario.traffic, payload(scenario)
    with app.each("packet"):
        if traffic.sessions > 1:
            transmit_lock().let_go(app, "sent", "the packet is posted: unlock", function="dev_hard_start_xmit")
        else:
            app.step("sent", "the packet is posted", function="dev_hard_start_xmit")
        app.jump("sent_nothing")
    with app.each("message", "packet", sometimes="between two calls"):
        app.at(Anchor.APPLICATION)
        app.step("sent_nothing", "what next?", function="tcp_sendmsg")
        if is_answered(scenario) and interrupted:
            app.jump(Anchor.ANSWERED, _CALLED)
        if traffic.application == "tcp-rr":
            app.jump("reply", R.SEGMENTS_ACKNOWLEDGED.minus(R.TICKET).at_least(0))
            app.jump("blocked")
            return
        if is_answered(scenario):
            app.jump("space", R.NO_SPACE.equals(1))
            app.jump("no_space", _under_way(scenario).at_least(window_closes_at(scenario)))
        app.jump("segment", R.GATHERED.at_least(carried))
        app.jump("send")


def _under_way(scenario: Scenario) -> RegisterDifference:
    """Packets of this session that nobody has acknowledged yet."""
    if scenario.traffic.sessions > 1:
        return R.WINDOW_SENT.minus(R.WINDOW_ACKNOWLEDGED)
    return R.SEGMENTS_SENT.minus(R.SEGMENTS_ACKNOWLEDGED)


def _wait(app: Program, scenario: Scenario, interrupted: bool) -> None:
    """A session that may not send sleeps; a reply is read; answers are taken where their interrupt goes."""
    sockets = scenario.sockets
    if scenario.traffic.application != "tcp-rr":
        _wait_for_space(app, _under_way(scenario).below(window_opens_at(scenario) + 1), interrupted)
        return
    reply_is_there = R.SEGMENTS_ACKNOWLEDGED.minus(R.TICKET).at_least(0)
    with app.each("answer", sometimes="it may not send"):
        app.step("blocked", "sleep until the reply comes, wake up", operation="hold", function="schedule")
        app.change(primitives=_WOKEN, condition=_CALLED if interrupted else reply_is_there)
        app.jump(Anchor.ANSWERED if interrupted else "sent_nothing")
    with app.each("packet"):
        app.copy("reply", "read the reply: a call, its copy", "rx_payload_copy")
        app.change(primitives=(*SYSTEM_CALL, *calls(scenario, "read_call", "read_packet")))
        app.change(bytes=scenario.traffic.message_bytes, function="tcp_recvmsg")
        app.change(extra_instructions=sockets.read_call.value + emptying_work(scenario))
        app.change(extra_ns=own_ns(app, scenario, scenario.traffic.message_bytes))
        app.jump("send")


def _wait_for_space(app: Program, space: Condition, interrupted: bool) -> None:
    """The program sleeps until enough is acknowledged; where answers interrupt, each wakes its CPU but not it."""
    with app.each("answer", sometimes="its window is closed"):
        app.step("no_space", "window closed", function="sk_stream_wait_memory")
        app.then(R.NO_SPACE.put(1))
        app.step("blocked", "sleep until an answer comes" if interrupted else "sleep until a third is open, wake up")
        app.change(operation="hold", function="schedule", condition=_CALLED if interrupted else space)
        app.change(primitives=_WOKEN[:1] if interrupted or app.actor == "source" else _WOKEN)
        app.jump(Anchor.ANSWERED if interrupted else "space")
        app.step("space", "is a third open?", function="sk_stream_write_space")
        app.jump("writes_again", space)
        app.jump("blocked")
        app.step("writes_again", "the program goes on", function="sk_stream_wait_memory")
        app.change(primitives=_WOKEN[1:] if interrupted else ())
        app.then(R.NO_SPACE.put(0))
        app.jump("sent_nothing")


def _take_answers(app: Program, scenario: Scenario) -> None:
    """Answers interrupt the first session; a reply is data, which acknowledges, too."""
    memory = AnswerRing(scenario)
    work: dict[str, Any] = {
        "extra_instructions": scenario.sockets.acknowledge.value,
        "primitives": calls(scenario, "acknowledge"),
    }
    if scenario.traffic.application == "tcp-rr":
        work = arriving(scenario)
    take_answers(app, scenario, memory, packets_per_answer(scenario), **work)
