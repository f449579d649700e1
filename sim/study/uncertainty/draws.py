"""Draws of everything that a scenario's answer depends on: ranges of the tables, and what a calibration left open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sim.config.errors import ConfigError
from sim.config.loading.load import load_table
from sim.config.scenario.scenario import Scenario
from sim.config.tables.calibration import Calibration, Fitted
from sim.study.runs.case import Case
from sim.study.runs.values import Floats
from sim.study.uncertainty.distributions import Ranged, draw, latin_shares, used_entries


@dataclass(frozen=True)
class Draws:
    """Values by key, one column per entry; `fitted` are the keys whose draws come from the calibration, together."""

    columns: dict[str, Floats]
    entries: tuple[Ranged, ...]
    fitted: tuple[str, ...]

    def row(self, number: int) -> dict[str, float]:
        """Return the values of one draw."""
        return {key: float(column[number]) for key, column in self.columns.items()}


def calibration_of(scenario: Scenario, configs: Path | None = None) -> Calibration | None:
    """Return the calibration that a scenario names, None when it names none or it is gone."""
    if scenario.calibration is None:
        return None
    try:
        calibration = load_table("calibration", scenario.calibration, configs)
    except ConfigError:
        return None
    assert isinstance(calibration, Calibration)
    return calibration


def draws_of(cases: Sequence[Case], number: int, seed: int, configs: Path | None = None) -> Draws:
    """Draw `number` values of every entry that some cases of one scenario depend on.

    Entries that carry a calibrated value take the rows of its posterior draws; all others are drawn from their ranges.
    The same seed gives an entry the same draws whatever else is drawn, so that variants can be compared draw by draw.
    """
    scenario = cases[0].scenario
    entries = {parameter.key: parameter for case in cases for parameter in used_entries(case.scenario, [case.plan])}
    calibration = calibration_of(scenario, configs)
    taken: dict[str, Floats] = {}
    if calibration is not None:
        rows = np.array(calibration.sample())
        chosen = (latin_shares(seed, f"calibration:{calibration.name}", number) * len(rows)).astype(int)
        for column, parameter in enumerate(calibration.parameters):
            if parameter.key in entries and _carried(entries[parameter.key], parameter, scenario):
                taken[parameter.key] = rows[chosen, column]
    rest = [parameter for key, parameter in entries.items() if key not in taken]
    return Draws({**draw(rest, number, seed), **taken}, tuple(entries.values()), tuple(taken))


def _carried(entry: Ranged, parameter: Fitted, scenario: Scenario) -> bool:
    """Whether the scenario's entry still is the fitted one: not another table's, not set by the user."""
    return parameter.concerns(scenario.cpu.name, scenario.kernel.name) and entry.quantity.source == parameter.source
