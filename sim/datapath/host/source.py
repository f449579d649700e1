"""The source behind the TAP: packets into the ptr_ring (tun_net_xmit, tun_xdp_xmit), dropped when it is full."""

from __future__ import annotations

from typing import Any

from sim.config.scenario.scenario import Scenario
from sim.datapath.memory.receive_memory import PACKET_LINES, ReceiveMemory
from sim.datapath.plan.plan import Condition, Jump, Register, Scope
from sim.datapath.plan.step import Draft, add, go, put

R = Register


def source_rows(scenario: Scenario, packet_bytes: int) -> list[Draft]:
    """Return the rows of the source: packets one by one, or bursts of frames under one lock and wake-up check.

    With an offered load a packet that finds no room is dropped. A source that always has packets waits for room
    instead: what it would drop is not simulated.
    """
    memory, source = ReceiveMemory(scenario, packet_bytes), scenario.receive.source
    saturates, skb = scenario.traffic.load.kind == "saturate", source.kind == "skb"
    xmit = "tun_net_xmit" if skb else "tun_xdp_xmit"
    again = (Jump(R.BURST_LEFT, ">=", 1, "make"), go("wake_check"))
    burst = _row(
        "arrive", "packets arrive", "burst", xmit, takes_arrivals=True,
        effects=(put(R.BURST_LEFT, source.packets_per_lock),),
        condition=Condition(R.PRODUCED, "<", source.queue, R.CONSUMED) if saturates else None,
    )  # fmt: skip
    lock = _row("lock", "lock the ptr_ring", "burst", xmit, primitives=("spin_lock",), drains_stores=True)
    make = _row(
        "make", "build the packet", "packet", xmit, extra_ns=source.packet_cost.value,
        access=memory.packet(R.PRODUCED, 0, PACKET_LINES[source.kind] if skb else 1, write=True),
        effects=(add(R.TAKEN), add(R.BURST_LEFT, -1)),
    )  # fmt: skip
    return [
        burst,
        *([make, lock] if skb else [lock, make]),
        _row(
            "room", "slot of the ptr_ring", "packet", "__ptr_ring_produce", access=memory.slot(R.PRODUCED),
            sample=(R.ROOM_SEEN, R.CONSUMED), jumps=(Jump(R.PRODUCED, ">=", source.queue, "no_room", R.ROOM_SEEN),),
        ),
        _row(
            "put", "packet into its slot", "packet", "__ptr_ring_produce", access=memory.slot(R.PRODUCED, write=True),
            effects=(add(R.PRODUCED),), marks="posted", jumps=again,
        ),
        _row(
            "no_room", "no room for the rest" if saturates else "no room: drop", "packet", xmit,
            effects=() if saturates else (add(R.DROPPED),), jumps=(go("wake_check"),) if saturates else again,
        ),
        _row(
            "wake_check", "smp_mb, does anyone wait?", "burst", "sock_def_readable", primitives=("lock_rmw",),
            drains_stores=True, sample=(R.WAIT_SEEN, R.SOCKET_WAIT), jumps=(Jump(R.WAIT_SEEN, "==", 0, "arrive"),),
        ),
        _row(
            "wake", "wake the worker", "wakeup", "vhost_poll_wakeup", primitives=("eventfd_signal",),
            effects=(put(R.SOCKET_WAIT, 0), add(R.WAKES)), jumps=(go("arrive"),),
        ),
    ]  # fmt: skip


def _row(label: str, step: str, scope: Scope, function: str, **fields: Any) -> Draft:
    return Draft(label, "source", step, (scope,), function=function, **fields)
