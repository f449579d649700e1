"""Runs that would not end are refused before they begin, with the entry; clocks and counts stay within 64 bits."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.config import ConfigError, load_scenario
from sim.config.loading import paths
from sim.config.tables.quantity import BOUNDS
from sim.datapath import build_plan
from sim.datapath.traffic import LAST_PS
from sim.engine import horizon
from sim.engine.histogram import bucket, buckets, lower_edge
from sim.engine.simulate import simulate
from tests.engine.scenarios import ENGINES, base

SEED = "virtio-user-xdp1-tap"
QUICK = ("access=copy_user", "traffic.packet_bytes=64")


def plan_and_run(*overrides: str, name: str = SEED):
    scenario = load_scenario(name, overrides=[*QUICK, *overrides])
    return build_plan(scenario, scenario.access[0].name, 64), scenario.run


def test_shipped_scenarios_have_room_for_the_longest_run_there_can_be():
    for name in paths.names("scenario"):
        scenario = load_scenario(name)
        plan = build_plan(scenario, scenario.access[0].name, max(scenario.traffic.sizes))
        horizon.check_horizon(plan, 10**9 if plan.arrivals is None else 10**7)


@pytest.mark.parametrize("precision", ["0", "1e-12", "0.002"])
@pytest.mark.parametrize(
    "load", ["0.02", "1e-3", "1e-12", "1e-300", "{kind: poisson, pps: 1e-3}", "{kind: poisson, pps: 1e-300}"]
)
def test_a_load_that_needs_more_than_all_time_is_refused_with_the_bound(load, precision):
    plan, run = plan_and_run(f"traffic.load={load}", f"run.precision={precision}")
    with pytest.raises(ConfigError, match=r"^traffic.load: 200000 packets can take .* s of .* a run has 4.61e\+06 s"):
        simulate(plan, run)


@pytest.mark.parametrize(
    ("overrides", "key", "sentence"),
    [
        (["cpu.primitives.lfence=1e9", "run.packets=1000000000"], "cpu.primitives.lfence", "mostly lfence of"),
        (["driver.packet_cost=1e9", "run.packets=1000000000"], "driver.packet_cost", "s of simulated time"),
        (["traffic.load=1e9", "driver.packet_cost=1e9"], "traffic.load", r"a run takes 1e\+10"),
        (
            ["traffic.load=1", "device.busyloop_timeout_us=1000000", "device.poll_pause=0"],
            "traffic.load",
            r"looks at an empty ring, and a run 2e\+10",
        ),
        (
            ["virtqueue.iotlb=true", "virtqueue.iotlb_updates_per_second=1e6", "driver.packet_cost=1e9"],
            "run.packets",
            r"ticks of timers, and a run 2e\+10",
        ),
    ],
)
def test_what_would_not_end_is_refused_with_its_entry(overrides, key, sentence):
    plan, run = plan_and_run(*overrides)
    with pytest.raises(ConfigError, match=sentence) as refused:
        simulate(plan, run)
    assert refused.value.key == key


@pytest.mark.parametrize("kind", ENGINES)
def test_time_ends(kind, monkeypatch):
    """The bound from above is for what can be known before; the clock itself is looked at, whatever a plan says."""
    plan, _ = plan_and_run()
    endless = replace(plan, segments=tuple(replace(part, cost_ps=LAST_PS // 10) for part in plan.segments))
    with pytest.raises(ConfigError, match="simulated time is over"):
        kind(endless, 50).run(1000)


@pytest.mark.parametrize("name", sorted(paths.names("scenario")))
@pytest.mark.parametrize("seed", range(2))
def test_the_longest_that_can_be_adds_up(name, seed):
    """A third of the prices at the most of their unit: times add up, or the run is refused in a sentence."""
    scenario = load_scenario(name)
    size, packets = min(scenario.traffic.sizes), 300
    plan = build_plan(scenario, scenario.access[0].name, size)
    refused: str | None = None
    entries = [key for key in plan.inputs if plan.inputs[key].unit in ("cycles", "ns", "us", "instructions")]
    chosen = entries[seed::3]
    overrides = [f"{key}={BOUNDS[plan.inputs[key].unit][1]:g}" for key in chosen]
    try:
        scenario = load_scenario(name, overrides=[*overrides, f"run.packets={packets}", "run.precision=0"])
        point = simulate(build_plan(scenario, scenario.access[0].name, size), scenario.run)
    except ConfigError as error:
        refused = str(error)
    if refused is not None:
        assert len(refused) < 400
        return
    assert 0 < point.pps < 1e9
    assert sum(point.breakdown_ps.values()) == point.elapsed_ps
    assert min(point.breakdown_ps.values()) > 0
    assert 0 <= point.occupancy["mean"] <= point.occupancy["max"]
    assert 0 < point.latency_us["p50"] <= point.latency_us["p999"]


def test_arrivals_of_a_load_that_is_dropped_take_no_memory():
    plan, run = plan_and_run("traffic.load=1e9", "driver.packet_cost=2000", "run.packets=2000", "run.precision=0")
    simulate(plan, run)  # compiled, and the first blocks are there
    tracemalloc.start()
    point = simulate(plan, run)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert point.dropped > 3e6  # 8 bytes each were 24 MB
    assert most < 4e6


@settings(deadline=None)
@given(st.integers(0, LAST_PS))
def test_every_latency_that_there_can_be_has_a_bucket_of_its_size(latency):
    place = bucket(latency)
    assert place < buckets()
    assert lower_edge(place) <= latency < lower_edge(place + 1)


def test_the_integral_of_a_full_ring_is_right_beyond_64_bits():
    plan = build_plan(base("v5.0"), "vmap", 64)
    slow = replace(plan, segments=tuple(replace(part, cost_ps=LAST_PS // 20_000) for part in plan.segments))
    engines = [kind(slow, 50) for kind in ENGINES]
    for engine in engines:
        engine.run(700)
    exact, packed = (engine.machine.occupied_ps(engine.now_ps) for engine in engines)
    assert exact == packed > 2**63
