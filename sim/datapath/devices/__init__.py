"""The device side: the worker that a scenario names, for packets of one size."""

from __future__ import annotations

from sim.config.scenario.scenario import Scenario
from sim.datapath.devices.af_xdp import af_xdp_receive, af_xdp_transmit
from sim.datapath.devices.qemu import flush_transmit
from sim.datapath.devices.qemu_receive import tap_send
from sim.datapath.devices.tap_write import write_frames
from sim.datapath.devices.vhost_user import dequeue_burst, enqueue_burst
from sim.datapath.plan.step import Step
from sim.datapath.vhost_net.rx import receive
from sim.datapath.vhost_net.tx import transmit

__all__ = ["device_steps"]


def device_steps(scenario: Scenario, packet_bytes: int) -> list[Step]:
    """Return the steps of the device that the scenario names."""
    device, receives = scenario.device.kind, scenario.device.direction == "rx"
    if device == "af_xdp":
        return (af_xdp_receive if receives else af_xdp_transmit)(scenario)
    if device == "vhost_user":
        return (enqueue_burst if receives else dequeue_burst)(scenario, packet_bytes)
    if device == "tap_write":
        return write_frames(scenario, packet_bytes)
    if device == "qemu":
        return (tap_send if receives else flush_transmit)(scenario, packet_bytes)
    return (receive if receives else transmit)(scenario, packet_bytes)
