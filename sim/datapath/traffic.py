"""When packets arrive and which size they have: integers, drawn outside the engines (DESIGN 5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.config.scenario.traffic import Load, Mix

_BLOCK = 1 << 12
_DRAWS = 1 << 16  # a power of two


class Arrivals:
    """Arrival times of one offered load, made as far as they are asked for.

    Random gaps are drawn in blocks keyed by seed and block number (Philox), so that packet n arrives at the same time
    however long a run is and whichever access variant it meets.
    """

    def __init__(self, load: Load, seed: int) -> None:
        self._load = load
        self._seed = seed
        self._times: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self.first(_BLOCK)

    def first(self, packets: int) -> npt.NDArray[np.int64]:
        """Return the arrival times of at least the first `packets` packets in ps, in order (shape: packets or more)."""
        while len(self._times) < packets:
            number = len(self._times) // _BLOCK
            wanted = max(1, number)  # as many again, so that asking for one more each time stays cheap
            parts = [self._block(number + ahead) for ahead in range(wanted)]
            if self._load.kind == "poisson":
                last = self._times[-1] if number else 0
                parts = [last + np.cumsum(np.concatenate(parts), dtype=np.int64)]
            self._times = np.concatenate([self._times, *parts])
        return self._times

    def at(self, packet: int) -> int:
        """Return when one packet arrives."""
        return int(self.first(packet + 1)[packet])

    def _block(self, number: int) -> npt.NDArray[np.int64]:
        """Return the times of a block of packets; with Poisson arrivals the gaps before them."""
        mean_ps = 1e12 / self._load.pps
        if self._load.kind == "poisson":
            generator = np.random.Generator(np.random.Philox(key=self._seed, counter=number << 32))
            return _whole(generator.standard_exponential(_BLOCK) * mean_ps + 0.5)
        packets = np.arange(number * _BLOCK + 1, (number + 1) * _BLOCK + 1)
        if self._load.kind == "constant":
            return _whole(packets * mean_ps)
        burst = self._load.packets_per_period
        periods, inside = np.divmod(packets - 1, burst)
        period_ps = (self._load.on_us + self._load.off_us) * 1e6
        return _whole(periods * period_ps + (inside + 1) * mean_ps)


def _whole(times_ps: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.int64]:
    whole: npt.NDArray[np.int64] = np.floor(times_ps).astype(np.int64)
    return whole


@dataclass(frozen=True)
class SizeClasses:
    """The sizes of a mix, and which of them each packet has: `draws`, which begin again when they are used up."""

    sizes: tuple[int, ...]
    draws: npt.NDArray[np.int64]

    def of(self, packet: int) -> int:
        """Return the class of a packet."""
        return int(self.draws[packet & (len(self.draws) - 1)])


def size_classes(mix: Mix | None, seed: int) -> SizeClasses | None:
    """Draw the size of each packet of a mix (None without one); the same for every access variant."""
    if mix is None:
        return None
    generator = np.random.Generator(np.random.Philox(key=[seed, 1]))
    draws = generator.choice(len(mix.bytes), size=_DRAWS, p=mix.shares)
    return SizeClasses(tuple(mix.bytes), draws.astype(np.int64))


def arrivals_of(load: Load, seed: int) -> Arrivals | None:
    """Return the arrivals of a load, or None when the driver always has packets."""
    return None if load.kind == "saturate" else Arrivals(load, seed)
