"""Busy polling: the worker looks at an empty ring for a while before it sleeps (vhost_net_busy_poll)."""

from __future__ import annotations

from sim.config.scenario.scenario import Scenario
from sim.datapath.memory.rings import SplitRing
from sim.datapath.plan.plan import Jump, Plan, Register
from sim.datapath.plan.step import Draft, add, copy, go, put, worker_row
from sim.datapath.vhost_net.modes import CONTINUE, POLL

R = Register


def where_empty(scenario: Scenario) -> str:
    """Label of the row that follows when a refill finds nothing."""
    return "poll_first" if scenario.device.busyloop_timeout_us else drain_label(scenario)


def drain_label(scenario: Scenario) -> str:
    """Label of the first row of a drain."""
    return "flush_first" if scenario.kernel.behaviour.flush_before_recheck else "enable"


def poll_rows(scenario: Scenario, ring: SplitRing) -> list[Draft]:
    """Return the rows of busy polling (none where it is off): flush, look until there is work or time is up."""
    if not scenario.device.busyloop_timeout_us:
        return []
    return [
        worker_row(
            "poll_first", "flush before polling", "drain", function="vhost_net_tx_get_vq_desc",
            effects=(put(R.AFTER_FLUSH, POLL),), jumps=(Jump(R.DONE_IDX, ">=", 1, "flush"),),
        ),
        worker_row(
            "poll_start", "begin to poll", "drain", function="vhost_net_busy_poll",
            effects=(copy(R.POLLS_LEFT, R.POLL_LIMIT), put(R.AFTER_FLUSH, CONTINUE)), jumps=(go("poll"),),
        ),
        worker_row(
            "poll", "avail->idx, polled", "poll", "busy_poll", accessor="avail_index_read", access=ring.avail_index(),
            sample=(R.AVAIL_IDX, R.RING_AVAIL_IDX), extra_ns=scenario.device.poll_pause.value,
            effects=(add(R.POLLS_LEFT, -1),),
            jumps=(Jump(R.AVAIL_IDX, "!=", 0, "head", R.LAST_AVAIL_IDX), Jump(R.POLLS_LEFT, ">=", 1, "poll")),
        ),
        worker_row(
            "poll_over", "avail->idx, once more", "drain", "refill", accessor="avail_index_read",
            access=ring.avail_index(), sample=(R.AVAIL_IDX, R.RING_AVAIL_IDX),
            jumps=(Jump(R.AVAIL_IDX, "!=", 0, "head", R.LAST_AVAIL_IDX), go(drain_label(scenario))),
        ),
    ]  # fmt: skip


def polls_per_timeout(plan: Plan, timeout_us: float) -> int:
    """How often the worker looks at an empty ring before time is up (0 where the plan does not poll)."""
    poll = next((row for row in plan.rows if row.label == "poll" and row.actor == "worker"), None)
    if poll is None or not timeout_us:
        return 0
    exposed = max(0, plan.latencies.near_hit_ps - poll.hidden_ps)
    return max(1, round(timeout_us * 1e6 / (poll.cost_ps + exposed)))
