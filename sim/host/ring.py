"""Run the ring program: a split ring between two cores, in windows in which the place of the CPUs is timed, too."""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from sim.config.errors import ConfigError
from sim.config.progress import Progress
from sim.host.derive import exposed, hidden_ns, lines_of
from sim.host.experiments.privilege import one_at_a_time
from sim.host.programs import compiled, environment

WINDOW_MS = 200
#: Windows that each setting should have, undisturbed and with CPUs that did not move; seconds after which none starts.
WINDOWS = 5
BUDGET_S = 60.0
#: Intervals between flushes that a window needs.
FEWEST_INTERVALS = 5
#: A window in which lines travel this much faster or slower behind the ring than in front of it, or whose middle half
#: of intervals spreads by this share to both sides: the CPUs have moved meanwhile (a hypervisor does that).
MOVED = 0.15
VNET_HEADER_BYTES = 12


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
class Surroundings:
    """What moves with the place of the CPUs, and a clean line of a copy out of a ring's buffers of this size; in ns.

    `exposed` is the share of a dirty first line that a fenced copy pays, `hidden` the ns of it that others hide.
    """

    line_transfer: float
    line_stream: float
    clean_line: float
    exposed: float
    hidden: float

    def mean(self, other: Surroundings) -> Surroundings:
        """Return the mean of two looks."""
        pairs = zip(astuple(self), astuple(other), strict=True)
        return Surroundings(*(statistics.fmean(pair) for pair in pairs))


@dataclass(frozen=True)
class RingWindow:
    """One window: time per packet, what its intervals spread, its surroundings before and after, events per packet."""

    ns_per_packet: float | None
    spread: float
    before: Surroundings
    after: Surroundings
    disturbed: int
    events_per_packet: dict[str, float]

    @property
    def place(self) -> Surroundings:
        """Mean of the two looks, which this window is predicted with."""
        return self.before.mean(self.after)

    @property
    def moved(self) -> bool:
        """Whether the CPUs moved during the window, so that no one distance describes it."""
        change = self.after.line_transfer / self.before.line_transfer
        return max(change, 1 / change) > 1 + MOVED or self.spread > MOVED

    @property
    def counts(self) -> bool:
        """Whether there is a rate, and one place of the CPUs that it belongs to."""
        return self.ns_per_packet is not None and not self.moved


@dataclass(frozen=True)
class RingPoint:
    """All windows of one setting."""

    settings: RingSettings
    windows: tuple[RingWindow, ...]

    @property
    def counted(self) -> tuple[RingWindow, ...]:
        """The windows that count."""
        return tuple(window for window in self.windows if window.counts)

    @property
    def moved(self) -> int:
        """Number of windows in which the CPUs moved."""
        return sum(window.moved for window in self.windows)

    @property
    def clean_lines(self) -> list[float]:
        """Both readings of `clean_line` in every window, also in those that do not count: no other CPU is in it."""
        return [look.clean_line for window in self.windows for look in (window.before, window.after)]

    def events_per_packet(self) -> dict[str, float]:
        """Median of each kind of event per packet."""
        names = self.windows[0].events_per_packet
        return {name: statistics.median(window.events_per_packet[name] for window in self.windows) for name in names}


def parse_window(text: str, packet_bytes: int) -> RingWindow:
    """Read what the program printed; too few undisturbed intervals give no time."""
    try:
        data: dict[str, Any] = json.loads(text)
        intervals = sorted(float(value) for value in data["ns_per_packet"])
        packets = int(data["packets"])
        counts = {name: int(data[name]) for name in ("refills", "drains", "sleeps", "flushes", "kicks")}
        disturbed = int(data["disturbed"])
        before, after = (_surroundings(data, number, packet_bytes) for number in (0, 1))
    except (ValueError, KeyError, TypeError, IndexError):
        raise ConfigError(f"the ring program answered {text[:80]!r}", key="ring") from None
    quarter = len(intervals) // 4
    events = {name: count / max(1, packets) for name, count in counts.items()}
    if len(intervals) < FEWEST_INTERVALS:
        return RingWindow(None, 0.0, before, after, disturbed, events)
    middle = intervals[quarter : len(intervals) - quarter]
    mean = statistics.fmean(middle)
    return RingWindow(mean, (middle[-1] - middle[0]) / 2 / mean, before, after, disturbed, events)


def _surroundings(data: dict[str, Any], number: int, packet_bytes: int) -> Surroundings:
    """Read one of the two looks around: lines both ways, 64 less 8 in a stream, a pool of buffers less a warm one.

    Then copies of 64 bytes that the other core has modified, fenced and not, each with the same warm.
    """
    names = ("there", "back", "stream_64", "stream_8", "pool", "warm", "head", "fenced", "head_open", "open")
    there, back, more, less, pool, warm, *copies = (float(data[f"{name}_ns"][number]) for name in names)
    lines = lines_of(VNET_HEADER_BYTES + packet_bytes)
    if there + back <= 0:
        raise ValueError("a line that takes no time")
    travel, share = (there + back) / 2, exposed(copies[0], copies[1], (there + back) / 2)
    return Surroundings(
        line_transfer=travel,
        line_stream=max(0.0, (more - less) / 56),
        clean_line=max(0.0, (pool - warm) / lines),
        exposed=share,
        hidden=hidden_ns(copies[2], copies[3], travel, share),
    )


def run_rings(
    wanted: Sequence[RingSettings], pair: tuple[int, int | None], progress: Progress | None = None
) -> list[RingPoint]:
    """Run every setting in interleaved windows until enough count; ConfigError without a second CPU."""
    if pair[1] is None:
        raise ConfigError("two CPUs are needed (this process may run on one core only)", key="ring")
    with one_at_a_time():
        return _run_rings(wanted, (pair[0], pair[1]), progress)


def _run_rings(wanted: Sequence[RingSettings], pair: tuple[int, int], progress: Progress | None) -> list[RingPoint]:
    ring = compiled("ring")
    windows: list[list[RingWindow]] = [[] for _ in wanted]
    begun = time.monotonic()
    while True:
        done = min((sum(window.counts for window in same) for same in windows), default=WINDOWS)
        if done >= WINDOWS or time.monotonic() - begun > BUDGET_S:
            return [RingPoint(settings, tuple(same)) for settings, same in zip(wanted, windows, strict=True)]
        for number, settings in enumerate(wanted):
            if progress is not None:
                share = (done + number / len(wanted)) / WINDOWS
                fences = "fenced" if settings.fenced else "plain"
                progress(min(share, 0.99), f"ring, {settings.packet_bytes} B, {fences}")
            windows[number].append(run_window(ring, settings, pair))


def run_window(ring: Path, settings: RingSettings, pair: tuple[int, int]) -> RingWindow:
    """Run the program once."""
    geometry = (settings.size, settings.burst, settings.batch, settings.packet_bytes)
    arguments = (*pair, *geometry, int(settings.fenced), settings.free_threshold, WINDOW_MS)
    command = [str(ring), *map(str, arguments)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment())
    except (subprocess.TimeoutExpired, OSError):
        raise ConfigError("the ring program does not run, or does not end", key="ring") from None
    if done.returncode:
        raise ConfigError(f"the ring program failed: {done.stderr.strip() or done.returncode}", key="ring")
    return parse_window(done.stdout, settings.packet_bytes)
