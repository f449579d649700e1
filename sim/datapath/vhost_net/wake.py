"""The worker wakes up and starts a round."""

from __future__ import annotations

from dataclasses import replace

from sim.config.scenario.scenario import Scenario
from sim.datapath.memory.rings import SplitRing
from sim.datapath.plan.plan import Condition, Jump, Register
from sim.datapath.plan.step import Draft, put, worker_row
from sim.datapath.vhost_net.modes import CONTINUE
from sim.datapath.vhost_net.path import TransmitPath

R = Register

#: What leaving an idle state costs; a core that polls leaves none.
_IDLE_EXIT = {"poll": (), "c1": ("idle_exit_c1",), "c1e": ("idle_exit_c1e",), "c6": ("idle_exit_c6",)}


def wake_primitives(scenario: Scenario) -> tuple[str, ...]:
    """Primitives of a wake-up: the declared idle state is left first."""
    return ("worker_wakeup", *_IDLE_EXIT[scenario.placement.idle_state])


def wake_rows(scenario: Scenario, ring: SplitRing, path: TransmitPath) -> list[Draft]:
    """Return the rows from sleep to the first packet of a round."""
    disable = "first" if scenario.virtqueue.event_idx else "disable"
    rows = [
        worker_row(
            "idle", "sleep until kicked, wake up", "wakeup", function="vhost_worker", operation="hold",
            primitives=wake_primitives(scenario), condition=Condition(R.KICKS, "!=", 0, R.KICKS_SEEN),
            sample=(R.KICKS_SEEN, R.KICKS),
        ),
        worker_row(
            "round", "start of a round", "round", "round_start",
            effects=(put(R.SENT_PKTS, 0), put(R.AFTER_FLUSH, CONTINUE)),
            jumps=(Jump(R.NOTIFY_OFF, "==", 0, disable), *path.onward),
        ),
    ]  # fmt: skip
    if scenario.virtqueue.event_idx:
        # With EVENT_IDX disabling notifications is a flag of the worker, nothing is written (kernel-accesses.md B.1).
        first = worker_row(
            "first", "notifications off", "wakeup", function="vhost_disable_notify", effects=(put(R.NOTIFY_OFF, 1),)
        )
        return [*rows, replace(first, jumps=path.onward)]
    return [
        *rows,
        worker_row(
            "disable", "used->flags = NO_NOTIFY", "wakeup", "disable_notify", accessor="used_flags_write",
            access=ring.used_flags(write=True), effects=(put(R.USED_FLAGS_NO_NOTIFY, 1), put(R.NOTIFY_OFF, 1)),
            jumps=path.onward,
        ),
    ]  # fmt: skip
