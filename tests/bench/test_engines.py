"""Packets per second of both engines on the seed scenario, every packet simulated with its full breakdown."""

from __future__ import annotations

import pytest

import sim
from sim.datapath import build_plan
from sim.engine.fast import FastEngine
from sim.engine.reference import ReferenceEngine

PACKETS = {FastEngine: 1_000_000, ReferenceEngine: 10_000}
CHECKPOINT_PACKETS = 1024


@pytest.fixture(scope="module")
def plan():
    plan = build_plan(sim.load_scenario("virtio-user-xdp1-tap"), "copy_user", 64)
    FastEngine(plan, CHECKPOINT_PACKETS).run(1)  # compiles, or loads the machine code
    return plan


@pytest.mark.parametrize("kind", [FastEngine, ReferenceEngine])
def test_packets_per_second(benchmark, plan, kind):
    packets = PACKETS[kind]

    def run():
        engine = kind(plan, CHECKPOINT_PACKETS)
        engine.run(packets)
        return engine

    engine = benchmark.pedantic(run, rounds=5, warmup_rounds=1)
    assert engine.machine.marked_used >= packets
    assert engine.events == sum(int(n) for n in engine.machine.executions) - running(engine)
    if benchmark.stats is not None:
        seconds = benchmark.stats.stats.min
        benchmark.extra_info["packets_per_second"] = round(packets / seconds)
        benchmark.extra_info["events_per_second"] = round(engine.events / seconds)
        benchmark.extra_info["simulated_by_predicted_rate"] = packets / seconds / (1e12 * packets / engine.now_ps)


def running(engine) -> int:
    """Rows that have begun and not ended: that of the worker, and the driver's unless it waits."""
    return sum(ends > engine.now_ps for ends in engine.accounted_ps)
