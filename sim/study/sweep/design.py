"""The points of a sweep: full grid, Latin hypercube or Sobol sequence, made by number so that memory stays flat."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sim.config.errors import ConfigError
from sim.config.tables.study import MAX_POINTS, Axis, Sweep, Value

Assignment = dict[str, Value]


def grid_values(axis: Axis) -> list[Value]:
    """Return what an axis takes in a grid, in order; a whole-number range takes equal neighbours once."""
    if axis.values is not None:
        return axis.values
    assert axis.count is not None
    shares = [0.0] if axis.count == 1 else [number / (axis.count - 1) for number in range(axis.count)]
    return list(dict.fromkeys(at_share(axis, share) for share in shares))


def at_share(axis: Axis, share: float) -> Value:
    """Return the value at a share (0..1) of an axis; categories divide it evenly."""
    if axis.values is not None:
        return axis.values[min(int(share * len(axis.values)), len(axis.values) - 1)]
    assert axis.low is not None
    assert axis.high is not None
    if axis.scale == "log":
        value = axis.low * (axis.high / axis.low) ** share
    else:
        value = axis.low + share * (axis.high - axis.low)
    value = axis.high if share == 1 else min(max(value, axis.low), axis.high)  # the ends are exact
    return round(value) if axis.integer else value


def extremes(axis: Axis) -> list[Value]:
    """Return every value that an axis lists, or both ends of its range."""
    return axis.values or [at_share(axis, 0.0), at_share(axis, 1.0)]


class Design:
    """The points of one sweep by number, 0 to `len(design) - 1`."""

    def __init__(self, sweep: Sweep) -> None:
        self.sweep = sweep
        self.keys = list(sweep.axes)
        self._grid = [grid_values(axis) for axis in sweep.axes.values()] if sweep.design == "grid" else []
        self._points = math.prod(len(values) for values in self._grid) if self._grid else sweep.points or 0
        if self._points > MAX_POINTS:
            raise ConfigError(f"sweep {sweep.name}: {self._points} points; at most {MAX_POINTS} are possible")
        self._strata = [self._permutation(number) for number in range(len(self.keys))] if self._latin else []

    def __len__(self) -> int:
        return self._points

    @property
    def _latin(self) -> bool:
        return self.sweep.design == "latin-hypercube"

    def points(self, first: int, last: int) -> list[Assignment]:
        """Return points `first` up to, not including, `last`."""
        if self.sweep.design == "grid":
            return [self._grid_point(number) for number in range(first, last)]
        shares = self._latin_shares(first, last) if self._latin else self._sobol_shares(first, last)
        axes = list(self.sweep.axes.items())
        return [{key: at_share(axis, float(x)) for (key, axis), x in zip(axes, row, strict=True)} for row in shares]

    def _grid_point(self, number: int) -> Assignment:
        """The last axis turns fastest."""
        point: Assignment = {}
        for key, values in reversed(list(zip(self.keys, self._grid, strict=True))):
            number, place = divmod(number, len(values))
            point[key] = values[place]
        return {key: point[key] for key in self.keys}

    def _generator(self, stream: int) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(key=[self.sweep.seed, stream]))

    def _permutation(self, axis: int) -> npt.NDArray[np.int64]:
        return self._generator(axis).permutation(self._points)

    def _latin_shares(self, first: int, last: int) -> Sequence[Sequence[float]]:
        """One point in each of n strata of every axis, at a place inside it that depends on its number alone."""
        columns = []
        for axis, strata in enumerate(self._strata):
            inside = [self._inside(axis, number) for number in range(first, last)]
            columns.append((strata[first:last] + np.array(inside)) / self._points)
        return np.stack(columns, axis=1).tolist()  # type: ignore[no-any-return]

    def _inside(self, axis: int, number: int) -> float:
        bits = np.random.Philox(key=[self.sweep.seed, len(self.keys) + axis], counter=number).random_raw()
        return float(int(bits) >> 11) / 2**53

    def _sobol_shares(self, first: int, last: int) -> Sequence[Sequence[float]]:
        """A scrambled Sobol sequence, entered at `first`."""
        from scipy.stats import qmc

        sequence = qmc.Sobol(len(self.keys), scramble=True, rng=np.random.default_rng(self.sweep.seed))
        if first:  # SciPy cannot go forward by nothing
            sequence.fast_forward(first)
        with warnings.catch_warnings():
            # A sequence cut at a number that is no power of two is unbalanced: the user chose it.
            warnings.simplefilter("ignore", UserWarning)
            return sequence.random(last - first).tolist()
