"""Schema of `configs/scenarios/*.yaml`: one question, fully stated.

A `Scenario` is resolved: the CPU, kernel and access tables that its file names stand inside it, so that a resolved
scenario written to disk says everything that its numbers depend on.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from sim.config.access import Access
from sim.config.cpu import Cpu
from sim.config.errors import ConfigError, nearest
from sim.config.kernel import Kernel
from sim.config.mapping import Memory
from sim.config.mitigations import Mitigations
from sim.config.placement import Placement
from sim.config.quantity import Strict
from sim.config.queues import Queues
from sim.config.receive import Receive
from sim.config.sides import Backend, Device, Driver
from sim.config.traffic import Traffic
from sim.config.virtqueue import Virtqueue

MAX_PACKETS = 10**9


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
    receive: Receive = Field(default_factory=Receive)
    placement: Placement = Field(default_factory=Placement)
    queues: Queues = Field(default_factory=Queues)
    memory: Memory = Field(default_factory=Memory)
    traffic: Traffic
    access: list[Access] = Field(min_length=1)
    run: Run = Field(default_factory=Run)

    @model_validator(mode="after")
    def _coherent(self) -> Scenario:
        names = [variant.name for variant in self.access]
        if len(set(names)) != len(names):
            raise ValueError("access: a variant is named twice")
        if self.kernel.device != self.device.kind:
            raise ValueError(
                f"kernel: '{self.kernel.name}' describes {self.kernel.device}, but device.kind is {self.device.kind}"
            )
        if (self.device.kind == "af_xdp") != (self.driver.kind == "xsk"):
            raise ValueError("driver.kind: xsk goes with device.kind af_xdp, and it needs it")
        return self

    def variant(self, name: str) -> Access:
        """Return the access variant of that name; ConfigError when the scenario does not list it."""
        variants = {variant.name: variant for variant in self.access}
        if name not in variants:
            raise ConfigError(f"access variant '{name}' is not in scenario {self.name}{nearest(name, variants)}")
        return variants[name]
