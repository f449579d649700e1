"""Schema of `configs/scenarios/*.yaml`: one question, fully stated.

A `Scenario` is resolved: the CPU, kernel and access tables that its file names stand inside it, so that a resolved
scenario written to disk says everything that its numbers depend on.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from sim.config.errors import ConfigError, nearest
from sim.config.scenario.endpoints import Backend, Device, Driver
from sim.config.scenario.mitigations import Mitigations
from sim.config.scenario.placement import Placement
from sim.config.scenario.queues import Queues
from sim.config.scenario.receive import Receive
from sim.config.scenario.traffic import Traffic
from sim.config.scenario.virtqueue import Virtqueue
from sim.config.tables.access import Access
from sim.config.tables.cpu import Cpu
from sim.config.tables.kernel import Kernel
from sim.config.tables.mapping import Memory
from sim.config.tables.quantity import Strict

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
    """A resolved scenario: every table that the answer depends on stands inside it.

    It is a pydantic model, validated and strict; `load_scenario` makes it, and a copy with other values is made by
    `load_scenario(..., overrides=[...])`. Its keys, with type, bounds, default and meaning, are on a page of the
    documentation.

    Examples
    --------
    >>> from sim import load_scenario
    >>> scenario = load_scenario("virtio-user-xdp1-tap")
    >>> scenario.virtqueue.size, scenario.cpu.core_ghz.value, scenario.traffic.sizes[0]
    (256, 3.0152, 64)
    """

    schema_: Literal[1]
    kind: Literal["scenario"] = "scenario"
    name: str = Field(description="name by which commands refer to it")
    title: str = Field("", description="what tables and reports call it")
    source: str = Field("", description="where the configuration comes from, and what of it is assumed")
    cpu: Cpu = Field(description="CPU of driver and worker: a name of `list cpus`, a file, or the table itself")
    kernel: Kernel = Field(description="kernel of the host: a name of `list kernels`, a file, or the table itself")
    calibration: str | None = Field(None, description="calibration whose fitted values replace those of the tables")
    mitigations: Mitigations = Field(default_factory=Mitigations, description="what is switched on in the host kernel")
    virtqueue: Virtqueue = Field(default_factory=Virtqueue, description="the ring and its features")
    driver: Driver = Field(default_factory=Driver, description="guest side: who fills the ring")
    device: Device = Field(default_factory=Device, description="host side: who empties it")
    backend: Backend = Field(default_factory=Backend, description="what happens to a packet behind the device")
    receive: Receive = Field(default_factory=Receive, description="the guest's buffers and who sends to them")
    placement: Placement = Field(
        default_factory=Placement, description="where driver and worker run, and who else does"
    )
    queues: Queues = Field(default_factory=Queues, description="how many queue pairs there are, and who serves them")
    memory: Memory = Field(default_factory=Memory, description="the host's memory management, and the ring's pages")
    traffic: Traffic = Field(description="what is sent")
    access: list[Access] = Field(min_length=1, description="access variants to run: names of `list access`, or tables")
    run: Run = Field(default_factory=Run, description="how long and how to simulate")

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
        """Return the access variant of that name.

        Raises
        ------
        ConfigError
            When the scenario does not list it.
        """
        variants = {variant.name: variant for variant in self.access}
        if name not in variants:
            raise ConfigError(f"access variant '{name}' is not in scenario {self.name}{nearest(name, variants)}")
        return variants[name]
