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
        fill = replace(fill, access=ring.table_write(R.POSTED), step="build the packet, write the indirect table")
    return [
        fill,
        driver_row(
            "write_chain", "write the descriptors", "packet", "virtqueue_enqueue_xmit",
            access=ring.chain_write(R.POSTED),
            effects=(add(R.POSTED), add(R.TAKEN), add(R.FREE, -ring.chain), add(R.BURST_LEFT, -1)),
            jumps=(Jump(R.POSTED, "<", ring.queue.size + 1, "write_slot"), *after),
        ),
        # DPDK writes a slot only when its value changes; descriptors come back in order, so only on the first lap.
        driver_row(
            "write_slot", "avail->ring[i] (first lap only)", "packet", "vq_update_avail_ring",
            access=replace(ring.avail_entry(R.POSTED, write=True), plus=-1), jumps=after,
        ),
    ]  # fmt: skip


def publish_row(ring: SplitRing) -> Draft:
    """Return the row that publishes what has been written."""
    return driver_row(
        "publish", "avail->idx", "burst", "vq_update_avail_idx", access=ring.avail_index(write=True), marks="posted",
        effects=(copy(R.PUBLISHED, R.AVAIL_INDEX), copy(R.AVAIL_INDEX, R.POSTED)),
    )  # fmt: skip


def kick_primitives(scenario: Scenario) -> tuple[str, ...]:
    """Primitives of one kick: an exit of the virtual machine, or a system call that writes to the eventfd."""
    return ("vm_exit_kick",) if scenario.driver.kicks_by_exit else ("syscall", "pti", "eventfd_signal")


def kick_rows(scenario: Scenario, ring: SplitRing, back: str) -> list[Draft]:
    """Return the rows that kick the device if it wants that; they end at the row `back`."""
    check = driver_row("kick_check", "used->flags", "burst", "virtqueue_kick_prepare", access=ring.used_flags())
    if ring.queue.event_idx:
        check = replace(
            check, step="avail_event", access=ring.avail_event(), sample=(R.EVENT_SEEN, R.AVAIL_EVENT),
            jumps=(Jump(R.EVENT_SEEN, "<", 0, back, R.PUBLISHED), Jump(R.EVENT_SEEN, ">=", 0, back, R.AVAIL_INDEX)),
        )  # fmt: skip
    else:
        check = replace(check, sample=(R.QUIET_SEEN, R.NO_NOTIFY), jumps=(Jump(R.QUIET_SEEN, "==", 1, back),))
    step = "kick: exit of the virtual machine" if scenario.driver.kicks_by_exit else "kick: write to the eventfd"
    kick = driver_row(
        "kick", step, "kick", "virtqueue_notify",
        primitives=kick_primitives(scenario), effects=(add(R.KICKS),), jumps=(go(back),),
    )  # fmt: skip
    return [check, kick]
