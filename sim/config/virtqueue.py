"""Section `virtqueue` of a scenario: ring geometry and negotiated features."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from sim.config.quantity import Strict


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
