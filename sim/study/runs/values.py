"""Other values for entries of a resolved scenario, without going through files and validation again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from sim.config.errors import ConfigError, nearest
from sim.config.scenario.scenario import Scenario
from sim.config.tables.quantity import Quantity
from sim.costs.audit import quantities

#: Numbers of many runs: rates, shares of ranges, draws.
Floats = npt.NDArray[np.float64]


def value_of(scenario: Scenario, key: str) -> object:
    """Return what stands under a dotted key, None where nothing does."""
    value: object = scenario
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else getattr(value, part, None)
    return value


def entry(scenario: Scenario, key: str) -> Quantity:
    """Return the table entry of a key. ConfigError when there is none, with the nearest that exists."""
    value = value_of(scenario, key)
    if not isinstance(value, Quantity):
        known = [name for name, _ in quantities(scenario)]
        hint = nearest(key, known) if value is None else ""
        raise ConfigError(f"'{key}' is not a table entry with a range{hint}")
    return value


def with_values(scenario: Scenario, values: Mapping[str, float]) -> Scenario:
    """Return the scenario with other values in some of its table entries; their ranges and sources stay.

    Nothing is validated: the values come from the ranges of the entries. KeyError for a key that is no entry.
    """
    if not values:
        return scenario
    tree: dict[str, Any] = {}
    for key, value in values.items():
        branch = tree
        *parents, last = key.split(".")
        for part in parents:
            branch = branch.setdefault(part, {})
        branch[last] = value
    changed = _changed(scenario, tree)
    assert isinstance(changed, Scenario)
    return changed


def _changed(node: Any, tree: Any) -> Any:
    if isinstance(node, Quantity):
        return node.model_copy(update={"value": tree})
    if isinstance(node, dict):
        return {**node, **{name: _changed(node[name], below) for name, below in tree.items()}}
    if isinstance(node, BaseModel):
        return node.model_copy(update={name: _changed(getattr(node, name), below) for name, below in tree.items()})
    raise KeyError(f"no table entry for {tree}")
