"""Rules of quality: an interval from repeats, repeats that disagree, and values that are physically impossible."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sim.config.answer import counted
from sim.host.entries import DerivedEntry, present
from sim.host.recording import Recording

FEWEST_REPEATS = 4
#: A repeat this many robust standard deviations from the median is an outlier.
OUTLIER_DEVIATIONS = 5.0
_NORMAL = 1.4826  # standard deviation / median absolute deviation, of a normal distribution
MOST_OUTLIERS = 0.25


@dataclass(frozen=True)
class RepeatSummary:
    """What repeats say together; `why_unstable` is empty when they agree."""

    value: float
    low: float
    high: float
    outliers: int
    why_unstable: str

    @property
    def stable(self) -> bool:
        """Whether the repeats agree within their tolerance."""
        return not self.why_unstable


def summarise(repeats: Sequence[float], tolerance: float, resolution: float = 0.0) -> RepeatSummary:
    """Summarise repeats of one entry; ValueError when there is none.

    `tolerance` is the relative, `resolution` the absolute half-width that the interval has at least, and that the
    middle half of the repeats may spread. Stable: the interval holds all repeats but the outliers. Unstable: it holds
    all of them and as much again on both sides.
    """
    if not repeats:
        raise ValueError("no repeats")
    middle = statistics.median(repeats)
    allowed = max(tolerance * abs(middle), resolution)
    deviation = _NORMAL * statistics.median(abs(value - middle) for value in repeats)
    reach = max(OUTLIER_DEVIATIONS * deviation, allowed)
    kept = [value for value in repeats if abs(value - middle) <= reach]
    outliers = len(repeats) - len(kept)
    why = _disagreement(repeats, outliers, allowed)
    if why:
        least, most = min(repeats), max(repeats)
        spread = max(most - least, allowed)
        return RepeatSummary(middle, max(0.0, least - spread), most + spread, outliers, why)
    return RepeatSummary(middle, max(0.0, min(*kept, middle - allowed)), max(*kept, middle + allowed), outliers, "")


def _disagreement(repeats: Sequence[float], outliers: int, allowed: float) -> str:
    if len(repeats) < FEWEST_REPEATS:
        return f"only {counted(len(repeats), 'repeat')}"
    if outliers > MOST_OUTLIERS * len(repeats):
        return f"{outliers} of {len(repeats)} repeats are outliers"
    lower, _, upper = statistics.quantiles(repeats, n=4, method="inclusive")
    if (upper - lower) / 2 > allowed:
        return f"the middle half of the repeats spreads over {lower:.4g} to {upper:.4g}"
    return ""


#: Each level is slower than the one before, on every CPU; all compared in ns.
SLOWER = (
    ("primitives.l1_hit", "primitives.l2_hit"),
    ("primitives.l2_hit", "primitives.l3_hit"),
    ("primitives.l3_hit", "primitives.memory_local"),
    ("primitives.l2_hit", "primitives.line_transfer"),
    ("primitives.line_stream", "primitives.line_transfer"),
    ("primitives.line_stream_copy", "primitives.line_transfer"),
    ("primitives.copy_startup_short", "primitives.copy_startup"),
)
#: Bounds that no x86-64 CPU crosses (least, most), in the unit of the entry.
BOUNDS = {
    "core_ghz": (0.3, 8.0),
    "primitives.l1_hit": (2.0, 12.0),
    "primitives.lfence": (1.0, 500.0),
    "primitives.mfence": (5.0, 1000.0),
    "primitives.lock_rmw": (3.0, 200.0),
    "primitives.copy_bytes": (1.0, 128.0),
    "primitives.line_transfer": (4.0, 2000.0),
    "primitives.memory_local": (20.0, 5000.0),
    "primitives.syscall": (30.0, 1e5),
}
STEADY = 0.01  # of the time-stamp counter against the clock of the kernel
#: Entries that are a cost of nothing on some CPUs; the others must be above 0.
MAY_BE_ZERO = (
    *("primitives.stac", "primitives.clac", "primitives.clean_line", "overlap", "payload_exposed", "copy_tail"),
    "next_line_prefetch",
    *("serialisation.drain_tail", "serialisation.refill", "serialisation.lock_hidden"),
)


def at_least_nothing(entry: DerivedEntry) -> DerivedEntry:
    """Return an entry that may be 0 and whose middle is below it by no more than its resolution as one of 0."""
    if entry.key not in MAY_BE_ZERO or not entry.repeats:
        return entry
    if not -entry.rule.resolution <= statistics.median(entry.repeats) < 0:
        return entry
    repeats = [max(0.0, value) for value in entry.repeats]
    return replace(entry, repeats=repeats, source=f"{entry.source}; not told apart from 0")


def impossible(entries: Sequence[DerivedEntry]) -> dict[str, str]:
    """Map each entry that cannot be true to the reason, in one line."""
    values = {entry.key: statistics.median(entry.repeats) for entry in entries if entry.repeats}
    units = {entry.key: entry.rule.unit for entry in entries}
    refused: dict[str, str] = {}
    for key, value in values.items():
        least, most = BOUNDS.get(key, (0.0, float("inf")))
        if value < 0:
            refused[key] = f"negative difference ({value:.3g} {units[key]})"
        elif value == 0 and key not in MAY_BE_ZERO:
            refused[key] = f"no difference (0 {units[key]})"
        elif not least <= value <= most:
            refused[key] = f"{value:.3g} {units[key]} is outside of {least:g} to {most:g}, which holds every x86-64 CPU"
    ghz = values.get("core_ghz", 1.0)
    for less, more in SLOWER:
        if less not in values or more not in values:
            continue
        if _ns(values[less], units[less], ghz) >= _ns(values[more], units[more], ghz):
            fast, slow = (f"{key.removeprefix('primitives.')} ({values[key]:.3g} {units[key]})" for key in (less, more))
            for key in (less, more):
                refused.setdefault(key, f"{fast} is not faster than {slow}")
    return refused


def _ns(value: float, unit: str, ghz: float) -> float:
    return value / ghz if unit == "cycles" else value


def wrong_clock(recording: Recording) -> str:
    """Return why cycles of a recording are not core cycles; empty when they are.

    Ticks must be steady, and a chained multiplication must take 3 cycles.
    """
    clocks = [measured.ticks_per_ns for measured in recording.rounds]
    if max(clocks) > min(clocks) * (1 + STEADY):
        return f"the time-stamp counter is not steady ({min(clocks):.4g} to {max(clocks):.4g} ticks per ns)"
    multiplications = present(recording.cycles("imul_chain 0"))
    if not multiplications:
        return "the chain of multiplications was not possible"
    value = statistics.median(multiplications)
    if abs(value - 3) > 0.15:
        return f"a dependent multiplication takes {value:.3g} cycles and not 3: these are not core cycles"
    return ""


def split(entries: Sequence[DerivedEntry], refused: Mapping[str, str]) -> list[DerivedEntry]:
    """Return the entries that are not refused and have repeats."""
    return [entry for entry in entries if entry.repeats and entry.key not in refused]
