"""What every answer of the library has: a table of rows, a short form, and what a notebook shows of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import pandas as pd

Record = dict[str, Any]


def flat(values: Mapping[str, Any], prefix: str = "") -> Record:
    """Return nested values under names that are joined by dots; lists become texts with spaces between their parts.

    Examples
    --------
    >>> flat({"first": {"value": 1, "unit": "ns"}, "scope": ["packet", "batch"]})
    {'first.value': 1, 'first.unit': 'ns', 'scope': 'packet batch'}
    """
    row: Record = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            row |= flat(value, f"{prefix}{name}.")
        else:
            row[f"{prefix}{name}"] = " ".join(map(str, value)) if isinstance(value, list | tuple) else value
    return row


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun, in the plural where there is not one.

    Examples
    --------
    >>> counted(1, "table"), counted(0, "table"), counted(2, "entry", "entries")
    ('1 table', '0 tables', '2 entries')
    """
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def rounded(number: float, digits: int) -> str:
    """Return a number with so many digits that are not zeros in front, without an exponent.

    Examples
    --------
    >>> rounded(12.7, 1), rounded(0.3012, 1), rounded(1234.5, 2), rounded(0.0, 1), rounded(0.00001234, 2)
    ('10', '0.3', '1200', '0', '0.000012')
    """
    return f"{Decimal(f'{number:.{digits}g}'):f}"


class Answer:
    """An answer: `to_frame()` for programs, a line for a prompt, a table and a plot for a notebook.

    A kind of answer says its rows, and what it is in a line. How it is drawn is said where answers are drawn:
    `drawn_by` is set by what offers the answers to Python.
    """

    drawn_by: ClassVar[Callable[[Answer], str] | None] = None

    def records(self) -> list[Record]:
        """Return the rows of the table of the answer, by column; units stand in the names of columns."""
        raise NotImplementedError

    def headline(self) -> str:
        """Return the answer in a line."""
        raise NotImplementedError

    def to_frame(self) -> pd.DataFrame:
        """Return the rows as a tidy table."""
        import pandas as pd

        return pd.DataFrame(self.records())

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.headline()}>"

    def _repr_html_(self) -> str | None:
        """Return what a notebook shows: None, which is the line, where nothing draws."""
        draw = Answer.drawn_by
        return None if draw is None else draw(self)
