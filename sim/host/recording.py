"""The raw repeats of one session of measurements, as a JSON file: what a profile is derived from, now or later."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from sim.config.errors import ConfigError
from sim.config.loading.files import read_json
from sim.config.tables.quantity import Strict
from sim.host.experiments.vhost import VhostRun
from sim.host.machine import HostMachine

#: A round is quiet when both CPUs were at least this idle before it, and little was stolen from them during it.
QUIET_IDLE = 0.9
QUIET_STEAL = 0.02
FEWEST_ROUNDS = 5
#: What older recordings do not know of their machine.
_LATER = ("stepping", "command_line", "hardened_usercopy", "module_parameters")


#: Ticks per operation, and core cycles per tick: of more, nothing can be added up and no machine has them.
Ticks = Annotated[float, Field(ge=-1e15, le=1e15)]
Ratio = Annotated[float, Field(ge=0, le=1e6)]


class Round(Strict):
    """One pass through all benchmarks, in a process of its own."""

    ticks_per_ns: float = Field(ge=1e-3, le=1e3)
    idle: float = Field(ge=0, le=1, description="share of time in which both CPUs were idle, just before")
    steal: float = Field(ge=0, le=1, description="share of time that the hypervisor took from them, during")

    @property
    def quiet(self) -> bool:
        """Whether nothing else seems to have run."""
        return self.idle >= QUIET_IDLE and self.steal <= QUIET_STEAL


class Series(Strict):
    """One benchmark in every round: ticks per operation (null: not possible), core cycles per tick beside it."""

    ticks: list[Ticks | None]
    ratio: list[Ratio]
    disturbed: list[int]


class Samples(Strict):
    """Where samples of the CPU clock fell while one call was made again and again: kernel functions, or the program."""

    functions: dict[str, int] = Field(description="samples by kernel function")
    user: int = Field(ge=0, description="samples outside the kernel")
    lost: int = Field(ge=0, description="records that found no room")
    calls: int = Field(gt=0)
    ns: int = Field(gt=0, description="time that all calls took")

    @property
    def total(self) -> int:
        """Samples of the whole time."""
        return sum(self.functions.values()) + self.user


class Recording(Strict):
    """A session: the machine, its rounds, and every benchmark's repeats. `series` is keyed by `NAME ARGUMENT`."""

    schema_: Literal[1] = Field(alias="schema")
    kind: Literal["host-recording"]
    origin: str = Field(min_length=1, description="how this recording came about")
    started: str
    machine: HostMachine
    pair: tuple[int, int | None] = Field(strict=False)
    rounds: list[Round] = Field(min_length=1)
    series: dict[str, Series]
    samples: dict[str, Samples] = Field(default_factory=dict, description="of writes to a TAP, by way")
    vhost: list[VhostRun] = Field(default_factory=list, description="of the driver in front of the vhost worker")

    @model_validator(mode="after")
    def _one_value_per_round(self) -> Recording:
        for name, series in self.series.items():
            if {len(series.ticks), len(series.ratio), len(series.disturbed)} != {len(self.rounds)}:
                raise ValueError(f"series '{name}': a value for each of {len(self.rounds)} rounds is needed")
        return self

    @property
    def used(self) -> list[int]:
        """Numbers of the rounds that count: the quiet ones if there are enough, else all."""
        quiet = [number for number, measured in enumerate(self.rounds) if measured.quiet]
        return quiet if len(quiet) >= FEWEST_ROUNDS else list(range(len(self.rounds)))

    def cycles(self, name: str) -> list[float | None]:
        """Return core cycles per operation in each round that counts; None where it was not possible."""
        return self._scaled(name, lambda ticks, ratio, _: ticks * ratio)

    def ns(self, name: str) -> list[float | None]:
        """Return nanoseconds per operation in each round that counts; None where it was not possible."""
        return self._scaled(name, lambda ticks, _, clock: ticks / clock)

    def _scaled(self, name: str, scale: Any) -> list[float | None]:
        series = self.series.get(name)
        if series is None:
            return [None] * len(self.used)
        rounds = (
            (series.ticks[number], series.ratio[number], self.rounds[number].ticks_per_ns) for number in self.used
        )
        return [None if ticks is None else scale(ticks, ratio, clock) for ticks, ratio, clock in rounds]

    def core_ghz(self) -> list[float]:
        """Return the core clock in each round that counts, the median over its benchmarks."""
        ratios = [statistics.median(series.ratio[number] for series in self.series.values()) for number in self.used]
        return [ratio * clock for ratio, clock in zip(ratios, self._clocks(), strict=True)]

    def _clocks(self) -> list[float]:
        """Return the ticks per ns of each round that counts."""
        return [self.rounds[number].ticks_per_ns for number in self.used]

    def core_ghz_range(self) -> tuple[float, float]:
        """Return the slowest and fastest core clock seen beside any benchmark: turbo steps are visible here."""
        rounds = list(zip(self.used, self._clocks(), strict=True))
        seen = [series.ratio[number] * clock for series in self.series.values() for number, clock in rounds]
        return min(seen), max(seen)

    def to_json(self) -> str:
        """Return the file's text."""
        left_out: dict[str, Any] = {name: True for name in ("samples", "vhost") if not getattr(self, name)}
        unknown = {name: True for name in _LATER if getattr(self.machine, name) in ("", None, {})}
        whole = self.model_dump(mode="json", by_alias=True, exclude={**left_out, "machine": unknown})
        return json.dumps(whole, allow_nan=False) + "\n"


def read_recording(file: Path) -> Recording:
    """Read a recording; ConfigError, one line, when it is none."""
    data = read_json(file)
    if not isinstance(data, dict) or data.get("kind") != "host-recording":
        raise ConfigError("is not a recording of `vhost-sim measure` (kind: host-recording)", file=file)
    try:
        return Recording.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"{file}: {where + ': ' if where else ''}{first['msg'].removeprefix('Value error, ')}"
        ) from None
