"""Lay the ring that runs on this host beside what the simulator predicts for it with a measured profile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.config import Scenario, load_scenario
from sim.config.errors import ConfigError
from sim.config.progress import Progress
from sim.engine import Point
from sim.host.ring import RingPoint, RingSettings, run_rings
from sim.study.questions.run import run

SCENARIO = "user-ring"
FENCES = {"ring_fenced": True, "ring_plain": False}
TOLERANCE = 0.15


@dataclass(frozen=True)
class RingComparison:
    """One setting: what was measured, what is predicted."""

    measured: RingPoint
    predicted: Point

    @property
    def error(self) -> float | None:
        """Predicted over measured rate, less 1; None when nothing was measured."""
        return None if self.measured.pps is None else self.predicted.pps / self.measured.pps - 1

    @property
    def verdict(self) -> str:
        """Whether the prediction is within the tolerance, and whether the measurement can be trusted."""
        summary = self.measured.summary
        if summary is None or self.error is None:
            return "disturbed" if self.measured.moved == 0 else "CPUs moved"
        within = "within 15 %" if abs(self.error) <= TOLERANCE else "off"
        return within if summary.stable else f"{within}, unstable"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        summary = self.measured.summary
        return {
            "access": self.predicted.access,
            "packet_bytes": self.predicted.packet_bytes,
            "measured_pps": self.measured.pps,
            "measured_ns": None if summary is None else [summary.low, summary.value, summary.high],
            "stable": summary is not None and summary.stable,
            "runs_ns": [run.ns_per_packet for run in self.measured.runs],
            "transfer_ns": [run.transfer_ns for run in self.measured.runs],
            "moved": self.measured.moved,
            "measured_events_per_packet": self.measured.events_per_packet(),
            "predicted_pps": self.predicted.pps,
            "predicted_ns": self.predicted.ns_per_packet,
            "predicted_breakdown_cycles": self.predicted.breakdown_cycles,
            "error": self.error,
            "verdict": self.verdict,
        }


@dataclass(frozen=True)
class RingReport:
    """The experiment at every size, fences on and off."""

    scenario: Scenario
    comparisons: tuple[RingComparison, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form of `vhost-sim measure --ring`."""
        settings = [comparison.to_dict() for comparison in self.comparisons]
        return {"schema": 1, "scenario": self.scenario.name, "ring": settings}


def ring_scenario(cpu: Mapping[str, Any], name: str = SCENARIO, configs: Path | None = None) -> Scenario:
    """Return the scenario of the experiment on a profile; what the program does without the kernel costs no call.

    A kick is a store to a shared word that the other thread polls: no system call, and one line transfer to wake up.
    """
    primitives = dict(cpu["primitives"])
    transfer_us = primitives["line_transfer"]["value"] / 1000
    why = "ring.c: a kick is a store to a shared word"
    for primitive, value in {"syscall": 0.0, "pti": 0.0, "eventfd_signal": 0.0, "worker_wakeup": transfer_us}.items():
        entry = {"value": value, "low": value, "high": value, "source": why, "grade": "derived"}
        primitives[primitive] = {**primitives[primitive], **entry}
    table = {key: value for key, value in cpu.items() if key != "extends"}
    scenario = load_scenario(name, settings={"cpu": {**table, "primitives": primitives}}, configs=configs)
    unknown = [variant.name for variant in scenario.access if variant.name not in FENCES]
    if unknown:
        raise ConfigError(f"unknown access variant '{unknown[0]}'", key="ring", got=unknown[0], expected=FENCES)
    return scenario


def ring_settings(scenario: Scenario) -> list[RingSettings]:
    """Return the settings of the ring program for every access variant and size of a scenario."""
    return [
        RingSettings(
            size=scenario.virtqueue.size,
            burst=scenario.driver.burst,
            batch=scenario.device.batch,
            packet_bytes=size,
            free_threshold=scenario.driver.free_threshold,
            fenced=FENCES[variant.name],
        )
        for variant in scenario.access
        for size in scenario.traffic.sizes
    ]


def run_experiment(scenario: Scenario, pair: tuple[int, int | None], progress: Progress | None = None) -> RingReport:
    """Run the ring of a scenario on two cores and in the simulator."""
    expected_ns = scenario.cpu.primitives["line_transfer"].value
    measured = run_rings(ring_settings(scenario), pair, expected_ns, progress)
    predicted = run(scenario).points
    pairs = zip(measured, predicted, strict=True)
    return RingReport(scenario, tuple(RingComparison(ring, point) for ring, point in pairs))
