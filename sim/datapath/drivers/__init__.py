"""The guest side: the driver that a scenario names, for packets of one size."""

from __future__ import annotations

from sim.config.scenario.scenario import Scenario
from sim.datapath.applications.messages import is_application
from sim.datapath.devices.tap_write import frames
from sim.datapath.drivers.virtio_net import napi_poll, start_xmit
from sim.datapath.drivers.virtio_user import lockstep, receive_burst, receive_lockstep, transmit_burst
from sim.datapath.drivers.xsk import xsk_receive, xsk_transmit
from sim.datapath.memory.receive_memory import ReceiveMemory
from sim.datapath.memory.rings import SplitRing
from sim.datapath.plan.step import Step

__all__ = ["driver_steps"]


def driver_steps(scenario: Scenario, packet_bytes: int) -> list[Step]:
    """Return the steps of the driver that the scenario names."""
    if scenario.device.kind == "tap_write":
        return frames()
    kind, receives, ring = scenario.driver.kind, scenario.device.direction == "rx", SplitRing(scenario.virtqueue)
    if kind == "xsk":
        return (xsk_receive if receives else xsk_transmit)(scenario)
    if receives:
        if kind == "lockstep":
            return receive_lockstep(scenario, ring)
        memory = ReceiveMemory(scenario, packet_bytes)
        return (napi_poll if kind == "virtio-net" else receive_burst)(scenario, ring, memory)
    if kind == "virtio-net":
        return start_xmit(scenario, ring, packet_bytes, below_sockets=is_application(scenario))
    return (lockstep if kind == "lockstep" else transmit_burst)(scenario, ring)
