"""A TAP whose ptr_ring is full drops at its tail, or packets wait in front of it until the worker wakes it."""

from __future__ import annotations

from functools import cache

import pytest

from sim.config import load_scenario
from sim.datapath import build_plan
from sim.datapath.plan.registers import R
from sim.engine import simulate
from sim.engine.fast import FastEngine
from sim.engine.reference import ReferenceEngine

RX, BURSTS = "virtio-user-receive-skb", "virtio-user-receive-back-pressure"
WAIT = "receive.source.when_full=wait"


def plan(name, *overrides):
    scenario = load_scenario(name, overrides=["access=copy_user", "traffic.packet_bytes=64", *overrides])
    return build_plan(scenario, "copy_user", 64), scenario.run


@cache
def run(name, *overrides):
    return simulate(*plan(name, *overrides))


def test_bursts_that_the_tap_cannot_hold_are_lost_at_its_tail_and_kept_by_back_pressure():
    kept, dropped = run(BURSTS), run(BURSTS, "receive.source.when_full=drop")
    assert kept.lost_pps == 0
    assert dropped.lost_share > 0.05
    assert kept.pps == pytest.approx(dropped.pps + dropped.lost_pps, rel=0.02)
    # The TAP stays full, as far as it was anyway; what waits in front of it is not in its latency.
    assert kept.latency_us["p50"] > 1.05 * dropped.latency_us["p50"]
    assert kept.latency_us["p99"] == pytest.approx(dropped.latency_us["p99"], rel=0.02)


def test_a_queueing_discipline_loses_what_it_cannot_hold():
    short = "traffic.load={kind: on-off, pps: 8.0e+6, on_us: 300, off_us: 900, backlog: 10}"
    kept, dropped = run(BURSTS, short), run(BURSTS, short, "receive.source.when_full=drop")
    assert kept.lost_share == pytest.approx(dropped.lost_share, abs=0.01)  # only at another place
    assert kept.lost_share > 0.05


def test_a_load_above_the_rate_is_lost_either_way_and_waking_the_queue_costs_the_worker():
    waits, drops = run(RX, "traffic.load=8e6", WAIT), run(RX, "traffic.load=8e6")
    for point in (waits, drops):
        assert point.pps + point.lost_pps == pytest.approx(8e6, rel=0.01)
    assert waits.pps < drops.pps
    wakes = waits.row_rates["worker.wake_queue"]
    assert wakes == pytest.approx(1 / 64, rel=0.05)  # cleared slots of a batch wake it once, its source is soon behind
    (price,) = [row.cost_ps for row in plan(RX, WAIT)[0].rows if row.label == "wake_queue"]
    lines = 5 * plan(RX, WAIT)[0].latencies.transfer_ps  # the source runs closer behind
    assert wakes * price <= waits.ps_per_packet - drops.ps_per_packet <= wakes * (price + lines)


def test_below_the_rate_nothing_is_stopped_and_nothing_costs_more():
    waits, drops = run(RX, "traffic.load=1e6", WAIT), run(RX, "traffic.load=1e6")
    assert waits.row_rates["source.stop"] == waits.row_rates["worker.wake_queue"] == 0
    assert waits.pps == pytest.approx(drops.pps, rel=1e-3)


@pytest.mark.parametrize("engine", [ReferenceEngine, FastEngine])
@pytest.mark.parametrize("queue", [2, 31, 33, 1000])
@pytest.mark.parametrize("load", ["saturate", "{kind: poisson, pps: 4.0e+6, backlog: 7}"])
def test_no_wake_up_is_lost_and_the_ring_never_overflows(engine, queue, load):
    built, _ = plan(RX, WAIT, f"receive.source.queue={queue}", f"traffic.load={load}")
    made = engine(built, 10**9)
    for packets in range(200, 2001, 200):
        made.run(packets)
        at = made.machine.registers
        assert 0 <= at[R.PRODUCED] - at[R.CONSUMED] <= queue
        assert 0 <= at[R.TAKEN] - at[R.DROPPED] - at[R.PRODUCED] <= 1
        assert at[R.RETURNED] <= at[R.RECEIVED] <= at[R.GRABBED] <= at[R.PRODUCED]


LONG = "traffic.load={kind: on-off, pps: 8.0e+6, on_us: 3000, off_us: 9000, backlog: 100000}"


def test_a_load_that_comes_in_bursts_is_measured_over_whole_periods():
    """8 Mpps for a quarter of the time are 2 Mpps; a burst of 24000 packets fits the backlog, so nothing is lost."""
    point = run(BURSTS, LONG)
    assert point.offered_pps == pytest.approx(2e6, rel=0.02)
    assert point.pps == pytest.approx(2e6, rel=0.02)
    assert point.lost_share == pytest.approx(0, abs=0.02)
    short = run(BURSTS, "run.packets=20000")
    assert (short.offered_pps, short.lost_share) == (pytest.approx(2e6, rel=0.03), pytest.approx(0, abs=0.02))
    assert short.notes == point.notes == ()


def test_a_run_that_is_shorter_than_a_period_says_so():
    point = run(BURSTS, LONG.replace("3000", "30000").replace("9000", "90000").replace("100000", "400000"))
    (said,) = point.notes
    assert said.startswith("the load has a period of 120 ms, and ")
    assert said.endswith(": rates are those of a part of it; more run.packets reach further")
