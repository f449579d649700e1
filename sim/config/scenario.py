"""Schema of `configs/scenarios/*.yaml`: one question, fully stated.

A `Scenario` is resolved: the CPU, kernel and access tables that its file names stand inside it, so that a resolved
scenario written to disk says everything that its numbers depend on.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from sim.config.cpu import Cpu
from sim.config.errors import ConfigError, nearest
from sim.config.kernel import Access, Kernel
from sim.config.mix import Mix, PacketBytes
from sim.config.quantity import Quantity, Strict, require_unit

MAX_PACKETS = 10**9
VNET_HEADER_BYTES = 12
MIN_ON_THE_WIRE_BYTES = 42


class Mitigations(Strict):
    """What is switched on in the host kernel."""

    smap: bool = Field(True, description="SMAP: stac and clac around every user access (needs a CPU that has it)")
    spectre_v1: bool = Field(True, description="barrier_nospec(): lfence in the getters that use it")
    hardened_usercopy: bool = Field(False, description="HARDENED_USERCOPY: object size checks")
    retpoline: bool = Field(True, description="retpolines on indirect calls")


class Virtqueue(Strict):
    """Ring geometry and negotiated features."""

    layout: Literal["split"] = Field("split", description="ring layout")
    size: int = Field(256, ge=1, le=32768, description="ring entries, a power of two")
    event_idx: bool = Field(False, description="VIRTIO_RING_F_EVENT_IDX")
    indirect: bool = Field(False, description="each packet is one ring descriptor pointing at an indirect table")
    in_order: bool = Field(False, description="VIRTIO_F_IN_ORDER")
    iotlb: bool = Field(False, description="device IOTLB (VIRTIO_F_ACCESS_PLATFORM)")
    descriptors_per_packet: int = Field(1, ge=1, le=16, description="descriptors in a chain, or in its indirect table")

    @field_validator("size")
    @classmethod
    def _power_of_two(cls, size: int) -> int:
        if size & (size - 1):
            raise ValueError(f"{size} is not a power of two (a split ring's size is one)")
        return size

    @field_validator("in_order", "iotlb")
    @classmethod
    def _not_modelled(cls, on: bool) -> bool:
        if on:
            raise ValueError("is not modelled yet; only false is accepted")
        return on

    @model_validator(mode="after")
    def _chain_fits(self) -> Virtqueue:
        if self.ring_entries_per_packet > self.size:
            raise ValueError(
                f"a chain of {self.descriptors_per_packet} descriptors does not fit a queue of {self.size}"
            )
        return self

    @property
    def ring_entries_per_packet(self) -> int:
        """Ring descriptors that one packet occupies."""
        return 1 if self.indirect else self.descriptors_per_packet


def _guess(value: float, unit: str, low: float, high: float, source: str) -> Quantity:
    return Quantity(value=value, unit=unit, low=low, high=high, source=source, grade="guess")


class Driver(Strict):
    """The guest side: who fills the ring."""

    kind: Literal["virtio-user", "lockstep"] = Field(
        "virtio-user",
        description="virtio-user: DPDK testpmd txonly; lockstep: publishes `burst`, kicks, waits until all are used",
    )
    burst: int = Field(32, ge=1, le=32768, description="packets per index write at most")
    packet_cost: Quantity = Field(
        default_factory=lambda: _guess(
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

    kind: Literal["vhost_net"] = Field("vhost_net", description="device implementation")
    direction: Literal["tx"] = Field("tx", description="tx: guest to host")
    batch: int = Field(64, ge=1, le=1024, description="VHOST_NET_BATCH: packets per flush")
    zerocopy_tx: bool = Field(
        False, description="experimental_zcopytx; v4.20 to v5.2 default to true, v5.3 and later to false"
    )
    reuse_bytes_per_packet: Quantity = Field(
        default_factory=lambda: _guess(
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
        default_factory=lambda: _guess(
            50, "instructions", 40, 60, "DESIGN 6b.15: xdp1 beyond the bare XDP_DROP that was counted"
        ),
        description="instructions of the XDP program beyond a bare XDP_DROP",
    )

    @field_validator("program_instructions")
    @classmethod
    def _in_instructions(cls, program: Quantity) -> Quantity:
        require_unit("program_instructions", program, "instructions")
        return program


class Placement(Strict):
    """Where driver and worker run."""

    smt_siblings: bool = Field(False, description="driver and worker share a core")
    same_socket: bool = Field(True, description="driver and worker share a socket")

    @model_validator(mode="after")
    def _siblings_share_a_socket(self) -> Placement:
        if self.smt_siblings and not self.same_socket:
            raise ValueError("smt_siblings share a core, so same_socket cannot be false")
        return self


class Load(Strict):
    """Offered load: the driver always has packets, or they arrive at a rate."""

    kind: Literal["saturate", "constant", "poisson", "on-off"] = Field("saturate", description="arrival process")
    pps: float = Field(0.0, ge=0, le=1e9, description="offered packets per second (not with saturate; on-off: when on)")
    on_us: float = Field(0.0, ge=0, le=1e9, description="on-off: microseconds in which packets arrive")
    off_us: float = Field(0.0, ge=0, le=1e9, description="on-off: microseconds in which none arrive")
    backlog: int = Field(
        512,
        ge=1,
        le=1 << 20,
        description="packets that wait in front of the driver (its receive ring); more are dropped",
    )

    @model_validator(mode="after")
    def _rate_where_needed(self) -> Load:
        if (self.kind == "saturate") != (self.pps == 0):
            raise ValueError("load needs a rate above 0 with constant, poisson or on-off, and none with saturate")
        if (self.kind == "on-off") != (self.on_us > 0 or self.off_us > 0):
            raise ValueError("on_us and off_us go with on-off, and it needs them")
        if self.kind == "on-off" and self.packets_per_period < 1:
            raise ValueError(f"on_us: no packet arrives within {self.on_us:g} us at {self.pps:g} packets/s")
        return self

    @property
    def packets_per_period(self) -> int:
        """Packets of one on-off period."""
        return int(self.pps * self.on_us / 1e6)

    @property
    def mean_pps(self) -> float:
        """Offered packets per second, averaged over on and off."""
        if self.kind != "on-off":
            return self.pps
        return self.packets_per_period * 1e6 / (self.on_us + self.off_us)


class Traffic(Strict):
    """What is sent."""

    packet_bytes: list[PacketBytes] = Field(min_length=1, description="frame sizes without vnet header and FCS")
    mix: Mix | None = Field(
        None, description="packet sizes drawn at random instead: imix, {bytes: [...], weights: [...]} or a CSV file"
    )
    dirty_bytes: int | Literal["full"] = Field(
        MIN_ON_THE_WIRE_BYTES, description="bytes of a packet that the sender has just written, or 'full'"
    )
    load: Load = Field(default_factory=lambda: Load(kind="saturate", pps=0.0), description="offered load")

    @property
    def sizes(self) -> list[int]:
        """Sizes to simulate one by one; a mix is one, named by its mean."""
        return self.packet_bytes if self.mix is None else [self.mix.mean_bytes]

    @field_validator("load", mode="before")
    @classmethod
    def _short_forms(cls, load: object) -> object:
        if load == "saturate":
            return {"kind": "saturate"}
        if isinstance(load, str):  # YAML reads 5e6 as text, 5.0e+6 as a number
            try:
                load = float(load)
            except ValueError:
                raise ValueError("is 'saturate', a rate in packets per second, or a mapping of kind and pps") from None
        if isinstance(load, int | float) and not isinstance(load, bool):
            return {"kind": "constant", "pps": load}
        return load

    @field_validator("packet_bytes", mode="before")
    @classmethod
    def _one_or_many(cls, sizes: object) -> object:
        return [sizes] if isinstance(sizes, int) else sizes

    @field_validator("packet_bytes")
    @classmethod
    def _no_twins(cls, sizes: list[int]) -> list[int]:
        if len(set(sizes)) != len(sizes):
            raise ValueError("a size is given twice")
        return sizes

    @field_validator("dirty_bytes")
    @classmethod
    def _not_negative(cls, dirty: int | str) -> int | str:
        if isinstance(dirty, int) and dirty < 0:
            raise ValueError("must be at least 0, or 'full'")
        return dirty


class Run(Strict):
    """How long and how to simulate."""

    packets: int = Field(200_000, ge=1, le=MAX_PACKETS, description="packets at most, per access variant and size")
    seed: int = Field(1, ge=0, le=2**63 - 1, description="key of the random draws (0 is a seed)")
    engine: Literal["fast", "reference"] = Field(
        "fast", description="fast: compiled; reference: SimPy, written to be read; both give the same trace"
    )
    precision: float = Field(
        0.002, ge=0, le=1, description="stop when the 95 % interval of pps is within this fraction (0: run all packets)"
    )


class Scenario(Strict):
    """A resolved scenario: every table that the answer depends on stands inside it."""

    schema_: Literal[1]
    kind: Literal["scenario"] = "scenario"
    name: str
    title: str = ""
    source: str = ""
    cpu: Cpu
    kernel: Kernel
    calibration: str | None = None
    mitigations: Mitigations = Field(default_factory=Mitigations)
    virtqueue: Virtqueue = Field(default_factory=Virtqueue)
    driver: Driver = Field(default_factory=Driver)
    device: Device = Field(default_factory=Device)
    backend: Backend = Field(default_factory=Backend)
    placement: Placement = Field(default_factory=Placement)
    traffic: Traffic
    access: list[Access] = Field(min_length=1)
    run: Run = Field(default_factory=Run)

    @model_validator(mode="after")
    def _coherent(self) -> Scenario:
        names = [variant.name for variant in self.access]
        if len(set(names)) != len(names):
            raise ValueError("access: a variant is named twice")
        return self

    def variant(self, name: str) -> Access:
        """Return the access variant of that name; ConfigError when the scenario does not list it."""
        variants = {variant.name: variant for variant in self.access}
        if name not in variants:
            raise ConfigError(f"access variant '{name}' is not in scenario {self.name}{nearest(name, variants)}")
        return variants[name]
