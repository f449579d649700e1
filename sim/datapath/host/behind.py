"""What sends a packet on behind the worker: bridge, tc filter, Open vSwitch or macvtap, and the port behind them.

All of it runs on the worker's core: the transmit path of a NIC, or a veth pair with the receive path of its other end,
which a softirq takes up where bottom halves are enabled again.
"""

from __future__ import annotations

from typing import Any

from sim.config.errors import ConfigError
from sim.config.scenario.scenario import Scenario
from sim.datapath.plan.program import Program

#: What sends on, by the kind of the backend: label, title, and what it executes.
_FORWARDERS = {
    "tap-bridge": ("bridge", "bridge to the port", "bridge_packet"),
    "tap-tc-drop": ("filter", "tc filter drops", "filter_drop"),
    "tap-tc-redirect": ("filter", "tc filter redirects to the port", "filter_redirect"),
    "tap-ovs": ("ovs", "Open vSwitch: key, flow, action", "ovs_packet"),
    "macvtap": ("macvtap", "macvtap to the port", "macvtap_packet"),
}


def forward(worker: Program, scenario: Scenario, batched: bool, each: dict[str, Any], prefix: str = "") -> None:
    """Add the steps of what sends a packet on and of its port.

    Parameters
    ----------
    batched
        The steps run for each packet of a batch that was sent at once.
    each
        How those of a packet are multiplied.
    prefix
        What their labels begin with.
    """
    backend = scenario.backend
    if backend.kind in _FORWARDERS:
        label, title, counted_as = _FORWARDERS[backend.kind]
        worker.step(f"{prefix}{label}", title, counted_as, **each)
    if not backend.forwards:
        return
    if backend.port == "nic":
        if backend.kind == "macvtap":
            worker.step(f"{prefix}pick_queue", "hash that picks the NIC's queue", "pick_queue", **each)
        worker.step(f"{prefix}nic", "queueing discipline and driver of the NIC", "nic_packet", **each)
        worker.change(extra_ns=backend.doorbell_cost.value)
    elif backend.port == "veth":
        worker.step(f"{prefix}veth", "veth pair, receive path of its other end", "veth_packet", **each)
        worker.change(extra_ns=backend.stack_cost.value)
        # Of macvtap, bottom halves are enabled again behind each packet.
        once = batched and backend.kind != "macvtap"
        with worker.each("flush" if once else "packet", sometimes=worker.sometimes):
            worker.step(f"{prefix}softirq", "softirq of the backlog", "veth_softirq", **({} if once else each))


def check_gathers(scenario: Scenario, one_by_one: bool) -> None:
    """Raise ConfigError where the TAP has nothing to gather; `one_by_one`: skbs come with a word that more follow."""
    if not scenario.backend.rx_frames:
        return
    if not scenario.backend.goes_up:
        raise ConfigError(
            f"{scenario.backend.kind} gives no skbs to the receive path, as backend.kind tap-skb does",
            key="backend.rx_frames",
        )
    if not one_by_one:
        raise ConfigError(
            "a TAP gathers skbs that are sent one by one (device.sndbuf_limited, or xdp_batching: false)",
            key="backend.rx_frames",
        )
