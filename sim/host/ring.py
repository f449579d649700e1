"""Run the ring program: a real split ring between two cores, in several short runs whose surroundings are checked."""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.config.errors import ConfigError
from sim.config.progress import Progress
from sim.host.programs import compiled, run_round
from sim.host.quality import RepeatSummary, summarise

RUN_MS = 200
#: Runs that each setting should have, undisturbed and with CPUs that did not move; seconds after which none is started.
RUNS = 5
BUDGET_S = 60.0
#: Intervals between flushes that a run needs.
FEWEST_INTERVALS = 5
#: Runs that disagree by more than this make an unstable point; the project asks for 15 % between model and machine.
TOLERANCE = 0.075
#: Lines that travel this much faster or slower than the profile says: the CPUs have moved (a hypervisor does that).
MOVED = 0.25


@dataclass(frozen=True)
class RingSettings:
    """Geometry of one ring: entries, packets per index write and per flush, frame bytes, reclaim threshold, fences."""

    size: int
    burst: int
    batch: int
    packet_bytes: int
    free_threshold: int
    fenced: bool


@dataclass(frozen=True)
class RingRun:
    """One run: time per packet, the lines' travel time just before it, and what happened per packet."""

    ns_per_packet: float | None
    transfer_ns: float | None
    disturbed: int
    events_per_packet: dict[str, float]


@dataclass(frozen=True)
class RingPoint:
    """All runs of one setting; `summary` (ns per packet) is None when none counts; in `moved` the CPUs moved."""

    settings: RingSettings
    runs: tuple[RingRun, ...]
    summary: RepeatSummary | None
    moved: int

    @property
    def pps(self) -> float | None:
        """Packets per second."""
        return None if self.summary is None else 1e9 / self.summary.value

    def events_per_packet(self) -> dict[str, float]:
        """Median of each kind of event per packet."""
        names = self.runs[0].events_per_packet
        return {name: statistics.median(run.events_per_packet[name] for run in self.runs) for name in names}


def parse_run(text: str, transfer_ns: float | None) -> RingRun:
    """Read what the program printed; too few undisturbed intervals give no time."""
    try:
        data: dict[str, Any] = json.loads(text)
        intervals = sorted(float(value) for value in data["ns_per_packet"])
        packets = int(data["packets"])
        counts = {name: int(data[name]) for name in ("refills", "drains", "sleeps", "flushes", "kicks")}
        disturbed = int(data["disturbed"])
    except (ValueError, KeyError, TypeError):
        raise ConfigError(f"the ring program answered {text[:80]!r}", key="ring") from None
    quarter = len(intervals) // 4
    enough = len(intervals) >= FEWEST_INTERVALS
    middle = statistics.fmean(intervals[quarter : len(intervals) - quarter]) if enough else None
    return RingRun(middle, transfer_ns, disturbed, {name: count / max(1, packets) for name, count in counts.items()})


def unmoved(run: RingRun, expected_ns: float | None) -> bool:
    """Return whether lines travelled as fast as the profile says, so that it describes the machine of this run."""
    if run.transfer_ns is None or expected_ns is None:
        return True
    return abs(run.transfer_ns / expected_ns - 1) <= MOVED


def point(settings: RingSettings, runs: Sequence[RingRun], expected_ns: float | None) -> RingPoint:
    """Summarise the runs of one setting that were undisturbed, with CPUs that had not moved."""
    kept = [run for run in runs if unmoved(run, expected_ns)]
    times = [run.ns_per_packet for run in kept if run.ns_per_packet is not None]
    summary = summarise(times, TOLERANCE) if times else None
    return RingPoint(settings, tuple(runs), summary, len(runs) - len(kept))


def run_rings(
    wanted: Sequence[RingSettings],
    pair: tuple[int, int | None],
    expected_ns: float | None,
    progress: Progress | None = None,
) -> list[RingPoint]:
    """Run every setting in interleaved runs until enough count; ConfigError without a second CPU."""
    if pair[1] is None:
        raise ConfigError("two CPUs are needed (this process may run on one core only)", key="ring")
    ring, bench = compiled("ring"), compiled("bench")
    runs: list[list[RingRun]] = [[] for _ in wanted]
    begun = time.monotonic()
    while True:
        done = min((sum(_counts(run, expected_ns) for run in same) for same in runs), default=RUNS)
        if done >= RUNS or time.monotonic() - begun > BUDGET_S:
            return [point(settings, same, expected_ns) for settings, same in zip(wanted, runs, strict=True)]
        for number, settings in enumerate(wanted):
            if progress is not None:
                share = (done + number / len(wanted)) / RUNS
                fences = "fenced" if settings.fenced else "plain"
                progress(min(share, 0.99), f"ring, {settings.packet_bytes} B, {fences}")
            runs[number].append(run_ring(ring, bench, settings, (pair[0], pair[1])))


def _counts(run: RingRun, expected_ns: float | None) -> bool:
    return run.ns_per_packet is not None and unmoved(run, expected_ns)


def run_ring(ring: Path, bench: Path, settings: RingSettings, pair: tuple[int, int]) -> RingRun:
    """Run the program once, after a look at how fast lines travel just now."""
    ticks_per_ns, (there, back) = run_round(bench, pair, ("transfer 0", "transfer 1"))
    both = [reading.ticks / ticks_per_ns for reading in (there, back) if reading.ticks is not None]
    geometry = (settings.size, settings.burst, settings.batch, settings.packet_bytes)
    arguments = (*pair, *geometry, int(settings.fenced), settings.free_threshold, RUN_MS)
    command = [str(ring), *map(str, arguments)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (subprocess.TimeoutExpired, OSError):
        raise ConfigError("the ring program does not run, or does not end", key="ring") from None
    if done.returncode:
        raise ConfigError(f"the ring program failed: {done.stderr.strip() or done.returncode}", key="ring")
    return parse_run(done.stdout, statistics.fmean(both) if both else None)
