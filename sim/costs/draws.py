"""Numbers that may be many at once: a value of a table, or one value per draw, which the same formulas price.

A batch of draws differs from a run alone in nothing but its numbers: each operation is that of IEEE 754 in the order of
the formula, so every draw gets what it would get by itself, to the last bit. What a formula decides on such a value
must be the same for all draws of a batch; where it is not, `Divided` says which of them go which way, and the batch is
priced again in two parts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

#: What formulas are typed with: a batch of draws stands in the place of the number that one draw has.
Number = TypeVar("Number", int, float)


class Divided(Exception):  # noqa: N818 - no error: the batch is priced in two parts
    """Draws of a batch go different ways; `holds` is true for those that go the one."""

    def __init__(self, holds: npt.NDArray[np.bool_]) -> None:
        super().__init__("draws of a batch go different ways")
        self.holds = holds


class Drawn(np.ndarray[Any, np.dtype[Any]]):
    """One value per draw, shape (draws,), for numbers in formulas; decides only what is the same for all draws.

    It is no number by itself: it cannot be formatted, hashed or made a float.
    """

    def __bool__(self) -> bool:
        holds = np.asarray(self) != 0
        if holds.all():
            return True
        if holds.any():
            raise Divided(holds)
        return False

    def __round__(self, digits: int = 0) -> Drawn:
        """Return the nearest whole numbers, the even one of two, as int64."""
        return np.rint(self).astype(np.int64).view(Drawn)

    # As for any number, `a += b` makes a new value: an array would change for everybody who holds it.
    __iadd__ = np.ndarray.__add__  # type: ignore[assignment]
    __isub__ = np.ndarray.__sub__  # type: ignore[assignment]
    __imul__ = np.ndarray.__mul__  # type: ignore[assignment]
    __itruediv__ = np.ndarray.__truediv__  # type: ignore[assignment]


def draws(values: npt.ArrayLike) -> Drawn:
    """Return one value per draw as numbers for formulas, float64."""
    array = np.array(values, dtype=np.float64).view(Drawn)
    array.flags.writeable = False
    return array


def value_at(value: Any, draw: int) -> Any:
    """Return the value that a draw has: that of all draws, or its own."""
    return value[draw].item() if isinstance(value, Drawn) else value


def least(left: Number, right: Number) -> Number:
    """Return the smaller of two values, draw by draw."""
    if isinstance(left, Drawn) or isinstance(right, Drawn):
        return np.minimum(left, right)
    return min(left, right)


def most(left: Number, right: Number) -> Number:
    """Return the larger of two values, draw by draw."""
    if isinstance(left, Drawn) or isinstance(right, Drawn):
        return np.maximum(left, right)
    return max(left, right)


def total(values: Iterable[float]) -> float:
    """Add values up from the first to the last: `sum` of some versions of Python rounds otherwise."""
    sum_so_far: float = 0
    for value in values:
        sum_so_far = sum_so_far + value
    return sum_so_far


def whole(value: float) -> int:
    """Return a value without its fraction, draw by draw."""
    return value.astype(np.int64) if isinstance(value, Drawn) else int(value)


def everywhere(holds: Any) -> bool:
    """Return whether a comparison holds for all draws; where it does not, none of them is told apart."""
    return bool(holds.all()) if isinstance(holds, Drawn) else bool(holds)


def somewhere(holds: Any) -> bool:
    """Return whether a comparison holds for any draw, or a number is not 0 in it; none of them is told apart."""
    return bool(holds.any()) if isinstance(holds, Drawn) else bool(holds)


def negated(holds: bool) -> bool:
    """Return whether a comparison does not hold, draw by draw."""
    return np.logical_not(holds) if isinstance(holds, Drawn) else not holds


def either(comparisons: Iterable[bool]) -> bool:
    """Return whether one of several comparisons holds, draw by draw."""
    result: bool = False
    for holds in comparisons:
        if isinstance(holds, Drawn) or isinstance(result, Drawn):
            result = np.logical_or(result, holds)
        elif holds:
            return True
    return result


def unless(holds: Any, value: Any) -> Any:
    """Return a value where a comparison does not hold, draw by draw, and 0 where it does."""
    if isinstance(holds, Drawn):
        return np.where(holds, 0, value).view(Drawn)
    return 0 if holds else value


def ratio(value: Any, by: Any) -> Any:
    """Return a value divided by another, draw by draw, and 0 where that is 0."""
    if isinstance(by, np.ndarray):
        some = np.asarray(by) != 0
        return np.where(some, value / np.where(some, by, 1), 0.0).view(Drawn)
    return value / by if by else 0.0
