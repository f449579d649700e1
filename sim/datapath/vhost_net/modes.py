"""What the row modules of the worker agree on: values of MODE, the test for an empty cached index, a round's weight."""

from __future__ import annotations

from sim.config.scenario.scenario import Scenario
from sim.config.scenario.traffic import VNET_HEADER_BYTES
from sim.datapath.plan.plan import Jump, Register

#: Values of MODE: what the worker does after a flush.
CONTINUE, REQUEUE, SLEEP, RECHECK, SEND, POLL, SOCKET = range(7)

#: The cached avail index is used up: read it again.
EMPTY = Jump(Register.AVAIL_IDX, "==", 0, "refill", Register.LAST_AVAIL_IDX)


def round_packets(scenario: Scenario, packet_bytes: int) -> int:
    """Packets after which a round ends: VHOST_NET_PKT_WEIGHT of them, or VHOST_NET_WEIGHT bytes."""
    behaviour = scenario.kernel.behaviour
    return min(behaviour.round_packets, -(-behaviour.round_bytes // (VNET_HEADER_BYTES + packet_bytes)))
