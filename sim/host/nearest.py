"""The CPU table that stands in for what cannot be measured: by signature, or by caches and flags, and what differs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from sim.config.errors import ConfigError
from sim.config.loading import paths
from sim.config.loading.load import load_of
from sim.config.tables.cpu import Cpu, Signature
from sim.costs.audit import quantities
from sim.host.machine import HostMachine

#: A hypervisor may mask the model: it is believed when L1 and L2 have the sizes of its table, within this factor. Those
#: of a relative may be further off.
_SAME_SIZE = 1.5
_RELATED_SIZE = 2.0
#: Flags that change what a kernel executes, as features of a table.
_FLAGS = ("smap", "fsrm", "erms")
_OF_CORE = ("l1", "l2")
_LEVELS = (*_OF_CORE, "l3")


@dataclass(frozen=True)
class NearestTable:
    """The table that was chosen, why, and how the machine differs from it as far as its kernel shows."""

    table: Cpu
    why: str
    differs: tuple[str, ...]


def check_x86(machine: HostMachine) -> None:
    """Raise ConfigError for a machine whose kernel names no x86 vendor and family: no table is near it."""
    if not machine.vendor or not machine.family:
        name = "" if machine.model_name == "unknown" else f" ({machine.model_name})"
        raise ConfigError(
            f"measure: no table is near this CPU{name}: an x86 CPU shows vendor_id and cpu family in /proc/cpuinfo"
        )


def nearest_table(machine: HostMachine, configs: Path | None = None) -> NearestTable:
    """Choose the table whose signature is the machine's, else a relative's, else the one with the nearest caches.

    A table in `configs` comes before a shipped one of the same signature. Raises ConfigError for a machine that is not
    x86.
    """
    check_x86(machine)
    files = paths.names("cpu", configs)
    shipped_last = sorted(files, key=lambda name: configs is None or configs not in files[name].parents)
    tables = [load_of(Cpu, name, configs) for name in shipped_last]
    named = [(table, signature) for table in tables for signature in table.signatures if _holds(signature, machine)]
    named.sort(key=lambda pair: bool(pair[1].differs))
    for table, signature in named:
        if _fits(machine, table, _RELATED_SIZE if signature.differs else _SAME_SIZE):
            return _chosen(machine, table, machine.signature, signature)
    best = min(_relatives(machine, tables), key=lambda table: (_distance(machine, table), _guesses(table), table.name))
    why = f"its caches are nearest (L1 {machine.l1_bytes >> 10} KiB, L2 {machine.l2_bytes >> 10} KiB)"
    doubt = f"; {machine.signature} does not fit them" if named else f"; no table is of {machine.signature}"
    return _chosen(machine, best, why + doubt)


def _holds(signature: Signature, machine: HostMachine) -> bool:
    return signature.holds(machine.vendor, machine.family, machine.model, machine.stepping)


def _chosen(machine: HostMachine, table: Cpu, why: str, signature: Signature | None = None) -> NearestTable:
    stated = []
    if signature is not None and signature.differs:
        stated.append(signature.differs)
    if signature is not None and signature.steppings and machine.stepping is None:
        stated.append(f"the stepping is not shown: the table is of {signature.steppings}")
    return NearestTable(table, why, (*stated, *_differences(machine, table)))


def _relatives(machine: HostMachine, tables: list[Cpu]) -> list[Cpu]:
    """Return the tables of CPUs of the machine's vendor, or all where there are none."""
    same = [
        table for table in tables if any(own.vendor == machine.vendor for own in table.signatures if not own.differs)
    ]
    return same or [table for table in tables if table.signatures]


def _sizes(machine: HostMachine, table: Cpu) -> dict[str, tuple[float, float]]:
    """Return the size here and that of the table by level of cache, where the kernel shows one."""
    sizes = {level: (getattr(machine, f"{level}_bytes"), getattr(table, f"{level}_bytes").value) for level in _LEVELS}
    return {level: pair for level, pair in sizes.items() if all(pair)}


def _ratio(machine: HostMachine, table: Cpu, level: str) -> float:
    here, there = _sizes(machine, table).get(level, (1.0, 1.0))
    return here / there


def _fits(machine: HostMachine, table: Cpu, factor: float) -> bool:
    return all(1 / factor < _ratio(machine, table, level) < factor for level in _OF_CORE)


def _flags(machine: HostMachine, table: Cpu) -> list[str]:
    """Return the flags that only one of the machine and the table has."""
    return [flag for flag in _FLAGS if (flag in machine.flags) != getattr(table.features, flag).value]


def _guesses(table: Cpu) -> int:
    """Return how many entries of a table are guesses: of two that are as near, the better known one is taken."""
    return sum(entry.grade == "guess" for _, entry in quantities(table))


def _distance(machine: HostMachine, table: Cpu) -> float:
    """Return the distance of the caches of the core, and a step for each flag that differs."""
    sizes = sum(abs(math.log2(_ratio(machine, table, level))) for level in _OF_CORE)
    return sizes + len(_flags(machine, table))


def _differences(machine: HostMachine, table: Cpu) -> tuple[str, ...]:
    """Say how the machine differs from a table, as far as its kernel shows."""
    sizes = [
        f"{level.upper()} {_size(here)}, {_size(there)} in the table"
        for level, (here, there) in _sizes(machine, table).items()
        if not 1 / _SAME_SIZE < here / there < _SAME_SIZE
    ]
    flags = [f"{flag} only {'here' if flag in machine.flags else 'in the table'}" for flag in _flags(machine, table)]
    return (*sizes, *flags)


def _size(size: float) -> str:
    return f"{size / 2**20:.4g} MiB" if size >= 2**20 else f"{size / 2**10:.4g} KiB"
