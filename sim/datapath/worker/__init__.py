"""The host side, row by row: one module per handler, and one per piece that handlers share."""

from __future__ import annotations

from sim.config.scenario import Scenario
from sim.datapath.draft import Draft
from sim.datapath.worker.transmit import transmit_rows

__all__ = ["worker_rows"]


def worker_rows(scenario: Scenario, packet_bytes: int) -> list[Draft]:
    """Return the rows of the worker that the scenario names, for packets of one size."""
    return transmit_rows(scenario, packet_bytes)
