"""What decides the cost of a barrier or a locked operation: what it adds to n instructions that run in front of it."""

from __future__ import annotations

import operator
import statistics
from dataclasses import dataclass
from typing import Any

from sim.host.entries import DerivedEntry, combine, line_fit, middles, per_round, present, primitive
from sim.host.programs import BEHIND, SERIALISING, WITHIN_SCHEDULER
from sim.host.recording import Recording

_CHAINS = (14, 28)
#: A slope above this many robust standard deviations of its median is one.
_SIGNIFICANT = 3.0
_NORMAL = 1.4826  # standard deviation / median absolute deviation, of a normal distribution


@dataclass(frozen=True)
class Added:
    """One row: core cycles that each sequence adds to `instructions` of independent work (None: not measured)."""

    instructions: int
    cycles: dict[str, float | None]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"instructions": self.instructions, "added_cycles": self.cycles}


def added(recording: Recording, sequence: str, instructions: int) -> list[float]:
    """Return the cycles that a sequence adds to so many instructions of work, round by round."""
    behind = recording.cycles(f"{sequence} {instructions}")
    return combine(operator.sub, behind, recording.cycles(f"work {instructions}"))


def added_cycles(recording: Recording) -> list[Added]:
    """Return what every sequence adds at every distance; empty for a recording that has none of them."""
    rows = []
    for instructions in BEHIND:
        series = {title: added(recording, name, instructions) for name, title in SERIALISING.items()}
        medians = {title: statistics.median(values) if values else None for title, values in series.items()}
        rows.append(Added(instructions, medians))
    return rows if any(value is not None for row in rows for value in row.cycles.values()) else []


def serialising(recording: Recording) -> list[DerivedEntry]:
    """Return the back-to-back cost of a barrier, and what is drained, refilled and hidden around it."""
    return [_lfence(recording), *_drain(recording), _hidden(recording)]


def _lfence(recording: Recording) -> DerivedEntry:
    second = [
        value
        for n in WITHIN_SCHEDULER
        for value in middles(
            combine(operator.sub, recording.cycles(f"work_two_lfences {n}"), recording.cycles(f"work_lfence {n}"))
        )
    ]
    return primitive(
        "lfence",
        present(recording.cycles("lfence 0")),
        "one more lfence behind another, in a row of them: nothing to drain; range: the second of two behind 14, 28 "
        "and 56 instructions",
        tuple(second),
    )


def _drain(recording: Recording) -> list[DerivedEntry]:
    """Return drain tail and growth: a line through what one barrier adds, within the scheduler."""
    fits, wide = _lines(recording, "work"), _lines(recording, "wide")
    slopes = [slope for slope, _, _ in fits]
    said = "" if significant(slopes) else ": not significantly above 0"
    short, long = _CHAINS
    chains = combine(
        lambda a, b, c, d: ((a - b) - (c - d)) / (long - short),
        *(recording.cycles(f"{name} {n}") for n in (long, short) for name in ("two_chains_lfence", "two_chains")),
    )
    return [
        DerivedEntry(
            "serialisation.drain_tail",
            [tail for _, _, tail in fits],
            "one lfence behind 14, 28 and 56 independent instructions, less the growth with them, less lfence; range: "
            "also behind work as wide as the core",
            middles([tail for _, _, tail in wide]),
        ),
        DerivedEntry(
            "serialisation.refill",
            [growth for _, growth, _ in fits],
            f"slope of what one lfence adds to 14, 28 and 56 independent instructions (1 / refill width){said}; range: "
            "from 0 to the slope between two chains of 14 and 28 dependent additions",
            (0.0, *(max(0.0, value) for value in middles(chains))),
        ),
    ]


def _lines(recording: Recording, work: str) -> list[tuple[float, float, float]]:
    """Return slope, growth (none below 0) and drain tail behind one kind of work, round by round."""
    names = ["lfence 0", *(f"{name} {n}" for n in WITHIN_SCHEDULER for name in (f"{work}_lfence", work))]

    def line(values: list[float]) -> tuple[float, float, float]:
        back_to_back, *pairs = values
        points = [(n, pairs[2 * i] - pairs[2 * i + 1]) for i, n in enumerate(WITHIN_SCHEDULER)]
        _, slope = line_fit(points)
        growth = max(0.0, slope)
        middle = statistics.fmean(y for _, y in points) - growth * statistics.fmean(WITHIN_SCHEDULER)
        return slope, growth, middle - back_to_back

    return per_round([recording.cycles(name) for name in names], line)


def significant(slopes: list[float]) -> bool:
    """Return whether slopes are above 0 by more than their own scatter explains (three deviations of the median)."""
    if len(slopes) < 2:
        return False
    middle = statistics.median(slopes)
    deviation = _NORMAL * statistics.median(abs(slope - middle) for slope in slopes)
    return bool(middle > _SIGNIFICANT * deviation / len(slopes) ** 0.5)


def _hidden(recording: Recording) -> DerivedEntry:
    far = BEHIND[-1]
    hidden = combine(
        lambda alone, nothing, behind, work: max(0.0, (alone - nothing) - max(0.0, behind - work)),
        *(recording.cycles(f"{name} {n}") for n in (0, far) for name in ("work_spin_lock", "work")),
    )
    left = added(recording, "work_spin_lock", far)
    whole = "; nothing is left, so it may be more" if left and statistics.median(left) < 1 else ""
    return DerivedEntry(
        "serialisation.lock_hidden",
        hidden,
        f"lock cmpxchg, a load and the store that unlocks, back to back, less what they add to {far} independent "
        f"instructions{whole}",
    )
