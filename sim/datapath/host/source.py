"""The source behind the TAP: packets into the ptr_ring (tun_net_xmit, tun_xdp_xmit), dropped when it is full."""

from __future__ import annotations

from sim.config.scenario.scenario import Scenario
from sim.datapath.applications.messages import calls
from sim.datapath.host.senders import sender_steps
from sim.datapath.memory.receive_memory import PACKET_LINES, ReceiveMemory
from sim.datapath.plan.program import Program
from sim.datapath.plan.registers import R
from sim.datapath.plan.step import Anchor, Step


def source_steps(scenario: Scenario, packet_bytes: int, below_sockets: bool = False) -> list[Step]:
    """Return the steps of the source: packets one by one, or bursts of frames under one lock and wake-up check.

    With an offered load a packet that finds no room is dropped. A source that always has packets waits for room
    instead: what it would drop is not simulated. With back-pressure the packet that fills the queue stops it, and
    others wait in front of it. Beside a lockstep driver it sends a burst when the guest has the last. `below_sockets`:
    packets come ready from sockets that are modelled by themselves.
    """
    memory, kind = ReceiveMemory(scenario, packet_bytes), scenario.receive.source
    if kind.senders > 1:
        return sender_steps(scenario, packet_bytes)
    lockstep = scenario.driver.kind == "lockstep"
    saturates, skb = scenario.traffic.load.kind == "saturate", kind.kind == "skb"
    source = Program("source", "tun_net_xmit" if skb else "tun_xdp_xmit")

    def lock() -> None:
        with source.each("burst"):
            source.step("lock", "lock the ptr_ring", primitives=("spin_lock",), drains_stores=True)

    def go_on() -> None:
        if not lockstep:
            source.jump("make", R.BURST_LEFT.at_least(1))
        source.jump("wake_check")

    waits = kind.when_full == "wait"
    if waits:
        _stop_queue(source, kind.queue)
    with source.each("burst", at=None if waits else Anchor.BURST):
        source.step("arrive", "packets arrive", takes_arrivals=True)
        source.then(R.BURST_LEFT.put(scenario.driver.burst if lockstep else kind.packets_per_lock))
        if lockstep:
            source.change(condition=R.PRODUCED.equals(R.RETURNED))
        elif saturates and not waits:
            source.change(condition=R.PRODUCED.minus(R.CONSUMED).below(kind.queue))
    if not skb:
        lock()
    with source.each("packet"):
        made = memory.packet(R.PRODUCED, 0, PACKET_LINES[kind.kind] if skb else 1, write=True)
        source.write("make", "build the packet", made)
        if below_sockets:
            source.change(extra_instructions=scenario.sockets.tap_xmit.value, primitives=calls(scenario, "tap_xmit"))
        else:
            source.change(extra_ns=kind.packet_cost.value)
        source.then(R.TAKEN.add(), R.BURST_LEFT.add(-1))
        if skb:
            lock()
        source.read("room", "slot of the ptr_ring", memory.slot(R.PRODUCED), function="__ptr_ring_produce")
        source.change(sample=(R.ROOM_SEEN, R.CONSUMED))
        source.jump("no_room", R.PRODUCED.minus(R.ROOM_SEEN).at_least(kind.queue))
        slot = memory.slot(R.PRODUCED, write=True)
        source.write("put", "packet into its slot", slot, function="__ptr_ring_produce", marks="posted")
        source.then(R.PRODUCED.add())
        go_on()
        source.step("no_room", "no room for the rest" if saturates else "no room: drop", sometimes="the ring is full")
        if saturates:
            source.jump("wake_check")
        else:
            source.then(R.DROPPED.add())
            go_on()
    with source.each("burst"):
        source.step("wake_check", "smp_mb, does anyone wait?", function="sock_def_readable", primitives=("lock_rmw",))
        source.change(drains_stores=True, sample=(R.WAIT_SEEN, R.SOCKET_WAIT))
        source.jump("more" if lockstep else Anchor.BURST, R.WAIT_SEEN.equals(0))
    with source.each("wakeup"):
        source.step("wake", "wake the worker", function="vhost_poll_wakeup", primitives=("eventfd_signal",))
        source.then(R.SOCKET_WAIT.put(0), R.WAKES.add())
        if not lockstep:
            source.jump(Anchor.BURST)
    if lockstep:  # each frame is a call of its own, with a check of its own
        with source.each("packet"):
            source.step("more", "next frame")
            source.jump("make", R.BURST_LEFT.at_least(1))
            source.jump(Anchor.BURST)
    return source.steps


def _stop_queue(source: Program, queue: int) -> None:
    """The TAP stops its queue when no slot is left, looks once more, and goes on when the worker has woken it."""
    room = R.PRODUCED.minus(R.ROOM_SEEN).below(queue)
    with source.each("burst", at=Anchor.BURST):
        source.step("look", "is there room?", function="__ptr_ring_check_produce", sample=(R.ROOM_SEEN, R.CONSUMED))
        source.jump("arrive", room)
    with source.each("burst", sometimes="the ring is full"):
        source.step("stop", "stop the queue, smp_mb", function="netif_tx_stop_queue", primitives=("lock_rmw",))
        source.change(drains_stores=True)
        source.then(R.SOURCE_STOPPED.put(1))
        source.step("look_again", "is there room by now?", sample=(R.ROOM_SEEN, R.CONSUMED))
        source.change(function="__ptr_ring_check_produce")
        source.jump("start", room)
        source.step("stopped", "wait until the queue is woken", condition=R.SOURCE_STOPPED.equals(0))
        source.change(function="netif_tx_wake_queue")
        source.jump("arrive")
        source.step("start", "start the queue again", function="netif_tx_start_queue")
        source.then(R.SOURCE_STOPPED.put(0))
