"""Laws of an application: what its packets carry, how many are acknowledged at once, how many may be under way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sim.config.errors import ConfigError
from sim.config.scenario.application import SEGMENT_BYTES, TCP_HEADERS_BYTES, payload_bytes
from sim.config.scenario.scenario import Scenario
from sim.config.tables.quantity import Quantity
from sim.costs import return_sequence
from sim.datapath.memory.receive_memory import FRAGMENT_BYTES
from sim.datapath.memory.ring_memory import PAGE_BYTES
from sim.datapath.plan.program import renumber
from sim.datapath.plan.registers import BANK, Register
from sim.datapath.plan.step import Step, Times

#: Indirect calls, locked operations and returns of what section `sockets` names, besides its instructions; counted with
#: them (tests/data/counts/sockets.csv and socket_returns.csv, 6.1.192); entries of section `sockets` say how far other
#: kernels are from them.
CALLS = {
    "send_call": (5, 2, 43),
    "send_segment": (6, 8, 95),
    "arrive": (3, 6, 56),
    "read_call": (4, 2, 31),
    "read_packet": (0, 2, 4),
    "tap_xmit": (1, 0, 7),
    "answer": (5, 5, 65),
    "acknowledge": (5, 8, 67),
    "select_call": (6, 6, 48),
    "select_idle": (3, 6, 10),
    "datagram_send": (9, 8, 105),
    "datagram_arrive": (3, 5, 24),
    "datagram_read": (2, 5, 30),
}


def is_application(scenario: Scenario) -> bool:
    """Return whether packets are those of an application."""
    return scenario.traffic.application != "none"


def is_answered(scenario: Scenario) -> bool:
    """Return whether something comes back: acknowledgements of a stream, or replies."""
    return scenario.traffic.application in ("tcp-stream", "tcp-rr")


def payload(scenario: Scenario) -> int:
    """Bytes of messages that one packet carries."""
    return payload_bytes(scenario.traffic.application, scenario.traffic.message_bytes)


def read_bytes(scenario: Scenario) -> int:
    """Bytes that one call of the reader takes: of a stream; a request or a datagram is a message and a packet, too."""
    carried, stream = payload(scenario), scenario.traffic.application == "tcp-stream"
    by_message = stream and scenario.sockets.reads == "message"
    return min(carried, scenario.traffic.message_bytes) if by_message else carried


def packets_per_answer(scenario: Scenario) -> int:
    """Packets of one answer: every second full frame is acknowledged, every larger packet, and each request.

    TCP acknowledges as soon as more than one full frame was read (__tcp_ack_snd_check).
    """
    stream = scenario.traffic.application == "tcp-stream"
    return 2 if stream and payload(scenario) <= SEGMENT_BYTES else 1


def most_under_way(scenario: Scenario) -> int:
    """Packets of all sessions that may be under way; a session of requests and replies has one."""
    sessions = scenario.traffic.sessions
    return sessions if scenario.traffic.application == "tcp-rr" else sessions * window_closes_at(scenario)


def window_closes_at(scenario: Scenario) -> int:
    """Packets of one session under way at which it writes no further one.

    All sessions together have no more than the ring of answers holds; each has as many as make an answer.
    """
    traffic = scenario.traffic
    window, share = scenario.sockets.window // payload(scenario), scenario.virtqueue.size // traffic.sessions
    return max(packets_per_answer(scenario), min(window, share))


def calls(scenario: Scenario, *names: str, worker: bool = False) -> tuple[Times, ...]:
    """Return the primitives of operations of section `sockets` besides their instructions.

    Returns are among them where they are mitigated. The worker's own steps hold those of their indirect calls already.
    Another kernel executes another share of the indirect calls and locked operations that were counted.
    """
    sockets = scenario.sockets
    sequence = return_sequence(scenario.kernel, scenario.cpu, scenario.mitigations)
    indirect, locked, returns = (sum(counts) for counts in zip(*(CALLS[name] for name in names), strict=True))
    called = indirect * sockets.indirect_calls.value
    primitives = [Times("retpoline", called), Times("lock_rmw", locked * sockets.locked_operations.value)]
    if sequence is not None:
        primitives.append(Times(sequence, returns - called if worker else returns))
    return tuple(primitives)


def window_opens_at(scenario: Scenario) -> int:
    """Packets of one session under way at which it writes again when it sleeps: a third of its window is open.

    A writer is woken when what is free is at least half of what is taken (sk_stream_is_writeable). A reader keeps back
    what it does not acknowledge yet.
    """
    closes = window_closes_at(scenario)
    return max(packets_per_answer(scenario) - 1, min(closes - 1, closes - closes // 3))


def segment_work(scenario: Scenario) -> float:
    """Instructions of a segment that is sent, the charge to its memory cgroup among them."""
    return _charged(scenario, scenario.sockets.send_segment, scenario.sockets.charge_send)


def arrival_work(scenario: Scenario) -> float:
    """Instructions of a segment that arrives, from IP on, the charge to its memory cgroup among them."""
    return _charged(scenario, scenario.sockets.arrive, scenario.sockets.charge_arrive)


def emptying_work(scenario: Scenario) -> float:
    """Instructions of a read that empties a packet besides those of any read."""
    return _charged(scenario, scenario.sockets.read_packet, scenario.sockets.charge_read)


def _charged(scenario: Scenario, work: Quantity, charge: Quantity) -> float:
    return work.value + (charge.value if scenario.kernel.behaviour.memory_cgroups else 0.0)


def arriving(scenario: Scenario, worker: bool = False) -> dict[str, Any]:
    """Return what a segment executes from IP to its socket; a request or a reply acknowledges the one before.

    ConfigError where what both have in common is more than one of them.
    """
    sockets, instructions, names = scenario.sockets, arrival_work(scenario), ["arrive"]
    if scenario.traffic.application == "tcp-rr":
        for whole in ("arrive", "acknowledge"):
            if sockets.up_to_socket.value > getattr(sockets, whole).value:
                problem = f"is a part of sockets.{whole}, which is less"
                raise ConfigError(problem, key="sockets.up_to_socket", got=float(sockets.up_to_socket.value))
        instructions += sockets.acknowledge.value - sockets.up_to_socket.value
        names.append("acknowledge")
    return {"extra_instructions": instructions, "primitives": calls(scenario, *names, worker=worker)}


def pages(n_bytes: int) -> int:
    """Pages beyond the first that so many bytes touch."""
    return max(0, -(-n_bytes // PAGE_BYTES) - 1)


def pieces(n_bytes: int) -> int:
    """Copies that so many bytes of one call take: each fills a page fragment of the socket."""
    return max(1, -(-n_bytes // FRAGMENT_BYTES))


def answer_bytes(scenario: Scenario) -> int:
    """Size of the frame that comes back: headers, and of a reply its message."""
    replies = scenario.traffic.application == "tcp-rr"
    return TCP_HEADERS_BYTES + (scenario.traffic.message_bytes if replies else 0)


#: Registers that each session has for itself.
_OF_A_SESSION = (
    Register.GATHERED,
    Register.TICKET,
    Register.NO_SPACE,
    Register.XMIT_TICKET,
    Register.PRODUCER_TICKET,
    Register.WINDOW_SENT,
    Register.WINDOW_ACKNOWLEDGED,
    Register.READ_NEXT,
    Register.UNREAD,
    Register.UNACKNOWLEDGED,
)


def of_session(step: Step, number: int) -> Step:
    """Return a step of the session of that number: an actor of its own, with registers of its own."""
    if not number:
        return step

    def moved(register: int) -> int:
        return register + number * BANK if register in _OF_A_SESSION else register

    return replace(renumber(step, moved), actor=f"{step.actor}.{number}")
