"""Packet-size mixes: named, written out, or counted from a CSV file of packet sizes."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from sim.config.errors import ConfigError, nearest
from sim.config.tables.quantity import Strict

MAX_PACKET_BYTES = 65535
MOST_SIZES = 2048

PacketBytes = Annotated[int, Field(ge=14, le=MAX_PACKET_BYTES)]
Weight = Annotated[float, Field(gt=0, le=1e12)]

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
            raise ConfigError(f"traffic.mix: unknown mix '{given}'{nearest(given, NAMED)}; or a CSV file")
        return NAMED[given]
    candidates = [*([beside / given] if beside else []), Path(given)]
    file = next((candidate for candidate in candidates if candidate.is_file()), Path(given))
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            return _count(csv.DictReader(stream), file)
    except OSError as error:
        raise ConfigError(f"traffic.mix: {file}: cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error):
        raise ConfigError(f"traffic.mix: {file}: is not a CSV file") from None


def _count(rows: csv.DictReader[str], file: Path) -> dict[str, list[float]]:
    """Add up the rows of a CSV file: column `bytes`, and `weight` if there is one (else each row is one packet)."""
    if "bytes" not in (rows.fieldnames or ()):
        raise ConfigError(f"traffic.mix: {file}: has no column 'bytes' (columns: {', '.join(rows.fieldnames or ())})")
    found: dict[int, float] = {}
    for row in rows:
        try:
            size = int(row["bytes"])
            found[size] = found.get(size, 0.0) + float(row.get("weight") or 1)
        except (TypeError, ValueError):
            raise ConfigError(f"traffic.mix: {file}: line {rows.line_num}: not a size and a weight") from None
    if not found:
        raise ConfigError(f"traffic.mix: {file}: has no rows")
    return {"bytes": sorted(found), "weights": [found[size] for size in sorted(found)]}
