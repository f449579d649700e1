"""Ranges of table entries: which ones an answer depends on, how each is distributed, and draws from them.

Every entry is drawn through a standard normal score z: 0 is the table's value, -1.64 to 1.64 the central 90 % of what
its distribution allows. Entries that one source gives together (`moves_with`) share their score.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from sim.config.scenario.scenario import Scenario
from sim.config.tables.quantity import Quantity
from sim.costs.audit import quantities
from sim.datapath import Plan, build_plan
from sim.study.runs.case import variants_and_sizes
from sim.study.runs.values import Floats, entry

#: The shares between which the central 90 % of a distribution lies.
CENTRAL_90 = (0.05, 0.95)


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
    root = key.partition(".")[0]
    home = {"cpu": scenario.cpu.name, "kernel": scenario.kernel.name}.get(root, "")
    return Ranged(key, home, entry(scenario, key))


def used_entries(scenario: Scenario, plans: Iterable[Plan] | None = None) -> list[Ranged]:
    """Return the entries with a range that the answers of a scenario depend on: those that their plans have read
    for more than the set-up of the rings.

    `plans` are those of the access variants and sizes that are asked for (default: all of the scenario).
    """
    if plans is None:
        plans = [build_plan(scenario, access, size) for access, size in variants_and_sizes(scenario)]
    read = {key for plan in plans for key in plan.inputs.keys() - plan.ledger.only_for_setup()}
    entries = [ranged(scenario, key) for key, _ in quantities(scenario) if key in read]
    return [entry for entry in entries if entry.quantity.drawn_from != "fixed"]


def at_scores(quantity: Quantity, scores: Floats) -> Floats:
    """Return the values of an entry at standard normal scores (any shape); 0 is its value unless it is uniform."""
    return at_shares(quantity, np.asarray(ndtr(scores), dtype=np.float64))


def at_shares(quantity: Quantity, shares: Floats) -> Floats:
    """Return the quantiles of an entry's distribution at shares between 0 and 1."""
    kind = quantity.drawn_from
    if kind == "fixed":
        return np.full(np.shape(shares), quantity.value)
    logarithm = kind.startswith("log-")
    low, value, high = (
        np.log(number) if logarithm else number for number in (quantity.low, quantity.value, quantity.high)
    )
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


def latin_shares(seed: int, name: str, draws: int) -> Floats:
    """Return a column of a Latin hypercube: one share in each of `draws` equal strata, in the order of the name."""
    numbers = generator(seed, name)
    return (numbers.permutation(draws) + numbers.random(draws)) / draws


def draw(entries: Sequence[Ranged], draws: int, seed: int) -> dict[str, Floats]:
    """Return `draws` values of each entry by key; entries of the same name share their draws."""
    return {entry.key: at_shares(entry.quantity, latin_shares(seed, entry.name, draws)) for entry in entries}
