"""Sections `driver`, `device` and `backend` of a scenario: who fills the ring, who empties it, what is behind."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from sim.config.quantity import Quantity, Strict, guess, require_unit


class Driver(Strict):
    """The guest side: who fills the ring."""

    kind: Literal["virtio-user", "virtio-net", "xsk", "lockstep"] = Field(
        "virtio-user",
        description="virtio-user: DPDK testpmd; virtio-net: Linux guest with NAPI and interrupts; "
        "xsk: program on an AF_XDP socket; "
        "lockstep: publishes `burst`, kicks, waits until all are used",
    )
    burst: int = Field(32, ge=1, le=32768, description="packets per index write at most")
    packet_cost: Quantity = Field(
        default_factory=lambda: guess(
            45, "ns", 30, 120, "DESIGN 6b.10: testpmd txonly per packet, line transfers apart"
        ),
        description="driver's own work per packet",
    )
    free_threshold: int = Field(32, ge=0, description="DPDK tx_free_thresh: reclaim in bulk above size minus this")

    @field_validator("packet_cost")
    @classmethod
    def _in_ns(cls, cost: Quantity) -> Quantity:
        require_unit("packet_cost", cost, "ns")
        return cost


class Device(Strict):
    """The host side: the vhost worker."""

    kind: Literal["vhost_net", "vhost_user", "af_xdp"] = Field(
        "vhost_net",
        description="vhost_net: kernel worker; vhost_user: DPDK polling in user space; af_xdp: kernel side of an "
        "AF_XDP socket, whose rings have virtqueue.size entries each",
    )
    direction: Literal["tx", "rx"] = Field("tx", description="tx: guest to host; rx: host to guest")
    batch: int = Field(64, ge=1, le=1024, description="VHOST_NET_BATCH: packets per flush")
    zerocopy_tx: bool = Field(
        False, description="experimental_zcopytx; v4.20 to v5.2 default to true, v5.3 and later to false"
    )
    reuse_bytes_per_packet: Quantity = Field(
        default_factory=lambda: guess(
            384,
            "bytes",
            192,
            1024,
            "bytes that the worker touches per packet besides the ring: payload, buffer, bookkeeping",
        ),
        description="with the ring size, decides whether a line met again a lap later comes from L1, L2 or L3",
    )

    @field_validator("zerocopy_tx")
    @classmethod
    def _not_modelled(cls, on: bool) -> bool:
        if on:
            raise ValueError("the zero-copy transmit function is not modelled yet; only false is accepted")
        return on

    @field_validator("reuse_bytes_per_packet")
    @classmethod
    def _in_bytes(cls, reuse: Quantity) -> Quantity:
        require_unit("reuse_bytes_per_packet", reuse, "bytes")
        return reuse


class Backend(Strict):
    """What happens to a packet behind the worker."""

    kind: Literal["tap-xdp-drop"] = Field("tap-xdp-drop", description="TAP with a native XDP program that drops")
    program_instructions: Quantity = Field(
        default_factory=lambda: guess(
            50, "instructions", 40, 60, "DESIGN 6b.15: xdp1 beyond the bare XDP_DROP that was counted"
        ),
        description="instructions of the XDP program beyond a bare XDP_DROP",
    )

    @field_validator("program_instructions")
    @classmethod
    def _in_instructions(cls, program: Quantity) -> Quantity:
        require_unit("program_instructions", program, "instructions")
        return program
