"""Sections `virtqueue` and `queues` of a scenario: the ring, its features, the pairs of queues and who serves them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from sim.config.answer import counted
from sim.config.tables.quantity import Microseconds, Strict, default_entry

#: The rarest and the most frequent of what happens now and then; more seldom it is never, in any run.
LEAST_PER_SECOND, MOST_PER_SECOND = 1e-3, 1e6


def _is_sometimes(per_second: float) -> float:
    if 0 < per_second < LEAST_PER_SECOND:
        raise ValueError(f"0 (none), or at least {LEAST_PER_SECOND:g}")
    return per_second


PerSecond = Annotated[float, Field(ge=0, le=MOST_PER_SECOND), AfterValidator(_is_sometimes)]


class Virtqueue(Strict):
    """Ring geometry and negotiated features."""

    layout: Literal["split", "packed"] = Field("split", description="ring layout")
    size: int = Field(256, ge=1, le=32768, description="ring entries; a power of two if split, any number if packed")
    event_idx: bool = Field(False, description="VIRTIO_RING_F_EVENT_IDX")
    indirect: bool = Field(False, description="each packet is one ring descriptor pointing at an indirect table")
    packed_access: Literal["rfc", "ideal"] = Field(
        "rfc",
        description="packed ring of vhost_net; rfc: two reads per descriptor, one write per used buffer, a call at "
        "every flush; ideal: one read, one write, the driver's event structure is read (as vhost_user and qemu do)",
    )
    in_order: bool = Field(False, description="VIRTIO_F_IN_ORDER: buffers are used in the order of the ring")
    in_order_device: Literal["full", "avail", "used"] = Field(
        "full",
        description="what the device makes of IN_ORDER; avail: no read of the avail ring; used: one used element per "
        "batch (on receive per packet, which has a length of its own); full: both",
    )
    iotlb: bool = Field(False, description="device IOTLB (VIRTIO_F_ACCESS_PLATFORM); mapped variants are not used")
    iotlb_cache: bool = Field(True, description="O(1) metadata cache; false: each ring access walks the interval tree")
    iotlb_entries: int = Field(64, ge=1, le=65536, description="mappings in the device IOTLB, the size of its tree")
    iotlb_updates_per_second: PerSecond = Field(
        0, description="UPDATE and INVALIDATE messages; each clears the metadata cache of all queues"
    )
    iotlb_misses_per_second: PerSecond = Field(
        0, description="invalidations of a ring's mapping; the next round waits until it is back"
    )
    iotlb_miss_cost: Microseconds = default_entry(
        "virtqueue.iotlb_miss_cost", "from a miss until userspace has answered and the worker is queued again"
    )
    descriptors_per_packet: int = Field(1, ge=1, le=16, description="descriptors in a chain, or in its indirect table")
    memory_regions: int = Field(
        1, ge=1, le=65535, description="regions of the guest's memory, the size of the tree that addresses are found in"
    )

    @field_validator("size")
    @classmethod
    def _power_of_two(cls, size: int, info: ValidationInfo) -> int:
        if size & (size - 1) and info.data.get("layout") == "split":
            raise ValueError(f"{size} is not a power of two (a split ring's size is one)")
        return size

    @model_validator(mode="after")
    def _coherent(self) -> Virtqueue:
        if not self.iotlb and (self.iotlb_updates_per_second or self.iotlb_misses_per_second):
            raise ValueError("iotlb_updates_per_second and iotlb_misses_per_second need iotlb: true")
        if self.iotlb and self.memory_regions > 1:
            raise ValueError("memory_regions: with iotlb, addresses are found in its entries (iotlb_entries) instead")
        if self.ring_entries_per_packet > self.size:
            raise ValueError(
                f"a chain of {self.descriptors_per_packet} descriptors does not fit a queue of {self.size}"
            )
        return self

    @property
    def skips_avail_ring(self) -> bool:
        """Whether the device takes the head from its own count instead of the avail ring, which a packed ring lacks."""
        return self.in_order and self.layout == "split" and self.in_order_device in ("full", "avail")

    @property
    def one_used_element(self) -> bool:
        """Whether the device writes one used element per batch."""
        return self.in_order and self.in_order_device in ("full", "used")

    @property
    def ring_entries_per_packet(self) -> int:
        """Ring descriptors that one packet occupies."""
        return 1 if self.indirect else self.descriptors_per_packet


class Queues(Strict):
    """Queue pairs, the workers that serve them, and the cores that those run on. All queues are loaded alike."""

    pairs: int = Field(1, ge=1, le=64, description="queue pairs, of one device or of many; each has its own driver")
    workers: Literal["shared", "each"] = Field("shared", description="one worker for all pairs, or one for each")
    cores: int | None = Field(None, ge=1, le=64, description="cores of the workers (default: one for each worker)")

    @model_validator(mode="after")
    def _coherent(self) -> Queues:
        if self.cores is not None and self.cores > self._worker_count:
            idle = f"{counted(self.cores, 'core')} for {counted(self._worker_count, 'worker')}"
            raise ValueError(f"cores: {idle}; the others would idle")
        if self.pairs % self.lanes:
            raise ValueError(f"pairs: {self.pairs} pairs do not divide evenly among {self.lanes} cores")
        return self

    @property
    def _worker_count(self) -> int:
        return self.pairs if self.pairs > 1 and self.workers == "each" else 1

    @property
    def lanes(self) -> int:
        """Cores that serve queues side by side, each like the others."""
        return self.cores or self._worker_count

    @property
    def per_core(self) -> int:
        """Queue pairs that one core serves in turn."""
        return self.pairs // self.lanes

    @property
    def basis(self) -> str:
        """What rates, times and shares of an answer are those of, in words for every form of it."""
        queues = f"all {self.pairs} queues" if self.pairs > 1 else "1 queue"
        core = f"one of {self.lanes} worker cores" if self.lanes > 1 else "1 worker core"
        ring = "one queue" if self.pairs > 1 else "that queue"
        return f"rates: {queues}; per packet: {core}; busy: one core each; latency, ring: {ring}; sizes: without FCS"

    @property
    def switching(self) -> bool:
        """Whether going to the next queue is going to another worker on the same core."""
        return self.per_core > 1 and self.workers == "each"
