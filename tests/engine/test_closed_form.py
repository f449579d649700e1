"""A third opinion where there is one: time per packet from the rows' costs by hand, exact to the picosecond."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sim.config.scenario.endpoints import Driver
from sim.datapath import build_plan
from sim.datapath.plan.plan import Plan
from sim.datapath.vhost_net.path import PageFragment
from tests.engine.scenarios import ENGINES, base, quick

#: Variants that add no row of their own.
ACCESS = ("copy_user", "vmap", "ideal")
FREE_MEMORY = dict.fromkeys(("near_hit_ps", "far_hit_ps", "transfer_ps", "clean_ps", "stream_ps"), 0)

FETCH = (
    *("head", "descriptor", "translate", "iov_iter", "build_xdp", "copy_chain", "header_copy", "payload_copy"),
    *("packet_done", "get_descriptor"),
)
HAND_OVER = ("flush", "used_elements", "used_index")
NOTIFY = ("notify_barrier", "notify_check")


def plan_of(access: str, driver: Driver) -> Plan:
    """Return a plan of the seed scenario in which no access to memory waits."""
    scenario = base("v5.0").model_copy(update={"driver": driver})
    plan = build_plan(scenario, access, 64)
    return replace(plan, latencies=replace(plan.latencies, **FREE_MEMORY))


def cost(plan: Plan, *labels: str, actor: str = "worker") -> int:
    by_label = {row.label: row.cost_ps for row in plan.rows if row.actor == actor}
    return sum(by_label[label] for label in labels)


def unit_cost(plan: Plan, *labels: str) -> int:
    return sum(row.unit_ps for row in plan.rows if row.label in labels)


def elapsed_ps(kind, plan: Plan, period: int) -> list[int]:
    """Return the time between checkpoints that are `period` packets apart, the first two left out."""
    engine = kind(plan, period)
    engine.run(6 * period)
    times = [point.time_ps for point in engine.checkpoints.taken]
    packets = [point.packets for point in engine.checkpoints.taken]
    assert set(np.diff(packets[2:])) == {period}
    return [int(time) for time in np.diff(times[2:])]


@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize("access", ACCESS)
def test_worker_that_never_waits_takes_the_sum_of_its_rows(kind, access):
    plan = plan_of(access, Driver(burst=32, packet_cost=quick(0)))
    buffers = PageFragment(base("v5.0").kernel.behaviour, 64).buffers
    rounds = buffers  # so many rounds of 256 packets use 256 whole page fragments
    a_round = (
        256 * (cost(plan, *FETCH) + unit_cost(plan, "backend", "used_elements"))
        + 256 // 64 * cost(plan, *HAND_OVER, *NOTIFY)
        + cost(plan, "weight", "end_requeue", "round", "refill")
    )
    expected = rounds * a_round + 256 * cost(plan, "page_refill")
    assert set(elapsed_ps(kind, plan, rounds * 256)) == {expected}


@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize("access", ACCESS)
def test_driver_that_is_always_slower_takes_the_sum_of_its_rows(kind, access):
    """At 10 us per packet the worker is asleep again before the next one, so each packet is kicked."""
    plan = plan_of(access, Driver(burst=1, packet_cost=quick(10_000)))
    kick = cost(plan, "kick", actor="driver")
    assert kick > 0
    assert set(elapsed_ps(kind, plan, 8)) == {8 * (10_000_000 + kick)}


@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize("access", ACCESS)
@pytest.mark.parametrize("burst", [2, 4, 32])
def test_lockstep_takes_the_driver_then_the_worker(kind, access, burst):
    """Max-plus with one token: the driver's rows, then the worker's up to the used index; the rest overlaps.

    Bursts divide the ring, so that no batch of used elements wraps.
    """
    plan = plan_of(access, Driver(kind="lockstep", burst=burst, packet_cost=quick(45)))
    driver = burst * 45_000 + cost(plan, "kick", actor="driver")
    worker = (
        cost(plan, "idle", "round", "disable")
        + 2 * cost(plan, "refill")  # one finds the burst, one finds nothing more
        + burst * (cost(plan, *FETCH) + unit_cost(plan, "backend", "used_elements"))
        + cost(plan, "enable", "enable_barrier", "recheck", "final", *HAND_OVER)
    )
    overlapped = cost(plan, *NOTIFY, "end_sleep")
    assert overlapped < driver
    buffers = PageFragment(base("v5.0").kernel.behaviour, 64).buffers
    expected = buffers * (driver + worker) + burst * cost(plan, "page_refill")
    assert set(elapsed_ps(kind, plan, buffers * burst)) == {expected}
