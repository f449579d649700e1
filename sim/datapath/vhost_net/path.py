"""Which way a packet takes through the transmit handler: XDP batch, one sendmsg each, or zero copy (B.0)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from sim.config.scenario.scenario import Scenario
from sim.config.scenario.traffic import VNET_HEADER_BYTES
from sim.config.tables.kernel import Behaviour
from sim.datapath.host.sink import has_sink
from sim.datapath.plan.program import Program
from sim.datapath.plan.registers import R
from sim.datapath.plan.step import Anchor

#: VHOST_GOODCOPY_LEN: shorter packets are always copied; so many bytes of the others are.
GOOD_COPY_BYTES = 256
#: The cached avail index is used up.
NONE_KNOWN = R.AVAIL_IDX.equals(R.LAST_AVAIL_IDX)

_ALIGN = 64


class Next(IntEnum):
    """Values of the register AFTER_FLUSH: what the worker does after a flush."""

    PACKET = 0
    REQUEUE = 1
    SLEEP = 2
    RECHECK = 3
    SEND = 4
    POLL = 5
    SOCKET = 6


def next_packet(worker: Program) -> None:
    """Let the last step go on to the next packet: that of a chain that is known of, else behind a refill."""
    worker.jump(Anchor.REFILL, NONE_KNOWN)
    worker.jump(Anchor.PACKET)


def round_packets(scenario: Scenario, packet_bytes: int) -> int:
    """Packets after which a round ends: VHOST_NET_PKT_WEIGHT of them, or VHOST_NET_WEIGHT bytes."""
    behaviour = scenario.kernel.behaviour
    return min(behaviour.round_packets, -(-behaviour.round_bytes // (VNET_HEADER_BYTES + packet_bytes)))


def _aligned(n_bytes: int) -> int:
    return -(-n_bytes // _ALIGN) * _ALIGN


def _headroom_bytes(behaviour: Behaviour, xdp: bool) -> int:
    """Bytes in front of a frame; a native XDP program wants more."""
    return behaviour.headroom_bytes if xdp else behaviour.headroom_without_xdp_bytes


def largest_xdp_packet(behaviour: Behaviour, xdp: bool = True) -> int:
    """Largest frame that fits the XDP path: buffer and skb_shared_info in one page (kernel-accesses.md B.0)."""
    room = behaviour.page_bytes - _aligned(behaviour.shared_info_bytes)
    return room // _ALIGN * _ALIGN - _headroom_bytes(behaviour, xdp) - VNET_HEADER_BYTES


@dataclass(frozen=True)
class PageFragment:
    """How the page fragment that XDP buffers are cut from (skb_page_frag_refill) is divided for frames of a size.

    `xdp`: a native program is attached.
    """

    behaviour: Behaviour
    packet_bytes: int
    xdp: bool = True

    @property
    def buffer_bytes(self) -> int:
        """Bytes that one frame takes: headroom, vnet header, frame, shared info, each part aligned."""
        data = _headroom_bytes(self.behaviour, self.xdp) + VNET_HEADER_BYTES + self.packet_bytes
        return _aligned(data) + _aligned(self.behaviour.shared_info_bytes)

    @property
    def buffers(self) -> int:
        """Frames per page fragment."""
        return self.behaviour.page_frag_bytes // self.buffer_bytes

    @property
    def crossings(self) -> int:
        """Frames of a page fragment whose bytes cross a page boundary, so that the copy splits there."""
        page = self.behaviour.page_bytes
        headroom = _headroom_bytes(self.behaviour, self.xdp)
        starts = (number * self.buffer_bytes + headroom for number in range(self.buffers))
        return sum(start // page != (start + self.packet_bytes - 1) // page for start in starts)


@dataclass(frozen=True)
class TransmitPath:
    """The path of packets of one size.

    `gives_back` says when used elements are written: a batch at a time, before the next sendmsg, or for each packet.
    """

    batched: bool
    buffer: Literal["build", "alloc"]
    gives_back: Literal["batch", "before-send", "each"]
    zerocopy_function: bool
    zerocopy: bool
    packet_bytes: int

    @property
    def one_by_one(self) -> bool:
        """Whether no flush ever holds two packets."""
        return self.gives_back != "batch" and not self.zerocopy

    @property
    def looks_ahead(self) -> bool:
        """Whether the avail index is looked at before each sendmsg (tx_can_batch, for MSG_MORE)."""
        return not self.batched and self.gives_back != "before-send"

    def next_packet(self, worker: Program) -> None:
        """Let the last step go on to the next packet; the zero-copy function first looks for buffers that came back."""
        if self.zerocopy_function:
            worker.jump(Anchor.NEXT_PACKET)
        else:
            next_packet(worker)

    def takes_fragment_again(self, scenario: Scenario) -> bool:
        """Return whether a used-up page fragment may be free again: its frames are, once the batch has been sent.

        A NIC or a process that reads frees them when it likes.
        """
        return self.batched and scenario.kernel.behaviour.reuses_page_fragment and not has_sink(scenario)

    def fragment(self, scenario: Scenario) -> PageFragment | None:
        """Return the page fragment that the path uses up, None where it gives each buffer back at once or has none.

        tun_build_skb moves on in the fragment only when the buffer leaves it: not when the program drops.
        """
        drops = scenario.backend.kind == "tap-xdp-drop"
        if self.buffer == "alloc" or (drops and not self.batched):
            return None
        return PageFragment(scenario.kernel.behaviour, self.packet_bytes, scenario.backend.runs_xdp)


def transmit_path(scenario: Scenario, packet_bytes: int) -> TransmitPath:
    """Return the path of packets of one size."""
    device, backend = scenario.device, scenario.backend
    fits = packet_bytes <= largest_xdp_packet(scenario.kernel.behaviour, backend.runs_xdp)
    can_batch = not device.sndbuf_limited and not device.zerocopy_tx and device.xdp_batching
    can_build = not device.sndbuf_limited and (can_batch or backend.kind != "macvtap")  # tap_get_user allocates
    gives_back: Literal["batch", "before-send", "each"] = "each" if device.zerocopy_tx else "batch"
    if can_batch and not fits:
        gives_back = "before-send"
    return TransmitPath(
        batched=can_batch and fits,
        buffer="build" if fits and can_build else "alloc",
        gives_back=gives_back,
        zerocopy_function=device.zerocopy_tx,
        zerocopy=device.zerocopy_tx and VNET_HEADER_BYTES + packet_bytes >= GOOD_COPY_BYTES,
        packet_bytes=packet_bytes,
    )
