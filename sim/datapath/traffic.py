"""When packets arrive and which size they have: integers, drawn outside the engines (DESIGN 5)."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.config.scenario.traffic import Load, Mix

#: Simulated time ends here (53 days): twice as much still fits a clock of 64 bits in picoseconds. `BEHIND_PS` is later.
LAST_PS = (1 << 62) - 1
BEHIND_PS = 1 << 62
#: Arrivals are made so many at a time, and so many of these pieces are kept.
BLOCK = 1 << 12
_KEPT = 4
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
    """Arrival times of one offered load, made block by block as they are asked for; only a few blocks are kept.

    Random gaps are drawn in blocks keyed by seed and block number (Philox), so that packet n arrives at the same time
    however long a run is and whichever access variant it meets. Times are never later than `BEHIND_PS`.
    """

    def __init__(self, load: Load, seed: int) -> None:
        self.load = load
        self._seed = seed
        self._ends: list[int] = []  # time of the last packet of each block so far
        self._kept: dict[int, npt.NDArray[np.int64]] = {}
        self._making = Lock()
        self.block(0)

    def block(self, number: int) -> npt.NDArray[np.int64]:
        """Return the arrival times of the packets `number * BLOCK` to `(number + 1) * BLOCK - 1` in ps, in order."""
        with self._making:  # draws that share a Plan run in several threads
            for before in range(len(self._ends), number):
                self._ends.append(int(self._times(before)[-1]))
            if number not in self._kept:
                if len(self._kept) == _KEPT:
                    del self._kept[next(iter(self._kept))]
                self._kept[number] = self._times(number)
            if number == len(self._ends):
                self._ends.append(int(self._kept[number][-1]))
            return self._kept[number]

    @property
    def period_ps(self) -> int:
        """Time after which the load comes again as before, in ps (0: there is none)."""
        return round((self.load.on_us + self.load.off_us) * 1e6) if self.load.kind == "on-off" else 0

    def at(self, packet: int) -> int:
        """Return when one packet arrives."""
        number, place = divmod(packet, BLOCK)
        return int(self.block(number)[place])

    def until(self, time_ps: int) -> int:
        """Return how many packets have arrived at a time before `BEHIND_PS`, that of the last one included."""
        number = self.first_behind(time_ps)
        return number * BLOCK + int(np.searchsorted(self.block(number), time_ps, side="right"))

    def first_behind(self, time_ps: int) -> int:
        """Return the number of the first block that has not arrived whole at a time before `BEHIND_PS`."""
        while not self._ends or self._ends[-1] <= time_ps:
            self.block(len(self._ends))
        return bisect_right(self._ends, time_ps)

    def _times(self, number: int) -> npt.NDArray[np.int64]:
        mean_ps = 1e12 / self.load.pps
        if self.load.kind == "poisson":
            generator = np.random.Generator(np.random.Philox(key=self._seed, counter=number << 32))
            gaps = np.floor(generator.standard_exponential(BLOCK) * mean_ps + 0.5)
            before = self._ends[number - 1] if number else 0
            sums = before + np.cumsum(np.minimum(gaps, BEHIND_PS).astype(np.int64))
            sums[before + np.cumsum(gaps) >= BEHIND_PS] = BEHIND_PS  # whole numbers may have passed 64 bits there
            return sums
        packets = np.arange(number * BLOCK + 1, (number + 1) * BLOCK + 1)
        if self.load.kind == "constant":
            return _whole(packets * mean_ps)
        burst = self.load.packets_per_period
        periods, inside = np.divmod(packets - 1, burst)
        period_ps = (self.load.on_us + self.load.off_us) * 1e6
        return _whole(periods * period_ps + (inside + 1) * mean_ps)


def _whole(times_ps: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.int64]:
    whole: npt.NDArray[np.int64] = np.minimum(np.floor(times_ps), BEHIND_PS).astype(np.int64)
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
