"""Lay writes to a TAP on this host beside the model: time less the system call, and its share by kernel function."""

from __future__ import annotations

import operator
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.config import Scenario, load_scenario
from sim.config.errors import ConfigError
from sim.config.tables.measurement import Measurements
from sim.config.tables.vocabulary import PRICED_BY_CPI
from sim.datapath import Plan, build_plan
from sim.engine import Point, simulate
from sim.host.entries import combine, present
from sim.host.experiments.taps import SAMPLED_BYTES, SIZES, series_name
from sim.host.quality import RepeatSummary, summarise
from sim.host.recording import Recording, Samples
from sim.study.questions.host_kernel import (
    XDP1_INSTRUCTIONS,
    FigureComparison,
    host_settings,
    measurement_file,
    rate_entry,
)
from sim.study.runs.functions import function_times

SCENARIO = "tap-write"
#: What a scenario changes for each way that a frame can take.
WAYS: dict[str, dict[str, Any]] = {
    "native": {"backend.program_instructions": 0},
    "program": {"backend.program_instructions": XDP1_INSTRUCTIONS},
    "generic": {"backend.program_instructions": 0, "device.sndbuf_limited": True},
    "skb": {"backend.kind": "tap-skb", "device.sndbuf_limited": True},
    "down": {"backend.kind": "tap-down", "device.sndbuf_limited": True},
}
#: Half of what a prediction may be off.
STEADY = 0.075
#: The step that a write to /dev/null executes as well; its functions are not told apart.
_CALL = "call"
#: The step that only a kernel table has whose writes to a TAP were counted.
_COUNTED = "write_tap"
#: Steps of many functions; a kernel table that does not split one has all of it under a single name.
_LARGE_STEPS = ("write_call", "write_skb", "write_stack", "write_generic")
_LEAST_SHARE = 0.01


@dataclass(frozen=True)
class TapComparison:
    """Writes of one size that go one way: less those to /dev/null, and whole.

    `cycles_per_instruction` is what the measured time leaves for each instruction between accesses when returns,
    windows and copies cost what the profile says; it holds everything that the model does not know of this kernel.
    """

    way: str
    packet_bytes: int
    beyond_call: FigureComparison
    whole: FigureComparison
    cycles_per_instruction: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "way": self.way,
            "packet_bytes": self.packet_bytes,
            **self.beyond_call.to_dict(),
            "whole": self.whole.to_dict(),
            "cycles_per_instruction": self.cycles_per_instruction,
        }


@dataclass(frozen=True)
class FunctionShare:
    """Share of the time of a write in one kernel function, as sampled and as predicted."""

    way: str
    function: str
    measured: float
    predicted: float

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"way": self.way, "function": self.function, "measured": self.measured, "predicted": self.predicted}


@dataclass(frozen=True)
class TapReport:
    """Every way and size; the shares of the time by function; what a system call takes by itself."""

    scenarios: Mapping[str, Scenario]
    call: FigureComparison
    comparisons: tuple[TapComparison, ...]
    shares: tuple[FunctionShare, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form of `vhost-sim measure --tap`."""
        report = {
            "scenario": SCENARIO,
            "kernel": next(iter(self.scenarios.values())).kernel.name,
            "call": self.call.to_dict(),
            "writes": [comparison.to_dict() for comparison in self.comparisons],
            "functions": [share.to_dict() for share in self.shares],
        }
        return {"tap": report}


def compare_taps(recording: Recording, cpu: Mapping[str, Any], configs: Path | None = None) -> TapReport:
    """Predict every way and size with a profile. ConfigError for a recording without writes to a TAP."""
    if not present(recording.ns(series_name("native", SIZES[0]))):
        raise ConfigError("the recording has no writes to a TAP", key="tap")
    table = {key: value for key, value in cpu.items() if key != "extends"}
    host = host_settings(recording.machine, table, configs, _COUNTED)
    settings = {way: {**host, **changed} for way, changed in WAYS.items()}
    scenarios = {way: load_scenario(SCENARIO, settings=each, configs=configs) for way, each in settings.items()}
    comparisons, shares = [], []
    call_ns = 0.0
    for way, scenario in scenarios.items():
        for size in SIZES:
            plan = build_plan(scenario, scenario.access[0].name, size, apart=True, functions=True)
            point = simulate(plan, scenario.run)
            call_ns = _call_ps(point) / 1e3
            comparisons.append(_compare(recording, way, size, scenario, plan, point))
            if size == SAMPLED_BYTES and way in recording.samples:
                shares += _shares(way, recording.samples[way], scenario, plan, point)
    call = FigureComparison(_summary(present(recording.ns(series_name("null", SAMPLED_BYTES)))), call_ns)
    return TapReport(scenarios, call, tuple(comparisons), tuple(shares))


def _summary(repeats: list[float]) -> RepeatSummary | None:
    return summarise(repeats, STEADY) if repeats else None


def _call_ps(point: Point) -> float:
    return point.row_times_ps[f"worker.{_CALL}"]


def _compare(recording: Recording, way: str, size: int, scenario: Scenario, plan: Plan, point: Point) -> TapComparison:
    whole, null = recording.ns(series_name(way, size)), recording.ns(series_name("null", size))
    beyond = _summary(combine(operator.sub, whole, null))
    rows = [row for row in plan.rows if row.actor == "worker" and row.label != _CALL]
    work_ps = sum(part.cost_ps for row in rows for part in row.components if part.primitive in PRICED_BY_CPI)
    predicted_ps = 1e12 / point.pps - _call_ps(point)
    cpi = None
    if beyond is not None:
        left_ps = beyond.value * 1e3 - (predicted_ps - work_ps)
        cpi = scenario.cpu.cpi.value * left_ps / work_ps
    return TapComparison(
        way,
        size,
        FigureComparison(beyond, predicted_ps / 1e3),
        FigureComparison(_summary(present(whole)), 1e9 / point.pps),
        cpi,
    )


def _shares(way: str, samples: Samples, scenario: Scenario, plan: Plan, point: Point) -> list[FunctionShare]:
    """Lay functions side by side; the call, and what the model does not tell apart, stand as one in the end."""
    times = function_times(plan, point, skid=True)
    whole = sum(times.values())
    kernel = scenario.kernel
    undivided = {kernel.steps[step].function for step in _LARGE_STEPS if step not in kernel.functions}
    named = {name for name in times if name not in undivided}
    shares = [
        FunctionShare(way, name, samples.functions.get(name, 0) / samples.total, times[name] / whole)
        for name in sorted(named, key=lambda name: -times[name])
    ]
    rest = 1 - sum(share.measured for share in shares)
    predicted = sum(times.get(name, 0.0) for name in undivided) / whole
    return [*shares, FunctionShare(way, "all others", rest, predicted)]


def tap_measurements(
    report: TapReport, recording: Recording, cpu: str, name: str, configs: Path | None = None
) -> Measurements:
    """Return the measurement file of a report: rates of whole writes, with exactly their configuration."""
    settings = host_settings(recording.machine, cpu, configs, _COUNTED)
    entries = [
        rate_entry(
            f"{point.way} {point.packet_bytes}",
            point.whole.measured,
            {**WAYS[point.way], "traffic.packet_bytes": point.packet_bytes},
        )
        for point in report.comparisons
        if point.whole.measured is not None
    ]
    machine = recording.machine
    title = f"frames written to a TAP, {machine.model_name}, Linux {machine.kernel}"
    source = f"`vhost-sim measure --tap`, {recording.started}"
    return measurement_file(name, SCENARIO, settings, entries, title, source)


def middle_cycles_per_instruction(report: TapReport) -> float | None:
    """Return the median of what each way leaves for an instruction; None without a figure."""
    values = [point.cycles_per_instruction for point in report.comparisons if point.cycles_per_instruction is not None]
    return statistics.median(values) if values else None
