"""Several senders into one queue of a TAP: each on a core of its own, one at a time inside the producer lock.

The lock is fair: who asks first has it first.
"""

from __future__ import annotations

from sim.config.errors import ConfigError
from sim.config.scenario.scenario import Scenario
from sim.datapath.host.queues import MARK
from sim.datapath.memory.receive_memory import PACKET_LINES, ReceiveMemory
from sim.datapath.plan.lock import producer_lock
from sim.datapath.plan.program import Program, link
from sim.datapath.plan.registers import BANK, Condition, R
from sim.datapath.plan.step import Step


def sender_steps(scenario: Scenario, packet_bytes: int) -> list[Step]:
    """Return the steps of senders that always have a packet.

    A packet is built outside of the lock, and put into a slot inside. Who finds no slot lets the lock go and tries
    again when there is room: what would be dropped meanwhile is not simulated.
    """
    count, memory = scenario.receive.source.senders, ReceiveMemory(scenario, packet_bytes)
    steps = [step for number in range(count) for step in _sender(scenario, memory, number)]
    return link(steps)


def _sender(scenario: Scenario, memory: ReceiveMemory, number: int) -> list[Step]:
    kind, mark = scenario.receive.source, f"{MARK}{number}"
    sender = Program(f"source.{number}" if number else "source", "tun_net_xmit")
    lock = producer_lock(number)
    room_seen, wait_seen = (register + number * BANK for register in (R.ROOM_SEEN, R.WAIT_SEEN))
    with sender.each("packet"):
        sender.step(f"make{mark}", "build the packet", extra_ns=kind.packet_cost.value)
        sender.change(condition=R.PRODUCED.minus(R.CONSUMED).below(kind.queue))
        sender.then(R.TAKEN.add())
        lock.queue_up(sender)
        lock.take(sender, f"lock{mark}", "lock the ptr_ring")
        sender.read(f"room{mark}", "slot of the ptr_ring", memory.slot(R.PRODUCED), function="__ptr_ring_produce")
        sender.change(sample=(room_seen, R.CONSUMED))
        sender.jump(f"full{mark}", Condition(R.PRODUCED, ">=", kind.queue, room_seen))
        described = memory.packet(R.PRODUCED, 0, PACKET_LINES["skb"], write=True)
        sender.write(f"describe{mark}", "lines of the packet", described, function="__ptr_ring_produce")
        slot = memory.slot(R.PRODUCED, write=True)
        sender.write(f"put{mark}", "packet into its slot", slot, function="__ptr_ring_produce", marks="posted")
        sender.then(R.PRODUCED.add())
        lock.let_go(sender, f"unlock{mark}", "unlock the ptr_ring")
        sender.step(f"wake_check{mark}", "smp_mb, does anyone wait?", primitives=("lock_rmw",), drains_stores=True)
        sender.change(function="sock_def_readable", sample=(wait_seen, R.SOCKET_WAIT))
        sender.jump(f"make{mark}", Condition(wait_seen, "==", 0))
    with sender.each("wakeup"):
        sender.step(f"wake{mark}", "wake the worker", function="vhost_poll_wakeup", primitives=("eventfd_signal",))
        sender.then(R.SOCKET_WAIT.put(0), R.WAKES.add())
        sender.jump(f"make{mark}")
    with sender.each("packet", sometimes="the ring is full"):
        lock.let_go(sender, f"full{mark}", "no slot: unlock, the packet later")
        sender.then(R.TAKEN.add(-1))
        sender.jump(f"make{mark}")
    return sender.steps


def check_senders(scenario: Scenario) -> None:
    """Raise ConfigError for what several senders are not modelled with."""
    source = scenario.receive.source
    if source.senders == 1:
        return
    odd = {
        "receive.source.kind": source.kind != "skb",
        "receive.source.when_full": source.when_full == "wait",
        "traffic.load": scenario.traffic.load.kind != "saturate",
        "driver.kind": scenario.driver.kind == "lockstep",
        "driver.forwards": scenario.driver.forwards,
        "queues": scenario.queues.pairs > 1,
    }
    for key in (key for key, on in odd.items() if on):
        raise ConfigError("is not modelled with several senders into one queue", key=key)
