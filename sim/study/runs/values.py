"""Other values for entries of a resolved scenario, without going through files and validation again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from sim.config.errors import ConfigError, nearest
from sim.config.scenario.scenario import Scenario
from sim.config.tables.quantity import Quantity
from sim.costs.audit import quantities


def entry(scenario: Scenario, key: str) -> Quantity:
    """Return the table entry of a key. ConfigError when the key is none, with the nearest that is."""
    place: object = scenario
    for part in key.split("."):
        place = place.get(part) if isinstance(place, dict) else getattr(place, part, None)
    if not isinstance(place, Quantity):
        known = [name for name, _ in quantities(scenario)]
        hint = nearest(key, known) if place is None else ""
        raise ConfigError(f"'{key}' is not a table entry with a range{hint}")
    return place


def has_entry(scenario: Scenario, key: str) -> bool:
    """Tell whether a key is a table entry of the scenario."""
    try:
        entry(scenario, key)
    except ConfigError:
        return False
    return True


def with_values(scenario: Scenario, values: Mapping[str, float]) -> Scenario:
    """Return the scenario with other values in some of its table entries; their ranges and sources stay.

    Nothing is validated: the values come from the ranges of the entries. KeyError for a key that is no entry.
    """
    if not values:
        return scenario
    tree: dict[str, Any] = {}
    for key, value in values.items():
        place = tree
        *parents, last = key.split(".")
        for part in parents:
            place = place.setdefault(part, {})
        place[last] = value
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
