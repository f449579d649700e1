"""A number with its evidence: value, unit, range, source and grade (DESIGN 7); those that a scenario may leave out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, partial
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from sim.config.errors import ConfigError
from sim.config.loading import paths
from sim.config.loading.reading import read_yaml

Grade = Literal["measured-here", "measured-elsewhere", "vendor", "derived", "guess"]

#: How a range is drawn from (docs/assumptions.md). Triangular: the value is the median, half of the draws lie on each
#: side of it and get rarer linearly up to the end of the range; log-triangular: the same in the logarithm.
Distribution = Literal["fixed", "triangular", "log-triangular", "uniform", "log-uniform"]

#: A range whose ends are this many times apart is drawn in the logarithm unless its entry says otherwise.
WIDE = 5.0

#: A value this many times above or below its range is said to be far outside it.
FAR = 2.0


#: What a number can be, by unit: least and most of what is physically conceivable, with generous room. No time is
#: longer than a second: days of simulated time fit a clock of 64 bits in picoseconds. A clock given in MHz is still
#: run, and said to be far outside its range.
BOUNDS: dict[str, tuple[float, float]] = {
    "cycles": (0.0, 1e9),
    "ns": (0.0, 1e9),
    "us": (0.0, 1e6),
    "ns/byte": (0.0, 1e5),
    "GHz": (0.1, 1e4),
    "cycles/instruction": (0.0, 100.0),
    "instructions": (0.0, 1e6),
    "returns": (0.0, 1e4),
    "bytes/cycle": (1e-3, 1e6),
    "GB/s": (1e-3, 1e6),
    "bytes": (0.0, 1e15),
    "entries": (0.0, 1e9),
    "fraction": (0.0, 1.0),
    "ratio": (0.0, 100.0),
}

#: What was read, while somebody notes that: the table, by its identity and the name of the field.
Reads = dict[tuple[int, str], "Strict"]
_READ: ContextVar[Reads | None] = ContextVar("read", default=None)
#: What is read in the place of the `value` of a table, while somebody wants another thing there.
_STANDS_FOR: ContextVar[Callable[[Any, Any], Any] | None] = ContextVar("stands_for", default=None)


def is_watched() -> bool:
    """Return whether somebody notes what is read, or wants another thing in the place of a value."""
    return _READ.get() is not None or _STANDS_FOR.get() is not None


class Strict(BaseModel):
    """Base of every table: unknown keys are refused, values cannot be changed after loading.

    Reads can be noted, and another thing be read in the place of a value.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)

    def __getattribute__(self, name: str) -> Any:
        if (read := _READ.get()) is not None:
            read[id(self), name] = self
        value = object.__getattribute__(self, name)
        if name == "value" and (stands_for := _STANDS_FOR.get()) is not None:
            return stands_for(self, value)
        return value


class Headed(Strict):
    """Base of the tables that a file holds: its first keys; `kind` has one value in each."""

    schema_: Literal[1]
    kind: str
    name: str = Field(description="name by which scenarios refer to it")
    title: str = Field(description="what tables and reports call it")


class Quantity(Strict):
    """One table entry; `low <= value <= high`, none of them negative."""

    value: float = Field(ge=0, description="the number that the model uses; the median of its range")
    unit: str = Field(description="unit of value, low and high")
    low: float = Field(ge=0, description="lower end of what the source leaves open")
    high: float = Field(ge=0, description="upper end of what the source leaves open")
    source: str = Field(min_length=1, description="where the number comes from, as docs/sources.md lists it")
    grade: Grade = Field(description="how it was obtained; derived: by arithmetic from others")
    distribution: Distribution | None = Field(
        None, description="how draws spread over the range (default: triangular, in the logarithm for a wide range)"
    )
    moves_with: str | None = Field(None, description="key of the entry that the same source gives it together with")
    table_range: tuple[float, float] | None = Field(
        None,
        strict=False,
        description="of a value that the user has set: low and high of the table, whose place it takes",
    )

    @property
    def far_outside(self) -> str | None:
        """How a value that the user has set lies far outside the range of its table; None where it does not."""
        if self.table_range is None or not is_far(self.value, *self.table_range):
            return None
        low, high = self.table_range
        known = f"{low:g}" if low == high else f"{low:g} to {high:g}"
        return f"{self.value:g} {self.unit}, and its table has {known} {self.unit}"

    @property
    def drawn_from(self) -> Distribution:
        """The distribution of an entry: the one it names, else fixed without a range, log-triangular for a wide one."""
        if self.low == self.high:
            return "fixed"
        if self.distribution is not None:
            return self.distribution
        return "log-triangular" if 0 < WIDE * self.low <= self.high else "triangular"

    @model_validator(mode="after")
    def _holds_together(self) -> Quantity:
        given = self.__dict__  # looked at once: a kernel's table has hundreds of entries
        low, value, high = given["low"], given["value"], given["high"]
        for number in (low, value, high):
            if problem := inconceivable(number, given["unit"]):
                raise ValueError(problem)
        if given["distribution"] in ("log-triangular", "log-uniform") and low <= 0:
            raise ValueError(f"distribution {given['distribution']} needs a low above 0")
        if not low <= value <= high:
            raise ValueError(f"low <= value <= high does not hold: {low:g}, {value:g}, {high:g}")
        return self


@contextmanager
def reading_values_as(stands_for: Callable[[Any, Any], Any]) -> Iterator[None]:
    """Let what is made of a table and its `value` stand in the place of each one that is read inside."""
    token = _STANDS_FOR.set(stands_for)
    try:
        yield
    finally:
        _STANDS_FOR.reset(token)


@contextmanager
def noting_reads() -> Iterator[Reads]:
    """Note every field that is read inside, of any table; what is yielded holds them by identity and name."""
    read: Reads = {}
    token = _READ.set(read)
    try:
        yield read
    finally:
        _READ.reset(token)


@contextmanager
def unnoted_reads() -> Iterator[None]:
    """Note nothing that is read inside."""
    token = _READ.set(None)
    try:
        yield
    finally:
        _READ.reset(token)


def note_as_read(original: Strict, copied: Strict) -> None:
    """Note every field of a copy that was read so far as one of the table that it is a copy of."""
    if (read := _READ.get()) is not None:
        read.update({(id(original), name): original for table, name in list(read) if table == id(copied)})


def is_far(value: float, low: float, high: float) -> bool:
    """Return whether a value lies further outside a range than by a factor of two: a wrong unit, or another machine."""
    return value > FAR * high or value * FAR < low


def inconceivable(number: float, unit: str) -> str | None:
    """Say in a sentence that no number of that unit is so small or so large; None where it is within its bounds."""
    least, most = BOUNDS.get(unit, (0.0, float("inf")))
    if least <= number <= most:
        return None
    return f"{number:g} {unit} is beyond what is conceivable ({least:g} to {most:g})"


def check_unit(entry: Quantity, unit: str) -> Quantity:
    """Return an entry; ValueError when it is given in another unit than the one that the model reads."""
    if entry.unit != unit:
        raise ValueError(f"unit '{entry.unit}' should be '{unit}'")
    return entry


def _in_unit(unit: str) -> AfterValidator:
    return AfterValidator(partial(check_unit, unit=unit))


Cycles = Annotated[Quantity, _in_unit("cycles")]
Gigahertz = Annotated[Quantity, _in_unit("GHz")]
CyclesPerInstruction = Annotated[Quantity, _in_unit("cycles/instruction")]
Fraction = Annotated[Quantity, _in_unit("fraction")]
Ratio = Annotated[Quantity, _in_unit("ratio")]
Entries = Annotated[Quantity, _in_unit("entries")]
GigabytesPerSecond = Annotated[Quantity, _in_unit("GB/s")]
Nanoseconds = Annotated[Quantity, _in_unit("ns")]
NanosecondsPerByte = Annotated[Quantity, _in_unit("ns/byte")]
Microseconds = Annotated[Quantity, _in_unit("us")]
Bytes = Annotated[Quantity, _in_unit("bytes")]
Instructions = Annotated[Quantity, _in_unit("instructions")]
Returns = Annotated[Quantity, _in_unit("returns")]


class Flag(Strict):
    """A yes or no with its evidence."""

    value: bool = Field(description="yes or no")
    source: str = Field(min_length=1, description="where the answer comes from, as docs/sources.md lists it")
    grade: Grade = Field(description="how it was obtained, as for a number")
    doubt: float = Field(0.0, ge=0, le=0.5, description="share of draws in which it is the other way (default: none)")


def needed_evidence(schema: str, value: object) -> str | None:
    """Say how a plain value is written with its evidence; None where a table of that schema is no entry.

    Examples
    --------
    >>> needed_evidence("Flag", True)
    'a yes or no needs its evidence: {value: true, source: ..., grade: guess}'
    """
    entries: dict[str, type[Strict]] = {"Quantity": Quantity, "Flag": Flag}
    model = entries.get(schema)
    if model is None:
        return None
    plain = isinstance(value, bool | int | float)
    shown = {"value": str(value).lower() if plain else "...", "grade": "guess"}
    needed = [name for name, field in model.model_fields.items() if field.is_required()]
    entry = ", ".join(f"{name}: {shown.get(name, '...')}" for name in needed)
    return f"a {'yes or no' if model is Flag else 'number'} needs its evidence: {{{entry}}}"


class Defaults(Headed):
    """Default entries of a scenario, by key: numbers with their evidence, as in every table."""

    kind: Literal["defaults"] = "defaults"
    name: str = Field(description="name of the table")
    title: str = Field("", description="what tables and reports call it")
    entries: dict[str, Quantity] = Field(description="KEY: entry that a scenario takes when its file has none")


def default_entry(key: str, description: str) -> Any:
    """Return the field of a scenario's key whose default stands in the shipped table of defaults."""
    return Field(default_factory=lambda: shipped_default(key), validate_default=True, description=description)


@cache
def shipped_default(key: str) -> Quantity:
    """Return the default of one key; ConfigError when the table of defaults has no valid entry for it."""
    file = paths.shipped() / "defaults.yaml"
    entries = read_yaml(file).get("entries")
    if not isinstance(entries, dict) or key not in entries:
        raise ConfigError(f"entries: no entry for '{key}'; an unknown cost is an error", file=file)
    try:
        return Quantity.model_validate(entries[key])
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise ConfigError(f"entries.{key}: {problem}", file=file) from None
