"""How sure the parts of an answer are: what a difference is made up of, or the time of a packet, draw by draw.

Intervals are of the parameters alone: how far the model itself and a rig are off is known of wholes, not of parts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sim.config.errors import ConfigError
from sim.config.progress import Counted
from sim.engine import simulate
from sim.study.runs.case import Case, Side, with_values
from sim.study.uncertainty.distributions import BLOCK
from sim.study.uncertainty.intervals import Interval, draws_by_side, interval_of

#: So many draws at most show the parts: one Latin hypercube, the first of those that the answer rests on.
MOST_DRAWS = BLOCK
#: Draws that a process runs at a time.
_CHUNK = 16

#: Nanoseconds of a worker core per packet, by primitive and kind of waiting.
Times = dict[str, float]


@dataclass(frozen=True)
class DrawnParts:
    """Nanoseconds of a worker core per packet by primitive, with intervals of the parameters, largest first.

    What `after` saves over `before`; where `before` is None, what `after` takes. In each draw they add up to `total`.
    """

    before: str | None
    after: str
    packet_bytes: int
    draws: int
    total: Interval
    parts: dict[str, Interval]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "before": self.before,
            "after": self.after,
            "packet_bytes": self.packet_bytes,
            "draws": self.draws,
            "total_ns_of_parameters": self.total.to_dict(),
            "parts_ns_of_parameters": {name: part.to_dict() for name, part in self.parts.items()},
        }


def parts_of(
    sides: Sequence[Side],
    draws: int,
    seed: int = 1,
    *,
    after: str | None = None,
    configs: Path | None = None,
    executor: Executor | None = None,
    progress: Counted | None = None,
) -> DrawnParts:
    """Return what makes up the difference between the first side and another of its size, with intervals.

    `sides` are those that the answer is about: their draws are met again, `draws` of them but `MOST_DRAWS` at most.
    `after` is the label of the other side (default: the next one); of a single side it is the time of a packet.
    Raises ConfigError below 1 draw, and where every draw fails.
    """
    if draws < 1:
        raise ConfigError("at least 1 draw is needed", key="draws", got=draws)
    size = sides[0].packet_bytes
    same = [number for number, side in enumerate(sides) if side.packet_bytes == size]
    others = [number for number in same[1:] if after in (None, sides[number].label)]
    wanted = [0, *others[:1]]
    number = min(draws, MOST_DRAWS)
    drawn = draws_by_side(sides, number, seed, configs)
    rows = [[{}, *(drawn[side].row(row) for row in range(number))] for side in wanted]
    cases = [sides[side].case for side in wanted]
    times = _times(cases, rows, executor, progress)
    both = [_difference(*draw) for draw in zip(*times, strict=True) if None not in draw]
    if times[0][0] is None or None in [side[0] for side in times] or len(both) < 2:
        raise ConfigError("every draw fails")
    nominal, table = both[0], both[1:]
    names = sorted({name for draw in both for name in draw}, key=lambda name: (-abs(nominal.get(name, 0.0)), name))
    return DrawnParts(
        before=sides[0].label if others else None,
        after=sides[wanted[-1]].label,
        packet_bytes=size,
        draws=number,
        total=interval_of(sum(nominal.values()), np.array([sum(draw.values()) for draw in table])),
        parts={
            name: interval_of(nominal.get(name, 0.0), np.array([draw.get(name, 0.0) for draw in table]))
            for name in names
        },
    )


def _difference(first: Times, second: Times | None = None) -> Times:
    """Return what a second side saves over the first, of a single one what it takes."""
    if second is None:
        return first
    return {name: first.get(name, 0.0) - second.get(name, 0.0) for name in dict.fromkeys((*first, *second))}


def _times(
    cases: Sequence[Case],
    rows: Sequence[Sequence[Mapping[str, float]]],
    executor: Executor | None,
    progress: Counted | None,
) -> list[list[Times | None]]:
    """Run each case with each of its rows of values, and return the times of its worker; None where a run fails."""
    chunks = [
        (number, row[first : first + _CHUNK]) for number, row in enumerate(rows) for first in range(0, len(row), _CHUNK)
    ]
    total, done = sum(map(len, rows)), 0
    times: list[list[Times | None]] = [[] for _ in cases]
    asked = [cases[number] for number, _ in chunks], [chunk for _, chunk in chunks]
    answers = map(_run, *asked) if executor is None else executor.map(_run, *asked)
    for (number, _), answered in zip(chunks, answers, strict=True):
        times[number] += answered
        done += len(answered)
        if progress is not None:
            progress(done, total)
    return times


def _run(case: Case, rows: Sequence[Mapping[str, float]]) -> list[Times | None]:
    return [_time(case, values) for values in rows]


def _time(case: Case, values: Mapping[str, float]) -> Times | None:
    try:
        changed = replace(case, scenario=with_values(case.scenario, values))
        point = simulate(changed.plan, changed.scenario.run)
    except ConfigError:  # a draw that fails is left out of the intervals of the answer, too
        return None
    return {name: ps / point.packets / 1e3 for name, ps in point.breakdown_ps.items()}
