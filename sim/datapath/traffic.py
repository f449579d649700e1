"""When packets arrive: integer picoseconds, drawn outside the engines (DESIGN 5)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sim.config.scenario import Load

_BLOCK = 1 << 16


def arrival_times(load: Load, seed: int, packets: int) -> npt.NDArray[np.int64] | None:
    """Return the arrival time of each packet in ps (shape: packets), or None when the driver always has packets.

    Gaps are drawn in blocks keyed by seed and block number (Philox), so that packet n has the same gap however long a
    run is and whichever access variant it meets.
    """
    if load.kind == "saturate":
        return None
    mean_ps = 1e12 / load.pps
    if load.kind == "constant":
        times: npt.NDArray[np.int64] = np.floor(np.arange(1, packets + 1) * mean_ps).astype(np.int64)
        return times
    blocks = -(-packets // _BLOCK)
    gaps = np.concatenate([_gaps(seed, block, mean_ps) for block in range(blocks)])[:packets]
    return np.cumsum(gaps, dtype=np.int64)


def _gaps(seed: int, block: int, mean_ps: float) -> npt.NDArray[np.int64]:
    generator = np.random.Generator(np.random.Philox(key=seed, counter=block << 32))
    return np.round(generator.standard_exponential(_BLOCK) * mean_ps).astype(np.int64)
