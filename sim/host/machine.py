"""This machine as its kernel shows it to everybody: what it is, what is switched on, how idle its CPUs are."""

from __future__ import annotations

import gzip
import platform
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from sim.config.tables.cpu import MachineState
from sim.config.tables.quantity import Strict

#: Flags of /proc/cpuinfo that the profile depends on.
FLAGS = ("constant_tsc", "erms", "fsrm", "hypervisor", "ibrs_enhanced", "nonstop_tsc", "pti", "smap")
_CPU = Path("sys/devices/system/cpu")


class Topology(Strict):
    """Where one CPU of the machine sits."""

    cpu: int = Field(ge=0)
    core: int
    package: int


class HostMachine(Strict):
    """The state of a machine, as read; an unknown text is empty, an unknown size 0, an unknown stepping None."""

    vendor: str
    family: int
    model: int
    stepping: int | None = None
    model_name: str
    microcode: str
    flags: list[str]
    kernel: str
    vulnerabilities: dict[str, str]
    governor: str
    smt: bool
    l1_bytes: int = Field(ge=0)
    l2_bytes: int = Field(ge=0)
    l3_bytes: int = Field(ge=0)
    nodes: int = Field(ge=1)
    cpus: list[Topology] = Field(min_length=1)
    command_line: str = ""
    hardened_usercopy: bool | None = Field(None, description="as the kernel's configuration says; null: not shown")
    module_parameters: dict[str, str] = Field(default_factory=dict, description="of vhost, vhost_net and tun")

    @property
    def signature(self) -> str:
        """Family, model and, where it is known, stepping in words."""
        stepping = "" if self.stepping is None else f" stepping {self.stepping}"
        return f"family {self.family} model {self.model}{stepping}"

    @property
    def virtualised(self) -> bool:
        """Whether a hypervisor runs this kernel."""
        return "hypervisor" in self.flags

    @property
    def pti(self) -> bool:
        """Whether page tables are isolated."""
        return "PTI" in self.vulnerabilities.get("meltdown", "") or "pti" in self.flags

    def says(self, vulnerability: str) -> str:
        """Return what the kernel says of a vulnerability, "" where it says nothing; `bhi` is a part of spectre_v2."""
        if vulnerability == "bhi":
            said = re.search(r"BHI: ([^;]+)", self.vulnerabilities.get("spectre_v2", ""))
            return said[1].strip() if said else ""
        return self.vulnerabilities.get(vulnerability, "")

    @property
    def eibrs(self) -> bool:
        """Whether indirect branches are restricted by the CPU instead of by retpolines."""
        state = self.vulnerabilities.get("spectre_v2", "")
        return "ibrs_enhanced" in self.flags or re.search(r"Enhanced .*IBRS|Automatic IBRS", state) is not None

    @property
    def mitigations(self) -> dict[str, bool]:
        """What is switched on, by the keys that a scenario has for it; a check of objects only where it is shown."""
        state = self.vulnerabilities
        known = {} if self.hardened_usercopy is None else {"hardened_usercopy": self.hardened_usercopy}
        return known | {
            "smap": "smap" in self.flags,
            "spectre_v1": state.get("spectre_v1", "").startswith("Mitigation"),
            "retpoline": "Retpoline" in state.get("spectre_v2", ""),
            "spec_rstack_overflow": self.safe_ret,
            "ibrs": self.says("retbleed") == "Mitigation: IBRS",
            "bhi": self.says("bhi").startswith("SW loop"),
            "mds": any("Clear CPU buffers" in self.says(name) for name in ("mds", "tsx_async_abort")),
            "retbleed": "return thunk" in state.get("retbleed", "").lower(),
            "indirect_target_selection": state.get("indirect_target_selection", "").startswith("Mitigation"),
        }

    @property
    def safe_ret(self) -> bool:
        """Whether every return of the kernel goes through the thunk against SRSO, which always mispredicts."""
        return "Safe RET" in self.vulnerabilities.get("spec_rstack_overflow", "")

    def state(self, pair: tuple[int, int | None], started: str) -> MachineState:
        """Return what a profile says about the machine."""
        return MachineState(
            model=f"{self.model_name} ({self.signature})",
            microcode=self.microcode or "not shown",
            kernel=self.kernel,
            governor=self.governor or "not shown",
            virtualised=self.virtualised,
            smt=self.smt,
            mitigations={name: state for name, state in self.vulnerabilities.items() if state != "Not affected"},
            cpus=[cpu for cpu in pair if cpu is not None],
            started=started,
        )


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _number(text: str) -> int:
    digits = re.match(r"-?\d+", text)
    return int(digits[0]) if digits else 0


def _size(text: str) -> int:
    """Read a cache size such as `48K`."""
    size = re.fullmatch(r"(\d+)([KMG]?)", text)
    return int(size[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[size[2]] if size else 0


def _caches(root: Path) -> dict[str, int]:
    """Return the sizes of the first CPU's data caches by level."""
    sizes = {"1": 0, "2": 0, "3": 0}
    for index in sorted((root / _CPU / "cpu0/cache").glob("index*")):
        level = _text(index / "level")
        if _text(index / "type") != "Instruction" and level in sizes:
            sizes[level] = _size(_text(index / "size"))
    return sizes


def _topology(root: Path, allowed: list[int]) -> list[Topology]:
    topology = []
    for cpu in allowed:
        folder = root / _CPU / f"cpu{cpu}/topology"
        core, package = _text(folder / "core_id"), _text(folder / "physical_package_id")
        topology.append(Topology(cpu=cpu, core=_number(core) if core else cpu, package=_number(package)))
    return topology


def _hardened_usercopy(root: Path, release: str) -> bool | None:
    """Return whether HARDENED_USERCOPY is built in and on; None where no configuration is shown."""
    parameters = [word for word in _text(root / "proc/cmdline").split() if word.startswith("hardened_usercopy=")]
    packed, text = root / "proc/config.gz", _text(root / f"boot/config-{release}")
    try:
        text = text or gzip.decompress(packed.read_bytes()).decode()
    except (OSError, ValueError, EOFError):
        return None
    lines = text.splitlines()
    built, off = "CONFIG_HARDENED_USERCOPY=y" in lines, "# CONFIG_HARDENED_USERCOPY_DEFAULT_ON is not set" in lines
    on = parameters[-1].endswith(("=on", "=1", "=y")) if parameters else not off
    return built and on


def _module_parameters(root: Path) -> dict[str, str]:
    return {
        f"{module}.{file.name}": _text(file)
        for module in ("tun", "vhost", "vhost_net")
        for file in sorted((root / "sys/module" / module / "parameters").glob("*"))
    }


def read_machine(allowed: list[int], root: Path = Path("/")) -> HostMachine:
    """Read the machine's state from below `root`; `allowed` are the CPUs that this process may run on."""
    fields: dict[str, str] = {}
    for line in _text(root / "proc/cpuinfo").splitlines():
        key, separator, value = line.partition(":")
        if separator:
            fields.setdefault(key.strip(), value.strip())
    flags = set(fields.get("flags", "").split())
    folder = root / _CPU / "vulnerabilities"
    caches = _caches(root)
    kernel = _text(root / "proc/sys/kernel/osrelease") or platform.release()
    return HostMachine(
        vendor=fields.get("vendor_id", ""),
        family=_number(fields.get("cpu family", "")),
        model=_number(fields.get("model", "")),
        stepping=_number(fields["stepping"]) if fields.get("stepping", "").isdecimal() else None,
        model_name=fields.get("model name", "unknown"),
        microcode=fields.get("microcode", ""),
        flags=[flag for flag in FLAGS if flag in flags],
        kernel=kernel,
        vulnerabilities={file.name: _text(file) for file in sorted(folder.glob("*"))},
        governor=_text(root / _CPU / "cpu0/cpufreq/scaling_governor"),
        smt=_text(root / _CPU / "smt/active") == "1",
        l1_bytes=caches["1"],
        l2_bytes=caches["2"],
        l3_bytes=caches["3"],
        nodes=max(1, len(list((root / "sys/devices/system/node").glob("node[0-9]*")))),
        cpus=_topology(root, allowed),
        command_line=_text(root / "proc/cmdline"),
        hardened_usercopy=_hardened_usercopy(root, kernel),
        module_parameters=_module_parameters(root),
    )


def choose_pair(machine: HostMachine) -> tuple[int, int | None]:
    """Choose the CPU that measures and the one that it exchanges lines with: another core of its package, if any."""
    first = machine.cpus[0]
    others = [other for other in machine.cpus[1:] if (other.package, other.core) != (first.package, first.core)]
    near = [other for other in others if other.package == first.package]
    return first.cpu, next((other.cpu for other in near or others), None)


_IDLE = (3, 4)  # idle, iowait
_STEAL = 7


@dataclass(frozen=True)
class CpuTimes:
    """Clock ticks of each kind per CPU, as /proc/stat counts them."""

    ticks: dict[int, tuple[int, ...]]

    def idle_since(self, before: CpuTimes, cpus: Sequence[int]) -> float:
        """Return the smallest idle share of the CPUs since `before`; 1 when no tick has passed."""
        return min((self._share(before, cpu, _IDLE) for cpu in cpus), default=1.0)

    def steal_since(self, before: CpuTimes, cpus: Sequence[int]) -> float:
        """Return the largest stolen share of the CPUs since `before`; 0 when no tick has passed."""
        return max((self._share(before, cpu, (_STEAL,), 0.0) for cpu in cpus), default=0.0)

    def _share(self, before: CpuTimes, cpu: int, kinds: Sequence[int], otherwise: float = 1.0) -> float:
        now, then = self.ticks.get(cpu), before.ticks.get(cpu)
        if now is None or then is None:
            return otherwise
        passed = [later - earlier for later, earlier in zip(now, then, strict=True)]
        total = sum(passed)
        return sum(passed[kind] for kind in kinds) / total if total > 0 else otherwise


def read_times(root: Path = Path("/")) -> CpuTimes:
    """Read the counters of every CPU; a kernel that shows none gives an empty table."""
    ticks: dict[int, tuple[int, ...]] = {}
    try:
        text = (root / "proc/stat").read_text(encoding="ascii")
    except OSError:
        return CpuTimes({})
    for line in text.splitlines():
        name, *values = line.split()
        if name.startswith("cpu") and name != "cpu":
            # Guest time is contained in user time.
            ticks[int(name[3:])] = tuple(int(value) for value in [*values, *["0"] * 8][:8])
    return CpuTimes(ticks)


def wait_until_idle(
    cpus: Sequence[int],
    wanted: float,
    patience_s: float,
    read: Callable[[], CpuTimes] = read_times,
    sleep: Callable[[float], None] = time.sleep,
) -> float:
    """Wait until CPUs are `wanted` idle over 100 ms, at most `patience_s`; return how idle they were in the end."""
    waited = 0.0
    while True:
        before = read()
        sleep(0.1)
        idle = read().idle_since(before, cpus)
        waited += 0.1
        if idle >= wanted or waited >= patience_s:
            return idle
