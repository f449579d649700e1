"""Numbers that remember how they came about: a Plan is built once, and its prices are worked out again at other values.

While a Plan is traced, the entries of its tables are read as `Traced` numbers. Formulas calculate with them as with any
number, and what they do is written down in `Formulas`, which can do the same again for one value of each entry or for
one per draw: each operation is that of IEEE 754 in the order of the formula, so every draw gets what it would get by
itself, to the last bit. What a formula decides on such a number must come out as it did when it was traced; where it
does not, `Divided` says for which draws, and a Plan is built for those.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

import numpy as np
import numpy.typing as npt

from sim.config.tables.quantity import Quantity, reading_values_as

#: What formulas are typed with: a traced number stands in the place of one that a table has.
Number = TypeVar("Number", int, float)
#: An operation on two numbers, each one for all draws or one per draw.
Operation = Callable[[Any, Any], Any]


class Divided(Exception):  # noqa: N818 - no error: another Plan is built for some of the draws
    """Draws go different ways; `holds` is true for those that go the way that was traced."""

    def __init__(self, holds: npt.NDArray[np.bool_] | bool) -> None:
        super().__init__("draws go different ways")
        self.holds = holds


class Formulas:
    """What was calculated from the entries of tables, in order.

    Numbers are counted from 0 in the order in which they came about; a step is an operation with the numbers that it
    was done to, or no operation and the value itself.
    """

    def __init__(self) -> None:
        self._operations: list[Operation | None] = []
        self._left: list[Any] = []  # numbers, or the value itself where there is no operation
        self._right: list[int] = []
        self._entries: dict[int, tuple[Quantity, Traced]] = {}
        self._constants: dict[tuple[type, Any], int] = {}
        self._done: dict[tuple[Operation, int, int], Traced] = {}
        self._decided: set[tuple[int, bool]] = set()
        self._reading: dict[int, bool] = {}
        self._open = True

    def close(self) -> None:
        """Take no further formulas: several threads may work these out from now on."""
        self._open = False
        self._constants.clear()
        self._done.clear()
        self._decided.clear()

    def entry(self, entry: Any, value: Any) -> Any:
        """Return the value of an entry as a traced number, the same each time that it is read; others as they are."""
        if not isinstance(entry, Quantity) or isinstance(value, Traced):
            return value
        known = self._entries.get(id(entry))
        if known is None:
            known = self._entries[id(entry)] = entry, Traced(self, self._written(None, value, 0), value)
        return known[1]

    def given(self, value: int) -> Any:
        """Return a number that is no entry's and may be another one in other draws, as a traced number."""
        return Traced(self, self._written(None, value, 0), value)

    def number_of(self, entry: Quantity) -> int | None:
        """Return the number that the value of an entry has; None for one that was not read."""
        known = self._entries.get(id(entry))
        return None if known is None else known[1].number

    def done(self, operation: Operation, left: Any, right: Any) -> Traced:
        """Do an operation to two numbers, traced or not, and write it down, once."""
        if type(left) is Traced:
            left_number, left = left.number, left.value
        else:
            left_number = self._constant(left)
        if type(right) is Traced:
            right_number, right = right.number, right.value
        else:
            right_number = self._constant(right)
        known = self._done.get((operation, left_number, right_number))
        if known is None:
            number = self._written(operation, left_number, right_number)
            known = self._done[operation, left_number, right_number] = Traced(self, number, operation(left, right))
        return known

    def decide(self, number: int, holds: bool) -> bool:
        """Write down what a formula has decided on a number."""
        if (number, holds) not in self._decided:
            self._decided.add((number, holds))
            self._written(_as_decided if holds else _as_not_decided, number, number)
        return holds

    def read_where(self, number: int, holds: bool) -> bool:
        """Write down that what a formula reads depends on a number: another value of it may read something else."""
        self._reading[number] = holds
        return holds

    def _constant(self, value: Any) -> int:
        """Return the number of a value that is no entry's; one of another type is another one."""
        number = self._constants.get((type(value), value))
        if number is None:
            number = self._constants[type(value), value] = self._written(None, value, 0)
        return number

    def _written(self, operation: Operation | None, left: Any, right: int) -> int:
        """Write an operation on two numbers down, or a value, and return its number."""
        if not self._open:
            raise TypeError("these formulas are closed")
        self._operations.append(operation)
        self._left.append(left)
        self._right.append(right)
        return len(self._operations) - 1

    def at(self, values: Mapping[int, Any], *, reading_alike: bool = False) -> Values:
        """Work everything out with other values of some entries, by their numbers: one for all draws, or one per draw.

        Raises Divided where a decision comes out otherwise in some draws, or in all; where they have to be
        `reading_alike`, also where something else is read.
        """
        first, numbers = self._left, list[Any]()
        if values:
            first = first.copy()
            for number, value in values.items():
                first[number] = value
        for operation, left, right in zip(self._operations, first, self._right, strict=True):
            numbers.append(left if operation is None else operation(numbers[left], numbers[right]))
        for number, reads in self._reading.items() if reading_alike else ():
            _check_decision(numbers[number] == reads)
        return Values(numbers)


class Values:
    """What numbers are that were traced, in other draws."""

    def __init__(self, numbers: list[Any]) -> None:
        self._numbers = numbers

    def __call__(self, value: Any) -> Any:
        """Return what a number is: one for all draws or an array of one per draw, shape (draws,)."""
        return self._numbers[value.number] if isinstance(value, Traced) else value


@contextmanager
def tracing() -> Iterator[Formulas]:
    """Trace what is calculated from the values of entries that are read inside."""
    formulas = Formulas()
    with reading_values_as(formulas.entry):
        yield formulas


class Traced:
    """A number that remembers how it came about; decides as it does with the tables as they are.

    It is no plain number: it cannot be formatted, hashed or made a float.
    """

    __slots__ = ("formulas", "number", "value")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, formulas: Formulas, number: int, value: Any) -> None:
        self.formulas, self.number, self.value = formulas, number, value

    def __bool__(self) -> bool:
        return self.formulas.decide(self.number, bool(self.value))

    def __index__(self) -> int:
        """Return a whole number as one that is the same in all draws."""
        if not isinstance(self.value, int):
            raise TypeError("a traced number is not whole")
        _ = bool(self == self.value)
        return self.value

    def __float__(self) -> NoReturn:
        raise TypeError("a traced number is not that of one draw")

    def __format__(self, spec: str) -> NoReturn:
        raise TypeError("a traced number is not that of one draw")

    __int__ = __trunc__ = __float__

    def __round__(self) -> Traced:
        """Return the nearest whole number, the even one of two."""
        return self.formulas.done(_nearest, self, 0)

    def __neg__(self) -> Traced:
        return self.formulas.done(operator.sub, 0, self)

    def __add__(self, other: Any) -> Traced:
        return self.formulas.done(operator.add, self, other)

    def __radd__(self, other: Any) -> Traced:
        return self.formulas.done(operator.add, other, self)

    def __sub__(self, other: Any) -> Traced:
        return self.formulas.done(operator.sub, self, other)

    def __rsub__(self, other: Any) -> Traced:
        return self.formulas.done(operator.sub, other, self)

    def __mul__(self, other: Any) -> Traced:
        return self.formulas.done(operator.mul, self, other)

    def __rmul__(self, other: Any) -> Traced:
        return self.formulas.done(operator.mul, other, self)

    def __truediv__(self, other: Any) -> Traced:
        return self.formulas.done(operator.truediv, self, other)

    def __rtruediv__(self, other: Any) -> Traced:
        return self.formulas.done(operator.truediv, other, self)

    def __floordiv__(self, other: Any) -> Traced:
        return self.formulas.done(operator.floordiv, self, other)

    def __rfloordiv__(self, other: Any) -> Traced:
        return self.formulas.done(operator.floordiv, other, self)

    def __mod__(self, other: Any) -> Traced:
        return self.formulas.done(operator.mod, self, other)

    def __lt__(self, other: Any) -> Traced:
        return self.formulas.done(operator.lt, self, other)

    def __le__(self, other: Any) -> Traced:
        return self.formulas.done(operator.le, self, other)

    def __gt__(self, other: Any) -> Traced:
        return self.formulas.done(operator.gt, self, other)

    def __ge__(self, other: Any) -> Traced:
        return self.formulas.done(operator.ge, self, other)

    def __eq__(self, other: object) -> Any:
        return self.formulas.done(operator.eq, self, other)

    def __ne__(self, other: object) -> Any:
        return self.formulas.done(operator.ne, self, other)


def _done(operation: Operation, left: Any, right: Any) -> Any:
    """Do an operation to numbers of which any may be traced."""
    for value in (left, right):
        if isinstance(value, Traced):
            return value.formulas.done(operation, left, right)
    return operation(left, right)


def as_in_tables(value: Any) -> Any:
    """Return what a number is with the tables as they are."""
    return value.value if isinstance(value, Traced) else value


def _of_draws(value: Any, other: Any = None) -> bool:
    return isinstance(value, np.ndarray) or isinstance(other, np.ndarray)


def _as_decided(value: Any, _: Any) -> None:
    _check_decision(value != 0)


def _as_not_decided(value: Any, _: Any) -> None:
    _check_decision(value == 0)


def _check_decision(holds: Any) -> None:
    if not (holds.all() if _of_draws(holds) else holds):
        raise Divided(holds)


def _nearest(value: Any, _: Any) -> Any:
    return np.rint(value).astype(np.int64) if _of_draws(value) else round(value)


def _whole(value: Any, _: Any) -> Any:
    return value.astype(np.int64) if _of_draws(value) else int(value)


def _least(left: Any, right: Any) -> Any:
    return np.minimum(left, right) if _of_draws(left, right) else min(left, right)


def _most(left: Any, right: Any) -> Any:
    return np.maximum(left, right) if _of_draws(left, right) else max(left, right)


def _not(holds: Any, _: Any) -> Any:
    return np.logical_not(holds) if _of_draws(holds) else not holds


def _and(left: Any, right: Any) -> Any:
    return np.logical_and(left, right) if _of_draws(left, right) else bool(left and right)


def _or(left: Any, right: Any) -> Any:
    return np.logical_or(left, right) if _of_draws(left, right) else bool(left or right)


def _unless(holds: Any, value: Any) -> Any:
    return np.where(holds, 0, value) if _of_draws(holds) else (0 if holds else value)


def _ratio(value: Any, by: Any) -> Any:
    if not _of_draws(by):
        return value / by if by else 0.0
    some = by != 0
    return np.where(some, value / np.where(some, by, 1), 0.0)


def least(left: Number, right: Number) -> Number:
    """Return the smaller of two values, draw by draw."""
    made: Number = _done(_least, left, right)
    return made


def most(left: Number, right: Number) -> Number:
    """Return the larger of two values, draw by draw."""
    made: Number = _done(_most, left, right)
    return made


def total(values: Iterable[float]) -> float:
    """Add values up from the first to the last: `sum` of some versions of Python rounds otherwise."""
    sum_so_far: float = 0
    for value in values:
        sum_so_far = sum_so_far + value
    return sum_so_far


def whole(value: float) -> int:
    """Return a value without its fraction, draw by draw."""
    made: int = _done(_whole, value, 0)
    return made


def everywhere(holds: Any, surely: bool) -> bool:
    """Return whether a comparison holds for all draws; where it may not, none of them is told apart.

    A traced one only where that is so `surely`: it is not tried in vain, and parts no draws that are near.
    """
    return surely and bool(holds) if isinstance(holds, Traced) else bool(holds)


def read_where(holds: Any) -> bool:
    """Return whether something is read where a comparison holds: as in the tables, and no draw is told apart by it."""
    return holds.formulas.read_where(holds.number, bool(holds.value)) if isinstance(holds, Traced) else bool(holds)


def somewhere(holds: Any) -> bool:
    """Return whether a comparison may hold for any draw, or a number not be 0 in it; none of them is told apart."""
    return isinstance(holds, Traced) or bool(holds)


def negated(holds: bool) -> bool:
    """Return whether a comparison does not hold, draw by draw."""
    made: bool = _done(_not, holds, 0)
    return made


def either(comparisons: Iterable[bool]) -> bool:
    """Return whether one of several comparisons holds, draw by draw."""
    result: bool = False
    for holds in comparisons:
        if isinstance(holds, Traced) or isinstance(result, Traced):
            result = _done(_or, result, holds)
        elif holds:
            return True
    return result


def both(holds: bool, too: bool) -> bool:
    """Return whether two comparisons hold, draw by draw."""
    made: bool = _done(_and, holds, too)
    return made


def unless(holds: Any, value: Any) -> Any:
    """Return a value where a comparison does not hold, draw by draw, and 0 where it does."""
    return _done(_unless, holds, value)


def ratio(value: Any, by: Any) -> Any:
    """Return a value divided by another, draw by draw, and 0 where that is 0."""
    return _done(_ratio, value, by)
