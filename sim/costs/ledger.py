"""The ledger of an answer: which table entries were read while it was worked out."""

from __future__ import annotations

from dataclasses import dataclass, field

from sim.config.scenario.scenario import Scenario
from sim.config.tables.quantity import Quantity
from sim.costs.audit import quantities


@dataclass(frozen=True)
class Ledger:
    """Entries of `scenario` that were read, by identity: `read` and `read_for_setup` come from `noting_reads`."""

    scenario: Scenario | None = None
    read: dict[int, Quantity] = field(default_factory=dict)
    read_for_setup: dict[int, Quantity] = field(default_factory=dict)

    def entries(self) -> dict[str, Quantity]:
        """Return the entries that were read by their keys in the scenario, in the order of its tables."""
        if self.scenario is None:
            return {}
        read = self.read.keys() | self.read_for_setup.keys()
        return {key: entry for key, entry in quantities(self.scenario) if id(entry) in read}

    def only_for_setup(self) -> set[str]:
        """Return the keys of entries that nothing but the set-up of the rings has read: no rate depends on them."""
        only = self.read_for_setup.keys() - self.read.keys()
        return {key for key, entry in self.entries().items() if id(entry) in only}
