"""Schema of `configs/measurements/*.yaml`: published figures, each with the configuration that it was measured in."""

from __future__ import annotations

import shlex
from collections import Counter
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from sim.config.answer import Answer, Record, counted
from sim.config.errors import nearest
from sim.config.loading.files import parsed_yaml
from sim.config.tables.quantity import Grade, Headed, Strict

#: What an entry measures, and its unit. `pps`: packets per second. `ratio`: rate of `set` over rate of `baseline`.
#: `share`: part of the worker's time in kernel functions. Counts are executions per packet inside the handler; with a
#: baseline, how many more than there.
UNITS = {
    "pps": "packets/s",
    "ratio": "ratio",
    "share": "fraction",
    "stac": "per packet",
    "clac": "per packet",
    "lfence": "per packet",
    "instructions": "per packet",
    "returns": "per packet",
    "throughput": "Gbit/s",
}
COUNTS = ("stac", "clac", "lfence", "instructions", "returns")

Settings = dict[str, Any]
Noise = Annotated[float, Field(ge=0, lt=1)]


class Baseline(Strict):
    """The other side of a ratio: what it changes against the entry's own configuration."""

    access: str | None = Field(None, description="access variant of the baseline (default: the entry's own)")
    set: Settings = Field(default_factory=dict, description="keys changed against the entry's configuration")


class Entry(Strict):
    """One published figure: `low` to `high` is what the printed digits leave open."""

    id: str = Field(min_length=1, description="name within its file; studies refer to it as FILE/ID")
    quantity: Literal["pps", "ratio", "share", "stac", "clac", "lfence", "instructions", "returns", "throughput"] = (
        Field(
            description="what was measured: pps (packets/s), ratio (of two rates), share (of the worker's time), stac, "
            "clac, lfence, instructions, returns (executed per packet), throughput (Gbit/s)"
        )
    )
    value: float = Field(ge=0, description="published value, in the quantity's unit")
    low: float = Field(ge=0, description="lowest value that the printed digits leave open")
    high: float = Field(ge=0, description="highest value that the printed digits leave open")
    access: str = Field("copy_user", description="access variant that the figure was taken with")
    set: Settings = Field(default_factory=dict, description="keys changed against the file's `set`")
    baseline: Baseline | None = Field(None, description="of a ratio, or of a difference of counts")
    functions: list[str] = Field(
        default_factory=list,
        description="of a share, or of part of the instructions: kernel functions, as rows name them",
    )
    noise: float | None = Field(None, ge=0, lt=1, description="instead of the file's")
    note: str = Field("", description="what else is to be known of the figure")

    @property
    def unit(self) -> str:
        """Unit of value, low and high."""
        return UNITS[self.quantity]

    @property
    def is_count(self) -> bool:
        """Whether the figure is an exact count."""
        return self.quantity in COUNTS

    @model_validator(mode="after")
    def _coherent(self) -> Entry:
        if not self.low <= self.value <= self.high:
            raise ValueError(f"{self.id}: low <= value <= high does not hold")
        if not self.is_count and (self.quantity == "ratio") != (self.baseline is not None):
            raise ValueError(f"{self.id}: a ratio has a baseline, and a rate or share has none")
        if self.quantity != "instructions" and (self.quantity == "share") != bool(self.functions):
            raise ValueError(f"{self.id}: a share names kernel functions; of the others only instructions may")
        return self


class CountTable(Strict):
    """Counts of many configurations as a literal table: keys of a scenario | quantities; a row per configuration."""

    name: str = Field(description="first word of its entries' names")
    set: Settings = Field(default_factory=dict, description="keys changed in every row, against the file's `set`")
    access: str = Field("copy_user", description="access variant that was counted")
    noise: dict[str, Noise] = Field(default_factory=dict, description="relative error by quantity, 0 where not named")
    table: str = Field(description="header `id KEY ... | QUANTITY ...`, a row per configuration (- where no figure)")

    def entries(self) -> list[Entry]:
        """Return one entry per figure. ValueError names the row that does not fit its header."""
        lines = [line for line in self.table.splitlines() if line.strip()]
        keys, quantities = _split(lines[0]) if lines else ([], [])
        if not keys or not quantities:
            raise ValueError(f"{self.name}: the table's first line is: id KEY ... | QUANTITY ...")
        unknown = next((name for name in quantities if name not in COUNTS), None)
        if unknown:
            raise ValueError(f"{self.name}: unknown quantity '{unknown}'{nearest(unknown, COUNTS)}")
        missing = "id" not in keys
        twice = next((name for name, times in Counter((*keys, *quantities)).items() if times > 1), None)
        if missing or twice:
            raise ValueError(f"{self.name}: " + ("no column 'id'" if missing else f"column '{twice}' is there twice"))
        return [entry for line in lines[1:] for entry in self._row(line, keys, quantities)]

    def _row(self, line: str, keys: list[str], quantities: list[str]) -> list[Entry]:
        try:
            cells, figures = _split(line)
            if (len(cells), len(figures)) != (len(keys), len(quantities)):
                raise ValueError("does not fit the table's header")
            row = dict(zip(keys, map(parsed_yaml, cells), strict=True))
            name = row.pop("id")
            settings = {**self.set, **{key: value for key, value in row.items() if value is not None}}
            counted = [
                (quantity, _counted(f"{self.name} {name} {quantity}", quantity, figure, self.access, settings))
                for quantity, figure in zip(quantities, figures, strict=True)
                if figure != "-"
            ]
        except ValueError as error:  # of quotation marks, of YAML, of a number, of the entry that they make
            problem = error.errors(include_url=False)[0]["msg"] if isinstance(error, ValidationError) else error
            raise ValueError(f"{self.name}: row '{line.strip()}': {problem}") from None
        return [entry.model_copy(update={"noise": self.noise.get(quantity, 0.0)}) for quantity, entry in counted]


def _split(line: str) -> tuple[list[str], list[str]]:
    left, _, right = line.partition("|")
    return shlex.split(left), right.split()


def _counted(name: str, quantity: Any, figure: str, access: str, settings: Settings) -> Entry:
    """Make the entry of a printed count: its last digit is rounded."""
    value = float(figure)
    half = 0.5 * 10 ** -len(figure.partition(".")[2])
    low = max(0.0, value - half)
    return Entry(id=name, quantity=quantity, value=value, low=low, high=value + half, access=access, set=settings)


class Measurements(Answer, Headed):
    """The figures of one source. Everything that the source leaves out is listed, with what is assumed instead."""

    kind: Literal["measurement"] = "measurement"
    name: str = Field(description="name by which studies and `validate` refer to it")
    title: str = Field(description="what was measured, for people")
    source: str = Field(min_length=1, description="who, where, when")
    read: Literal["full", "excerpt", "executed"] = Field(description="how the figures were obtained")
    grade: Grade = Field("measured-elsewhere", description="how the figures were obtained, as for a number of a table")
    scenario: str = Field("virtio-user-xdp1-tap", description="scenario that `set` changes")
    set: Settings = Field(default_factory=dict, description="keys changed in every entry")
    not_stated: list[str] = Field(default_factory=list, description="what the source does not say")
    assumed: list[str] = Field(default_factory=list, description="what is assumed in its place")
    left_out: list[str] = Field(default_factory=list, description="what the source shows and no figure holds")
    not_modelled: dict[str, str] = Field(
        default_factory=dict,
        description="KEY: in words, why no figure can be made while the model refuses that setting",
    )
    noise: float = Field(0.02, ge=0, lt=1, description="relative error of a figure within its session, rounding apart")
    spread: float = Field(0.0, ge=0, lt=1, description="how far the same baseline moves between sessions, as a share")
    entries: list[Entry] = Field(default_factory=list, description="the figures, one by one")
    counts: list[CountTable] = Field(default_factory=list, description="figures of many configurations, as tables")

    def headline(self) -> str:
        """Return the source, and how many figures it gives."""
        return f"{self.name}: {counted(len(self.figures()), 'figure')}"

    def records(self) -> list[Record]:
        """Return the figures."""
        names = ("id", "quantity", "value", "low", "high", "unit")
        return [{name: getattr(figure, name) for name in names} for figure in self.figures()]

    @model_validator(mode="after")
    def _named_once(self) -> Measurements:
        figures = self.figures()
        if not figures:
            raise ValueError("entries or counts are needed")
        names = [entry.id for entry in figures]
        twice = next((name for name, times in Counter(names).items() if times > 1), None)
        if twice:
            raise ValueError(f"entries: '{twice}' is given twice")
        return self

    def figures(self) -> list[Entry]:
        """Return every entry, those of the count tables last."""
        return [*self.entries, *(entry for table in self.counts for entry in table.entries())]

    def settings(self, entry: Entry) -> Settings:
        """Return everything that an entry changes in the scenario."""
        return {**self.set, **entry.set, "access": [entry.access]}

    def baseline_settings(self, entry: Entry) -> Settings:
        """Return everything that the baseline of a ratio changes in the scenario."""
        assert entry.baseline is not None
        other = entry.baseline
        return {**self.set, **entry.set, **other.set, "access": [other.access or entry.access]}
