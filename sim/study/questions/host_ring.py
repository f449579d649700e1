"""Lay the ring that runs on this host beside what the simulator predicts for it with a measured profile."""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.config import Scenario, load_scenario
from sim.config.errors import ConfigError
from sim.config.progress import Progress
from sim.config.tables.vocabulary import SYSTEM_CALL
from sim.datapath import build_plan
from sim.engine import Point, simulate
from sim.host.derive import fraction, lookahead_ns
from sim.host.quality import summarise
from sim.host.ring import RingPoint, RingSettings, Surroundings, run_rings
from sim.study.runs.case import with_values

SCENARIO = "user-ring"
FENCES = {"ring_fenced": True, "ring_plain": False}
TOLERANCE = 0.15
#: Measured over predicted time may spread this much between windows, each way (half of the tolerance).
STEADY = 0.075
#: An entry whose repeats move a prediction by more than this share refuses it (a third of the tolerance).
SWAY = 0.05
#: What a ring without a kernel does not pay.
NO_KERNEL = (*SYSTEM_CALL, "eventfd_signal")
#: Share of the experiment's time that the rings take; the rest are predictions.
_RINGS = 0.7
RATE = "measured over predicted time"
_PRIMITIVES = "cpu.primitives."
_OVERLAP = "cpu.overlap"


@dataclass(frozen=True)
class RingComparison:
    """One setting: every window that counts beside its own prediction, and why the two are not to be compared.

    `unstable` maps what leaves the comparison open to how it does: entries by their keys, and the windows themselves.
    """

    access: str
    measured: RingPoint
    predicted: tuple[Point, ...]
    unstable: Mapping[str, str]

    @property
    def middle(self) -> tuple[float, float] | None:
        """Measured and predicted ns per packet of the window in the middle by their ratio; None without a window.

        A median of each by itself would be of different windows where the CPUs move between two places.
        """
        times = [(window.ns_per_packet or 0.0) for window in self.measured.counted]
        pairs = [(time, point.ns_per_packet) for time, point in zip(times, self.predicted, strict=True)]
        by_ratio = sorted(pairs, key=lambda pair: pair[0] / pair[1])
        return by_ratio[(len(by_ratio) - 1) // 2] if by_ratio else None

    @property
    def error(self) -> float | None:
        """Predicted over measured rate, less 1, of the window in the middle; None without a window."""
        return None if self.middle is None else self.middle[0] / self.middle[1] - 1

    @property
    def verdict(self) -> str:
        """Whether the prediction is within the tolerance; refused by name when that cannot be said."""
        if self.error is None:
            return "disturbed" if self.measured.moved == 0 else "CPUs moved"
        if self.unstable:
            return f"refused: {', '.join(key.removeprefix(_PRIMITIVES).removeprefix('cpu.') for key in self.unstable)}"
        return "within 15 %" if abs(self.error) <= TOLERANCE else "off"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        counted, (measured, predicted) = self.measured.counted, self.middle or (None, None)
        by_time = sorted(self.predicted, key=lambda point: point.ns_per_packet)
        return {
            "access": self.access,
            "packet_bytes": self.measured.settings.packet_bytes,
            "measured_pps": None if measured is None else 1e9 / measured,
            "measured_ns": measured,
            "predicted_pps": None if predicted is None else 1e9 / predicted,
            "predicted_ns": predicted,
            "error": self.error,
            "verdict": self.verdict,
            "refused": [*self.unstable],
            "why_refused": [f"{key}: {why}" for key, why in self.unstable.items()],
            "windows": {
                "measured_ns": [window.ns_per_packet for window in counted],
                "predicted_ns": [point.ns_per_packet for point in self.predicted],
                "line_transfer_ns": [window.place.line_transfer for window in counted],
                "line_stream_ns": [window.place.line_stream for window in counted],
                "exposed": [window.place.exposed for window in counted],
                "hidden_ns": [window.place.hidden for window in counted],
            },
            "clean_line_ns": self.measured.clean_lines,
            "windows_run": len(self.measured.windows),
            "moved": self.measured.moved,
            "measured_events_per_packet": self.measured.events_per_packet(),
            "predicted_breakdown_cycles": by_time[len(by_time) // 2].breakdown_cycles if by_time else {},
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
    for primitive, value in {**dict.fromkeys(NO_KERNEL, 0.0), "worker_wakeup": transfer_us}.items():
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


def compare(scenario: Scenario, measured: RingPoint) -> RingComparison:
    """Predict each window of a setting by itself, and see what the prediction cannot be relied on for.

    An entry is refused when the middle half of its repeats moves the prediction by more than `SWAY`: `clean_line` by
    what was read at this size, others when the profile calls them unstable. `overlap` is refused where copies of 64
    bytes without fences hide so much more than a reorder buffer lasts that the prediction may move as far: packets
    share their waits, long ones less than these copies do.
    """
    access = next(name for name, fenced in FENCES.items() if fenced == measured.settings.fenced)
    windows = measured.counted
    if not windows:
        return RingComparison(access, measured, (), {})
    size, clean = measured.settings.packet_bytes, statistics.median(measured.clean_lines)

    def predict(values: Mapping[str, float]) -> tuple[Point, set[str]]:
        plan = build_plan(with_values(scenario, values), access, size)
        return simulate(plan, scenario.run), plan.ledger.entries().keys() - plan.ledger.only_for_setup()

    places = [_place(scenario, window.place, clean) for window in windows]
    points = tuple(predict(place)[0] for place in places)
    middle = {key: statistics.median(place[key] for place in places) for key in places[0]}
    base, read = predict(middle)
    refused = {}
    for key, repeats in _doubtful(scenario, measured, middle.keys()).items():
        if key not in read:
            continue
        low, high = _middle_half(repeats)  # of a difference of nothing it may be below 0
        first, last = (predict({**middle, key: max(0.0, end)})[0].ns_per_packet for end in (low, high))
        sway = abs(last - first) / base.ns_per_packet
        if sway > SWAY:
            spread = f"{low:.3g} to {high:.3g}"
            refused[key] = f"the middle half of its repeats, {spread}, moves the prediction by {sway:.0%}"
    full_ns = lookahead_ns(scenario.cpu, scenario.cpu.core_ghz.value)
    buffers = statistics.median(window.place.hidden for window in windows) / full_ns
    if buffers > 1:
        as_hidden = {_OVERLAP: 1.0, "cpu.reorder_buffer": buffers * scenario.cpu.reorder_buffer.value}
        sway = abs(predict({**middle, **as_hidden})[0].ns_per_packet / base.ns_per_packet - 1)
        if sway > SWAY:
            refused[_OVERLAP] = (
                f"copies of 64 bytes without fences hide {buffers:.2g} times what a reorder buffer lasts (table's "
                f"cpi), the model once at most: up to {sway:.0%} of the prediction (docs/mismatches.md 21)"
            )
    times = [window.ns_per_packet or math.nan for window in windows]
    ratios = [time / point.ns_per_packet for time, point in zip(times, points, strict=True)]
    disagreement = summarise(ratios, STEADY).why_unstable
    return RingComparison(access, measured, points, refused | ({RATE: disagreement} if disagreement else {}))


def _place(scenario: Scenario, place: Surroundings, clean_line: float) -> dict[str, float]:
    """Return the entries of one window, by their keys in the scenario; waking up takes a line."""
    return {
        _OVERLAP: fraction(place.hidden / lookahead_ns(scenario.cpu, scenario.cpu.core_ghz.value)),
        "cpu.payload_exposed": place.exposed,
        "cpu.primitives.line_transfer": place.line_transfer,
        "cpu.primitives.line_stream": place.line_stream,
        "cpu.primitives.clean_line": clean_line,
        "cpu.primitives.worker_wakeup": place.line_transfer / 1000,
    }


def _doubtful(scenario: Scenario, measured: RingPoint, of_window: Collection[str]) -> dict[str, list[float]]:
    """Return the repeats of every entry that may decide a prediction and is not each window's own, by its key."""
    doubtful = {f"{_PRIMITIVES}clean_line": measured.clean_lines}
    if scenario.cpu.measured is not None:
        unstable = {key: entry for key, entry in scenario.cpu.measured.entries.items() if not entry.stable}
        kept = {f"cpu.{key}": entry.repeats for key, entry in unstable.items()}
        replaced = {*of_window, *(f"{_PRIMITIVES}{name}" for name in NO_KERNEL)}
        doubtful |= {key: repeats for key, repeats in kept.items() if key not in replaced}
    return doubtful


def _middle_half(repeats: list[float]) -> tuple[float, float]:
    """Return the quartiles of repeats."""
    if len(repeats) < 2:
        return repeats[0], repeats[0]
    low, _, high = statistics.quantiles(repeats, n=4, method="inclusive")
    return low, high


def run_experiment(scenario: Scenario, pair: tuple[int, int | None], progress: Progress | None = None) -> RingReport:
    """Run the ring of a scenario on two cores, and each of its windows in the simulator."""
    tell = progress or (lambda share, doing: None)
    measured = run_rings(ring_settings(scenario), pair, lambda share, doing: tell(_RINGS * share, doing))
    comparisons = []
    for number, point in enumerate(measured):
        share = _RINGS + (1 - _RINGS) * number / len(measured)
        tell(share, f"prediction of the ring, {point.settings.packet_bytes} B")
        comparisons.append(compare(scenario, point))
    return RingReport(scenario, tuple(comparisons))
