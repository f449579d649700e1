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

import numpy as np
import numpy.typing as npt

from sim.engine.record import Checkpoint

#: Batches behind the warm-up, at least; of a steady run few are within 0.03 % of the rate of a long one (0.15 % where
#: their interval says so).
MIN_BATCHES, STEADY_BATCHES = 10, 4
MOST_BATCHES = 20
_WORTH_DROPPING = 0.9
_ROUNDING = 1e-9
CONFIDENCE = 0.95
#: Quantiles of Student's t at (1 + `CONFIDENCE`) / 2 for 1, 2, ... degrees of freedom, as scipy.special has them: it
#: takes longer to import than a short run does.
_STUDENT = (
    12.706204736174694,
    4.302652729749462,
    3.1824463052837078,
    2.7764451051977934,
    2.5705818356363146,
    2.4469118511449786,
    2.364624251592784,
    2.306004135204166,
    2.262157162798205,
    2.228138851986274,
    2.200985160091639,
    2.1788128296672284,
    2.1603686564627913,
    2.144786687917804,
    2.131449545559776,
    2.1199052992212546,
    2.1098155778333156,
    2.1009220402410382,
    2.0930240544083087,
)


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


def mser(values: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return how many leading values of each run to drop: argmin over d <= n/2 of var(values[d:]) / (n - d), else none.

    The last axis of `values` is that of one run; of values that differ by rounding alone the fewest are dropped.
    """
    series = np.asarray(values, dtype=float)
    count = series.shape[-1]
    middle = series[..., count // 2 :].mean(axis=-1, keepdims=True)  # centred, so that squares do not cancel
    backwards = series[..., ::-1] - middle
    lengths = np.arange(1, count + 1)
    means, squares = np.cumsum(backwards, axis=-1) / lengths, np.cumsum(backwards**2, axis=-1) / lengths
    scores = (np.maximum(0, squares - means**2) / lengths)[..., ::-1][..., : count // 2 + 1]
    lowest = scores.min(axis=-1, keepdims=True)
    best = np.argmax(scores <= lowest * (1 + _ROUNDING), axis=-1)
    worth = lowest[..., 0] < _WORTH_DROPPING * scores[..., 0]
    return np.where(worth, best, 0)


def estimate(checkpoints: Sequence[Checkpoint]) -> Estimate:
    """Estimate time per packet from the checkpoints (at least two)."""
    times, packets = [point.time_ps for point in checkpoints], [point.packets for point in checkpoints]
    return next(iter(estimates(np.array([times]), np.array([packets]))))


def estimates(times_ps: npt.NDArray[np.int64], packets: npt.NDArray[np.int64]) -> list[Estimate]:
    """Estimate time per packet of several runs, rows, from time and packets at their checkpoints, columns."""
    times, counts = np.diff(times_ps, axis=1), np.diff(packets, axis=1)
    firsts = mser(times / counts)
    results = {}
    for first in np.unique(firsts).tolist():
        runs = np.flatnonzero(firsts == first)
        time, count = times[runs, first:], counts[runs, first:]
        means = time.sum(axis=1) / count.sum(axis=1)
        kept = _together(time) / _together(count)
        batches = kept.shape[1]
        halves = np.full(len(runs), np.inf)
        if batches > 1:
            halves = _student(batches - 1) * kept.std(axis=1, ddof=1) / np.sqrt(batches)
        for run, mean, half in zip(runs.tolist(), means.tolist(), halves.tolist(), strict=True):
            results[run] = Estimate(mean, half, first, batches)
    return [results[run] for run in range(len(times))]


def _together(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Add up neighbours in each row, so that at most `MOST_BATCHES` are left, of nearly the same number each."""
    count = values.shape[1]
    batches = min(count, MOST_BATCHES)
    return np.add.reduceat(values, np.arange(batches) * count // batches, axis=1)


def _student(freedom: int) -> float:
    """Return the quantile of Student's t that bounds the interval."""
    return _STUDENT[freedom - 1]


def precise_enough(rate: Estimate, precision: float, least: int = MIN_BATCHES) -> bool:
    """Return whether a run may stop: enough batches behind the warm-up, and an interval within `precision`."""
    return precision > 0 and rate.batches >= least and rate.relative <= precision
