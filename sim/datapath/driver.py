"""The guest side: DPDK virtio-user (testpmd txonly), and the lockstep driver of the executed counts."""

from __future__ import annotations

from dataclasses import replace

from sim.config.scenario import Scenario
from sim.datapath.draft import Draft, add, copy, go, put
from sim.datapath.plan import Condition, Jump, Register
from sim.datapath.rings import SplitRing

R = Register


def driver_rows(scenario: Scenario) -> list[Draft]:
    """Return the rows of the driver that the scenario names."""
    ring = SplitRing(scenario.virtqueue)
    return lockstep_rows(scenario, ring) if scenario.driver.kind == "lockstep" else virtio_user_rows(scenario, ring)


def _row(label: str, step: str, scope: str, function: str, **fields: object) -> Draft:
    draft = Draft(label, "driver", step, (scope,), function=function)  # type: ignore[arg-type]
    return replace(draft, **fields)  # type: ignore[arg-type]


def _write_rows(scenario: Scenario, ring: SplitRing, after: tuple[Jump, ...]) -> list[Draft]:
    """One packet into the ring; `after` decides what follows it."""
    packet_ns = scenario.driver.packet_cost.value
    fill = _row("write", "build the packet", "packet", "pkt_burst_transmit", extra_ns=packet_ns)
    if ring.queue.indirect:
        fill = replace(fill, access=ring.table_write(R.POSTED), step="build the packet, write the indirect table")
    return [
        fill,
        _row(
            "write_chain", "write the descriptors", "packet", "virtqueue_enqueue_xmit",
            access=ring.chain_write(R.POSTED),
            effects=(add(R.POSTED), add(R.TAKEN), add(R.FREE, -ring.chain), add(R.BURST_LEFT, -1)),
            jumps=(Jump(R.POSTED, "<", ring.queue.size + 1, "write_slot"), *after),
        ),
        # DPDK writes a slot only when its value changes; descriptors come back in order, so only on the first lap.
        _row(
            "write_slot", "avail->ring[i] (first lap only)", "packet", "vq_update_avail_ring",
            access=replace(ring.avail_entry(R.POSTED, write=True), plus=-1), jumps=after,
        ),
    ]  # fmt: skip


def _publish_row(ring: SplitRing) -> Draft:
    return _row(
        "publish", "avail->idx", "burst", "vq_update_avail_idx", access=ring.avail_index(write=True), marks="posted",
        effects=(copy(R.PUBLISHED, R.AVAIL_INDEX), copy(R.AVAIL_INDEX, R.POSTED)),
    )  # fmt: skip


def _kick_rows(ring: SplitRing, back: str) -> list[Draft]:
    check = _row("kick_check", "used->flags", "burst", "virtqueue_kick_prepare", access=ring.used_flags())
    if ring.queue.event_idx:
        check = replace(
            check, step="avail_event", access=ring.avail_event(), sample=(R.EVENT_SEEN, R.AVAIL_EVENT),
            jumps=(Jump(R.EVENT_SEEN, "<", 0, back, R.PUBLISHED), Jump(R.EVENT_SEEN, ">=", 0, back, R.AVAIL_INDEX)),
        )  # fmt: skip
    else:
        check = replace(check, sample=(R.QUIET_SEEN, R.NO_NOTIFY), jumps=(Jump(R.QUIET_SEEN, "==", 1, back),))
    kick = _row(
        "kick", "kick: write to the eventfd", "kick", "virtqueue_notify",
        primitives=("syscall", "pti", "eventfd_signal"), effects=(add(R.KICKS),), jumps=(go(back),),
    )  # fmt: skip
    return [check, kick]


def virtio_user_rows(scenario: Scenario, ring: SplitRing) -> list[Draft]:
    """Return virtio_xmit_pkts: bursts, bulk reclaim above a threshold, else one used element at a time."""
    chain, threshold = ring.chain, ring.queue.size - scenario.driver.free_threshold
    full = Jump(R.FREE, "<", chain, "reclaim")
    bulk_from = max(1, threshold // chain + 1)
    used = _row(
        "reclaim_one", "used->ring[i].id", "packet", "virtio_xmit_cleanup", access=ring.used_element(R.RECLAIMED)
    )
    freed = (add(R.RECLAIMED), add(R.FREE, chain))
    return [
        _row(
            "burst", "used->idx at the start of a burst", "burst", "virtio_xmit_pkts", access=ring.used_index(),
            sample=(R.USED_SEEN, R.USED_INDEX), effects=(put(R.BURST_LEFT, scenario.driver.burst),),
            takes_arrivals=True, jumps=(Jump(R.USED_SEEN, ">=", bulk_from, "bulk", R.RECLAIMED), full, go("write")),
        ),
        replace(
            used, label="bulk", step="used->ring[i].id, reclaim in bulk", effects=freed,
            jumps=(Jump(R.USED_SEEN, ">=", 1, "bulk", R.RECLAIMED), full, go("write")),
        ),
        _row(
            "reclaim", "used->idx, ring full", "packet", "virtio_xmit_pkts", access=ring.used_index(),
            sample=(R.USED_SEEN, R.USED_INDEX), jumps=(Jump(R.USED_SEEN, "==", 0, "full", R.RECLAIMED),),
        ),
        replace(used, effects=freed),
        *_write_rows(scenario, ring, (Jump(R.BURST_LEFT, "<", 1, "publish"), full, go("write"))),
        _row(
            "full", "no descriptor free", "burst", "virtio_xmit_pkts",
            jumps=(Jump(R.POSTED, "==", 0, "wait", R.AVAIL_INDEX),),
        ),
        _publish_row(ring),
        *_kick_rows(ring, "burst"),
        _row(
            "wait", "poll used->idx", "burst", "virtio_xmit_pkts",
            condition=Condition(R.USED_INDEX, "!=", 0, R.RECLAIMED), jumps=(go("burst"),),
        ),
    ]  # fmt: skip


def lockstep_rows(scenario: Scenario, ring: SplitRing) -> list[Draft]:
    """Return a driver that publishes `burst` packets with one index write, kicks once and waits until all are used."""
    return [
        _row("burst", "start of a burst", "burst", "lockstep", effects=(put(R.BURST_LEFT, scenario.driver.burst),)),
        *_write_rows(scenario, ring, (Jump(R.BURST_LEFT, ">=", 1, "write"), go("publish"))),
        _publish_row(ring),
        _row(
            "kick", "kick: write to the eventfd", "kick", "lockstep",
            primitives=("syscall", "pti", "eventfd_signal"), effects=(add(R.KICKS),),
        ),
        _row(
            "wait", "wait until all are used, and the worker sleeps", "burst", "lockstep",
            condition=Condition(R.USED_INDEX, "==", 0, R.AVAIL_INDEX),
        ),
        _row("settle", "wait for notifications on", "burst", "lockstep", condition=Condition(R.QUIET, "==", 0)),
        _row(
            "reclaim", "used->idx", "burst", "lockstep", access=ring.used_index(), sample=(R.USED_SEEN, R.USED_INDEX),
            effects=(copy(R.RECLAIMED, R.USED_SEEN), put(R.FREE, ring.packets * ring.chain)), jumps=(go("burst"),),
        ),
    ]  # fmt: skip
