"""When packets arrive and which size they have: integers, drawn outside the engines (DESIGN 5)."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.config.scenario.traffic import Load, Mix

_BLOCK = 1 << 12
WORD = (1 << 64) - 1
GAMMA, FIRST_FACTOR, SECOND_FACTOR = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
SHIFTS = (30, 27, 31)
#: The bits of a hash below its sign: a draw among so many fits a 64-bit integer.
DRAW_BITS = 63


def splitmix64(value: int) -> int:
    """Mix 64 bits (Steele, Lea and Flood 2014, the finaliser of SplittableRandom)."""
    value = ((value ^ (value >> SHIFTS[0])) * FIRST_FACTOR) & WORD
    value = ((value ^ (value >> SHIFTS[1])) * SECOND_FACTOR) & WORD
    return value ^ (value >> SHIFTS[2])


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

    def until(self, time_ps: int) -> int:
        """Return how many packets have arrived at a time, that of the last one included."""
        while self.first(1)[-1] <= time_ps:
            self.first(len(self._times) + 1)
        return int(np.searchsorted(self._times, time_ps, side="right"))

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
    """The sizes of a mix, and which of them each packet has: a hash of the packet's number, which never repeats.

    `shares` of the packets add up to 1; `start` is where the stream of hashes begins.
    """

    sizes: tuple[int, ...]
    shares: tuple[float, ...]
    start: int

    @cached_property
    def bounds(self) -> tuple[int, ...]:
        """Draws from which on the next class begins, one fewer than there are classes."""
        ends = np.cumsum(self.shares)[:-1]
        return tuple(min(round(float(end) * 2**DRAW_BITS), 2**DRAW_BITS - 1) for end in ends)

    def of(self, packet: int) -> int:
        """Return the class of a packet."""
        return bisect_right(self.bounds, splitmix64((self.start + packet * GAMMA) & WORD) >> (64 - DRAW_BITS))


def size_classes(mix: Mix | None, seed: int) -> SizeClasses | None:
    """Return what draws the size of each packet of a mix (None without one); the same for every access variant."""
    if mix is None:
        return None
    return SizeClasses(tuple(mix.bytes), tuple(mix.shares), splitmix64(splitmix64(seed & WORD)))


def arrivals_of(load: Load, seed: int) -> Arrivals | None:
    """Return the arrivals of a load, or None when the driver always has packets."""
    return None if load.kind == "saturate" else Arrivals(load, seed)
