"""The CPU profile that a recording gives: measured entries, and the nearest table's for what cannot be measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sim.config.answer import Answer, Record, counted
from sim.config.loading.load import read_table, validate
from sim.config.tables.cpu import Cpu, Measured, Repeats
from sim.config.tables.quantity import BOUNDS, Quantity
from sim.config.tables.vocabulary import BORDER_SEQUENCES
from sim.costs.audit import quantities
from sim.host.derive import LATER, calls_in_kernel, derive
from sim.host.entries import DerivedEntry
from sim.host.machine import HostMachine
from sim.host.nearest import nearest_table
from sim.host.quality import RepeatSummary, at_least_nothing, impossible, split, summarise, wrong_clock
from sim.host.recording import Recording
from sim.host.user_access import Toggles, kernel_entries, toggles

_DIGITS = 4
#: Groups of entries below the top level of a CPU table.
_SECTIONS = ("primitives", "serialisation")
_TOP = tuple(key for key, field in Cpu.model_fields.items() if field.annotation is Quantity)

_REASONS = {
    "a definition, not a measurement": "load store branch test pointer_load",
    "needs a virtual machine of its own": "vm_exit_kick interrupt_inject",
    "needs kernel code": "vmap_fixed vmap_page tlb_shootdown vunmap dirty_page notifier_register synchronize_srcu "
    "synchronize_rcu",
    "a system call holds it where it is on": "ibrs_entry clear_bhb verw",
    "the scheduler picks the idle state": "idle_exit_c1 idle_exit_c1e idle_exit_c6",
    "not told apart in a system call": "object_size_check object_size_check_stack access_ok",
    "needs a second memory node and permission to place pages": "memory_remote",
    "the two CPUs share a socket": "line_transfer_cross_socket",
    "the two CPUs are different cores": "line_transfer_smt smt_slowdown",
    "cannot be told apart from the wake-up": "context_switch",
    "needs performance counters inside the kernel": "cpi",
    "the vendor's figure": "reorder_buffer store_buffer l1_dtlb_entries stlb_entries serialisation.scheduler_entries",
    "needs all cores of the socket": "uncore_bandwidth",
    "no line took longer than a copy warm, or the CPUs were moved": "copy_tail",
    "siblings share their caches, or the CPUs were moved": "next_line_prefetch",
    "adds less to a return than calls differ from process to process": "return_thunk",
}
#: Why an entry is not measured, where the reason is not the same for all.
NOT_MEASURED = {key: reason for reason, keys in _REASONS.items() for key in keys.split()}


@dataclass(frozen=True, repr=False)
class Profile(Answer):
    """A profile ready to be written, and what was found on the way; `missing`: what its recording has no series for.

    `differs`: how the machine differs from the nearest table, as far as its kernel shows.
    """

    table: dict[str, Any]
    cpu: Cpu
    summaries: dict[str, RepeatSummary]
    refused: dict[str, str]
    nearest: str
    why_nearest: str
    differs: tuple[str, ...]
    missing: dict[str, str]

    def headline(self) -> str:
        """Return its name, how many entries were measured, and the table that the others are from."""
        unstable = f", {len(self.unstable)} of them unstable" if self.unstable else ""
        entries = f"{counted(len(self.summaries), 'entry', 'entries')} measured{unstable}"
        return f"{self.cpu.name}: {entries}, the others of {self.nearest}"

    def entry(self, key: str) -> Quantity:
        """Return a measured entry."""
        return dict(quantities(self.cpu))[key]

    def records(self) -> list[Record]:
        """Return the measured entries."""
        records = []
        for key, summary in self.summaries.items():
            entry = self.entry(key)
            numbers = {name: getattr(entry, name) for name in ("value", "low", "high", "unit")}
            records.append({"key": key, **numbers, "outliers": summary.outliers, "stable": summary.stable})
        return records

    @property
    def unstable(self) -> dict[str, str]:
        """Entries whose repeats disagree, and how."""
        return {key: summary.why_unstable for key, summary in self.summaries.items() if not summary.stable}

    def to_yaml(self) -> str:
        """Return the file's text: one line per entry, as the shipped tables are written."""
        lines = [
            "# Written by `vhost-sim measure`. Entries that say `not measured` stand in the nearest table as they do "
            "here;",
            "# `measured` holds the machine and the raw repeats of each entry.",
        ]
        for key, value in self.table.items():
            if not isinstance(value, dict) or "grade" in value:
                lines.append(f"{key}: {_flow(value)}")
                continue
            lines.append(f"{key}:")
            for name, item in value.items():
                deep = key == "measured" and name in ("entries", "refused") and item
                lines.append(f"  {name}:" if deep else f"  {name}: {_flow(item)}")
                lines += [f"    {inner}: {_flow(value)}" for inner, value in item.items()] if deep else []
        return "\n".join(lines) + "\n"


def rounded(value: float) -> float:
    """Round to four significant digits; the order of values is kept."""
    return float(f"{value:.{_DIGITS}g}")


def build_profile(recording: Recording, name: str, configs: Path | None = None) -> Profile:
    """Derive a profile from a recording: quality rules, refusals, and the nearest table for the rest."""
    chosen = nearest_table(recording.machine, configs)
    nearest, why = chosen.table, chosen.why
    access = toggles(recording)
    entries, refused, missing = _judged(recording, nearest, access)
    summaries = {entry.key: summarise(entry.repeats, entry.rule.tolerance, entry.rule.resolution) for entry in entries}
    quantities = {entry.key: _quantity(entry, summaries[entry.key]) for entry in entries} | _constants(recording)
    raw, _ = read_table("cpu", nearest.name, configs)
    table: dict[str, Any] = {
        "schema": 1,
        "kind": "cpu",
        "name": name,
        "title": f"{recording.machine.model_name}, measured here",
        "extends": nearest.name,
        "features": features(recording.machine, nearest, access),
    }

    def entry(key: str, listed: dict[str, Any]) -> dict[str, Any]:
        return quantities.get(key) or _borrowed(listed, key, nearest.name, refused.get(key))

    table |= {key: entry(key, raw[key]) for key in _TOP}
    for section in _SECTIONS:
        of_section = [key for key in quantities if key.startswith(f"{section}.")]
        listed = {f"{section}.{name}": value for name, value in raw.get(section, {}).items()}
        keys = dict.fromkeys([*listed, *of_section])
        if keys:
            table[section] = {key.removeprefix(f"{section}."): entry(key, listed.get(key, {})) for key in keys}
    measured = Measured(
        machine=recording.machine.state(recording.pair, recording.started),
        nearest="; differs: ".join([f"{nearest.name}: {why}", *filter(None, [", ".join(chosen.differs)])]),
        entries={entry.key: _repeats(entry, summaries[entry.key]) for entry in entries},
        refused=refused,
    )
    table["measured"] = measured.model_dump(mode="json")
    cpu = validate(Cpu, {key: value for key, value in table.items() if key != "extends"}, name)
    return Profile(table, cpu, summaries, refused, nearest.name, why, chosen.differs, missing)


def _judged(
    recording: Recording, nearest: Cpu, access: Toggles
) -> tuple[list[DerivedEntry], dict[str, str], dict[str, str]]:
    """Return the entries that stand, why others do not, and what has no series."""
    entries = derive(recording, nearest)
    of_kernel = kernel_entries(recording)
    refused: dict[str, str] = {}
    if access.why_not:
        keys = [*(entry.key for entry in of_kernel), "primitives.stac", "primitives.clac"]
        refused = dict.fromkeys(keys, access.why_not)
    else:
        entries += [*access.entries, *of_kernel]
    entries = [at_least_nothing(entry) for entry in entries]
    clock = wrong_clock(recording)
    if clock:
        refused |= {entry.key: clock for entry in entries}
    refused = impossible(entries) | refused
    unknown = {entry.key for entry in entries if not entry.repeats}
    lacking = [key for key, benchmark in LATER.items() if benchmark not in recording.series]
    missing = {key: "not measured (the recording has no such series)" for key in lacking if key in unknown}
    if recording.machine.safe_ret and not calls_in_kernel(recording):
        missing["primitives.safe_ret, in the kernel"] = "not measured (needs root, /dev/net/tun and bpf())"
    return split(entries, refused), refused, missing


def _quantity(entry: DerivedEntry, summary: RepeatSummary) -> dict[str, Any]:
    least, most = BOUNDS[entry.rule.unit]
    low = max(least, min(summary.low, *entry.spans, summary.value))
    high = min(most, max(summary.high, *entry.spans, summary.value))
    source = entry.source if summary.stable else f"UNSTABLE ({summary.why_unstable}): {entry.source}"
    return {
        "value": rounded(summary.value),
        "unit": entry.rule.unit,
        "low": rounded(low),
        "high": rounded(high),
        "source": source,
        "grade": entry.grade,
    }


def _repeats(entry: DerivedEntry, summary: RepeatSummary) -> Repeats:
    return Repeats(
        repeats=[rounded(value) for value in entry.repeats], outliers=summary.outliers, stable=summary.stable
    )


def _fixed(value: float, unit: str, source: str) -> dict[str, Any]:
    return {"value": value, "unit": unit, "low": value, "high": value, "source": source, "grade": "measured-here"}


def _constants(recording: Recording) -> dict[str, dict[str, Any]]:
    """Return entries that are read and not timed: cache sizes, and page-table isolation."""
    machine = recording.machine
    given = {"l1_bytes": machine.l1_bytes, "l2_bytes": machine.l2_bytes, "l3_bytes": machine.l3_bytes}
    constants = {
        key: _fixed(float(value), "bytes", "/sys/devices/system/cpu/cpu0/cache (a hypervisor may show what it likes)")
        for key, value in given.items()
        if value
    }
    for name, mitigation in _AT_BORDER.items():
        on, file = _active(name, machine), NEEDS[name][0]
        if on or machine.says(file) == NOT_AFFECTED:
            text = "is on, and inside the measured system call" if on else "is not needed"
            key = f"primitives.{BORDER_SEQUENCES.get(name, name)}"
            constants[key] = _fixed(0.0, "cycles", f"{mitigation} {text} (vulnerabilities/{_FILES.get(file, file)})")
    return constants


def _borrowed(entry: dict[str, Any], key: str, nearest: str, refused: str | None) -> dict[str, Any]:
    """Return an entry of the nearest table, saying so."""
    why = NOT_MEASURED.get(key.removeprefix("primitives."), "cannot be measured here")
    reason = f"refused: {refused}" if refused else why
    return {**entry, "source": f"not measured ({reason}); table {nearest}: {entry['source']}"}


#: What a kernel says of a vulnerability that the CPU does not have.
NOT_AFFECTED = "Not affected"
#: Features that are a need: the vulnerability, and what a kernel says of it while its mitigation is active.
NEEDS = {
    "pti": ("meltdown", "PTI"),
    "ibrs": ("retbleed", "Mitigation: IBRS"),
    "bhi": ("bhi", "SW loop"),
    "mds": ("mds", "Clear CPU buffers"),
    "spec_rstack_overflow": ("spec_rstack_overflow", "Safe RET"),
    "retbleed": ("retbleed", "untrained return thunk"),
    "indirect_target_selection": ("indirect_target_selection", "Aligned"),
}

#: Mitigations that a measured system call holds.
_AT_BORDER = {
    "pti": "page-table isolation",
    "ibrs": "IBRS",
    "bhi": "clearing of the branch history",
    "mds": "clearing of CPU buffers",
}
#: What is said of a vulnerability in the file of another.
_FILES = {"bhi": "spectre_v2"}


def features(machine: HostMachine, nearest: Cpu, access: Toggles) -> dict[str, Any]:
    """Return the features of a machine: its flags, and what its kernel says of vulnerabilities."""
    if access.why_not:  # flags that a sandbox shows are what it likes to show
        return _borrowed_features(nearest, access.why_not)
    flag = {"source": "/proc/cpuinfo", "grade": "measured-here"}
    seen: dict[str, Any] = {name: {"value": name in machine.flags, **flag} for name in ("smap", "erms", "fsrm")}
    seen["eibrs"] = {"value": machine.eibrs, "source": "vulnerabilities/spectre_v2", "grade": "measured-here"}
    seen |= {name: _need(name, machine, nearest) for name in NEEDS}
    if access.waits is None:
        borrowed = _borrowed_features(nearest, "two cold fields were not possible")
        return seen | {"smap_waits_for_loads": borrowed["smap_waits_for_loads"]}
    text = "settimeofday with two fields on two flushed lines costs {} more than with one"
    source = text.format("a whole latency" if access.waits else "less than half a latency")
    return seen | {"smap_waits_for_loads": {"value": access.waits, "source": source, "grade": "measured-here"}}


def _need(name: str, machine: HostMachine, nearest: Cpu) -> dict[str, Any]:
    """Return whether a CPU needs a mitigation: a kernel that runs without it does not say."""
    vulnerability, _ = NEEDS[name]
    state, file = machine.says(vulnerability), _FILES.get(vulnerability, vulnerability)
    needed = _active(name, machine)
    if needed or state == NOT_AFFECTED:
        return {"value": needed, "source": f"vulnerabilities/{file}", "grade": "measured-here"}
    reason = f"vulnerabilities/{file}: {state}" if state else "the kernel does not show it"
    borrowed: dict[str, Any] = _borrowed_features(nearest, reason)[name]
    return borrowed


def _active(name: str, machine: HostMachine) -> bool:
    """Return whether a kernel says that a mitigation is active: of MDS also as one of TAA."""
    vulnerability, active = NEEDS[name]
    also = {"pti": machine.pti, "mds": machine.mitigations["mds"]}
    return active in machine.says(vulnerability) or also.get(name, False)


def _borrowed_features(nearest: Cpu, reason: str) -> dict[str, Any]:
    source = f"not measured ({reason}); table {nearest.name}"
    return {name: {**flag, "source": source} for name, flag in nearest.features.model_dump().items()}


def _flow(value: object) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, width=100_000, sort_keys=False, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...").strip()
