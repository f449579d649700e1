"""Several senders into one queue of a TAP: one at a time inside the producer lock, the worker behind them."""

from __future__ import annotations

from functools import cache

import pytest

from sim.config import load_scenario
from sim.datapath import build_plan
from sim.datapath.plan.plan import Wait
from sim.datapath.plan.registers import R
from sim.engine import simulate
from sim.engine.fast import FastEngine
from sim.engine.reference import ReferenceEngine

SENDERS = "virtio-user-receive-senders"


def plan(*overrides):
    scenario = load_scenario(SENDERS, overrides=["access=copy_user", "traffic.packet_bytes=64", *overrides])
    return build_plan(scenario, "copy_user", 64), scenario.run


@cache
def run(senders, cost_ns=800):
    return simulate(*plan(f"receive.source.senders={senders}", f"receive.source.packet_cost={cost_ns}"))


def test_slow_senders_add_up_until_the_worker_is_busy():
    one, two, four, eight = (run(senders) for senders in (1, 2, 4, 8))
    assert one.bound_by == two.bound_by == "source"
    assert two.pps == pytest.approx(2 * one.pps, rel=0.1)
    assert four.bound_by == eight.bound_by == "worker"
    assert eight.pps == pytest.approx(four.pps, rel=0.01)


def test_senders_share_a_queue_evenly():
    point = run(4)
    rates = [
        point.row_rates[f"{actor}.put#{n}"] for n, actor in enumerate(("source", "source.1", "source.2", "source.3"))
    ]
    assert rates == pytest.approx([1 / 4] * 4, rel=0.15)


def test_senders_wait_for_each_other_at_the_lock():
    built, _ = plan("receive.source.packet_cost=0", "receive.source.senders=8")
    made = FastEngine(built, 10**9)
    made.run(500)
    locks = [segment.index for segment in built.segments if built.rows[segment.rows[0]].label.startswith("lock#")]
    assert len(locks) == 8
    assert made.machine.waits_ps[locks, Wait.BLOCKED].sum() > 0


@pytest.mark.parametrize("engine", [ReferenceEngine, FastEngine])
@pytest.mark.parametrize(("senders", "queue", "cost_ns"), [(2, 2, 0), (8, 31, 0), (3, 1000, 100), (8, 2, 2000)])
def test_one_at_a_time_is_inside_and_no_packet_is_lost_or_put_twice(engine, senders, queue, cost_ns):
    sent = f"receive.source={{senders: {senders}, queue: {queue}}}"
    built, _ = plan(sent, f"receive.source.packet_cost={cost_ns}")
    made = engine(built, 10**9)
    for packets in range(200, 1601, 200):
        made.run(packets)
        at = made.machine.registers
        assert 0 <= at[R.PRODUCED] - at[R.CONSUMED] <= queue
        assert 0 <= at[R.PRODUCER_DRAWN] - at[R.PRODUCER_SERVED] <= senders
        assert 0 <= at[R.TAKEN] - at[R.PRODUCED] <= senders
        assert at[R.RETURNED] <= at[R.RECEIVED] <= at[R.GRABBED] <= at[R.PRODUCED]


def test_who_asks_first_has_the_lock_first():
    """In the order in which packets are built, and nobody goes in before the last has gone out."""
    built, _ = plan("receive.source.senders=5", "receive.source.packet_cost=300")
    made = ReferenceEngine(built, 10**9)
    made.trace = []
    made.run(400)
    asked, inside = [], None
    for event in made.trace:
        last = built.rows[built.segments[event.segment].rows[-1]].label.partition("#")[0]
        if last == "make":
            asked.append(event.actor)
        elif last == "lock":
            assert inside is None
            inside = asked.pop(0)
            assert event.actor == inside
        elif last in ("unlock", "full"):
            assert event.actor == inside
            inside = None
