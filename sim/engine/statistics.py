"""Warm-up, intervals and stopping: one set of functions for every engine, outside their integer loops.

Throughput is estimated by batch means. A batch is what lies between two checkpoints; its value is time per packet.
The warm-up that is removed is chosen by MSER: the truncation that gives the smallest squared standard error of the
mean of what is left (White 1997), never more than half of the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sim.engine.record import Checkpoint

MIN_BATCHES = 10
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
    """Return how many leading values to drop: argmin over d <= n/2 of var(values[d:]) / (n - d)."""
    series = np.asarray(values, dtype=float)
    best, best_score = 0, np.inf
    for drop in range(len(series) // 2 + 1):
        rest = series[drop:]
        score = float(rest.var()) / len(rest)
        if score < best_score * (1 - 1e-9):
            best, best_score = drop, score
    return best


def estimate(checkpoints: Sequence[Checkpoint]) -> Estimate:
    """Estimate time per packet from the checkpoints (at least two)."""
    from scipy.stats import t as student

    times = np.diff([point.time_ps for point in checkpoints])
    packets = np.diff([point.packets for point in checkpoints])
    values = times / packets
    first = mser(values.tolist())
    kept = values[first:]
    mean = float(times[first:].sum() / packets[first:].sum())
    half = float("inf")
    if len(kept) > 1:
        half = float(student.ppf((1 + CONFIDENCE) / 2, len(kept) - 1) * kept.std(ddof=1) / np.sqrt(len(kept)))
    return Estimate(mean, half, first, len(kept))


def precise_enough(found: Estimate, precision: float) -> bool:
    """Tell whether a run may stop: enough batches behind the warm-up, and an interval within `precision`."""
    return precision > 0 and found.batches >= MIN_BATCHES and found.relative <= precision
