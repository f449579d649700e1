"""The kernel's side of an AF_XDP socket that sends: NAPI poll of a zero-copy driver, row by row. No user accesses.

The rings are kernel memory that the program maps, so the kernel reads and writes them directly; packets stay where the
program wrote them. The NIC takes every descriptor at once (its line rate is not modelled).
"""

from __future__ import annotations

from sim.config.scenario.scenario import Scenario
from sim.datapath.memory.xsk_rings import XskRings
from sim.datapath.plan.plan import Condition, Jump, Register
from sim.datapath.plan.step import Draft, add, copy, go, put, worker_row
from sim.datapath.vhost_net.wake import wake_primitives

R = Register

_LOAD, _STORE = ("load",), ("store",)


def af_xdp_rows(scenario: Scenario) -> list[Draft]:
    """Return the rows of the NAPI poll: batches of `device.batch` descriptors, one index write each way per batch."""
    rings = XskRings(scenario.virtqueue)
    return [
        idle_row(scenario),
        worker_row("poll", "start of a poll", "round", "xsk_poll", jumps=(Jump(R.NOTIFY_OFF, "==", 1, "peek"),)),
        awake_row(rings, "tx"),
        *_batch_rows(scenario, rings),
        *sleep_rows(rings, "tx", again="poll"),
    ]


def _batch_rows(scenario: Scenario, rings: XskRings) -> list[Draft]:
    """xsk_tx_peek_release_desc_batch, the NIC's descriptors, then completions."""
    return [
        worker_row(
            "peek", "tx producer index", "flush", "xsk_peek", primitives=_LOAD, access=rings.producer("tx"),
            far_read=True, sample=(R.AVAIL_IDX, R.RING_AVAIL_IDX), jumps=(Jump(R.AVAIL_IDX, "==", 0, "need_wakeup", R.LAST_AVAIL_IDX),),
        ),
        worker_row(
            "descriptor", "tx descriptor", "packet", "xsk_descriptor", primitives=_LOAD * 2, far_read=True,
            access=rings.descriptor("tx", R.LAST_AVAIL_IDX),
        ),
        worker_row(
            "nic_descriptor", "descriptor of the NIC", "packet", "xsk_nic_descriptor",
            effects=(add(R.LAST_AVAIL_IDX), add(R.DONE_IDX)),
            jumps=(
                Jump(R.DONE_IDX, ">=", scenario.device.batch, "release"), Jump(R.AVAIL_IDX, ">=", 1, "descriptor", R.LAST_AVAIL_IDX),
            ),
        ),
        worker_row(
            "release", "tx consumer index", "flush", "xsk_release", primitives=_STORE,
            access=rings.consumer("tx", write=True),
        ),
        worker_row(
            "complete", "addresses into the completion ring", "flush", "xsk_complete", unit=R.DONE_IDX, per_unit=True,
            access=rings.addresses(R.LAST_AVAIL_IDX, R.DONE_IDX),
        ),
        worker_row(
            "complete_index", "completion producer index", "flush", "xsk_complete_index", primitives=_STORE,
            access=rings.producer("completion", write=True), marks="used",
            effects=(copy(R.RING_USED_IDX, R.LAST_AVAIL_IDX), put(R.DONE_IDX, 0)), jumps=(go("poll"),),
        ),
    ]  # fmt: skip


def idle_row(scenario: Scenario) -> Draft:
    """Return the row in which a poll that has ended waits for the program's system call."""
    return worker_row(
        "idle", "sleep until woken by sendto()", "wakeup", function="net_rx_action", operation="hold",
        primitives=wake_primitives(scenario), condition=Condition(R.KICKS, "!=", 0, R.KICKS_SEEN),
        sample=(R.KICKS_SEEN, R.KICKS),
    )  # fmt: skip


def awake_row(rings: XskRings, ring: str) -> Draft:
    """Return the row that tells the program that no system call is needed."""
    return worker_row(
        "awake", f"{ring} flags: no wake-up needed", "wakeup", function="xsk_clear_need_wakeup", primitives=_STORE,
        access=rings.flags(ring, write=True), effects=(put(R.NOTIFY_OFF, 1), put(R.USED_FLAGS_NO_NOTIFY, 1)),
    )  # fmt: skip


def sleep_rows(rings: XskRings, ring: str, again: str) -> list[Draft]:
    """Return the rows of an empty ring: ask to be woken, look once more (then go on at `again`), end the poll."""
    return [
        worker_row(
            "need_wakeup", f"{ring} flags: wake-up needed", "drain", "xsk_need_wakeup", primitives=_STORE,
            access=rings.flags(ring, write=True), effects=(put(R.NOTIFY_OFF, 0), put(R.USED_FLAGS_NO_NOTIFY, 0)),
        ),
        worker_row(
            "wakeup_barrier", "smp_mb before the recheck", "drain", function="napi_complete_done", operation="barrier",
            primitives=("lock_rmw",), drains_stores=True,
        ),
        worker_row(
            "recheck", f"{ring} producer index, recheck", "drain", function="xsk_peek", primitives=_LOAD,
            access=rings.producer(ring), far_read=True, sample=(R.RECHECKED_AVAIL_IDX, R.RING_AVAIL_IDX),
            jumps=(Jump(R.RECHECKED_AVAIL_IDX, "!=", 0, again, R.LAST_AVAIL_IDX),),
        ),
        worker_row(
            "end_poll", "end of a poll", "drain", function="napi_complete_done",
            jumps=(Jump(R.KICKS, "!=", 0, "woken", R.KICKS_SEEN), go("idle")),
        ),
        worker_row(
            "woken", "woken meanwhile", "drain", function="net_rx_action", sample=(R.KICKS_SEEN, R.KICKS),
            jumps=(go(again),),
        ),
    ]  # fmt: skip
