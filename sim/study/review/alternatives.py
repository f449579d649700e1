"""The same two variants under other settings: one gain with its interval for each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.config.loading.load import load_scenario
from sim.config.scenario.scenario import Scenario
from sim.study.runs.case import entry, sides_of
from sim.study.uncertainty.intervals import Gain, Interval
from sim.study.uncertainty.uncertainty import Uncertainty, uncertainty


@dataclass(frozen=True)
class AlternativeAnswer:
    """What one change gives: rates in packets/s before and after, and their difference draw by draw."""

    name: str
    before_pps: Interval
    after_pps: Interval
    gain: Gain
    notes: tuple[str, ...] = ()


def answers(sure: Uncertainty) -> list[AlternativeAnswer]:
    """Return every gain of an uncertainty as an answer under the name of its later side."""
    rates = {(rate.access, rate.packet_bytes): rate.pps for rate in sure.rates}
    return [
        AlternativeAnswer(gain.after, rates[gain.before, size], rates[gain.after, size], gain, sure.notes)
        for gain, size in ((gain, gain.packet_bytes) for gain in sure.gains)
    ]


def alternatives(
    scenario: str,
    access: tuple[str, str],
    changes: Mapping[str, Mapping[str, Any]],
    draws: int,
    seed: int = 1,
    *,
    configs: Path | None = None,
    executor: Executor | None = None,
) -> list[AlternativeAnswer]:
    """Compare two variants under each change of settings, by its name; the first packet size of each is taken.

    The draws of an entry are the same under all changes. Raises ConfigError for a setting that the scenario refuses.
    """
    compared = []
    for name, settings in changes.items():
        changed = load_scenario(scenario, settings={**settings, "access": list(access)}, configs=configs)
        size = changed.traffic.sizes[0]
        sides = [side for side in sides_of(changed) if side.packet_bytes == size]
        (answer,) = answers(uncertainty(sides, draws, seed, configs=configs, executor=executor))
        compared.append(AlternativeAnswer(name, answer.before_pps, answer.after_pps, answer.gain, answer.notes))
    return compared


def as_measured(scenario: Scenario, keys: Iterable[str], within: float) -> dict[str, Any]:
    """Return settings in which some table entries are known to within a share of their values, as if measured.

    No range gets wider than it is. ConfigError for a key that is no table entry.
    """
    settings = {}
    for key in keys:
        known = entry(scenario, key)
        low, high = max(known.low, known.value * (1 - within)), min(known.high, known.value * (1 + within))
        settings[key] = {**known.model_dump(exclude_none=True), "low": low, "high": high}
    return settings
