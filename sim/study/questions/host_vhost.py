"""Lay the host's own vhost worker beside the model: packets per second, and what a packet costs the worker."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.config import Scenario, load_scenario
from sim.config.errors import ConfigError
from sim.config.loading.overrides import Given, assigned
from sim.config.tables.measurement import Measurements
from sim.datapath import build_plan
from sim.engine import simulate
from sim.host.experiments.vhost import XDP, VhostRun
from sim.host.quality import summarise
from sim.host.recording import Recording
from sim.study.questions.host_kernel import (
    XDP1_INSTRUCTIONS,
    FigureComparison,
    host_settings,
    measurement_file,
    rate_entry,
)
from sim.study.runs.asked import every_point, refuse_unread
from sim.study.runs.case import executed
from sim.study.runs.functions import function_times

SCENARIO = "vhost-here"
#: Half of what a prediction may be off.
STEADY = 0.075
_LIMITED_SNDBUF = 1 << 20
#: A worker that runs for less of the time waits for its driver: the rate is not its own.
BUSY = 0.95
_READ_FROM_HOST = ("cpu", "kernel", "mitigations", "calibration")
_OF_BACKENDS = {"tap-xdp-drop": "drop", "tap-xdp-pass": "pass", "tap-skb": "none"}


def load_vhost(settings: Mapping[str, Any], configs: Path | None = None, overrides: Sequence[str] = ()) -> Scenario:
    """Return the scenario of the experiment with other keys. ConfigError for what the driver program cannot be.

    `overrides` are the user's own: what is read from the host is refused in them.
    """
    for key in assigned(overrides):
        if key.partition(".")[0] in _READ_FROM_HOST or key == "device.zerocopy_tx":
            raise ConfigError("is read from this host", key=key)
    scenario = load_scenario(SCENARIO, settings=dict(settings), configs=configs, overrides=list(overrides))
    given = {key: Given(key, text) for text in overrides for key in assigned([text])}
    refuse_unread(given, every_point(scenario))
    queue, device = scenario.virtqueue, scenario.device
    cannot = {
        "virtqueue.layout": queue.layout != "split",
        "virtqueue.descriptors_per_packet": queue.descriptors_per_packet > 2,
        "driver.kind": scenario.driver.kind != "virtio-user",
        "device.kind": device.kind != "vhost_net",
        "device.busyloop_timeout_us": device.busyloop_timeout_us > 0,
        "backend.kind": scenario.backend.kind not in _OF_BACKENDS,
        "traffic.load": scenario.traffic.load.kind != "saturate" or scenario.traffic.mix is not None,
        "queues.pairs": scenario.queues.pairs > 1,
    }
    for key in (key for key, wanted in cannot.items() if wanted):
        raise ConfigError("is not what the driver of this experiment can be", key=key)
    _check_program(scenario)
    return scenario


def _check_program(scenario: Scenario) -> None:
    """Refuse instructions that no XDP program of tun.c executes in such a configuration."""
    received, kind = scenario.device.direction == "rx", scenario.backend.kind
    executed = scenario.backend.program_instructions.value
    programs = (0, XDP1_INSTRUCTIONS) if kind == "tap-xdp-drop" and not received else (0,)
    if executed not in programs:
        have = " or ".join(map(str, programs))
        raise ConfigError(
            f"the programs of this experiment execute {have} instructions with {'receive' if received else kind}",
            key="backend.program_instructions",
            got=f"{executed:g}",
        )


def program_settings(scenario: Scenario) -> list[dict[str, int]]:
    """Return the settings of the driver program for every packet size of a scenario."""
    queue, receives = scenario.virtqueue, scenario.device.direction == "rx"
    xdp = _OF_BACKENDS[scenario.backend.kind]
    if xdp == "drop" and scenario.backend.program_instructions.value:
        xdp = "xdp1"
    return [
        {
            "receive": int(receives),
            "size": size,
            "ring": queue.size,
            "burst": scenario.driver.burst,
            "free_threshold": scenario.driver.free_threshold,
            "descriptors": queue.descriptors_per_packet,
            "indirect": int(queue.indirect),
            "event_idx": int(queue.event_idx),
            "in_order": int(queue.in_order),
            "iotlb": int(queue.iotlb),
            "mergeable": int(scenario.receive.mergeable),
            "xdp": XDP["none" if receives else xdp],
            "sndbuf": _LIMITED_SNDBUF if scenario.device.sndbuf_limited else 0,
        }
        for size in scenario.traffic.sizes
    ]


@dataclass(frozen=True)
class VhostComparison:
    """Packets of one size: what the worker's windows say together, beside the prediction.

    `worker` is its CPU time per packet; cycles and instructions are per packet, None without counters.
    """

    direction: str
    packet_bytes: int
    rate: FigureComparison
    worker: FigureComparison
    busy: float
    cycles: float | None
    instructions: float | None
    predicted_instructions: float

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        measured = self.rate.measured
        return {
            "direction": self.direction,
            "packet_bytes": self.packet_bytes,
            "measured_pps": None if measured is None else 1e9 / measured.value,
            "predicted_pps": 1e9 / self.rate.predicted_ns,
            **self.rate.to_dict(),
            "worker": self.worker.to_dict(),
            "worker_busy": self.busy,
            "cycles_per_packet": self.cycles,
            "instructions_per_packet": self.instructions,
            "predicted_instructions_per_packet": self.predicted_instructions,
        }


@dataclass(frozen=True)
class VhostReport:
    """The experiment at every size, and the state of the machine that it ran on."""

    scenario: Scenario
    recording: Recording
    comparisons: tuple[VhostComparison, ...]

    @property
    def counted(self) -> int:
        """Packets that all sides counted alike, in all runs."""
        return sum(run.counts.used + run.total.used for run in self.recording.vhost)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form of `vhost-sim measure --vhost`."""
        machine, first = self.recording.machine, self.recording.vhost[0]
        report = {
            "scenario": SCENARIO,
            "kernel": self.scenario.kernel.name,
            "machine": machine.model_dump(mode="json"),
            "worker": "kernel thread" if first.kernel_thread else "thread of the driver's process",
            "zerocopy_tx": first.zerocopy,
            "packets_that_agree": self.counted,
            "sizes": [comparison.to_dict() for comparison in self.comparisons],
        }
        return {"vhost": report}


def compare_vhost(
    recording: Recording, cpu: Mapping[str, Any], settings: Mapping[str, Any], configs: Path | None = None
) -> VhostReport:
    """Predict every size with a profile. ConfigError for a recording without such runs, or of other settings."""
    if not recording.vhost:
        raise ConfigError("the recording has no runs of a vhost worker", key="vhost")
    table = {key: value for key, value in cpu.items() if key != "extends"}
    scenario = load_vhost({**_host(recording, table, configs), **settings}, configs)
    comparisons = [_compare(scenario, wanted, recording.vhost) for wanted in program_settings(scenario)]
    return VhostReport(scenario, recording, tuple(comparisons))


def _host(recording: Recording, cpu: Mapping[str, Any] | str, configs: Path | None) -> dict[str, Any]:
    """Return the keys that say what the worker ran on; zero copy is as its module has it."""
    zerocopy = recording.vhost[0].zerocopy == 1 and not recording.vhost[0].settings["receive"]
    return {**host_settings(recording.machine, cpu, configs), "device.zerocopy_tx": zerocopy}


def _compare(scenario: Scenario, wanted: Mapping[str, int], runs: Sequence[VhostRun]) -> VhostComparison:
    size, access = wanted["size"], scenario.access[0].name
    windows = [window for run in runs if run.settings == wanted for window in run.windows]
    if not windows:
        raise ConfigError(f"the recording has no window of {size} bytes with these settings", key="vhost")
    if stalled := sum(not window.packets for window in windows):
        raise ConfigError(f"{stalled} of {len(windows)} windows of {size} bytes saw no packet", key="vhost")
    plan = build_plan(scenario, access, size, apart=True, functions=True)
    point = simulate(plan, scenario.run)
    busy_ns = sum(function_times(plan, point).values()) / 1e3

    def per_packet(counter: str) -> float | None:
        values = [getattr(window, counter) for window in windows]
        rates = [value / window.packets for value, window in zip(values, windows, strict=True) if value is not None]
        return statistics.median(rates) if rates else None

    return VhostComparison(
        direction=scenario.device.direction,
        packet_bytes=size,
        rate=FigureComparison(summarise([window.ns / window.packets for window in windows], STEADY), 1e9 / point.pps),
        worker=FigureComparison(summarise([window.worker_ns / window.packets for window in windows], STEADY), busy_ns),
        busy=statistics.median(window.busy for window in windows),
        cycles=per_packet("cycles"),
        instructions=per_packet("instructions"),
        predicted_instructions=executed(plan, scenario)["instructions"],
    )


def vhost_measurements(
    report: VhostReport, cpu: str, settings: Mapping[str, Any], name: str, configs: Path | None = None
) -> Measurements:
    """Return the measurement file of a report: rates, and instructions where they were counted.

    A rate of receive counts only where the worker was busy: else it is that of whoever sends.
    """
    machine = report.recording.machine
    entries: list[dict[str, Any]] = []
    for point in report.comparisons:
        identity, changed = f"{point.direction} {point.packet_bytes}", {"traffic.packet_bytes": point.packet_bytes}
        if point.rate.measured is not None and (point.direction == "tx" or point.busy >= BUSY):
            entries.append(rate_entry(identity, point.rate.measured, changed))
        if point.instructions is not None:
            value = point.instructions
            entry = {"quantity": "instructions", "value": value, "low": value, "high": value, "noise": 0.02}
            entries.append({"id": f"{identity} instructions", **entry, "set": changed})
    title = f"a driver in user space and vhost_net, {machine.model_name}, Linux {machine.kernel}"
    source = f"`vhost-sim measure --vhost`, {report.recording.started}"
    host = {**_host(report.recording, cpu, configs), **settings}
    if not entries:
        raise ConfigError("nothing that a measurement file could hold: the worker waited for its source", key="vhost")
    return measurement_file(name, SCENARIO, host, entries, title, source)
