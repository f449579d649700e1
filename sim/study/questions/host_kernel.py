"""Experiments with the running kernel beside the model: the table that stands for it, and one figure's comparison."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.config.errors import ConfigError
from sim.config.loading import paths
from sim.config.loading.load import load_of, validate
from sim.config.tables.kernel import Kernel
from sim.config.tables.measurement import Measurements
from sim.host.machine import HostMachine
from sim.host.quality import RepeatSummary

TOLERANCE = 0.15
#: What the XDP program like xdp1 of tun.c executes, beyond one that drops at once; counted on 6.18.
XDP1_INSTRUCTIONS = 36
_VERSION = re.compile(r"v?(\d+)\.(\d+)")


def kernel_of(release: str, configs: Path | None = None, step: str | None = None) -> str:
    """Return the newest kernel table that is not newer than a release, or else the oldest there is.

    With `step`, of the tables in which that step was counted. ConfigError for a release that names no version.
    """
    running = _version(release)
    names = [name for name in paths.names("kernel", configs) if _VERSION.fullmatch(name)]  # not one made of another
    tables = {_version(name): name for name in names if step is None or _counts(name, step, configs)}
    older = [version for version in tables if version <= running]
    return tables[max(older) if older else min(tables)]


def _counts(name: str, step: str, configs: Path | None) -> bool:
    return step in load_of(Kernel, name, configs).steps


def _version(name: str) -> tuple[int, int]:
    match = _VERSION.match(name)
    if match is None:
        raise ConfigError(f"'{name}' names no kernel version", key="kernel", got=name)
    return int(match[1]), int(match[2])


def host_settings(
    machine: HostMachine, cpu: Mapping[str, Any] | str, configs: Path | None = None, step: str | None = None
) -> dict[str, Any]:
    """Return the keys that say what a scenario runs on: the profile just measured, the kernel, what is switched on."""
    switches = {f"mitigations.{key}": on for key, on in machine.mitigations.items()}
    return {"cpu": cpu, "kernel": kernel_of(machine.kernel, configs, step), **switches}


@dataclass(frozen=True)
class FigureComparison:
    """One figure in ns per packet: what repeats say together, and what the model predicts."""

    measured: RepeatSummary | None
    predicted_ns: float

    @property
    def error(self) -> float | None:
        """Predicted over measured rate, less 1; None without a repeat."""
        return None if self.measured is None else self.measured.value / self.predicted_ns - 1

    @property
    def verdict(self) -> str:
        """Whether the prediction is within the tolerance; refused where repeats disagree."""
        if self.measured is None or self.error is None:
            return "not measured"
        if not self.measured.stable:
            return f"refused: {self.measured.why_unstable}"
        return "within 15 %" if abs(self.error) <= TOLERANCE else "off"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        seen = self.measured
        return {
            "measured_ns": None if seen is None else seen.value,
            "measured_low_ns": None if seen is None else seen.low,
            "measured_high_ns": None if seen is None else seen.high,
            "outliers": None if seen is None else seen.outliers,
            "predicted_ns": self.predicted_ns,
            "error": self.error,
            "verdict": self.verdict,
        }


def measurement_file(
    name: str, scenario: str, settings: Mapping[str, Any], entries: Sequence[Mapping[str, Any]], title: str, source: str
) -> Measurements:
    """Return a measurement file: figures of this host, in exactly the configuration that `settings` name."""
    table = {
        "schema": 1,
        "kind": "measurement",
        "name": name,
        "title": title,
        "source": source,
        "read": "executed",
        "grade": "measured-here",
        "scenario": scenario,
        "set": dict(settings),
        "noise": 0.02,
        "spread": 0.05,
        "entries": [dict(entry) for entry in entries],
    }
    return validate(Measurements, table, name)


def rate_entry(identity: str, ns: RepeatSummary, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry of a rate; its ends are those of the time per packet."""
    return {
        "id": identity,
        "quantity": "pps",
        "value": 1e9 / ns.value,
        "low": 1e9 / ns.high,
        "high": 1e9 / max(ns.low, 1e-3),
        "set": dict(settings),
        **({} if ns.stable else {"note": f"unstable: {ns.why_unstable}"}),
    }
