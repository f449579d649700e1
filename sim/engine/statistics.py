"""Warm-up, intervals and stopping: the same functions for every engine, outside their integer loops.

Throughput is estimated by batch means. What lies between two checkpoints has a time per packet. The warm-up that is
removed is chosen by MSER: the truncation that gives the smallest squared standard error of the mean of what is left
(White 1997), never more than half of the run, and none that is not worth it: chance alone finds one that lowers the
error a little, always by leaving out what made the interval wide. Neighbours in the rest are put together to at most
`MOST_BATCHES` batches, long against what one packet does to the next (a queue under Poisson arrivals), so that
batches are as good as independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from sim.engine.record import Checkpoint

MIN_BATCHES = 10
MOST_BATCHES = 20
_WORTH_DROPPING = 0.9
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """Time per packet in ps and half the width of its 95 % interval; checkpoint `first` ends the warm-up."""

    ps_per_packet: float
    half_width_ps: float
    first: int
    batches: int

    @property
    def relative(self) -> float:
        """Half width as a share of the estimate."""
        return self.half_width_ps / self.ps_per_packet


def mser(values: Sequence[float]) -> int:
    """Return how many leading values to drop: argmin over d <= n/2 of var(values[d:]) / (n - d), else none."""
    series = np.asarray(values, dtype=float)
    count = len(series)
    backwards = series[::-1] - series[count // 2 :].mean()  # centred, so that squares do not cancel
    lengths = np.arange(1, count + 1)
    means, squares = np.cumsum(backwards) / lengths, np.cumsum(backwards**2) / lengths
    scores = (np.maximum(0, squares - means**2) / lengths)[::-1][: count // 2 + 1]
    best = 0
    for drop in range(1, len(scores)):
        if scores[drop] < scores[best] * (1 - 1e-9):
            best = drop
    return best if scores[best] < _WORTH_DROPPING * scores[0] else 0


def estimate(checkpoints: Sequence[Checkpoint]) -> Estimate:
    """Estimate time per packet from the checkpoints (at least two)."""
    times = np.diff([point.time_ps for point in checkpoints])
    packets = np.diff([point.packets for point in checkpoints])
    first = mser((times / packets).tolist())
    mean = float(times[first:].sum() / packets[first:].sum())
    kept = _together(times[first:]) / _together(packets[first:])
    half = float("inf")
    if len(kept) > 1:
        half = float(_student(len(kept) - 1) * kept.std(ddof=1) / np.sqrt(len(kept)))
    return Estimate(mean, half, first, len(kept))


def _together(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Add up neighbours, so that at most `MOST_BATCHES` are left, of nearly the same number each."""
    batches = min(len(values), MOST_BATCHES)
    return np.add.reduceat(values, np.arange(batches) * len(values) // batches)


@cache
def _student(freedom: int) -> float:
    """Return the quantile of Student's t that bounds the interval."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + CONFIDENCE) / 2))


def precise_enough(rate: Estimate, precision: float) -> bool:
    """Return whether a run may stop: enough batches behind the warm-up, and an interval within `precision`."""
    return precision > 0 and rate.batches >= MIN_BATCHES and rate.relative <= precision
