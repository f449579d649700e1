"""Section `traffic` of a scenario: packet sizes, mixes of them, and the offered load."""

from __future__ import annotations

import csv
from io import StringIO
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from sim.config.errors import ConfigError
from sim.config.loading.files import read_text
from sim.config.scenario.application import MOST_DATAGRAM_BYTES, SEGMENT_BYTES, Application, frame_bytes
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

#: Bytes of the frame check sequence, which no size of this project counts and RFC 2544's and RFC 6985's do.
FCS_BYTES = 4

#: Mixes with a name, in frame sizes with FCS and packets of each; docs/model.md says where they come from.
NAMED: dict[str, dict[int, float]] = {
    "imix": {64: 7, 594: 4, 1518: 1},
    "trex-hltapi": {64: 7, 570: 4, 1518: 1},
}

#: Frame sizes with FCS of the letters of RFC 6985, whose MTU (z) is that of a link and not known here.
GENOME: dict[str, int] = {
    **{"a": 64, "b": 128, "c": 256, "d": 512, "e": 1024},
    **{"f": 1280, "g": 1518, "h": 2112, "i": 9000, "j": 16000},
}
_GENOME = "rfc6985:"

#: Columns of a mix file: how often a size occurs stands in one of these; times of a capture say nothing of it.
_WEIGHTS, _IGNORED = ("weight", "count"), ("time",)


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
    """Return a mix written out: of a name, letters of RFC 6985, weights of pktgen, or a CSV file.

    A CSV file is looked for beside the scenario, then here.
    """
    if not isinstance(given, str):
        return given
    if given in NAMED:
        return _mix({size - FCS_BYTES: weight for size, weight in NAMED[given].items()})
    if given.startswith(_GENOME):
        return _genome(given)
    if "," in given:
        return _pktgen(given)
    if not given.endswith(".csv"):
        raise ConfigError(f"no CSV file and no mix is '{given}'", key="traffic.mix", got=given, expected=NAMED)
    candidates = [*([beside / given] if beside else []), Path(given)]
    file = next((candidate for candidate in candidates if candidate.is_file()), Path(given))
    try:
        return _count(csv.DictReader(StringIO(read_text(file))), file)
    except csv.Error:
        raise ConfigError(f"{file}: is not a CSV file", key="traffic.mix") from None
    except ConfigError as error:
        raise error if error.key else error.replace(key="traffic.mix", file=None, message=str(error)) from None


def _mix(weights: dict[int, float]) -> dict[str, list[float]]:
    return {"bytes": sorted(weights), "weights": [weights[size] for size in sorted(weights)]}


def _genome(given: str) -> dict[str, list[float]]:
    """Return the mix of a sequence of RFC 6985, such as rfc6985:aaaaaaabbbbg: a packet for each letter."""
    letters = given.removeprefix(_GENOME)
    if not letters or set(letters) - set(GENOME):
        known = ", ".join(f"{letter} {size}" for letter, size in GENOME.items())
        raise ConfigError(f"'{letters}' is no sequence of letters of RFC 6985 ({known} bytes)", key="traffic.mix")
    return _mix({GENOME[letter] - FCS_BYTES: letters.count(letter) for letter in dict.fromkeys(letters)})


def _pktgen(given: str) -> dict[str, list[float]]:
    """Return the mix of what pktgen's imix_weights takes, such as `60,7 590,4 1514,1`: size and weight of each."""
    weights: dict[int, float] = {}
    for pair in given.split():
        size, _, weight = pair.partition(",")
        if not (size.isdecimal() and weight.isdecimal()) or int(size) in weights:
            raise ConfigError(f"'{pair}' is no size and weight as 60,7, each size once", key="traffic.mix")
        weights[int(size)] = float(weight)
    return _mix(weights)


def _count(rows: csv.DictReader[str], file: Path) -> dict[str, list[float]]:
    """Add up the rows of a CSV file: column `bytes`, and `weight` or `count` if there is one (else a row is a packet).

    A column that is not known could say how often a size occurs, so it is refused.
    """
    names = [name.strip().lower() for name in rows.fieldnames or ()]
    rows.fieldnames = names
    if "bytes" not in names:
        raise ConfigError(f"{file}: its first line names no column 'bytes'", key="traffic.mix")
    unknown = [name for name in names if name not in ("bytes", *_WEIGHTS, *_IGNORED)]
    if unknown or len(set(names)) != len(names):
        told = f"unknown column '{unknown[0]}'" if unknown else "a column is there twice"
        raise ConfigError(f"{file}: {told} (known: bytes, {', '.join((*_WEIGHTS, *_IGNORED))})", key="traffic.mix")
    weighing = [name for name in _WEIGHTS if name in names]
    if len(weighing) > 1:
        raise ConfigError(f"{file}: columns {' and '.join(weighing)} both say how often", key="traffic.mix")
    weights: dict[int, float] = {}
    for row in rows:
        try:
            size, often = int(row["bytes"]), float(row[weighing[0]]) if weighing else 1.0
        except (TypeError, ValueError):
            raise ConfigError(f"{file}: line {rows.line_num}: not a size and a weight", key="traffic.mix") from None
        if None in row:  # cells beyond the last column
            raise ConfigError(f"{file}: line {rows.line_num}: more cells than columns", key="traffic.mix")
        weights[size] = weights.get(size, 0.0) + often
    if not weights:
        raise ConfigError(f"{file}: has no rows", key="traffic.mix")
    return _mix(weights)


VNET_HEADER_BYTES = 12
MIN_ON_THE_WIRE_BYTES = 42


def load_in_full(load: object) -> object:
    """Return an offered load as a mapping where it is written in short. ValueError for a text that is none."""
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

    packet_bytes: list[PacketBytes] = Field(
        min_length=1,
        description="frame sizes in bytes, without vnet header and FCS; those of an application's packets follow from "
        "message_bytes",
    )
    application: Application = Field(
        "none",
        description="none: packets of packet_bytes; tcp-stream: messages written to TCP sessions; tcp-rr: a message "
        "each way, one transaction outstanding per session; udp: a datagram per message",
    )
    message_bytes: int = Field(
        16384, ge=1, le=65536, description="bytes that the application writes by one call (of udp: up to 1472)"
    )
    sessions: int = Field(
        1, ge=1, le=16, description="sessions of the application, each with a core of its own on both sides"
    )
    mix: Mix | None = Field(
        None,
        description="sizes drawn at random: imix, trex-hltapi, rfc6985:LETTERS, weights as pktgen takes them (60,7 "
        "590,4), {bytes: [...], weights: [...]} or a CSV file of bytes and weight, in bytes without FCS",
    )
    dirty_bytes: BytesOrFull = Field(
        MIN_ON_THE_WIRE_BYTES, description="bytes of a packet that the sender has just written, or 'full'"
    )
    load: Load = Field(default_factory=lambda: Load(kind="saturate", pps=0.0), description="offered load")

    @property
    def sizes(self) -> list[int]:
        """Sizes to simulate one by one; a mix is one, named by its mean; an application makes packets of one."""
        if self.application != "none":
            return [frame_bytes(self.application, self.message_bytes)]
        return self.packet_bytes if self.mix is None else [self.mix.mean_bytes]

    @model_validator(mode="after")
    def _messages(self) -> Traffic:
        most = {"udp": MOST_DATAGRAM_BYTES, "tcp-rr": SEGMENT_BYTES}.get(self.application)
        if most is not None and self.message_bytes > most:
            raise ValueError(f"message_bytes: a message of {self.application} fits one frame, {most} bytes at most")
        if self.application != "none" and (self.mix is not None or self.load.kind != "saturate"):
            raise ValueError("application: sets its own pace and sizes; it goes with no mix and with load saturate")
        return self

    @field_validator("load", mode="before")
    @classmethod
    def _short_forms(cls, load: object) -> object:
        return load_in_full(load)

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
