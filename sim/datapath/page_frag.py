"""The page fragment that XDP buffers are cut from (vhost_net_build_xdp, skb_page_frag_refill)."""

from __future__ import annotations

from dataclasses import dataclass

from sim.config.kernel import Behaviour
from sim.config.traffic import VNET_HEADER_BYTES

_ALIGN = 64


def _aligned(n_bytes: int) -> int:
    return -(-n_bytes // _ALIGN) * _ALIGN


def largest_xdp_packet(behaviour: Behaviour) -> int:
    """Largest frame that fits the XDP path: buffer and skb_shared_info in one page (kernel-accesses.md B.0)."""
    room = behaviour.page_bytes - _aligned(behaviour.shared_info_bytes)
    return room // _ALIGN * _ALIGN - behaviour.headroom_bytes - VNET_HEADER_BYTES


@dataclass(frozen=True)
class PageFragment:
    """How one page fragment is divided for frames of `packet_bytes`."""

    behaviour: Behaviour
    packet_bytes: int

    @property
    def buffer_bytes(self) -> int:
        """Bytes that one frame takes: headroom, vnet header, frame, shared info, each part aligned."""
        data = self.behaviour.headroom_bytes + VNET_HEADER_BYTES + self.packet_bytes
        return _aligned(data) + _aligned(self.behaviour.shared_info_bytes)

    @property
    def buffers(self) -> int:
        """Frames per page fragment."""
        return self.behaviour.page_frag_bytes // self.buffer_bytes

    @property
    def crossings(self) -> int:
        """Frames of a page fragment whose bytes cross a page boundary, so that the copy splits there."""
        page = self.behaviour.page_bytes
        starts = (number * self.buffer_bytes + self.behaviour.headroom_bytes for number in range(self.buffers))
        return sum(start // page != (start + self.packet_bytes - 1) // page for start in starts)
