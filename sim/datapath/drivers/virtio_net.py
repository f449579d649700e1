"""Linux virtio_net: start_xmit and what surrounds it (kernel-accesses.md D.2); on receive interrupt, poll, refill."""

from __future__ import annotations

from sim.config.scenario.scenario import Scenario
from sim.config.tables.vocabulary import INTERRUPT
from sim.datapath.applications.messages import arrival_work, is_application
from sim.datapath.drivers.post import kick, used_element
from sim.datapath.memory.receive_memory import ReceiveMemory
from sim.datapath.memory.rings import SplitRing
from sim.datapath.plan.program import Program
from sim.datapath.plan.registers import Effect, R
from sim.datapath.plan.step import Anchor, Step

#: start_xmit stops the queue below 2 + MAX_SKB_FRAGS free descriptors.
STOP_BELOW = 2 + 17
#: NAPI_POLL_WEIGHT: packets of one poll.
POLL_PACKETS = 64

_RUNNING, _STOPPED = "the driver was running", "the queue was stopped"
_BUDGET_LEFT = "the poll found fewer packets than it may take"
_USED_IDX = (R.USED_IDX_SEEN, R.RING_USED_IDX)
_NONE_USED = R.USED_IDX_SEEN.equals(R.LAST_USED_IDX)
_MORE_USED = R.USED_IDX_SEEN.above(R.LAST_USED_IDX)


def start_xmit(scenario: Scenario, ring: SplitRing, packet_bytes: int, below_sockets: bool = False) -> list[Step]:
    """Return the steps of a driver that sends packets of one size.

    A guest that routes sends each packet as it has received it; while the queue is stopped it frees them.
    `below_sockets`: packets come ready, one by one, from sockets that are modelled by themselves.
    """
    driver, forwards = Program("driver", "start_xmit"), scenario.driver.forwards
    with driver.each("burst", at=Anchor.BURST):
        driver.step("burst", "packets from the queue", function="__dev_queue_xmit", takes_arrivals=not forwards)
        driver.then(R.BURST_LEFT.put(1 if forwards or below_sockets else scenario.driver.burst))
        driver.jump("interrupt", R.CALLS.differs(R.CALLS_SEEN))
        if forwards:
            driver.jump("unsent", R.QUEUE_STOPPED.equals(1))
        driver.jump(Anchor.POST)
    _interrupt(driver, ring, forwards)
    _free_old(driver, scenario, ring)
    _post(driver, scenario, ring, packet_bytes, below_sockets)
    _want_call(driver, ring, "stop", "queue stopped: call wanted")
    with driver.each("burst"):
        driver.barrier("kick_barrier", "smp_mb before the notification check", "virtqueue_kick_prepare")
        kick(driver, scenario, ring)
        driver.at(Anchor.AFTER_KICK)
        driver.step("kicked", "next packets, or wait")
        driver.then(R.OLD_AVAIL_IDX.copy(R.RING_AVAIL_IDX))
        driver.jump("recheck_used", R.NUM_FREE.below(STOP_BELOW))
        driver.jump("unsent" if forwards else Anchor.BURST)
    if forwards:
        _free_unsent(driver, ring)
    else:
        _wait(driver, ring)
    return driver.steps


def _interrupt(driver: Program, ring: SplitRing, forwards: bool) -> None:
    """An interrupt that the running driver takes."""
    with driver.each("call"):
        driver.step("interrupt", "interrupt", function="skb_xmit_done", primitives=INTERRUPT)
        driver.change(sample=(R.CALLS_SEEN, R.CALLS), sometimes=_RUNNING)
        _calls_off(driver, ring, "interrupt_off", _RUNNING)
        driver.step("interrupt_end", "end of the interrupt", function="skb_xmit_done", sometimes=_RUNNING)
        if forwards:
            driver.then(R.QUEUE_STOPPED.put(0))
        driver.jump(Anchor.POST)


def _recheck(driver: Program, ring: SplitRing) -> None:
    """virtqueue_enable_cb_delayed looks once more: enough may be used by now."""
    driver.read("recheck_used", "used->idx, recheck", ring.used_index(), sample=_USED_IDX)
    driver.change(function="virtqueue_enable_cb_delayed", sometimes=_STOPPED)
    driver.then(*_multiple(R.DRIVER_QUARTERS, R.USED_IDX_SEEN, 4))


def _free_unsent(driver: Program, ring: SplitRing) -> None:
    """A guest that routes goes on receiving while its queue is stopped, and frees what it cannot send."""
    with driver.each("call"):
        _recheck(driver, ring)
        driver.jump("unsent", R.DRIVER_QUARTERS.above(R.USED_EVENT_QUARTERS))
        driver.step("stopped", "the queue stays stopped", function="netif_stop_subqueue", sometimes=_STOPPED)
        driver.then(R.QUEUE_STOPPED.put(1))
    with driver.each("packet"):
        driver.step("unsent", "a packet that found no room is freed", function="kfree_skb")
        driver.then(R.FREED.add_register(R.BURST_LEFT), R.DROPPED.add_register(R.BURST_LEFT), R.BURST_LEFT.put(0))
        driver.jump(Anchor.RECEIVE)


def _wait(driver: Program, ring: SplitRing) -> None:
    """A driver whose queue is stopped looks once more and waits; the interrupt starts it again."""
    with driver.each("call"):
        _recheck(driver, ring)
        driver.jump("restart", R.DRIVER_QUARTERS.above(R.USED_EVENT_QUARTERS))
        driver.jump("wait_call")
        driver.step("wait_call", "wait for a call, interrupt", primitives=INTERRUPT)
        driver.change(function="skb_xmit_done", sample=(R.CALLS_SEEN, R.CALLS))
        driver.change(condition=R.CALLS.differs(R.CALLS_SEEN), sometimes=_STOPPED)
        _calls_off(driver, ring, "wait_off", _STOPPED)
        driver.step("wait_end", "end of the interrupt", function="skb_xmit_done", sometimes=_STOPPED)
        driver.jump("restart")
        driver.step("restart", "queue started again", function="netif_wake_subqueue", sometimes=_STOPPED)
        driver.jump(Anchor.BURST)  # a stopped queue ends the burst: what is left of it comes with the next one


def _calls_off(driver: Program, ring: SplitRing, label: str, when: str) -> None:
    """virtqueue_disable_cb: without EVENT_IDX it is a write to the ring."""
    if not ring.queue.event_idx:
        driver.write(label, "calls off: avail->flags", ring.avail_flags(write=True), sometimes=when)
        driver.change(function="virtqueue_disable_cb")
        driver.then(R.AVAIL_FLAGS_NO_INTERRUPT.put(1))


def _free_old(driver: Program, scenario: Scenario, ring: SplitRing) -> None:
    """free_old_xmit_skbs: used->idx at each packet, then the buffers that came back."""
    chain = ring.chain

    def go_on() -> None:
        driver.jump("stop", R.NUM_FREE.below(chain))
        driver.jump("last_one" if scenario.driver.napi_tx else "fill")

    with driver.each("packet", at=Anchor.POST):
        driver.read("xmit", "used->idx at each packet", ring.used_index(), sample=_USED_IDX)
        driver.change(function="free_old_xmit_skbs")
        driver.jump("free_old", R.USED_IDX_SEEN.differs(R.LAST_USED_IDX))
        go_on()
        used_element(driver, "free_old", "used->ring[i]", ring, "virtqueue_get_buf")
        driver.then(R.LAST_USED_IDX.add(), R.NUM_FREE.add(chain))
        driver.jump("free_old", _MORE_USED)
        go_on()


def _post(driver: Program, scenario: Scenario, ring: SplitRing, packet_bytes: int, below_sockets: bool) -> None:
    """One packet into the ring."""
    costs, chain, position = scenario.driver, ring.chain, R.AVAIL_IDX_SHADOW
    with driver.each("packet"):
        if costs.napi_tx:
            driver.step("last_one", "last of the batch?")
            driver.jump("delay", R.BURST_LEFT.below(2))
            driver.jump("fill")
            _want_call(driver, ring, "delay", "call wanted after three quarters")
        if below_sockets:
            sent_by, title, work_ns = "start_xmit", "start_xmit, map the packet", costs.pktgen_cost.value
        elif costs.forwards:
            sent_by, title, work_ns = "routing", "routing, build the packet", costs.route_cost.value
        else:
            sent_by = "pktgen" if costs.sender == "pktgen" else "network stack"
            title = f"{sent_by}, build the packet"
            work_ns = costs.send_cost.value + packet_bytes * costs.byte_cost.value
        driver.step("fill", title, extra_ns=work_ns)
        if ring.queue.indirect:
            driver.change(title=f"{sent_by}, write the indirect table", access=ring.table_write(position))
        driver.write("write_chain", "write the descriptors", ring.chain_write(position))
        driver.change(function="virtqueue_add_outbuf")
        driver.then(position.add(), R.TAKEN.add(), R.NUM_FREE.add(-chain), R.BURST_LEFT.add(-1))
        slot, index = ring.avail_entry(position, write=True, plus=-1), ring.avail_index(write=True)
        driver.write("write_slot", "avail->ring[i]", slot, function="virtqueue_add_outbuf")
        driver.write("publish", "avail->idx at each packet", index, function="virtqueue_add_outbuf", marks="posted")
        driver.then(R.RING_AVAIL_IDX.copy(position))
        driver.jump("stop", R.NUM_FREE.below(STOP_BELOW))
        driver.jump("kick_barrier", R.BURST_LEFT.below(1))
        driver.jump(Anchor.POST)


def _want_call(driver: Program, ring: SplitRing, label: str, reason: str) -> None:
    """virtqueue_enable_cb_delayed: a call after three quarters of what is posted, and a full barrier."""
    function = "virtqueue_enable_cb_delayed"
    with driver.each("burst"):
        if ring.queue.event_idx:
            driver.write(label, f"{reason}: used_event", ring.used_event(write=True), function=function)
        else:
            driver.write(label, f"{reason}: avail->flags", ring.avail_flags(write=True), function=function)
        driver.then(*_multiple(R.USED_EVENT_QUARTERS, R.AVAIL_IDX_SHADOW, 3))
        driver.then(R.USED_EVENT_QUARTERS.add_register(R.LAST_USED_IDX))
        if not ring.queue.event_idx:
            driver.then(R.AVAIL_FLAGS_NO_INTERRUPT.put(0))
        driver.change(sometimes=reason)
        driver.barrier(f"{label}_barrier", "smp_mb behind it", function)
        driver.change(sometimes=reason)


def _multiple(target: R, source: R, times: int) -> tuple[Effect, ...]:
    """Set a register to a multiple of another."""
    return (target.put(0), *[target.add_register(source)] * times)


# -- receive ----------------------------------------------------------------------------------------------------------


def napi_poll(scenario: Scenario, ring: SplitRing, memory: ReceiveMemory) -> list[Step]:
    """Return virtnet_poll and what leads to it: one used-index read per buffer, one index write per buffer posted."""
    driver = Program("driver", "virtnet_poll")

    def polled() -> None:
        driver.jump("post_buffer", R.AVAIL_IDX_SHADOW.minus(R.LAST_USED_IDX).below((ring.packets + 1) // 2))
        driver.jump(Anchor.AFTER_KICK)

    with driver.each("call", at=Anchor.INTERRUPT):
        driver.step("irq", "wait for an interrupt", function="skb_recv_done", primitives=INTERRUPT)
        driver.change(condition=R.CALLS.differs(R.CALLS_SEEN), sample=(R.CALLS_SEEN, R.CALLS))
    with driver.each("burst"):
        _interrupts_off(driver, ring)
        driver.change(sometimes="calls were on")
        driver.at(Anchor.BURST)
        driver.step("poll", "start of a poll")
        driver.then(R.RECEIVE_LEFT.put(POLL_PACKETS * memory.heads))
    with driver.each("packet", "burst", repeats=memory.heads):  # once more where fewer are found
        driver.read("more", "used->idx", ring.used_index(), function="virtqueue_get_buf", sample=_USED_IDX)
        driver.jump("polled", _NONE_USED)
    with driver.each("packet", repeats=memory.heads):
        driver.read("element", "used->ring[i]", ring.used_element(R.LAST_USED_IDX), function="virtqueue_get_buf")
        driver.read("read_buffer", "the packet", memory.read_back(), function="receive_buf")
        driver.change(extra_ns=scenario.driver.packet_cost.value / memory.heads)
        if is_application(scenario):
            driver.change(extra_instructions=arrival_work(scenario) / memory.heads)
        driver.then(R.LAST_USED_IDX.add(), R.RECEIVE_LEFT.add(-1))
        if scenario.driver.forwards:
            driver.jump(Anchor.FORWARD)
            driver.at(Anchor.RECEIVE)
            driver.step("sent_on", "sent on, next packet", function="virtnet_receive")
        driver.jump("more", R.RECEIVE_LEFT.at_least(1))
        polled()
    with driver.each("burst"):
        driver.step("polled", "no more", function="virtnet_receive", sometimes=_BUDGET_LEFT)
        polled()
    _refill(driver, scenario, ring, memory)
    _complete(driver, ring)
    return driver.steps


def _interrupts_off(driver: Program, ring: SplitRing) -> None:
    """virtqueue_disable_cb: the flag; with EVENT_IDX only the driver's own note of it, the event index stays behind."""
    if ring.queue.event_idx:
        driver.step("irq_off", "interrupts off (nothing written)", function="virtqueue_disable_cb")
    else:
        driver.write("irq_off", "avail->flags = NO_INTERRUPT", ring.avail_flags(write=True))
        driver.change(function="virtqueue_disable_cb")
        driver.then(R.AVAIL_FLAGS_NO_INTERRUPT.put(1))


def _refill(driver: Program, scenario: Scenario, ring: SplitRing, memory: ReceiveMemory) -> None:
    """try_fill_recv: each buffer writes its descriptors, its slot and the index; one kick check at the end."""
    position = R.AVAIL_IDX_SHADOW
    with driver.each("packet", repeats=memory.heads):
        chain, slot = ring.chain_write(position), ring.avail_entry(position, write=True, plus=-1)
        driver.write("post_buffer", "write the descriptors of a new buffer", chain, function="virtqueue_add")
        driver.then(position.add())
        driver.write("post_slot", "avail->ring[i]", slot, function="virtqueue_add")
        driver.write("post_index", "avail->idx", ring.avail_index(write=True), function="virtqueue_add")
        driver.then(R.RING_AVAIL_IDX.copy(position))
        driver.jump("post_buffer", position.minus(R.LAST_USED_IDX).below(ring.packets))
        driver.jump(Anchor.KICK_CHECK)
    kick(driver, scenario, ring, barrier=True)


def _complete(driver: Program, ring: SplitRing) -> None:
    """The budget is used up: poll again. Else interrupts on, look once more, sleep."""
    with driver.each("burst", at=Anchor.AFTER_KICK):
        driver.step("complete", "end of a poll")
        driver.then(R.OLD_AVAIL_IDX.copy(R.RING_AVAIL_IDX))
        driver.jump("poll", R.RECEIVE_LEFT.below(1))
        if ring.queue.event_idx:
            driver.write("irq_on", "used_event", ring.used_event(write=True))
            driver.then(R.USED_EVENT.copy(R.LAST_USED_IDX))
        else:
            driver.write("irq_on", "avail->flags = 0", ring.avail_flags(write=True))
            driver.then(R.AVAIL_FLAGS_NO_INTERRUPT.put(0))
        driver.change(function="virtqueue_enable_cb_prepare", sometimes=_BUDGET_LEFT)
        driver.read("irq_recheck", "used->idx, once more", ring.used_index(), sample=_USED_IDX)
        driver.change(function="virtqueue_poll", primitives=("lock_rmw",), drains_stores=True)
        driver.change(sometimes=_BUDGET_LEFT)
        driver.jump("irq_off", R.USED_IDX_SEEN.differs(R.LAST_USED_IDX))
        driver.jump(Anchor.INTERRUPT)
