"""Traces and profiles of a real machine as measurements: the trace CSV, `perf report` and `perf stat` text."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from sim.config.errors import ConfigError
from sim.config.loading.files import write_whole
from sim.config.loading.load import validate
from sim.config.tables.measurement import Measurements

#: What a trace's file name says of its configuration.
_NAME = re.compile(r"(?:.+\.)?tx_xdp_ev([01])_d(\d+)_b(\d+)_s(\d+)")
_COLUMNS = ("instruction", "event", "region", "offset", "bytes", "function")
#: `perf report --stdio`: overhead, then anything, then [k] or [.] and the symbol.
_REPORT = re.compile(r"^\s*(\d+(?:\.\d+)?)%.*?\[[k.]\]\s+(\S+)")
#: `perf stat`: a count with separators, then the event (maybe with a modifier).
_STAT = re.compile(r"^\s*([\d.,'\u202f ]*\d)\s+([A-Za-z][\w./-]*?)(?::[ukhHG]+)?(?:\s|$)")
_LEAST_SHARE = 0.5
_ONE_INVOCATION = 0.05


def import_file(
    file: Path, settings: Mapping[str, Any], *, name: str | None = None, packets: int | None = None
) -> Measurements:
    """Read a trace or a profile into measurements of the same kind as published ones.

    `settings` is the configuration it was taken in (those that a trace's name gives are filled in). `packets` is how
    many packets were sent during it: needed for `perf stat`, and for a trace whose name does not say. Raises
    ConfigError when the file is none of the three, or a number is missing.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8 text'}", file=file
        ) from None
    lines = text.splitlines()
    first = next((line for line in lines if line.strip() and not line.startswith("#")), "")
    known: dict[str, Any] = {}
    if first.split(",") == list(_COLUMNS):
        known, entries = _trace(file, lines, packets)
        kind = "executed trace"
    elif any(_REPORT.match(line) for line in lines):
        entries, kind = _report(lines), "perf report"
    elif totals := _stat(lines):
        if packets is None:
            raise ConfigError(f"{file} counts over a whole run: how many packets it sent is needed", key="packets")
        entries, kind = _counts(totals, packets), "perf stat"
    else:
        raise ConfigError(f"is neither a trace ({','.join(_COLUMNS)}) nor perf report or perf stat text", file=file)
    if not entries:
        raise ConfigError(f"{kind} with nothing that the model has a figure for", file=file)
    table = {
        "schema": 1,
        "kind": "measurement",
        "name": name or _plain(file.stem),
        "title": f"{kind} {file.name}",
        "source": f"{kind} of the user's own machine, {file.name}",
        "read": "executed",
        "grade": "measured-here",
        "set": {**known, **settings},
        "noise": 0.0 if kind == "executed trace" else 0.05,
        "spread": 0.0 if kind == "executed trace" else 0.15,
        "entries": entries,
    }
    return validate(Measurements, table, str(file))


def _plain(stem: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem)


def _trace(file: Path, lines: list[str], packets: int | None) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Count the events of one invocation of the transmit handler, per packet."""
    known: dict[str, Any] = {}
    if named := _NAME.fullmatch(file.stem):
        event_idx, descriptors, burst, size = named.groups()
        packets = int(burst) if packets is None else packets
        known = {
            "driver.kind": "lockstep",
            "virtqueue.event_idx": event_idx == "1",
            "virtqueue.descriptors_per_packet": int(descriptors),
            "driver.burst": int(burst),
            "traffic.packet_bytes": int(size),
            "backend.program_instructions": 0,
        }
    if packets is None:
        raise ConfigError(
            f"{file} does not say in its name how many packets it sent: a number is needed", key="packets"
        )
    rows = list(csv.DictReader(line for line in lines if line.strip() and not line.startswith("#")))
    events: Counter[str] = Counter(row["event"] for row in rows if row["event"])
    unknown = set(events) - {"stac", "clac", "lfence", "load", "store", "copy_from", "copy_to"}
    if unknown:
        raise ConfigError(f"unknown event '{sorted(unknown)[0]}'", file=file)
    counts: dict[str, float] = {word: events[word] for word in ("stac", "clac", "lfence")}
    total = re.search(r"=\s*(\d+)\s*$", lines[-1]) if lines[-1].startswith("#") else None
    if total:
        counts["instructions"] = int(total[1])
    entries = _counts(counts, packets)
    for entry in entries:
        if entry["quantity"] == "instructions":
            entry |= {"noise": _ONE_INVOCATION, "note": "one invocation: a page refill falls into some of them only"}
    return known, entries


def _counts(totals: Mapping[str, float], packets: int) -> list[dict[str, Any]]:
    if packets < 1:
        raise ConfigError("at least 1 is needed", key="packets", got=packets)
    known = [name for name in ("stac", "clac", "lfence", "instructions") if name in totals]
    return [{"id": name, "quantity": name, **_exact(totals[name] / packets)} for name in known]


def _exact(value: float) -> dict[str, float]:
    return {"value": value, "low": value, "high": value}


def _report(lines: list[str]) -> list[dict[str, Any]]:
    """Shares by kernel function, parts that the compiler has split off added to it."""
    shares: dict[str, float] = {}
    for line in lines:
        if match := _REPORT.match(line):
            name = re.sub(r"\.(constprop|isra|part|cold)\.?\d*", "", match[2])
            shares[name] = shares.get(name, 0.0) + float(match[1])
    return [
        {
            "id": name,
            "quantity": "share",
            "value": share / 100,
            "low": max(0.0, share - 0.005) / 100,
            "high": (share + 0.005) / 100,
            "functions": [name],
        }
        for name, share in shares.items()
        if share >= _LEAST_SHARE
    ]


def _stat(lines: list[str]) -> dict[str, float]:
    totals: dict[str, float] = {}
    for line in lines:
        if match := _STAT.match(line):
            digits = re.sub(r"[^\d.]", "", match[1].replace(",", ""))
            totals[match[2]] = float(digits if digits.count(".") < 2 else digits.replace(".", ""))
    return totals if "instructions" in totals else {}


IMPORTED = "`vhost-sim import-trace`. Complete `set`: CPU, kernel, mitigations, ring, burst"


def write_measurements(measurements: Measurements, file: Path, made_by: str = IMPORTED) -> None:
    """Write a measurement file, whole or not at all; its first line says what made it."""
    data = measurements.model_dump(mode="json", exclude_defaults=True)
    data = {"schema": data.pop("schema_"), "kind": "measurement", **data}
    text = f"# Written by {made_by}.\n"
    text += yaml.safe_dump(data, sort_keys=False, width=120, allow_unicode=True)
    write_whole(file, text)
