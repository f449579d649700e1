"""Which way a packet takes through the transmit handler: XDP batch, one sendmsg per packet, or zero copy (B.0)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sim.config.scenario.scenario import Scenario
from sim.config.scenario.traffic import VNET_HEADER_BYTES
from sim.datapath.memory.page_frag import PageFragment, largest_xdp_packet
from sim.datapath.plan.plan import Jump
from sim.datapath.plan.step import go
from sim.datapath.vhost_net.modes import EMPTY

#: VHOST_GOODCOPY_LEN: shorter packets are always copied; so many bytes of the others are.
GOOD_COPY_BYTES = 256


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
        """Tell whether no flush ever holds two packets."""
        return self.gives_back != "batch" and not self.zerocopy

    @property
    def looks_ahead(self) -> bool:
        """Tell whether the avail index is looked at before each sendmsg (tx_can_batch, for MSG_MORE)."""
        return not self.batched and self.gives_back != "before-send"

    @property
    def onward(self) -> tuple[Jump, ...]:
        """Jumps to the next packet; the zero-copy function first looks for buffers that came back."""
        return (go("top"),) if self.zerocopy_function else (EMPTY, go("head"))

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
    can_batch = device.xdp_batching and not device.sndbuf_limited and not device.zerocopy_tx
    gives_back: Literal["batch", "before-send", "each"] = "each" if device.zerocopy_tx else "batch"
    if can_batch and not fits:
        gives_back = "before-send"
    return TransmitPath(
        batched=can_batch and fits,
        buffer="build" if fits and not device.sndbuf_limited else "alloc",
        gives_back=gives_back,
        zerocopy_function=device.zerocopy_tx,
        zerocopy=device.zerocopy_tx and VNET_HEADER_BYTES + packet_bytes >= GOOD_COPY_BYTES,
        packet_bytes=packet_bytes,
    )
