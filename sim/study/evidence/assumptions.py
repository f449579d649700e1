"""The modelling assumptions of `configs/assumptions.yaml`, and which of them a scenario rests on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sim.config.errors import ConfigError
from sim.config.loading.load import load_of
from sim.config.scenario.scenario import Scenario
from sim.config.tables.documents import Assumptions
from sim.datapath.forwarding import Forwarding
from sim.datapath.vhost_net.path import transmit_path

ALWAYS = "always"
#: What is asked for when a command runs, and stands in no scenario.
_OPTION = "with --"


@dataclass(frozen=True)
class Assumption:
    """One modelling assumption; `applies` is the condition under which a scenario rests on it."""

    number: str
    sentence: str
    key: str
    applies: str

    def holds_for(self, scenario: Scenario) -> bool:
        """Whether a scenario rests on it. ConfigError for a condition that names a key which no scenario has."""
        if self.applies == ALWAYS or self.applies.startswith(_OPTION):
            return self.applies == ALWAYS
        return all(_holds(term, scenario) for term in self.applies.split(" and "))


def assumptions() -> list[Assumption]:
    """Return every assumption, in the order of their numbers."""
    rows = load_of(Assumptions).rows
    return [Assumption(str(row.number), row.sentence, row.key, row.applies) for row in rows]


def assumed_by(scenario: Scenario) -> tuple[Assumption, ...]:
    """Return the assumptions that a scenario rests on, in the order of their numbers.

    A guest that forwards rests on those of either direction.
    """
    rings = [scenario]
    if scenario.driver.forwards:
        forwarding = Forwarding.of(scenario)
        rings = [ring.scenario for ring in forwarding.rings]
    return tuple(row for row in assumptions() if any(row.holds_for(ring) for ring in rings))


def _holds(term: str, scenario: Scenario) -> bool:
    wanted = not term.startswith("not ")
    key, _, values = term.removeprefix("not ").partition("=")
    set_to = [_plain(value) for value in _values(key, scenario)]
    met = any(value in values.split(" or ") for value in set_to) if values else any(set_to)
    return met is wanted


def _values(key: str, scenario: Scenario) -> Iterator[Any]:
    """Give what a key stands for in a scenario: one value, or that of each access variant, or each way of a packet."""
    if key == "way":
        yield from _ways(scenario)
        return
    first, _, rest = key.partition(".")
    roots = scenario.access if first == "access" else [scenario]
    for root in roots:
        value: Any = root
        for name in (rest if first == "access" else key).split("."):
            if not hasattr(value, name):
                raise ConfigError(f"no scenario has the key '{key}'", file="assumptions.yaml")
            value = getattr(value, name)
        yield value


def _ways(scenario: Scenario) -> Iterator[str]:
    if scenario.device.kind != "vhost_net" or scenario.device.direction != "tx":
        return
    for size in scenario.traffic.sizes:
        path = transmit_path(scenario, size)
        yield "batch" if path.batched else "zerocopy" if path.zerocopy_function else "single"


def _plain(value: Any) -> str:
    """Write a value as a condition has it; nothing for none, false, 0 and empty."""
    return str(value) if value else ""
