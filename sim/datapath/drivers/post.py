"""What drivers share: write a packet into the ring, publish it, kick, take back used buffers."""

from __future__ import annotations

from collections.abc import Callable

from sim.config.scenario.scenario import Scenario
from sim.config.tables.vocabulary import KICK_BY_EXIT, SYSTEM_CALL
from sim.datapath.memory.rings import SplitRing
from sim.datapath.plan.program import Program
from sim.datapath.plan.registers import R
from sim.datapath.plan.step import Anchor

#: A burst that met a full ring posts nothing.
_POSTED = "the burst has posted something"


def used_element(driver: Program, label: str, title: str, ring: SplitRing, function: str) -> None:
    """The number of the next used chain is read; under IN_ORDER it is known."""
    if ring.queue.in_order:
        driver.step(label, "next buffer, IN_ORDER", function=function)
    else:
        driver.read(label, title, ring.used_element(R.LAST_USED_IDX), function=function)


def post_packet(driver: Program, scenario: Scenario, ring: SplitRing, onward: Callable[[], None]) -> None:
    """One packet into the ring; `onward` says where the last step goes from there."""
    with driver.each("packet", at=Anchor.POST):
        driver.step("write", "build the packet", function="pkt_burst_transmit")
        driver.change(extra_ns=scenario.driver.packet_cost.value)
        if ring.queue.indirect:
            driver.change(title="build the packet, write the indirect table")
            driver.change(access=ring.table_write(R.AVAIL_IDX_SHADOW))
        driver.write("write_chain", "write the descriptors", ring.chain_write(R.AVAIL_IDX_SHADOW))
        driver.change(function="virtqueue_enqueue_xmit")
        driver.then(R.AVAIL_IDX_SHADOW.add(), R.TAKEN.add(), R.NUM_FREE.add(-ring.chain), R.BURST_LEFT.add(-1))
        driver.jump("write_slot", R.AVAIL_IDX_SHADOW.below(ring.queue.size + 1))
        onward()
        # DPDK writes a slot only when its value changes; descriptors come back in order, so only on the first lap.
        slot = ring.avail_entry(R.AVAIL_IDX_SHADOW, write=True, plus=-1)
        driver.write("write_slot", "avail->ring[i] (first lap only)", slot, function="vq_update_avail_ring")
        driver.change(sometimes="on the first lap of the ring")
        onward()


def publish(driver: Program, ring: SplitRing) -> None:
    """What has been written is published."""
    with driver.each("burst", at=Anchor.PUBLISH):
        driver.write("publish", "avail->idx", ring.avail_index(write=True), function="vq_update_avail_idx")
        driver.change(sometimes=_POSTED)
        driver.then(R.OLD_AVAIL_IDX.copy(R.RING_AVAIL_IDX), R.RING_AVAIL_IDX.copy(R.AVAIL_IDX_SHADOW))


def kick_primitives(scenario: Scenario) -> tuple[str, ...]:
    """Primitives of one kick: an exit of the virtual machine, or a system call that writes to the eventfd."""
    return KICK_BY_EXIT if scenario.driver.kicks_by_exit else (*SYSTEM_CALL, "eventfd_signal")


def kick(driver: Program, scenario: Scenario, ring: SplitRing, barrier: bool = False) -> None:
    """The device is kicked if it wants that (`barrier`: an smp_mb belongs to the check)."""
    with driver.each("burst", at=Anchor.KICK_CHECK):
        if ring.queue.event_idx:
            driver.read("kick_check", "avail_event", ring.avail_event(), function="virtqueue_kick_prepare")
            driver.change(sample=(R.AVAIL_EVENT_SEEN, R.AVAIL_EVENT))
            driver.jump(Anchor.AFTER_KICK, R.AVAIL_EVENT_SEEN.below(R.OLD_AVAIL_IDX))
            driver.jump(Anchor.AFTER_KICK, R.AVAIL_EVENT_SEEN.at_least(R.RING_AVAIL_IDX))
        else:
            driver.read("kick_check", "used->flags", ring.used_flags(), function="virtqueue_kick_prepare")
            driver.change(sample=(R.NO_NOTIFY_SEEN, R.USED_FLAGS_NO_NOTIFY))
            driver.jump(Anchor.AFTER_KICK, R.NO_NOTIFY_SEEN.equals(1))
        driver.change(sometimes=_POSTED)
        if barrier:
            driver.change(primitives=("lock_rmw",), drains_stores=True)
    exits = scenario.driver.kicks_by_exit
    with driver.each("kick"):
        title = "kick: exit of the virtual machine" if exits else "kick: write to the eventfd"
        driver.step("kick", title, function="virtqueue_notify", primitives=kick_primitives(scenario))
        driver.then(R.KICKS.add())
        driver.jump(Anchor.AFTER_KICK)
