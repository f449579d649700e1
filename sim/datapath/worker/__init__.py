"""The host side, row by row: one module per handler, and one per piece that handlers share."""

from __future__ import annotations

from sim.config.scenario import Scenario
from sim.datapath.draft import Draft
from sim.datapath.worker.af_xdp import af_xdp_rows
from sim.datapath.worker.receive import receive_rows
from sim.datapath.worker.transmit import transmit_rows
from sim.datapath.worker.vhost_user import vhost_user_rows

__all__ = ["worker_rows"]


def worker_rows(scenario: Scenario, packet_bytes: int) -> list[Draft]:
    """Return the rows of the worker that the scenario names, for packets of one size."""
    if scenario.device.kind == "vhost_user":
        return vhost_user_rows(scenario, packet_bytes)
    if scenario.device.kind == "af_xdp":
        return af_xdp_rows(scenario)
    if scenario.device.direction == "rx":
        return receive_rows(scenario, packet_bytes)
    return transmit_rows(scenario, packet_bytes)
