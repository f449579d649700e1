"""Section `receive` of a scenario: the guest's buffers, and the source that sends to the guest through the TAP."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from sim.config.tables.quantity import Quantity, Strict, guess, require_unit


class Source(Strict):
    """Who sends to the guest: a core of its own that puts packets into the TAP's ptr_ring."""

    kind: Literal["skb", "xdp_frame"] = Field(
        "skb", description="skb: one by one through tun_net_xmit; xdp_frame: redirected in bursts (tun_xdp_xmit)"
    )
    queue: int = Field(1000, ge=2, le=1 << 16, description="packets that the ptr_ring holds (tx_queue_len of the TAP)")
    burst: int = Field(
        16, ge=1, le=1024, description="xdp_frame: packets per lock and wake-up check (DEV_MAP_BULK_SIZE)"
    )
    packet_cost: Quantity = Field(
        default_factory=lambda: guess(
            100, "ns", 40, 250, "no figure: pktgen building an skb, or a NIC driver's receive and redirect, per packet"
        ),
        description="source's own work per packet, lines and locks apart",
    )

    @field_validator("packet_cost")
    @classmethod
    def _in_ns(cls, cost: Quantity) -> Quantity:
        require_unit("packet_cost", cost, "ns")
        return cost

    @property
    def packets_per_lock(self) -> int:
        """Packets that the source puts into the ptr_ring under one lock."""
        return self.burst if self.kind == "xdp_frame" else 1


class Receive(Strict):
    """How packets come into the guest (device.direction rx)."""

    mergeable: bool = Field(True, description="VIRTIO_NET_F_MRG_RXBUF: a packet may take several buffers")
    buffer_bytes: int = Field(2048, ge=64, le=1 << 20, description="bytes of one receive buffer, vnet header included")
    ring_batch: int = Field(
        64, ge=1, le=1024, description="packets taken from the TAP's ptr_ring at once (VHOST_NET_BATCH); 1: one by one"
    )
    read_bytes: int | Literal["full"] = Field(
        42, description="bytes of a received packet that the guest reads, or 'full'"
    )
    source: Source = Field(default_factory=Source, description="who sends to the guest")

    @field_validator("read_bytes")
    @classmethod
    def _not_negative(cls, read: int | str) -> int | str:
        if isinstance(read, int) and read < 0:
            raise ValueError("must be at least 0, or 'full'")
        return read
