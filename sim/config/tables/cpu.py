"""Schema of `configs/cpus/*.yaml`: what one CPU is, and what each primitive costs on it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from sim.config.errors import nearest
from sim.config.tables.quantity import (
    Bytes,
    Cycles,
    CyclesPerInstruction,
    Entries,
    Flag,
    Fraction,
    GigabytesPerSecond,
    Gigahertz,
    Headed,
    Instructions,
    Quantity,
    Ratio,
    Strict,
    check_unit,
)
from sim.config.tables.vocabulary import PRICED_BY_CPI, PRIMITIVES

_SAFE_BORDER = Flag(value=False, source="not among the CPUs that need it, as far as known; unverified", grade="guess")
_NOT_NEEDED = Flag(value=False, source="returns-and-functions.md: not among the CPUs that need it", grade="vendor")


class CpuFeatures(Strict):
    """Switches of a CPU that change what is executed or what waits."""

    smap: Flag = Field(description="has SMAP: stac and clac open and close every user access")
    smap_waits_for_loads: Flag = Field(description="stac and clac wait until all earlier loads have their data")
    erms: Flag = Field(description="`rep movsb` is fast for long copies (Enhanced REP MOVSB)")
    fsrm: Flag = Field(description="`rep movsb` is fast for copies of 1 to 128 bytes too (Fast Short REP MOVSB)")
    eibrs: Flag = Field(description="restricts indirect branches in hardware (eIBRS, AutoIBRS): no retpolines")
    pti: Flag = Field(description="needs page-table isolation against Meltdown: each system call pays for it")
    ibrs: Flag = Field(_SAFE_BORDER, description="needs IBRS at each entry of the kernel (default: no)")
    bhi: Flag = Field(_SAFE_BORDER, description="needs its branch history cleared at each entry (default: no)")
    mds: Flag = Field(_SAFE_BORDER, description="needs its buffers cleared on the way out, MDS or TAA (default: no)")
    spec_rstack_overflow: Flag = Field(_NOT_NEEDED, description="needs Safe RET in the kernel (default: no)")
    retbleed: Flag = Field(_NOT_NEEDED, description="needs untrained return thunks in the kernel (default: no)")
    indirect_target_selection: Flag = Field(_NOT_NEEDED, description="needs aligned return thunks (default: no)")


class Serialisation(Strict):
    """What makes a barrier more than a constant: it waits for what is in flight, and what follows it starts anew."""

    drain_tail: Cycles = Field(description="until the last work before a barrier has retired, at most (t)")
    refill: CyclesPerInstruction = Field(
        description="per instruction in front of a barrier: 1/issue width, 0 where none was seen"
    )
    scheduler_entries: Entries = Field(description="instructions that wait to run at most, so that many count (Q)")
    lock_hidden: Cycles = Field(description="of a locked operation, hidden by the work since the last one at most")


class Signature(Strict):
    """CPUs as the kernel names them in /proc/cpuinfo: vendor, family, models and steppings."""

    vendor: str = Field(min_length=1, description="`vendor_id`: GenuineIntel, AuthenticAMD or another")
    family: int = Field(ge=0, description="`cpu family`")
    models: str = Field("", description="`model`: numbers and ranges, as in `61, 71` or `48-79` (default: all)")
    steppings: str = Field("", description="`stepping`: numbers and ranges (default: all)")
    differs: str = Field(
        "", description="what these CPUs are and how they differ, where the table is not of them but of a relative"
    )

    @field_validator("models", "steppings")
    @classmethod
    def _readable(cls, text: str) -> str:
        _ranges(text)
        return text

    def holds(self, vendor: str, family: int, model: int, stepping: int | None) -> bool:
        """Return whether a CPU is one of these; one whose stepping is not known may be."""
        if (vendor, family) != (self.vendor, self.family):
            return False
        return _within(model, self.models) and (stepping is None or _within(stepping, self.steppings))


def _ranges(text: str) -> list[range]:
    """Read numbers and ranges between commas. ValueError for anything else."""
    ranges = []
    for part in text.split(",") if text else []:
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or (dash and int(last) < int(first)):
            raise ValueError(f"'{part.strip()}' is no number or range such as 48-79")
        ranges.append(range(int(first), int(last or first) + 1))
    return ranges


def _within(number: int, text: str) -> bool:
    return not text or any(number in numbers for numbers in _ranges(text))


class MachineState(Strict):
    """The machine that a profile was measured on, and when."""

    model: str = Field(description="model name of /proc/cpuinfo")
    microcode: str = Field(description="microcode revision")
    kernel: str = Field(description="release of the running kernel")
    governor: str = Field(description="frequency governor")
    virtualised: bool = Field(description="the machine is a virtual one")
    smt: bool = Field(description="SMT is on")
    mitigations: dict[str, str] = Field(description="each vulnerability: what the kernel says it does about it")
    cpus: list[int] = Field(description="CPUs that the benchmarks ran on")
    started: str = Field(description="date and time of the start (UTC)")


class Repeats(Strict):
    """The repeats behind one measured entry, in its unit; an unstable one has repeats that disagree."""

    repeats: list[float] = Field(description="value of each round, in the entry's unit")
    outliers: int = Field(description="rounds left out of the entry")
    stable: bool = Field(description="the repeats agree")


class Measured(Strict):
    """How a measured profile came about: the machine, the raw repeats of each entry, and what was refused."""

    machine: MachineState = Field(description="the machine that was measured")
    nearest: str = Field(description="shipped CPU table that entries which cannot be measured come from")
    entries: dict[str, Repeats] = Field(description="each measured entry: its raw repeats")
    refused: dict[str, str] = Field(description="each entry that was measured and not used: why")


class Cpu(Headed):
    """One CPU: clock, work rate, memory-level parallelism, caches, and the cost of every primitive."""

    kind: Literal["cpu"] = "cpu"
    signatures: list[Signature] = Field(
        default_factory=list,
        description="the CPUs that `measure` takes this table for; a table that extends it has none",
    )
    known_as: list[str] = Field(default_factory=list, description="other names of these CPUs, for who looks for them")
    features: CpuFeatures = Field(description="switches that change what is executed or what waits")
    core_ghz: Gigahertz = Field(description="clock of the worker's core under load, in GHz")
    cpi: CyclesPerInstruction = Field(
        description="cycles per instruction between accesses; barriers, SMAP toggles and misses apart"
    )
    overlap: Fraction = Field(description="share of the work behind a load miss that hides its latency (0 to 1)")
    reorder_buffer: Instructions = Field(description="instructions that the core looks ahead while a load misses")
    serialisation: Serialisation = Field(description="what barriers and locked operations wait for, and hide")
    store_buffer: Entries = Field(description="entries of the store buffer; stores wait for lines when it is full")
    payload_exposed: Fraction = Field(description="share of a packet's first dirty line that its copy waits for")
    copy_tail: Cycles = Field(
        description="end of a copy that runs only once its first dirty line is there, at most; the rest runs meanwhile"
    )
    next_line_prefetch: Fraction = Field(
        description="how far a modified line is a hit in L2 that a miss on the one before it has brought along"
    )
    l1_bytes: Bytes = Field(description="size of the first-level data cache, in bytes")
    l2_bytes: Bytes = Field(description="size of the core's second-level cache, in bytes")
    l3_bytes: Bytes = Field(description="size of the last-level cache, in bytes")
    l1_dtlb_entries: Entries = Field(description="entries of the first-level data TLB")
    stlb_entries: Entries = Field(description="entries of the second-level TLB")
    smt_slowdown: Ratio = Field(description="cycles per instruction with a busy SMT sibling, against alone (a ratio)")
    uncore_bandwidth: GigabytesPerSecond = Field(
        description="bytes that move between the cores, caches and memory of one socket, all cores together, in GB/s"
    )
    primitives: dict[str, Quantity] = Field(description="each primitive: what it costs each time, in its unit")
    measured: Measured | None = Field(None, description="how a measured profile came about (shipped tables: none)")

    @field_validator("primitives")
    @classmethod
    def _known_primitives(cls, table: dict[str, Quantity]) -> dict[str, Quantity]:
        priced = set(PRIMITIVES) - set(PRICED_BY_CPI)
        for name, entry in table.items():
            if name not in priced:
                raise ValueError(f"unknown primitive '{name}'{nearest(name, priced)}")
            try:
                check_unit(entry, PRIMITIVES[name].unit)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
        return table

    @model_validator(mode="after")
    def _signs(self) -> Cpu:
        if self.cpi.value <= 0:
            raise ValueError("cpi: must be above 0")
        if self.store_buffer.low < 1:
            raise ValueError("store_buffer: a store waits in an entry, so that there is at least 1")
        if self.smt_slowdown.low < 1:
            raise ValueError("smt_slowdown: sharing a core cannot make a thread faster")
        return self
