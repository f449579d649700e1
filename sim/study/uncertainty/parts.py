"""How sure the parts of an answer are: what a difference is made up of, or the time of a packet, draw by draw.

Intervals are of the parameters alone: how far the model itself and a rig are off is known of wholes, not of parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sim.config.errors import ConfigError
from sim.config.progress import Counted
from sim.study.runs.case import Side
from sim.study.runs.drawn import times_ns
from sim.study.runs.pool import Job, answers
from sim.study.uncertainty.distributions import BLOCK
from sim.study.uncertainty.intervals import Interval, interval_of
from sim.study.uncertainty.nominal import Basis
from sim.study.uncertainty.runs import draws_by_side

#: So many draws at most show the parts: one Latin hypercube, the first of those that the answer rests on.
MOST_DRAWS = BLOCK

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
    bases: Sequence[Basis] | None = None,
    configs: Path | None = None,
    executor: Executor | None = None,
    progress: Counted | None = None,
) -> DrawnParts:
    """Return what makes up the difference between the first side and another of its size, with intervals.

    `sides` are those that the answer is about: their draws are met again, `draws` of them but `MOST_DRAWS` at most.
    `after` is the label of the other side (default: the next one); of a single side it is the time of a packet. `bases`
    are what draws of the sides rest on, where that is known.
    Raises ConfigError below 1 draw, and where every draw fails.
    """
    if draws < 1:
        raise ConfigError("at least 1 draw is needed", key="draws", got=draws)
    size = sides[0].packet_bytes
    same = [number for number, side in enumerate(sides) if side.packet_bytes == size]
    others = [number for number in same[1:] if after in (None, sides[number].label)]
    wanted = [0, *others[:1]]
    number = min(draws, MOST_DRAWS)
    drawn = draws_by_side(sides, number, seed, configs, bases)
    jobs = [Job(case, values) for case, side in enumerate(wanted) for values in ({}, *drawn[side].rows(range(number)))]
    times = answers(times_ns, [sides[side].case for side in wanted], jobs, executor, progress)
    of_sides = [times[first : first + number + 1] for first in range(0, len(times), number + 1)]
    both = [_difference(*good) for draw in zip(*of_sides, strict=True) if (good := _good(draw))]
    if any(isinstance(side[0], str) for side in of_sides) or len(both) < 2:
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


def _good(draw: tuple[Times | str, ...]) -> list[Times]:
    """Return the times of a draw; none where one of its runs fails: it is left out of the answer's intervals, too."""
    times = [side for side in draw if not isinstance(side, str)]
    return times if len(times) == len(draw) else []
