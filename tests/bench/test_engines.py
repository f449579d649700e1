"""Packets per second of both engines on the seed scenario, every packet simulated with its full breakdown."""

from __future__ import annotations

import time

import pytest

import sim
from sim.config.scenario.scenario import Run
from sim.datapath import build_plan
from sim.engine.fast import FastEngine
from sim.engine.reference import ReferenceEngine
from sim.engine.simulate import simulate, stopping

#: A run that may end early takes a checkpoint every 256 packets from its start, and drops half of them at each 512.
OFTEN = "fast, looked at often"
ENGINES = {"fast": FastEngine, OFTEN: FastEngine, "reference": ReferenceEngine}
SIZES = [("fast", 250_000), ("fast", 1_000_000), ("fast", 4_000_000), (OFTEN, 1_000_000)]
SIZES += [("reference", 5_000), ("reference", 10_000), ("reference", 20_000)]
ROUNDS = 5


@pytest.fixture(scope="module")
def plan():
    plan = build_plan(sim.load_scenario("virtio-user-xdp1-tap"), "copy_user", 64)
    FastEngine(plan, 1024).run(1)  # compiles, or loads the machine code
    return plan


# Processor time: an engine is one thread that never waits, and other work on the machine is not its cost.
@pytest.mark.benchmark(timer=time.process_time)
@pytest.mark.parametrize(("name", "packets"), SIZES)
def test_packets_per_second(benchmark, measuring, figures, plan, name, packets):
    packets = packets if measuring else packets // 10
    every = stopping(plan, Run(packets=packets, precision=0.002 if name == OFTEN else 0)).every

    def run():
        engine = ENGINES[name](plan, every)
        engine.run(packets)
        return engine

    engine = benchmark.pedantic(run, rounds=ROUNDS, warmup_rounds=1)
    assert engine.machine.marked_used >= packets
    assert len(engine.checkpoints.taken) > 1
    assert engine.events == sum(int(n) for n in engine.machine.executions) - running(engine)
    if measuring:
        figures.engines[name, packets] = benchmark.stats.stats.min, engine.events
        figures.predicted_pps = simulate(plan, Run(packets=100_000)).pps


def running(engine) -> int:
    """Rows that have begun and not ended: that of the worker, and the driver's unless it waits."""
    return sum(ends > engine.now_ps for ends in engine.accounted_ps)
