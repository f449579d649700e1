"""The ring is found empty: notifications on, recheck, sleep; and how a round ends."""

from __future__ import annotations

from dataclasses import replace

from sim.config.scenario.scenario import Scenario
from sim.datapath.memory.rings import SplitRing
from sim.datapath.plan.plan import Jump, Register
from sim.datapath.plan.step import Draft, copy, go, put, worker_row
from sim.datapath.vhost_net.modes import CONTINUE, RECHECK, SLEEP
from sim.datapath.vhost_net.path import TransmitPath

R = Register


def look_again_rows(scenario: Scenario, ring: SplitRing, *otherwise: Jump) -> list[Draft]:
    """Notifications on and one more look at the ring; `otherwise` says where to go from a ring that is still empty.

    With work in the ring, the row "found" is next: the caller's last word about it follows these rows.
    """
    event_idx = scenario.virtqueue.event_idx
    enable = worker_row(
        "enable", "used->flags = 0", "drain", "enable_notify", accessor="used_flags_write",
        access=ring.used_flags(write=True), effects=(put(R.USED_FLAGS_NO_NOTIFY, 0), put(R.NOTIFY_OFF, 0)),
    )  # fmt: skip
    if event_idx:
        enable = replace(
            enable, step="avail_event", accessor="avail_event_write", access=ring.avail_event(write=True),
            effects=(copy(R.AVAIL_EVENT, R.AVAIL_IDX), put(R.NOTIFY_OFF, 0)),
        )  # fmt: skip
    seen = R.AVAIL_IDX if scenario.kernel.behaviour.recheck_updates_cache else R.RECHECKED_AVAIL_IDX
    found_write = worker_row(
        "found_work", "used->flags = NO_NOTIFY again", "drain_found_work", "disable_notify",
        accessor="used_flags_write", access=ring.used_flags(write=True), effects=(put(R.USED_FLAGS_NO_NOTIFY, 1),),
    )  # fmt: skip
    return [
        enable,
        worker_row(
            "enable_barrier", "smp_mb before the recheck", "drain", function="vhost_enable_notify",
            operation="barrier", primitives=("lock_rmw",), drains_stores=True,
        ),
        worker_row(
            "recheck", "avail->idx, recheck", "drain", "recheck", accessor="avail_index_read",
            access=ring.avail_index(), sample=(seen, R.RING_AVAIL_IDX),
            jumps=(Jump(seen, "!=", 0, "found" if event_idx else "found_work", R.LAST_AVAIL_IDX), *otherwise),
        ),
        *([] if event_idx else [found_write]),
    ]  # fmt: skip


def kicked_row() -> Draft:
    """Return the row of a worker that was kicked between its recheck and its sleep."""
    return worker_row(
        "kicked", "kicked meanwhile", "round", function="vhost_worker", sample=(R.KICKS_SEEN, R.KICKS),
        jumps=(go("round"),),
    )  # fmt: skip


def drain_rows(scenario: Scenario, ring: SplitRing, path: TransmitPath) -> list[Draft]:
    """Return the rows of a drain and of the end of a round."""
    behaviour = scenario.kernel.behaviour
    pending = (Jump(R.DONE_IDX, ">=", 1, "final"),) if not behaviour.flush_before_recheck else ()
    flush_first = worker_row(
        "flush_first", "flush before the recheck", "drain", function="handle_tx",
        effects=(put(R.AFTER_FLUSH, RECHECK),), jumps=(Jump(R.DONE_IDX, ">=", 1, "flush"),),
    )  # fmt: skip
    found = worker_row(
        "found", "notifications off again", "drain_found_work", "get_descriptor",
        effects=(put(R.NOTIFY_OFF, 1), put(R.AFTER_FLUSH, CONTINUE)), jumps=path.onward,
    )  # fmt: skip
    rest = "schedule_out" if scenario.device.schedule_out else "idle"
    asleep = worker_row(
        "schedule_out", "scheduled out", "wakeup", function="schedule", primitives=("context_switch",),
        jumps=(go("idle"),),
    )  # fmt: skip
    return [
        *([flush_first] if behaviour.flush_before_recheck else []),
        *look_again_rows(scenario, ring, *pending, go("end_sleep")),
        found,
        worker_row(
            "final", "last flush of the round", "drain", function="handle_tx", effects=(put(R.AFTER_FLUSH, SLEEP),),
            jumps=(go("flush"),),
        ),
        worker_row(
            "end_requeue", "end of a round, queued again", "round", "round_end", jumps=(go("round"),),
        ),
        worker_row(
            "end_sleep", "end of a round, ring empty", "round", "round_end",
            jumps=(Jump(R.KICKS, "!=", 0, "kicked", R.KICKS_SEEN), go(rest)),
        ),
        *([asleep] if scenario.device.schedule_out else []),
        kicked_row(),
    ]  # fmt: skip
