"""Ranges of table entries: which ones an answer depends on, how each is distributed, and draws from them.

Every entry is drawn through a standard normal score z: 0 is the table's value, -1.64 to 1.64 the central 90 % of what
its distribution allows. Entries that one source gives together (`moves_with`) share their score. What a calibration
has fitted is drawn from its posterior.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from sim.config.errors import ConfigError
from sim.config.loading.load import load_of
from sim.config.scenario.scenario import Scenario
from sim.config.tables.calibration import Calibration, Fitted
from sim.config.tables.quantity import Flag, Quantity
from sim.costs.audit import quantities
from sim.datapath import Plan, build_plan
from sim.study.runs.case import Case, Floats, entry, variants_and_sizes
from sim.study.runs.structures import read_by
from sim.study.uncertainty.least_counts import LeastCount, fitted_together, least_counts

#: The shares between which the central 90 % of a distribution lies.
CENTRAL_90 = (0.05, 0.95)
#: Draws of one Latin hypercube: as many draws more are made until an interval is precise enough.
BLOCK = 100


@dataclass(frozen=True)
class Ranged:
    """One table entry that is drawn: its key, and the table that it stands in (two CPUs are drawn apart)."""

    key: str
    home: str
    quantity: Quantity

    @property
    def name(self) -> str:
        """Name of its draws: that of the entry which it moves with, if there is one."""
        return f"{self.home}:{self.quantity.moves_with or self.key}"


def ranged(scenario: Scenario, key: str) -> Ranged:
    """Return the entry of a key with its home table."""
    return _ranged(scenario, key, entry(scenario, key))


def _ranged(scenario: Scenario, key: str, quantity: Quantity) -> Ranged:
    root = key.partition(".")[0]
    home = {"cpu": scenario.cpu.name, "kernel": scenario.kernel.name}.get(root, "")
    return Ranged(key, home, quantity)


def used_entries(scenario: Scenario, plans: Iterable[Plan] | None = None) -> list[Ranged]:
    """Return the entries with a range that the answers of a scenario depend on: those that their plans have read
    for more than the set-up of the rings.

    `plans` are those of the access variants and sizes that are asked for (default: all of the scenario).
    """
    if plans is None:
        plans = [build_plan(scenario, access, size) for access, size in variants_and_sizes(scenario)]
    read = {key for plan in plans for key in plan.inputs.keys() - plan.ledger.only_for_setup()}
    used = ((key, quantity) for key, quantity in quantities(scenario) if key in read)
    return [_ranged(scenario, key, quantity) for key, quantity in used if quantity.drawn_from != "fixed"]


def at_scores(quantity: Quantity, scores: Floats) -> Floats:
    """Return the values of an entry at standard normal scores (any shape); 0 is its value unless it is uniform."""
    from scipy.special import ndtr  # it takes longer to import than a short run does

    return at_shares(quantity, np.asarray(ndtr(scores), dtype=np.float64))


def at_shares(quantity: Quantity, shares: Floats) -> Floats:
    """Return the quantiles of an entry's distribution at shares between 0 and 1."""
    kind = quantity.drawn_from
    if kind == "fixed":
        return np.full(np.shape(shares), quantity.value)
    logarithm = kind.startswith("log-")
    ends = (quantity.low, quantity.value, quantity.high)
    low, value, high = map(np.log, ends) if logarithm else ends
    if kind.endswith("uniform"):
        values = low + shares * (high - low)
    else:
        below = value - (value - low) * (1 - np.sqrt(np.minimum(1.0, 2 * shares)))
        above = value + (high - value) * (1 - np.sqrt(np.minimum(1.0, 2 * (1 - shares))))
        values = np.where(shares < 0.5, below, above)
    return np.clip(np.exp(values) if logarithm else values, quantity.low, quantity.high)


def central_90(sample: Floats) -> tuple[float, float]:
    """Return the ends of the central 90 % of a sample: its quantiles at 5 % and 95 %."""
    low, high = np.quantile(sample, CENTRAL_90)
    return float(low), float(high)


def generator(seed: int, name: str) -> np.random.Generator:
    """Return the random numbers of a name: the same whatever else is drawn. Seed 0 is a seed."""
    digest = hashlib.sha256(name.encode()).digest()
    return np.random.Generator(np.random.Philox(key=[seed, int.from_bytes(digest[:8])]))


@lru_cache(maxsize=512)
def latin_shares(seed: int, name: str, draws: int) -> Floats:
    """Return a column of Latin hypercubes of `BLOCK` draws: one share in each equal stratum, in the order of the name.

    What is left over is a smaller hypercube. The first blocks are the same however many follow. It cannot be changed.
    """
    numbers = generator(seed, name)
    sizes = [BLOCK] * (draws // BLOCK) + ([draws % BLOCK] if draws % BLOCK else [])
    blocks = [(numbers.permutation(size) + numbers.random(size)) / size for size in sizes]
    shares = np.concatenate(blocks) if blocks else np.empty(0)
    shares.flags.writeable = False
    return shares


def draw(entries: Sequence[Ranged], draws: int, seed: int) -> dict[str, Floats]:
    """Return `draws` values of each entry by key; entries of the same name share their draws."""
    return {entry.key: at_shares(entry.quantity, latin_shares(seed, entry.name, draws)) for entry in entries}


@dataclass(frozen=True)
class Draws:
    """Values by key, one column per entry or switch (0 or 1); `fitted` are the keys whose draws come from the
    calibration, together; `switches` those of the switches.
    """

    columns: dict[str, Floats]
    entries: tuple[Ranged, ...]
    fitted: tuple[str, ...]
    switches: tuple[str, ...] = ()

    def row(self, number: int) -> dict[str, float]:
        """Return the values of one draw."""
        (values,) = self.rows(range(number, number + 1))
        return values

    def rows(self, numbers: range) -> list[dict[str, float]]:
        """Return the values of some draws."""
        if not self.columns:
            return [{} for _ in numbers]
        of_keys = [column[list(numbers)].tolist() for column in self.columns.values()]
        return [dict(zip(self.columns, row, strict=True)) for row in zip(*of_keys, strict=True)]


def calibration_of(scenario: Scenario, configs: Path | None = None) -> Calibration | None:
    """Return the calibration that a scenario names, None when it names none or it is gone."""
    if scenario.calibration is None:
        return None
    try:
        return load_of(Calibration, scenario.calibration, configs)
    except ConfigError:
        return None


def draws_of(cases: Sequence[Case], number: int, seed: int, configs: Path | None = None) -> Draws:
    """Draw `number` values of every entry that some cases of one scenario depend on, and of every switch in doubt.

    Entries that carry a calibrated value take the rows of its posterior draws; all others are drawn from their ranges.
    The same seed gives an entry the same draws whatever else is drawn, so that variants can be compared draw by draw,
    and the first draws of many are those of few.
    """
    entries = [parameter for case in cases for parameter in used_entries(case.scenario, [read_by(case)])]
    return draws_from(cases[0].scenario, entries, least_counts(cases), number, seed, configs)


def draws_from(
    scenario: Scenario,
    depends: Iterable[Ranged],
    least: Iterable[LeastCount],
    number: int,
    seed: int,
    configs: Path | None = None,
) -> Draws:
    """Draw `number` values of some entries of a scenario, no count below its least, and of every switch in doubt."""
    entries = {parameter.key: parameter for parameter in depends}
    calibration = calibration_of(scenario, configs)
    taken: dict[str, Floats] = {}
    if calibration is not None:
        rows = np.array(calibration.sample())
        chosen = (latin_shares(seed, f"calibration:{calibration.name}", number) * len(rows)).astype(int)
        for column, parameter in enumerate(calibration.parameters):
            if parameter.key in entries and _carried(entries[parameter.key], parameter, scenario):
                taken[parameter.key] = rows[chosen, column]
    rest = [parameter for key, parameter in entries.items() if key not in taken]
    columns = fitted_together({**draw(rest, number, seed), **taken}, least)
    turned = _switches(scenario, number, seed, calibration)
    return Draws({**columns, **turned}, tuple(entries.values()), tuple(taken), tuple(turned))


def _switches(scenario: Scenario, number: int, seed: int, calibration: Calibration | None) -> dict[str, Floats]:
    """Draw the CPU's switches that are in doubt: each is the other way in its share of the draws.

    Not on a CPU that the calibration was fitted on: its values are those that go with the switch as it is.
    """
    cpu = scenario.cpu
    if calibration is not None and cpu.name in calibration.fitted_on.get("cpus", []):
        return {}
    turned = {}
    for name in type(cpu.features).model_fields:
        flag: Flag = getattr(cpu.features, name)
        if flag.doubt:
            other = latin_shares(seed, f"{cpu.name}:features.{name}", number) < flag.doubt
            turned[f"cpu.features.{name}"] = np.where(other, float(not flag.value), float(flag.value))
    return turned


def _carried(entry: Ranged, parameter: Fitted, scenario: Scenario) -> bool:
    """Whether the scenario's entry still is the fitted one: not another table's, not set by the user."""
    return parameter.concerns(scenario.cpu.name, scenario.kernel.name) and entry.quantity.source == parameter.source
