"""The guest side, row by row: one module per driver."""

from __future__ import annotations

from sim.config.scenario.scenario import Scenario
from sim.datapath.drivers.lockstep import lockstep_rows
from sim.datapath.drivers.receive import receive_driver_rows
from sim.datapath.drivers.virtio_net import virtio_net_rows
from sim.datapath.drivers.virtio_user import virtio_user_rows
from sim.datapath.drivers.xsk import xsk_rows
from sim.datapath.drivers.xsk_receive import xsk_receive_rows
from sim.datapath.memory.rings import SplitRing
from sim.datapath.plan.step import Draft

__all__ = ["driver_rows"]


def driver_rows(scenario: Scenario, packet_bytes: int) -> list[Draft]:
    """Return the rows of the driver that the scenario names, for packets of one size."""
    if scenario.driver.kind == "xsk":
        return xsk_receive_rows(scenario) if scenario.device.direction == "rx" else xsk_rows(scenario)
    if scenario.device.direction == "rx":
        return receive_driver_rows(scenario, packet_bytes)
    ring = SplitRing(scenario.virtqueue)
    if scenario.driver.kind == "virtio-net":
        return virtio_net_rows(scenario, ring, packet_bytes)
    return lockstep_rows(scenario, ring) if scenario.driver.kind == "lockstep" else virtio_user_rows(scenario, ring)
