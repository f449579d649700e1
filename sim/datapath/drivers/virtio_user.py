"""DPDK virtio-user: testpmd txonly and rxonly; and the driver of the executed counts, which waits for each burst."""

from __future__ import annotations

from sim.config.scenario.scenario import Scenario
from sim.datapath.drivers.post import kick, kick_primitives, post_packet, publish, used_element
from sim.datapath.memory.receive_memory import ReceiveMemory
from sim.datapath.memory.rings import SplitRing
from sim.datapath.plan.program import Program
from sim.datapath.plan.registers import R
from sim.datapath.plan.step import Anchor, Step

_USED_IDX = (R.USED_IDX_SEEN, R.RING_USED_IDX)
#: Between the worker's last look at the ring and the buffers that a lockstep driver posts.
_PAUSE_NS = 2000
_MORE_USED = R.USED_IDX_SEEN.above(R.LAST_USED_IDX)


def transmit_burst(scenario: Scenario, ring: SplitRing) -> list[Step]:
    """Return virtio_xmit_pkts: bursts, bulk reclaim above a threshold, else one used element at a time.

    A guest that forwards sends what it has just received, frees what finds no room and looks for more.
    """
    driver, chain, forwards = Program("driver", "virtio_xmit_pkts"), ring.chain, scenario.driver.forwards
    bulk_from = max(1, (ring.queue.size - scenario.driver.free_threshold) // chain + 1)
    full = R.NUM_FREE.below(chain)

    def go_on() -> None:
        driver.jump("reclaim", full)
        driver.jump(Anchor.POST)

    def after_post() -> None:
        driver.jump(Anchor.PUBLISH, R.BURST_LEFT.below(1))
        go_on()

    with driver.each("burst", at=Anchor.BURST):
        if not forwards:
            driver.at(Anchor.AFTER_KICK)
        driver.read("burst", "used->idx at the start of a burst", ring.used_index(), sample=_USED_IDX)
        if forwards:
            driver.then(R.BURST_LEFT.copy(R.FORWARD_LEFT), R.FORWARD_LEFT.put(0))
        else:
            driver.change(takes_arrivals=True)
            driver.then(R.BURST_LEFT.put(scenario.driver.burst))
        driver.jump("bulk", R.USED_IDX_SEEN.minus(R.LAST_USED_IDX).at_least(bulk_from))
        go_on()
    with driver.each("packet"):
        used_element(driver, "bulk", "used->ring[i].id, reclaim in bulk", ring, "virtio_xmit_cleanup")
        driver.change(sometimes="enough are used for a reclaim in bulk")
        driver.then(R.LAST_USED_IDX.add(), R.NUM_FREE.add(chain))
        driver.jump("bulk", _MORE_USED)
        go_on()
    with driver.each("poll", sometimes="the ring is full"):
        driver.read("reclaim", "used->idx, ring full", ring.used_index(), sample=_USED_IDX)
        driver.jump("full", R.USED_IDX_SEEN.equals(R.LAST_USED_IDX))
    with driver.each("packet", sometimes="the ring is full"):
        used_element(driver, "reclaim_one", "used->ring[i].id", ring, "virtio_xmit_cleanup")
        driver.then(R.LAST_USED_IDX.add(), R.NUM_FREE.add(chain))
    post_packet(driver, scenario, ring, after_post)
    with driver.each("burst"):
        driver.step("full", "no descriptor free", sometimes="the ring is full")
        driver.jump("unsent" if forwards else "wait", R.AVAIL_IDX_SHADOW.equals(R.RING_AVAIL_IDX))
    publish(driver, ring)
    driver.change(marks="posted")
    kick(driver, scenario, ring)
    with driver.each("burst"):
        if forwards:
            driver.at(Anchor.AFTER_KICK)
            driver.step("unsent", "packets that found no room are freed", function="pkt_burst_mac_forward")
            driver.then(R.FREED.add_register(R.BURST_LEFT), R.DROPPED.add_register(R.BURST_LEFT), R.BURST_LEFT.put(0))
            driver.jump(Anchor.RECEIVE)
            return driver.steps
        driver.step("wait", "poll used->idx", condition=R.RING_USED_IDX.differs(R.LAST_USED_IDX))
        driver.change(sometimes="the ring is full and nothing is unpublished")
        driver.jump(Anchor.BURST)
    return driver.steps


def lockstep(scenario: Scenario, ring: SplitRing) -> list[Step]:
    """Return a driver that publishes `burst` packets with one index write, kicks once and waits until all are used."""
    driver = Program("driver", "lockstep")

    def after_post() -> None:
        driver.jump(Anchor.POST, R.BURST_LEFT.at_least(1))
        driver.jump(Anchor.PUBLISH)

    with driver.each("burst", at=Anchor.BURST):
        driver.step("burst", "start of a burst")
        driver.then(R.BURST_LEFT.put(scenario.driver.burst))
    post_packet(driver, scenario, ring, after_post)
    publish(driver, ring)
    driver.change(marks="posted")
    with driver.each("kick"):
        driver.step("kick", "kick: write to the eventfd", primitives=kick_primitives(scenario))
        driver.then(R.KICKS.add())
    with driver.each("burst"):
        driver.step("wait", "wait until all are used, and the worker sleeps")
        driver.change(condition=R.RING_USED_IDX.equals(R.RING_AVAIL_IDX))
        driver.step("settle", "wait for notifications on", condition=R.NOTIFY_OFF.equals(0))
        driver.read("reclaim", "used->idx", ring.used_index(), sample=_USED_IDX)
        driver.then(R.LAST_USED_IDX.copy(R.USED_IDX_SEEN), R.NUM_FREE.put(ring.packets * ring.chain))
        driver.jump(Anchor.BURST)
    return driver.steps


def receive_lockstep(scenario: Scenario, ring: SplitRing) -> list[Step]:
    """Return the driver of the executed counts of receive: `burst` frames wait, as many buffers are posted at once.

    The worker has found no buffers by then and sleeps; the driver kicks once and waits until all buffers are used.
    """
    driver = Program("driver", "lockstep")
    with driver.each("burst", at=Anchor.BURST):
        waiting = R.PRODUCED.minus(R.RETURNED).at_least(scenario.driver.burst)
        driver.step("frames", "wait until all frames are there", condition=waiting)
        driver.step(
            "settle", "wait for notifications on, and until the worker sleeps", condition=R.NOTIFY_OFF.equals(0)
        )
        driver.then(R.RECEIVE_LEFT.put(scenario.driver.burst))
        driver.step("pause", "the worker falls asleep", extra_ns=_PAUSE_NS)
    with driver.each("packet"):
        driver.write("post_buffer", "write the descriptors of a buffer", ring.chain_write(R.AVAIL_IDX_SHADOW))
        driver.then(R.AVAIL_IDX_SHADOW.add(), R.RECEIVE_LEFT.add(-1))
        driver.jump("post_buffer", R.RECEIVE_LEFT.at_least(1))
    publish(driver, ring)
    with driver.each("kick"):
        driver.step("kick", "kick: write to the eventfd", primitives=kick_primitives(scenario))
        driver.then(R.KICKS.add())
    with driver.each("burst"):
        driver.step("wait", "wait until all are used", condition=R.RING_USED_IDX.equals(R.RING_AVAIL_IDX))
        driver.read("used", "used->idx", ring.used_index(), sample=_USED_IDX)
        driver.then(R.LAST_USED_IDX.copy(R.USED_IDX_SEEN))
        driver.jump(Anchor.BURST)
    return driver.steps


def receive_burst(scenario: Scenario, ring: SplitRing, memory: ReceiveMemory) -> list[Step]:
    """Return virtio_recv_mergeable_pkts: polls the used index, posts new buffers and one index write per burst."""
    driver = Program("driver", "virtio_recv_mergeable_pkts")
    with driver.each("burst", at=Anchor.BURST):
        driver.at(Anchor.RECEIVE if scenario.driver.forwards else Anchor.AFTER_KICK)
        driver.read("poll", "used->idx", ring.used_index(), sample=_USED_IDX)
        driver.then(R.RECEIVE_LEFT.put(scenario.driver.burst * memory.heads))
        driver.jump("wait", R.USED_IDX_SEEN.equals(R.LAST_USED_IDX))
    with driver.each("packet", repeats=memory.heads):
        element = ring.used_element(R.LAST_USED_IDX)
        driver.read("element", "used->ring[i]", element, function="virtqueue_dequeue_burst_rx")
        driver.read("read_buffer", "the packet", memory.read_back())
        driver.change(extra_ns=scenario.driver.packet_cost.value / memory.heads)
        driver.then(R.LAST_USED_IDX.add(), R.RECEIVE_LEFT.add(-1))
        if scenario.driver.forwards:
            driver.then(R.FORWARD_LEFT.add())
        driver.jump("post_buffer", R.RECEIVE_LEFT.below(1))
        driver.jump("element", _MORE_USED)
        driver.write("post_buffer", "write the descriptors of a new buffer", ring.chain_write(R.AVAIL_IDX_SHADOW))
        driver.change(function="virtqueue_enqueue_recv_refill")
        driver.then(R.AVAIL_IDX_SHADOW.add())
        driver.jump("post_buffer", R.AVAIL_IDX_SHADOW.minus(R.LAST_USED_IDX).below(ring.packets))
    publish(driver, ring)
    kick(driver, scenario, ring)
    with driver.each("burst"):
        if scenario.driver.forwards:
            driver.at(Anchor.AFTER_KICK)
            driver.step("send_on", "what was received is sent on", function="pkt_burst_mac_forward")
            driver.jump(Anchor.FORWARD)
        driver.step("wait", "poll used->idx", condition=R.RING_USED_IDX.differs(R.LAST_USED_IDX))
        driver.change(sometimes="nothing is used")
        driver.jump(Anchor.BURST)
    return driver.steps
