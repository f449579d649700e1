"""Traces and profiles of a real machine as measurements: the trace CSV, `perf report` and `perf stat` text."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from math import sqrt
from pathlib import Path
from typing import Any

from sim.config.errors import ConfigError
from sim.config.loading.files import read_bytes, write_whole, written_yaml
from sim.config.loading.load import validate
from sim.config.loading.overrides import assigned
from sim.config.tables.measurement import Measurements
from sim.study.evidence.perf_report import Shares, read_report
from sim.study.evidence.perf_stat import read_stat
from sim.study.evidence.perf_text import REPORT_COMMAND, STAT_COMMAND, refuse_other_formats
from sim.study.runs.asked import load_scenario

DEFAULT_SCENARIO = "virtio-user-xdp1-tap"
#: Names of the threads that work for vhost: vhost-PID, of the process that owns the device.
WORKERS = "vhost-*"

#: What a trace's file name says of its configuration.
_NAME = re.compile(r"(?:.+\.)?tx_xdp_ev([01])_d(\d+)_b(\d+)_s(\d+)")
_COLUMNS = ("instruction", "event", "region", "offset", "bytes", "function")
_ONE_INVOCATION = 0.05
_NOISE = 0.05
_SPREAD = 0.15


def import_file(
    file: Path,
    settings: Mapping[str, Any] | None = None,
    *,
    overrides: Sequence[str] = (),
    scenario: str = DEFAULT_SCENARIO,
    configs: Path | None = None,
    name: str | None = None,
    packets: int | None = None,
    thread: str = WORKERS,
) -> Measurements:
    """Read a trace or a profile into measurements of the same kind as published ones.

    Parameters
    ----------
    file
        A trace CSV, the text of `perf report` or of `perf stat`.
    settings, overrides
        The configuration it was taken in, on top of `scenario`: values by key, then `KEY=VALUE` texts. They are checked
        before the file is read. What a trace's name or the handler in a profile gives is filled in.
    scenario, configs
        Scenario that the settings change, and a folder with tables of your own.
    name
        Name of the measurements (default: that of the file).
    packets
        How many packets were sent meanwhile: needed for `perf stat`, and for a trace whose name does not say.
    thread
        Name of the worker's threads, with wildcards.

    Raises
    ------
    ConfigError
        When a setting is wrong, the file is none of the three, its figures are not the worker's, or a number is
        missing.
    """
    loaded = load_scenario(scenario, settings=settings, overrides=overrides, configs=configs)
    given = {**(settings or {}), **assigned(overrides)}
    if len(given.get("access", [None])) != 1:
        raise ConfigError("a measurement is of one access variant", key="access", got=",".join(given["access"]))
    access = str(given.pop("access", [loaded.access[0].name])[0])
    lines = _read(file).splitlines()
    try:
        part = (
            _trace(lines, file, packets)
            or _report(read_report(lines, thread, given.get("device.direction")))
            or _stat(lines, thread, packets, file)
        )
    except ConfigError as error:
        raise error if error.file or error.key else error.replace(file=file) from None
    if part is None:
        raise ConfigError(
            f"is neither a trace ({','.join(_COLUMNS)}) nor text of perf report or perf stat; such text is printed by "
            f"{REPORT_COMMAND} and {STAT_COMMAND}",
            file=file,
        )
    kind, known, table = part
    if not table["entries"]:
        raise ConfigError(f"{kind} with nothing that the model has a figure for", file=file)
    entries = [{**entry, "access": access} for entry in table.pop("entries")]
    if "device.direction" not in {**known, **given}:
        known["device.direction"] = loaded.device.direction
        table["not_stated"] = [*table.get("not_stated", []), "the direction"]
        table["assumed"] = [*table.get("assumed", []), f"{loaded.device.direction}, as in scenario {scenario}"]
    table |= {
        "schema": 1,
        "kind": "measurement",
        "name": name or re.sub(r"[^A-Za-z0-9._-]+", "-", file.stem),
        "title": f"{kind} {file.name}",
        "source": f"{kind} of the user's own machine, {file.name}",
        "read": "executed",
        "grade": "measured-here",
        "scenario": scenario,
        "set": {**known, **given},
        "entries": entries,
    }
    return validate(Measurements, table, str(file))


def _read(file: Path) -> str:
    """Return the text of a file; ConfigError for one that is none, with the command that prints what is wanted."""
    content = read_bytes(file)
    refuse_other_formats(content, file)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigError("cannot be read: not UTF-8 text", file=file) from None


#: What a file is, the keys that it says by itself, and its part of a measurement table.
_Part = tuple[str, dict[str, Any], dict[str, Any]]


def _trace(lines: list[str], file: Path, packets: int | None) -> _Part | None:
    """Count the events of one invocation of a handler, per packet; None when it is no trace."""
    data = [line for line in lines if line.strip() and not line.startswith("#")]
    if not data or data[0].split(",") != list(_COLUMNS):
        return None
    rows = list(csv.DictReader(data))
    receives = any("handle_rx" in (row["function"] or "") for row in rows)
    known: dict[str, Any] = {"device.direction": "rx" if receives else "tx"}
    if named := _NAME.fullmatch(file.stem):
        event_idx, descriptors, burst, size = named.groups()
        packets = int(burst) if packets is None else packets
        known |= {
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
    events: Counter[str] = Counter(row["event"] for row in rows if row["event"])
    unknown = set(events) - {"stac", "clac", "lfence", "load", "store", "copy_from", "copy_to"}
    if unknown:
        raise ConfigError(f"unknown event '{sorted(unknown)[0]}'")
    counts: dict[str, float] = {word: events[word] for word in ("stac", "clac", "lfence")}
    total = re.search(r"=\s*(\d+)\s*$", lines[-1]) if lines[-1].startswith("#") else None
    if total:
        counts["instructions"] = int(total[1])
    entries = _per_packet(counts, packets)
    for entry in entries:
        if entry["quantity"] == "instructions":
            entry |= {"noise": _ONE_INVOCATION, "note": "one invocation: a page refill falls into some of them only"}
    return "executed trace", known, {"noise": 0.0, "spread": 0.0, "entries": entries}


def _per_packet(totals: Mapping[str, float], packets: int) -> list[dict[str, Any]]:
    if packets < 1:
        raise ConfigError("at least 1 is needed", key="packets", got=packets)
    counts = {name: total / packets for name, total in totals.items()}
    return [
        {"id": name, "quantity": name, "value": count, "low": count, "high": count} for name, count in counts.items()
    ]


def _stat(lines: list[str], thread: str, packets: int | None, file: Path) -> _Part | None:
    """Return the counts of `perf stat` per packet; None when it is none."""
    counts = read_stat(lines, thread)
    if counts is None:
        return None
    if packets is None:
        raise ConfigError(f"{file} counts over a whole run: how many packets it sent is needed", key="packets")
    remarks = {"not_stated": counts.not_stated, "assumed": counts.assumed, "left_out": counts.left_out}
    return (
        "perf stat",
        {},
        {**remarks, "noise": _NOISE, "spread": _SPREAD, "entries": _per_packet(counts.totals, packets)},
    )


def _report(shares: Shares | None) -> _Part | None:
    """Return shares by kernel function; None when there are none."""
    if shares is None:
        return None
    remarks = {"not_stated": shares.not_stated, "assumed": shares.assumed, "left_out": shares.left_out}
    known = {"device.direction": shares.direction} if shares.direction else {}
    entries = [_share(name, share, shares) for name, share in shares.by_function.items()]
    return "perf report", known, {**remarks, "noise": _NOISE, "spread": _SPREAD, "entries": entries}


def _share(name: str, share: float, shares: Shares) -> dict[str, Any]:
    entry = {
        "id": name,
        "quantity": "share",
        "value": share,
        "low": max(0.0, share - shares.half),
        "high": share + shares.half,
        "functions": [name],
    }
    # Samples fall into a function by chance: the relative deviation of a share of so many of them.
    by_chance = sqrt((1 - share) / (share * shares.samples)) if shares.samples else 0.0
    return entry | ({"noise": round(min(0.99, by_chance), 3)} if by_chance > _NOISE else {})


IMPORTED = "`vhost-sim import-trace`. Complete `set`: CPU, kernel, mitigations, ring, burst"


def write_measurements(measurements: Measurements, file: Path, made_by: str = IMPORTED) -> None:
    """Write a measurement file, whole or not at all; its first line says what made it."""
    data = measurements.model_dump(mode="json", exclude_defaults=True)
    data = {"schema": data.pop("schema_"), "kind": "measurement", **data, "scenario": measurements.scenario}
    entries = data.pop("entries")
    text = f"# Written by {made_by}.\n"
    write_whole(file, text + written_yaml({**data, "entries": entries}))
