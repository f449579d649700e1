"""What an application sends through sockets (keys of section `traffic`), and what its calls execute (`sockets`)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sim.config.tables.quantity import Instructions, Nanoseconds, Ratio, Strict, default_entry

#: none: packets of given sizes; the others write messages into sockets, whose stack makes packets of them.
Application = Literal["none", "tcp-stream", "tcp-rr", "udp"]

#: Bytes of TCP in a full Ethernet frame (MTU 1500, timestamps), and as many of them as fit one packet of 64 KB.
SEGMENT_BYTES = 1448
MOST_SEGMENT_BYTES = 45 * SEGMENT_BYTES
#: Ethernet, IPv4 and TCP headers with timestamps; Ethernet, IPv4 and UDP headers.
TCP_HEADERS_BYTES, UDP_HEADERS_BYTES = 66, 42
MOST_DATAGRAM_BYTES = 1472


def payload_bytes(application: Application, message_bytes: int) -> int:
    """Return the bytes of messages that one packet carries.

    A stream gathers whole calls until a frame is full; a longer message travels whole, in packets of up to 64 KB that
    whoever needs to cuts into frames.

    Examples
    --------
    >>> payload_bytes("tcp-stream", 64), payload_bytes("tcp-stream", 16384), payload_bytes("tcp-stream", 65536)
    (1448, 16384, 65160)
    >>> payload_bytes("tcp-rr", 1)
    1
    """
    if application == "tcp-stream":
        return min(MOST_SEGMENT_BYTES, max(SEGMENT_BYTES, message_bytes))
    return message_bytes


def frame_bytes(application: Application, message_bytes: int) -> int:
    """Return the size of the packets that an application's messages become, without vnet header and FCS."""
    headers = UDP_HEADERS_BYTES if application == "udp" else TCP_HEADERS_BYTES
    return headers + payload_bytes(application, message_bytes)


class Sockets(Strict):
    """What the socket layers of guest and host execute for an application (`traffic.application`)."""

    reads: Literal["message", "packet"] = Field(
        "packet",
        description="tcp-stream: bytes of one call that reads: those of a message, or whatever a packet has brought",
    )
    selects: bool = Field(False, description="the reader asks by a call of its own (select) before each read")
    asked: int = Field(
        1,
        ge=1,
        le=1024,
        description="sockets that such a call asks: the one that is read, and idle ones",
    )
    window: int = Field(
        3 << 20,
        ge=2 * MOST_SEGMENT_BYTES,
        le=1 << 30,
        description="bytes of one session that may be under way or unread",
    )
    own_cost: Nanoseconds = default_entry("sockets.own_cost", "the program's own work around one call")
    send_call: Instructions = default_entry("sockets.send_call", "a call that puts a message into an open segment")
    send_page: Instructions = default_entry("sockets.send_page", "each further 4 KiB of such a call")
    send_segment: Instructions = default_entry("sockets.send_segment", "a segment, from tcp_write_xmit to the device")
    arrive: Instructions = default_entry("sockets.arrive", "a segment that comes in, from IP to the socket's queue")
    read_call: Instructions = default_entry("sockets.read_call", "a call that reads from a socket")
    read_packet: Instructions = default_entry("sockets.read_packet", "what a call that empties a packet executes more")
    read_piece: Instructions = default_entry(
        "sockets.read_piece", "each further piece of a packet (a page, or a fragment of several) that a call reads"
    )
    charge_send: Instructions = default_entry("sockets.charge_send", "memory cgroups: charge of a segment that is sent")
    charge_arrive: Instructions = default_entry(
        "sockets.charge_arrive", "memory cgroups: charge of a segment that comes in"
    )
    charge_read: Instructions = default_entry(
        "sockets.charge_read", "memory cgroups: a packet is read, its charge goes"
    )
    tap_xmit: Instructions = default_entry("sockets.tap_xmit", "the host's TAP for a packet of a socket (tun_net_xmit)")
    answer: Instructions = default_entry("sockets.answer", "an acknowledgement, from its decision to the device")
    acknowledge: Instructions = default_entry(
        "sockets.acknowledge", "an acknowledgement that comes in: from IP to the segments that it frees"
    )
    up_to_socket: Instructions = default_entry(
        "sockets.up_to_socket",
        "what a segment that brings data and acknowledges, too, executes once: from IP to its socket",
    )
    indirect_calls: Ratio = default_entry(
        "sockets.indirect_calls", "share of the indirect calls of all of these that were counted on 6.1.192"
    )
    locked_operations: Ratio = default_entry(
        "sockets.locked_operations", "share of the locked operations of all of these that were counted on 6.1.192"
    )
    select_call: Instructions = default_entry(
        "sockets.select_call", "a call with a time limit that asks whether one socket is ready"
    )
    select_idle: Instructions = default_entry(
        "sockets.select_idle", "each further socket that such a call asks, waits for and leaves"
    )
    datagram_send: Instructions = default_entry("sockets.datagram_send", "a call that sends a datagram, to the device")
    datagram_arrive: Instructions = default_entry("sockets.datagram_arrive", "a datagram that comes in, from IP on")
    datagram_read: Instructions = default_entry("sockets.datagram_read", "a call that reads a datagram")
