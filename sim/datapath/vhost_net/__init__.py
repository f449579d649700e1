"""The host side, row by row: one module per handler, and one per piece that handlers share."""

from __future__ import annotations

from sim.config.scenario.scenario import Scenario
from sim.datapath.devices.af_xdp import af_xdp_rows
from sim.datapath.devices.af_xdp_receive import af_xdp_receive_rows
from sim.datapath.devices.vhost_user import vhost_user_rows
from sim.datapath.devices.vhost_user_receive import vhost_user_receive_rows
from sim.datapath.plan.step import Draft
from sim.datapath.vhost_net.rx import receive_rows
from sim.datapath.vhost_net.tx import transmit_rows

__all__ = ["worker_rows"]


def worker_rows(scenario: Scenario, packet_bytes: int) -> list[Draft]:
    """Return the rows of the worker that the scenario names, for packets of one size."""
    device, receives = scenario.device.kind, scenario.device.direction == "rx"
    if device == "af_xdp":
        return af_xdp_receive_rows(scenario) if receives else af_xdp_rows(scenario)
    if device == "vhost_user":
        return (vhost_user_receive_rows if receives else vhost_user_rows)(scenario, packet_bytes)
    return (receive_rows if receives else transmit_rows)(scenario, packet_bytes)
