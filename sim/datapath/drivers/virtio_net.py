"""Linux virtio_net: index write per packet, kick at the end of an xmit_more batch, sleeps until called when full."""

from __future__ import annotations

from dataclasses import replace

from sim.config.scenario.scenario import Scenario
from sim.datapath.drivers.post import kick_rows
from sim.datapath.memory.rings import SplitRing
from sim.datapath.plan.plan import Condition, Effect, Jump, Register
from sim.datapath.plan.step import Draft, add, copy, driver_row, go, put

R = Register

#: start_xmit stops the queue below 2 + MAX_SKB_FRAGS free descriptors.
STOP_BELOW = 2 + 17


def virtio_net_rows(scenario: Scenario, ring: SplitRing, packet_bytes: int) -> list[Draft]:
    """Return start_xmit and what surrounds it (kernel-accesses.md D.2)."""
    stopped = Jump(R.NUM_FREE, "<", STOP_BELOW, "recheck_used")
    return [
        driver_row(
            "burst", "packets from the queue", "burst", "__dev_queue_xmit",
            effects=(put(R.BURST_LEFT, scenario.driver.burst),), takes_arrivals=True,
            jumps=(Jump(R.CALLS, "!=", 0, "interrupt", R.CALLS_SEEN), go("xmit")),
        ),
        *_interrupt_rows(scenario, ring),
        *_start_xmit_rows(scenario, ring, packet_bytes),
        *_want_call_rows(scenario, ring, "stop", "queue stopped: call wanted"),
        driver_row(
            "kick_barrier", "smp_mb before the notification check", "burst", "virtqueue_kick_prepare",
            operation="barrier", primitives=("lock_rmw",), drains_stores=True,
        ),
        *kick_rows(scenario, ring, "kicked"),
        driver_row(
            "kicked", "next packets, or wait", "burst", "start_xmit", effects=(copy(R.OLD_AVAIL_IDX, R.RING_AVAIL_IDX),),
            jumps=(stopped, go("burst")),
        ),
        driver_row(
            "recheck_used", "used->idx, recheck", "call", "virtqueue_enable_cb_delayed", access=ring.used_index(),
            sample=(R.USED_IDX_SEEN, R.RING_USED_IDX), effects=_quarters(R.DRIVER_QUARTERS, R.USED_IDX_SEEN, 4),
            jumps=(Jump(R.DRIVER_QUARTERS, ">=", 1, "restart", R.USED_EVENT_QUARTERS), go("wait_call")),
        ),
        *_wait_rows(scenario, ring),
        driver_row(
            "restart", "queue started again", "call", "netif_wake_subqueue",
            jumps=(Jump(R.BURST_LEFT, ">=", 1, "xmit"), go("burst")),
        ),
    ]  # fmt: skip


def _quarters(target: Register, source: Register, times: int) -> tuple[Effect, ...]:
    """Set a register to a multiple of another."""
    return (put(target, 0), *(Effect("add", target, source),) * times)


def _start_xmit_rows(scenario: Scenario, ring: SplitRing, packet_bytes: int) -> list[Draft]:
    """Return free_old_xmit_skbs, and one packet into the ring."""
    driver, chain = scenario.driver, ring.chain
    fill = "last_one" if driver.napi_tx else "fill"
    packet_ns = driver.stack_cost.value + packet_bytes * driver.byte_cost.value
    build = driver_row("fill", "network stack, build the packet", "packet", "start_xmit", extra_ns=packet_ns)
    if ring.queue.indirect:
        build = replace(
            build, access=ring.table_write(R.AVAIL_IDX_SHADOW), step="network stack, write the indirect table"
        )
    rows = [
        driver_row(
            "xmit", "used->idx at each packet", "packet", "free_old_xmit_skbs", access=ring.used_index(),
            sample=(R.USED_IDX_SEEN, R.RING_USED_IDX),
            jumps=(Jump(R.USED_IDX_SEEN, "!=", 0, "free_old", R.LAST_USED_IDX), Jump(R.NUM_FREE, "<", chain, "stop"), go(fill)),
        ),
        driver_row(
            "free_old", "used->ring[i]", "packet", "virtqueue_get_buf", access=ring.used_element(R.LAST_USED_IDX),
            effects=(add(R.LAST_USED_IDX), add(R.NUM_FREE, chain)),
            jumps=(Jump(R.USED_IDX_SEEN, ">=", 1, "free_old", R.LAST_USED_IDX), Jump(R.NUM_FREE, "<", chain, "stop"), go(fill)),
        ),
    ]  # fmt: skip
    if driver.napi_tx:
        rows.append(
            driver_row(
                "last_one", "last of the batch?", "packet", "start_xmit",
                jumps=(Jump(R.BURST_LEFT, "<", 2, "delay"), go("fill")),
            )
        )  # fmt: skip
        rows += _want_call_rows(scenario, ring, "delay", "call wanted after three quarters")
    return [
        *rows,
        build,
        driver_row(
            "write_chain", "write the descriptors", "packet", "virtqueue_add_outbuf", access=ring.chain_write(R.AVAIL_IDX_SHADOW),
            effects=(add(R.AVAIL_IDX_SHADOW), add(R.TAKEN), add(R.NUM_FREE, -chain), add(R.BURST_LEFT, -1)),
        ),
        driver_row(
            "write_slot", "avail->ring[i]", "packet", "virtqueue_add_outbuf",
            access=replace(ring.avail_entry(R.AVAIL_IDX_SHADOW, write=True), plus=-1),
        ),
        driver_row(
            "publish", "avail->idx at each packet", "packet", "virtqueue_add_outbuf",
            access=ring.avail_index(write=True), marks="posted", effects=(copy(R.RING_AVAIL_IDX, R.AVAIL_IDX_SHADOW),),
            jumps=(
                Jump(R.NUM_FREE, "<", STOP_BELOW, "stop"), Jump(R.BURST_LEFT, "<", 1, "kick_barrier"), go("xmit"),
            ),
        ),
    ]  # fmt: skip


def _want_call_rows(scenario: Scenario, ring: SplitRing, label: str, step: str) -> list[Draft]:
    """Return virtqueue_enable_cb_delayed: a call after three quarters of what is posted, and a full barrier."""
    asked = (
        *_quarters(R.USED_EVENT_QUARTERS, R.AVAIL_IDX_SHADOW, 3),
        Effect("add", R.USED_EVENT_QUARTERS, R.LAST_USED_IDX),
    )
    want = driver_row(
        label, f"{step}: used_event", "call", "virtqueue_enable_cb_delayed",
        access=replace(ring.used_event(), write=True), effects=asked,
    )  # fmt: skip
    if not ring.queue.event_idx:
        want = replace(
            want, step=f"{step}: avail->flags", access=replace(ring.avail_flags(), write=True),
            effects=(*asked, put(R.AVAIL_FLAGS_NO_INTERRUPT, 0)),
        )  # fmt: skip
    barrier = driver_row(
        f"{label}_barrier", "smp_mb behind it", "call", "virtqueue_enable_cb_delayed", operation="barrier",
        primitives=("lock_rmw",), drains_stores=True,
    )  # fmt: skip
    return [want, barrier]


def _interrupt_rows(scenario: Scenario, ring: SplitRing) -> list[Draft]:
    """Return an interrupt that the running driver takes."""
    taken = driver_row(
        "interrupt", "interrupt", "call", "skb_xmit_done", primitives=("interrupt_inject",),
        sample=(R.CALLS_SEEN, R.CALLS),
    )  # fmt: skip
    return [taken, *_off_rows(ring, "interrupt_off"), _go_row("interrupt_end", "xmit")]


def _wait_rows(scenario: Scenario, ring: SplitRing) -> list[Draft]:
    """Return the wait of a driver whose queue is stopped; the interrupt starts it again."""
    wait = driver_row(
        "wait_call", "wait for a call, interrupt", "call", "skb_xmit_done", primitives=("interrupt_inject",),
        sample=(R.CALLS_SEEN, R.CALLS), condition=Condition(R.CALLS, "!=", 0, R.CALLS_SEEN),
    )  # fmt: skip
    return [wait, *_off_rows(ring, "wait_off"), _go_row("wait_end", "restart")]


def _off_rows(ring: SplitRing, label: str) -> list[Draft]:
    """Return virtqueue_disable_cb: without EVENT_IDX it is a write to the ring."""
    if ring.queue.event_idx:
        return []
    return [
        driver_row(
            label, "calls off: avail->flags", "call", "virtqueue_disable_cb",
            access=replace(ring.avail_flags(), write=True), effects=(put(R.AVAIL_FLAGS_NO_INTERRUPT, 1),),
        )
    ]  # fmt: skip


def _go_row(label: str, target: str) -> Draft:
    return driver_row(label, "end of the interrupt", "call", "skb_xmit_done", jumps=(go(target),))
