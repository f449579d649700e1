"""Log-linear latency histogram in integers: 128 buckets per power of two, so a bucket is within 0.8 % of its value."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SUB_BITS = 7
_SUB = 1 << SUB_BITS
_OCTAVES = 56  # up to 2^62


def buckets() -> int:
    """Return the number of buckets."""
    return _OCTAVES * _SUB


def bucket(value: int) -> int:
    """Return the bucket of a non-negative integer; values below 128 have a bucket of their own."""
    if value < _SUB:
        return value
    octave = value.bit_length() - SUB_BITS - 1
    return min((octave + 1) * _SUB + (value >> octave) - _SUB, buckets() - 1)


def lower_edge(index: int) -> int:
    """Return the smallest value of a bucket."""
    octave, position = divmod(index, _SUB)
    return index if octave == 0 else (_SUB + position) << (octave - 1)


def percentile(counts: npt.NDArray[np.int64], share: float) -> float:
    """Return the middle of the bucket that holds the given share of all values (nan when there are none)."""
    total = int(counts.sum())
    if total == 0:
        return float("nan")
    rank = max(1, -int(-share * total // 1))
    index = int(np.searchsorted(np.cumsum(counts), rank))
    return (lower_edge(index) + lower_edge(index + 1) - 1) / 2
