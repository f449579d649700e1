"""The shipped CPU table that stands in for what cannot be measured: by vendor, family and model, or by the caches."""

from __future__ import annotations

import math
from pathlib import Path

from sim.config.loading import paths
from sim.config.loading.load import load_of
from sim.config.tables.cpu import Cpu
from sim.host.machine import HostMachine

#: Intel family 6: model -> table. Numbers as in the kernel's arch/x86/include/asm/intel-family.h.
INTEL = {
    **dict.fromkeys((61, 71), "broadwell-2.6ghz"),
    **dict.fromkeys((79, 86), "broadwell-ep-e5-2650v4"),
    **dict.fromkeys((60, 63, 69), "haswell-ep"),
    **dict.fromkeys((78, 94, 142, 158), "kaby-lake-4.0ghz"),
    85: "skylake-sp",
    **dict.fromkeys((106, 108), "ice-lake-sp"),
    **dict.fromkeys((143, 207), "sapphire-rapids"),
    **dict.fromkeys((173, 174), "granite-rapids"),
}
_INTEL_TABLES = tuple(dict.fromkeys((*INTEL.values(), "cascade-lake")))
_AMD_TABLES = ("zen2", "zen3", "zen4", "zen5")
_ZEN4_MODELS = (*range(0x10, 0x20), *range(0x60, 0x80), *range(0xA0, 0xB0))
#: A hypervisor may mask the model: it is believed when L1 and L2 have the sizes of its table, within this factor.
_SAME_SIZE = 1.5


def by_model(machine: HostMachine) -> str | None:
    """Return the table for a vendor, family and model; None for one that is not known."""
    if machine.vendor == "AuthenticAMD":
        if machine.family == 25:
            return "zen4" if machine.model in _ZEN4_MODELS else "zen3"
        return {23: "zen2", 26: "zen5"}.get(machine.family)
    return INTEL.get(machine.model) if machine.vendor == "GenuineIntel" and machine.family == 6 else None


def _cache_ratios(machine: HostMachine, table: Cpu) -> list[float]:
    pairs = ((machine.l1_bytes, table.l1_bytes.value), (machine.l2_bytes, table.l2_bytes.value))
    return [seen / listed for seen, listed in pairs if seen]


def _distance(machine: HostMachine, table: Cpu) -> float:
    """Return the distance of the caches, and a step for each feature that differs."""
    features = table.features
    differing = [flag for flag in ("smap", "fsrm", "erms") if (flag in machine.flags) != getattr(features, flag).value]
    return sum(abs(math.log2(ratio)) for ratio in _cache_ratios(machine, table)) + len(differing)


def nearest_table(machine: HostMachine, configs: Path | None = None) -> tuple[Cpu, str]:
    """Return the nearest table and why it was chosen."""
    named = by_model(machine)
    known = paths.names("cpu", configs)
    if named in known:
        table = load_of(Cpu, str(named), configs)
        if all(1 / _SAME_SIZE < ratio < _SAME_SIZE for ratio in _cache_ratios(machine, table)):
            return table, f"family {machine.family} model {machine.model}"
    names = _AMD_TABLES if machine.vendor == "AuthenticAMD" else _INTEL_TABLES
    tables = [load_of(Cpu, name, configs) for name in names if name in known]
    best = min(tables, key=lambda table: (_distance(machine, table), table.name))
    why = f"its caches are nearest (L1 {machine.l1_bytes >> 10} KiB, L2 {machine.l2_bytes >> 10} KiB)"
    return best, why + (f"; family {machine.family} model {machine.model} does not fit them" if named else "")
