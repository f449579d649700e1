"""What a plan starts with and counts where the device receives, or is not vhost_net."""

from __future__ import annotations

from dataclasses import replace

from sim.config.scenario.scenario import Scenario
from sim.datapath.memory.receive_memory import ReceiveMemory
from sim.datapath.memory.xsk_rings import XskRings
from sim.datapath.plan.plan import Plan, Register


def competing(scenario: Scenario, plan: Plan) -> Plan:
    """A polling device never wants kicks; an AF_XDP socket has rings of its own, and its kernel side may sleep."""
    awake = scenario.device.kind == "vhost_user" or scenario.device.direction == "rx"
    plan = replace(
        plan, initial={**plan.initial, Register.USED_FLAGS_NO_NOTIFY: int(awake), Register.NOTIFY_OFF: int(awake)}
    )
    if scenario.device.kind == "vhost_user":
        return plan
    regions = XskRings(scenario.virtqueue).regions()
    return replace(plan, regions=regions, used=Register.RING_USED_IDX, handled=Register.LAST_AVAIL_IDX)


def receiving(scenario: Scenario, plan: Plan) -> Plan:
    """Count packets from the ptr_ring to the used ring; at the start the ring is full of empty buffers."""
    memory = ReceiveMemory(scenario, plan.packet_bytes)
    quiet = 0 if scenario.driver.kind == "virtio-net" else 1
    waiting: dict[int, int] = {Register.SOCKET_WAIT: 1, Register.AVAIL_FLAGS_NO_INTERRUPT: quiet}
    full = (Register.AVAIL_IDX_SHADOW, Register.RING_AVAIL_IDX, Register.OLD_AVAIL_IDX)
    buffers: dict[int, int] = dict.fromkeys(full, plan.ring_packets)
    return replace(
        plan,
        regions={**plan.regions, **memory.regions()},
        initial={**plan.initial, **buffers, **waiting},
        in_flight=memory.in_flight,
        posted=Register.PRODUCED,
        used=Register.RETURNED,
        handled=Register.RECEIVED,
    )
