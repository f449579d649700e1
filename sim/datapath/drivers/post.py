"""What drivers share: write a packet into the ring, publish it, kick."""

from __future__ import annotations

from dataclasses import replace

from sim.config.scenario.scenario import Scenario
from sim.datapath.memory.rings import SplitRing
from sim.datapath.plan.plan import Jump, Register
from sim.datapath.plan.step import Draft, add, copy, driver_row, go

R = Register


def write_rows(scenario: Scenario, ring: SplitRing, after: tuple[Jump, ...]) -> list[Draft]:
    """One packet into the ring; `after` decides what follows it."""
    packet_ns = scenario.driver.packet_cost.value
    fill = driver_row("write", "build the packet", "packet", "pkt_burst_transmit", extra_ns=packet_ns)
    if ring.queue.indirect:
        fill = replace(
            fill, access=ring.table_write(R.AVAIL_IDX_SHADOW), step="build the packet, write the indirect table"
        )
    return [
        fill,
        driver_row(
            "write_chain", "write the descriptors", "packet", "virtqueue_enqueue_xmit",
            access=ring.chain_write(R.AVAIL_IDX_SHADOW),
            effects=(add(R.AVAIL_IDX_SHADOW), add(R.TAKEN), add(R.NUM_FREE, -ring.chain), add(R.BURST_LEFT, -1)),
            jumps=(Jump(R.AVAIL_IDX_SHADOW, "<", ring.queue.size + 1, "write_slot"), *after),
        ),
        # DPDK writes a slot only when its value changes; descriptors come back in order, so only on the first lap.
        driver_row(
            "write_slot", "avail->ring[i] (first lap only)", "packet", "vq_update_avail_ring",
            access=replace(ring.avail_entry(R.AVAIL_IDX_SHADOW, write=True), plus=-1), jumps=after,
        ),
    ]  # fmt: skip


def publish_row(ring: SplitRing) -> Draft:
    """Return the row that publishes what has been written."""
    return driver_row(
        "publish", "avail->idx", "burst", "vq_update_avail_idx", access=ring.avail_index(write=True), marks="posted",
        effects=(copy(R.OLD_AVAIL_IDX, R.RING_AVAIL_IDX), copy(R.RING_AVAIL_IDX, R.AVAIL_IDX_SHADOW)),
    )  # fmt: skip


def kick_primitives(scenario: Scenario) -> tuple[str, ...]:
    """Primitives of one kick: an exit of the virtual machine, or a system call that writes to the eventfd."""
    return ("vm_exit_kick",) if scenario.driver.kicks_by_exit else ("syscall", "pti", "eventfd_signal")


def kick_rows(scenario: Scenario, ring: SplitRing, back: str) -> list[Draft]:
    """Return the rows that kick the device if it wants that; they end at the row `back`."""
    check = driver_row("kick_check", "used->flags", "burst", "virtqueue_kick_prepare", access=ring.used_flags())
    if ring.queue.event_idx:
        check = replace(
            check, step="avail_event", access=ring.avail_event(), sample=(R.AVAIL_EVENT_SEEN, R.AVAIL_EVENT),
            jumps=(Jump(R.AVAIL_EVENT_SEEN, "<", 0, back, R.OLD_AVAIL_IDX), Jump(R.AVAIL_EVENT_SEEN, ">=", 0, back, R.RING_AVAIL_IDX)),
        )  # fmt: skip
    else:
        check = replace(
            check, sample=(R.NO_NOTIFY_SEEN, R.USED_FLAGS_NO_NOTIFY), jumps=(Jump(R.NO_NOTIFY_SEEN, "==", 1, back),)
        )
    step = "kick: exit of the virtual machine" if scenario.driver.kicks_by_exit else "kick: write to the eventfd"
    kick = driver_row(
        "kick", step, "kick", "virtqueue_notify",
        primitives=kick_primitives(scenario), effects=(add(R.KICKS),), jumps=(go(back),),
    )  # fmt: skip
    return [check, kick]
