"""Sockets: what comes up to one, a call that writes a message, those that read a packet, one that asks."""

from __future__ import annotations

from typing import Any

from sim.config.scenario.scenario import Scenario
from sim.config.tables.vocabulary import SYSTEM_CALL
from sim.datapath.applications.messages import (
    arriving,
    calls,
    emptying_work,
    is_application,
    pages,
    pieces,
    read_bytes,
)
from sim.datapath.memory.receive_memory import FRAGMENT_BYTES
from sim.datapath.plan.program import Program
from sim.datapath.plan.registers import R


def into_socket(worker: Program, scenario: Scenario, label: str, **each: Any) -> None:
    """Add what the host's stack does for a packet that has come up to it, if it is one of an application."""
    if not is_application(scenario):
        return
    if scenario.traffic.application == "udp":
        work: dict[str, Any] = {
            "function": "udp_rcv",
            "extra_instructions": scenario.sockets.datagram_arrive.value,
            "primitives": calls(scenario, "datagram_arrive", worker=True),
        }
    else:
        work = {"function": "tcp_v4_rcv", **arriving(scenario, worker=True)}
    worker.step(label, "from IP into the socket's queue", **work, **each)


def send_call(app: Program, scenario: Scenario, label: str, title: str) -> None:
    """Add a call that writes a message into a socket: its copy, and what the program does around it."""
    sockets, message = scenario.sockets, scenario.traffic.message_bytes
    datagrams = scenario.traffic.application == "udp"
    app.copy(label, title, "skb_copy", times=pieces(message), bytes=-(-message // pieces(message)))
    app.change(primitives=(*SYSTEM_CALL, *calls(scenario, "datagram_send" if datagrams else "send_call")))
    app.change(function="udp_sendmsg" if datagrams else "tcp_sendmsg", extra_ns=own_ns(app, scenario, message))
    called = sockets.datagram_send if datagrams else sockets.send_call
    app.change(extra_instructions=called.value + pages(message) * sockets.send_page.value)


def read_calls(app: Program, scenario: Scenario) -> None:
    """Add the calls that read a packet: each asks first where readers do, and copies piece by piece.

    It follows the step that takes a packet, and ends with one that says where to go on.
    """
    sockets, taken, count = scenario.sockets, read_bytes(scenario), read_pieces(scenario)
    datagrams = scenario.traffic.application == "udp"
    app.jump("read_on", R.UNREAD.at_least(taken))
    app.jump("read_all")
    with app.each("read"):
        if sockets.selects:
            app.step("read_on", "is something there? (select)", **asking(scenario))
        label = "read" if sockets.selects else "read_on"
        app.copy(label, "read: a call, its copy", "rx_payload_copy", times=count, bytes=-(-taken // count))
        app.change(primitives=(*SYSTEM_CALL, *calls(scenario, "datagram_read" if datagrams else "read_call")))
        app.change(function="udp_recvmsg" if datagrams else "tcp_recvmsg", extra_ns=own_ns(app, scenario, taken))
        called = sockets.datagram_read if datagrams else sockets.read_call
        app.change(extra_instructions=called.value + (count - 1) * sockets.read_piece.value)
        app.then(R.UNREAD.add(-taken))
        app.jump("read_on", R.UNREAD.at_least(taken))
    with app.each("packet"):
        app.step("read_all", "the packet is read", function="tcp_recvmsg")
        if not datagrams:
            app.change(extra_instructions=emptying_work(scenario), primitives=calls(scenario, "read_packet"))


def read_pieces(scenario: Scenario) -> int:
    """Pieces of a packet that one call of the reader copies, each in a window of its own.

    On the host they are those of the skb that the TAP built, in a guest page fragments of its receive buffers.
    """
    in_guest = scenario.device.direction == "rx"
    piece = FRAGMENT_BYTES if in_guest else scenario.kernel.behaviour.skb_piece_bytes
    return max(1, -(-read_bytes(scenario) // piece))


def asking(scenario: Scenario) -> dict[str, Any]:
    """Return what the call executes by which a reader asks whether there is something to read (select)."""
    sockets = scenario.sockets
    idle = sockets.asked - 1
    instructions = sockets.select_call.value + idle * sockets.select_idle.value
    primitives = (*SYSTEM_CALL, *calls(scenario, "select_call", *["select_idle"] * idle))
    return {"function": "core_sys_select", "extra_instructions": instructions, "primitives": primitives}


def own_ns(app: Program, scenario: Scenario, n_bytes: int) -> float:
    """Return what the program does around one call and with so many bytes, in ns: one of the guest, or of the host."""
    bytes_cost = scenario.driver.byte_cost if app.actor == "driver" else scenario.backend.receiver_byte_cost
    return scenario.sockets.own_cost.value + n_bytes * bytes_cost.value
