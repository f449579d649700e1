"""The fast engine beside the same loop by hand in C: the same state in the end, and the ratio of their speeds."""

from __future__ import annotations

import statistics
import time

import numpy as np
import pytest

import sim
from sim.config.errors import ConfigError
from sim.config.scenario.scenario import Run
from sim.datapath import build_plan
from sim.engine.fast import FastEngine
from sim.engine.order import TieOrder
from sim.engine.packed import pack
from sim.engine.simulate import stopping
from tests.bench import in_c

ROUNDS = 7
PACKETS = 2_000_000


@pytest.fixture(scope="module")
def loop(tmp_path_factory):
    try:
        return in_c.library(tmp_path_factory.mktemp("loop"))
    except ConfigError as error:
        pytest.skip(str(error))


def plan_of(name, *overrides):
    scenario = sim.load_scenario(name, overrides=overrides)
    return build_plan(scenario, scenario.access[0].name, scenario.traffic.sizes[0])


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("virtio-user-xdp1-tap", ()),
        ("virtio-user-packed", ()),
        ("virtio-user-receive-skb", ()),
        ("virtio-user-xdp1-tap", ("cpu=zen4",)),
        ("virtio-user-receive-skb", ("cpu.next_line_prefetch=1",)),
        ("four-queues-one-worker", ()),
        ("virtio-user-xdp1-tap", ("traffic.mix=imix",)),
        ("virtio-user-xdp1-tap", ("traffic.load={kind: poisson, pps: 3000000}",)),
        ("tap-write", ()),
        ("virtio-user-packed", ("virtqueue.size=96",)),
    ],
)
@pytest.mark.parametrize("fuzz", [0, 5])
def test_the_loop_in_c_ends_in_the_state_of_the_engines(loop, name, overrides, fuzz):
    plan, packets = plan_of(name, *overrides), 3000
    ties = TieOrder.stated(len(plan.actors), fuzz)
    engine = FastEngine(plan, 1 << 40, ties)
    engine.run(packets)
    packed = pack(plan, ties)
    in_c.simulate(loop, packed, packets)
    for array_name, ours, theirs in zip(packed._fields, engine._arrays, packed, strict=True):
        assert np.array_equal(ours, theirs), array_name


def test_the_fast_engine_against_the_loop_in_c(loop, measuring, figures):
    plan, packets = plan_of("virtio-user-xdp1-tap"), PACKETS if measuring else 2000
    every = stopping(plan, Run(packets=packets, precision=0)).every
    FastEngine(plan, every).run(1)
    seconds = {"fast engine": [], "loop in C": []}
    events = set()
    for _ in range(ROUNDS if measuring else 1):
        engine, packed = FastEngine(plan, every), pack(plan, TieOrder.stated(len(plan.actors)))
        for name, simulate in (
            ("fast engine", lambda engine=engine: engine.run(packets)),
            ("loop in C", lambda packed=packed: in_c.simulate(loop, packed, packets)),
        ):
            started = time.process_time()
            simulate()
            seconds[name].append(time.process_time() - started)
        events |= {engine.events, int(packed.totals["sequence"][0])}
    assert len(events) == 1, "the same work"
    if measuring:
        ratios = [c / fast for c, fast in zip(seconds["loop in C"], seconds["fast engine"], strict=True)]
        figures.in_c = packets, min(seconds["loop in C"]), statistics.median(ratios)
