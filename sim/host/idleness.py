"""How idle CPUs are, and how much of them a hypervisor takes away: /proc/stat."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

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
