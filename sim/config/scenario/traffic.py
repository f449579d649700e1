"""Section `traffic` of a scenario: packet sizes, mixes of them, and the offered load."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from sim.config.errors import ConfigError
from sim.config.tables.quantity import Strict

MAX_PACKET_BYTES = 65535
MOST_SIZES = 2048

PacketBytes = Annotated[int, Field(ge=14, le=MAX_PACKET_BYTES)]
Weight = Annotated[float, Field(gt=0, le=1e12)]


def _not_negative(n_bytes: int | Literal["full"]) -> int | Literal["full"]:
    if n_bytes != "full" and n_bytes < 0:
        raise ValueError("must be at least 0, or 'full'")
    return n_bytes


BytesOrFull = Annotated[int | Literal["full"], AfterValidator(_not_negative)]

#: Mixes with a name. `imix`: the common 7:4:1 convention (not in the fact files, unverified).
NAMED: dict[str, dict[str, list[float]]] = {"imix": {"bytes": [64, 594, 1518], "weights": [7, 4, 1]}}


class Mix(Strict):
    """Packet sizes and how often each occurs, relative to the others; sizes are drawn independently per packet."""

    bytes: list[PacketBytes] = Field(min_length=1, max_length=MOST_SIZES, description="frame sizes without FCS")
    weights: list[Weight] = Field(min_length=1, description="how often each size occurs, in any unit")

    @model_validator(mode="after")
    def _matched(self) -> Mix:
        if len(self.bytes) != len(self.weights):
            raise ValueError(f"{len(self.bytes)} sizes, but {len(self.weights)} weights")
        if len(set(self.bytes)) != len(self.bytes):
            raise ValueError("a size is given twice")
        return self

    @property
    def shares(self) -> list[float]:
        """Share of packets of each size."""
        total = sum(self.weights)
        return [weight / total for weight in self.weights]

    @property
    def mean_bytes(self) -> int:
        """Mean packet size, rounded."""
        return round(sum(size * share for size, share in zip(self.bytes, self.shares, strict=True)))


def read_mix(given: Any, beside: Path | None) -> Any:
    """Return a mix written out: of a name or a CSV file (looked for beside the scenario, then here)."""
    if not isinstance(given, str):
        return given
    if not given.endswith(".csv"):
        if given not in NAMED:
            raise ConfigError(f"no CSV file and no mix is '{given}'", key="traffic.mix", got=given, expected=NAMED)
        return NAMED[given]
    candidates = [*([beside / given] if beside else []), Path(given)]
    file = next((candidate for candidate in candidates if candidate.is_file()), Path(given))
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            return _count(csv.DictReader(stream), file)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}", key="traffic.mix") from None
    except (UnicodeDecodeError, csv.Error):
        raise ConfigError(f"{file}: is not a CSV file", key="traffic.mix") from None


def _count(rows: csv.DictReader[str], file: Path) -> dict[str, list[float]]:
    """Add up the rows of a CSV file: column `bytes`, and `weight` if there is one (else each row is one packet)."""
    if "bytes" not in (rows.fieldnames or ()):
        raise ConfigError(f"{file}: no column 'bytes' (columns: {', '.join(rows.fieldnames or ())})", key="traffic.mix")
    weights: dict[int, float] = {}
    for row in rows:
        try:
            size = int(row["bytes"])
            weights[size] = weights.get(size, 0.0) + float(row.get("weight") or 1)
        except (TypeError, ValueError):
            raise ConfigError(f"{file}: line {rows.line_num}: not a size and a weight", key="traffic.mix") from None
    if not weights:
        raise ConfigError(f"{file}: has no rows", key="traffic.mix")
    return {"bytes": sorted(weights), "weights": [weights[size] for size in sorted(weights)]}


VNET_HEADER_BYTES = 12
MIN_ON_THE_WIRE_BYTES = 42


class Load(Strict):
    """Offered load: the driver always has packets, or they arrive at a rate."""

    kind: Literal["saturate", "constant", "poisson", "on-off"] = Field("saturate", description="arrival process")
    pps: float = Field(
        0.0,
        ge=0,
        le=1e9,
        description="offered packets per second, all queues together (not with saturate; on-off: when on)",
    )
    on_us: float = Field(0.0, ge=0, le=1e9, description="on-off: microseconds in which packets arrive")
    off_us: float = Field(0.0, ge=0, le=1e9, description="on-off: microseconds in which none arrive")
    backlog: int = Field(
        512,
        ge=1,
        le=1 << 20,
        description="packets that wait in front of each driver (its receive ring); more are dropped",
    )

    @model_validator(mode="after")
    def _rate_where_needed(self) -> Load:
        if (self.kind == "saturate") != (self.pps == 0):
            raise ValueError("load needs a rate above 0 with constant, poisson or on-off, and none with saturate")
        if (self.kind == "on-off") != (self.on_us > 0 or self.off_us > 0):
            raise ValueError("on_us and off_us go with on-off, and it needs them")
        if self.kind == "on-off" and self.packets_per_period < 1:
            raise ValueError(f"on_us: no packet arrives within {self.on_us:g} us at {self.pps:g} packets/s")
        return self

    @property
    def mean_pps(self) -> float:
        """Packets per second over on and off (0 with saturate)."""
        return self.packets_per_period * 1e6 / (self.on_us + self.off_us) if self.kind == "on-off" else self.pps

    @property
    def packets_per_period(self) -> int:
        """Packets of one on-off period."""
        return int(self.pps * self.on_us / 1e6)


class Traffic(Strict):
    """What is sent."""

    packet_bytes: list[PacketBytes] = Field(min_length=1, description="frame sizes without vnet header and FCS")
    mix: Mix | None = Field(
        None, description="sizes drawn at random: imix, {bytes: [...], weights: [...]} or a CSV file"
    )
    dirty_bytes: BytesOrFull = Field(
        MIN_ON_THE_WIRE_BYTES, description="bytes of a packet that the sender has just written, or 'full'"
    )
    load: Load = Field(default_factory=lambda: Load(kind="saturate", pps=0.0), description="offered load")

    @property
    def sizes(self) -> list[int]:
        """Sizes to simulate one by one; a mix is one, named by its mean."""
        return self.packet_bytes if self.mix is None else [self.mix.mean_bytes]

    @field_validator("load", mode="before")
    @classmethod
    def _short_forms(cls, load: object) -> object:
        if load == "saturate":
            return {"kind": "saturate"}
        if isinstance(load, str):  # YAML reads 5e6 as text, 5.0e+6 as a number
            try:
                load = float(load)
            except ValueError:
                raise ValueError("is 'saturate', a rate in packets per second, or a mapping of kind and pps") from None
        if isinstance(load, int | float) and not isinstance(load, bool):
            return {"kind": "constant", "pps": load}
        return load

    @field_validator("packet_bytes", mode="before")
    @classmethod
    def _one_or_many(cls, sizes: object) -> object:
        return [sizes] if isinstance(sizes, int) else sizes

    @field_validator("packet_bytes")
    @classmethod
    def _no_twins(cls, sizes: list[int]) -> list[int]:
        if len(set(sizes)) != len(sizes):
            raise ValueError("a size is given twice")
        return sizes
