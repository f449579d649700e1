"""Schema of `configs/cpus/*.yaml`: what one CPU is, and what each primitive costs on it."""

from __future__ import annotations

from typing import Literal

from pydantic import field_validator, model_validator

from sim.config.errors import nearest
from sim.config.primitives import PRICED_BY_CPI, PRIMITIVES
from sim.config.quantity import Flag, Quantity, Strict, require_unit


class CpuFeatures(Strict):
    """Switches of a CPU that change what is executed or what waits."""

    smap: Flag
    smap_waits_for_loads: Flag
    erms: Flag
    fsrm: Flag
    eibrs: Flag
    pti: Flag


class MachineState(Strict):
    """The machine that a profile was measured on, and when."""

    model: str
    microcode: str
    kernel: str
    governor: str
    virtualised: bool
    smt: bool
    mitigations: dict[str, str]
    cpus: list[int]
    started: str


class Repeats(Strict):
    """The repeats behind one measured entry, in its unit; an unstable one has repeats that disagree."""

    repeats: list[float]
    outliers: int
    stable: bool


class Measured(Strict):
    """How a measured profile came about: the machine, the raw repeats of each entry, and what was refused."""

    machine: MachineState
    nearest: str
    entries: dict[str, Repeats]
    refused: dict[str, str]


_UNITS = {
    "core_ghz": "GHz",
    "cpi": "cycles/instruction",
    "overlap": "fraction",
    "reorder_buffer": "instructions",
    "store_buffer": "entries",
    "payload_exposed": "fraction",
    "l1_bytes": "bytes",
    "l2_bytes": "bytes",
    "l3_bytes": "bytes",
    "l1_dtlb_entries": "entries",
    "stlb_entries": "entries",
    "smt_slowdown": "ratio",
    "uncore_bandwidth": "GB/s",
}


class Cpu(Strict):
    """One CPU: clock, work rate, memory-level parallelism, caches, and the cost of every primitive."""

    schema_: Literal[1]
    kind: Literal["cpu"] = "cpu"
    name: str
    title: str
    features: CpuFeatures
    core_ghz: Quantity
    cpi: Quantity
    overlap: Quantity
    reorder_buffer: Quantity
    store_buffer: Quantity
    payload_exposed: Quantity
    l1_bytes: Quantity
    l2_bytes: Quantity
    l3_bytes: Quantity
    l1_dtlb_entries: Quantity
    stlb_entries: Quantity
    smt_slowdown: Quantity
    uncore_bandwidth: Quantity
    primitives: dict[str, Quantity]
    measured: Measured | None = None

    @field_validator("primitives")
    @classmethod
    def _known_primitives(cls, table: dict[str, Quantity]) -> dict[str, Quantity]:
        priced = set(PRIMITIVES) - set(PRICED_BY_CPI)
        for name, entry in table.items():
            if name not in priced:
                raise ValueError(f"unknown primitive '{name}'{nearest(name, priced)}")
            require_unit(name, entry, PRIMITIVES[name].unit)
            if entry.unit == "bytes/cycle" and entry.value <= 0:
                raise ValueError(f"{name}: a rate must be above 0")
        return table

    @model_validator(mode="after")
    def _units_and_signs(self) -> Cpu:
        for name, unit in _UNITS.items():
            require_unit(name, getattr(self, name), unit)
        for name in ("core_ghz", "cpi", "store_buffer", "uncore_bandwidth"):
            if getattr(self, name).value <= 0:
                raise ValueError(f"{name}: must be above 0")
        if self.smt_slowdown.low < 1:
            raise ValueError("smt_slowdown: sharing a core cannot make a thread faster")
        for name in ("overlap", "payload_exposed"):
            if getattr(self, name).high > 1:
                raise ValueError(f"{name}: a fraction cannot exceed 1")
        return self
