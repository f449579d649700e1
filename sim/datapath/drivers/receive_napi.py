"""Linux virtio_net, receive: interrupt, NAPI poll, buffers posted when half of the ring is free."""

from __future__ import annotations

from dataclasses import replace

from sim.config.scenario.scenario import Scenario
from sim.datapath.drivers.post import kick_rows
from sim.datapath.memory.receive_memory import ReceiveMemory
from sim.datapath.memory.rings import SplitRing
from sim.datapath.plan.plan import Condition, Jump, LineAccess, Register
from sim.datapath.plan.step import Draft, add, copy, driver_row, go, put

R = Register

#: NAPI_POLL_WEIGHT: packets of one poll.
POLL_PACKETS = 64


def napi_rows(scenario: Scenario, ring: SplitRing, memory: ReceiveMemory) -> list[Draft]:
    """Return virtnet_poll and what leads to it: one used-index read per buffer, one index write per buffer posted."""
    empty_half = Jump(R.AVAIL_IDX_SHADOW, "<", (ring.packets + 1) // 2, "post_buffer", R.LAST_USED_IDX)
    done = (empty_half, go("complete"))
    return [
        driver_row(
            "irq", "wait for an interrupt", "call", "skb_recv_done", primitives=("interrupt_inject",),
            condition=Condition(R.CALLS, "!=", 0, R.CALLS_SEEN), sample=(R.CALLS_SEEN, R.CALLS),
        ),
        _interrupts_off(scenario),
        driver_row(
            "poll", "start of a poll", "burst", "virtnet_poll",
            effects=(put(R.RECEIVE_LEFT, POLL_PACKETS * memory.heads),),
        ),
        driver_row(
            "more", "used->idx", "packet", "virtqueue_get_buf", access=ring.used_index(),
            sample=(R.USED_IDX_SEEN, R.RING_USED_IDX), jumps=(Jump(R.USED_IDX_SEEN, "==", 0, "polled", R.LAST_USED_IDX),),
        ),
        driver_row(
            "element", "used->ring[i]", "packet", "virtqueue_get_buf", access=ring.used_element(R.LAST_USED_IDX),
        ),
        driver_row(
            "read_buffer", "the packet", "packet", "receive_buf", access=memory.read_back(),
            extra_ns=scenario.driver.packet_cost.value / memory.heads,
            effects=(add(R.LAST_USED_IDX), add(R.RECEIVE_LEFT, -1)),
            jumps=(Jump(R.RECEIVE_LEFT, ">=", 1, "more"), *done),
        ),
        driver_row("polled", "no more", "burst", "virtnet_receive", jumps=done),
        *_refill_rows(scenario, ring),
        *_complete_rows(scenario, ring),
    ]  # fmt: skip


def _refill_rows(scenario: Scenario, ring: SplitRing) -> list[Draft]:
    """try_fill_recv: each buffer writes its descriptors, its slot and the index; one kick check at the end."""
    more = (Jump(R.AVAIL_IDX_SHADOW, "<", ring.packets, "post_buffer", R.LAST_USED_IDX), go("kick_check"))
    check, kick = kick_rows(scenario, ring, "complete")
    return [
        driver_row(
            "post_buffer", "write the descriptors of a new buffer", "packet", "virtqueue_add",
            access=ring.chain_write(R.AVAIL_IDX_SHADOW),
        ),
        driver_row(
            "post_slot", "avail->ring[i]", "packet", "virtqueue_add", access=ring.avail_entry(R.AVAIL_IDX_SHADOW, write=True),
            effects=(add(R.AVAIL_IDX_SHADOW),),
        ),
        driver_row(
            "post_index", "avail->idx", "packet", "virtqueue_add", access=ring.avail_index(write=True),
            effects=(copy(R.RING_AVAIL_IDX, R.AVAIL_IDX_SHADOW),), jumps=more,
        ),
        replace(check, primitives=("lock_rmw",), drains_stores=True),
        kick,
    ]  # fmt: skip


def _complete_rows(scenario: Scenario, ring: SplitRing) -> list[Draft]:
    """The budget is used up: poll again. Else interrupts on, look once more, sleep."""
    on = driver_row(
        "irq_on", "avail->flags = 0", "burst", "virtqueue_enable_cb_prepare",
        access=_flags_write(), effects=(put(R.AVAIL_FLAGS_NO_INTERRUPT, 0),),
    )  # fmt: skip
    if scenario.virtqueue.event_idx:
        on = replace(
            on, step="used_event", access=replace(ring.used_event(), write=True),
            effects=(copy(R.USED_EVENT, R.LAST_USED_IDX),),
        )  # fmt: skip
    return [
        driver_row(
            "complete", "end of a poll", "burst", "virtnet_poll", effects=(copy(R.OLD_AVAIL_IDX, R.RING_AVAIL_IDX),),
            jumps=(Jump(R.RECEIVE_LEFT, "<", 1, "poll"),),
        ),
        on,
        driver_row(
            "irq_recheck", "used->idx, once more", "burst", "virtqueue_poll", access=ring.used_index(),
            primitives=("lock_rmw",), drains_stores=True, sample=(R.USED_IDX_SEEN, R.RING_USED_IDX),
            jumps=(Jump(R.USED_IDX_SEEN, "!=", 0, "irq_off", R.LAST_USED_IDX), go("irq")),
        ),
    ]  # fmt: skip


def _interrupts_off(scenario: Scenario) -> Draft:
    """virtqueue_disable_cb: the flag; with EVENT_IDX only the driver's own note of it, the event index stays behind."""
    if scenario.virtqueue.event_idx:
        return driver_row("irq_off", "interrupts off (nothing written)", "burst", "virtqueue_disable_cb")
    return driver_row(
        "irq_off", "avail->flags = NO_INTERRUPT", "burst", "virtqueue_disable_cb", access=_flags_write(),
        effects=(put(R.AVAIL_FLAGS_NO_INTERRUPT, 1),),
    )  # fmt: skip


def _flags_write() -> LineAccess:
    return LineAccess("avail", True, 2, offset=0)
