"""The page fragment that XDP buffers are cut from (vhost_net_build_xdp, skb_page_frag_refill)."""

from __future__ import annotations

from dataclasses import dataclass

from sim.config.scenario.traffic import VNET_HEADER_BYTES
from sim.config.tables.kernel import Behaviour

_ALIGN = 64


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
    """How one page fragment is divided for frames of `packet_bytes`; `xdp`: a native program is attached."""

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
