"""Every scenario that is shipped runs on both engines with the same trace, at its smallest and largest size."""

from __future__ import annotations

import pytest

from sim.config import load_scenario
from sim.datapath import build_plan
from sim.engine.simulate import simulate
from tests.engine.scenarios import ENGINES
from tests.shipped import NAMES, every_third

PACKETS = 150


@pytest.mark.parametrize("name", every_third(0))
def test_a_shipped_scenario_has_the_same_trace_on_both_engines(name):
    scenario = load_scenario(name)
    sizes = scenario.traffic.sizes
    for variant in scenario.access:
        for size in sorted({min(sizes), max(sizes)}):
            plan = build_plan(scenario, variant.name, size)
            slow, fast = (kind(plan, 50) for kind in ENGINES)
            for engine in (slow, fast):
                engine.trace = []
                engine.run(PACKETS)
            assert slow.trace == fast.trace
            assert len(slow.trace) > PACKETS / 64


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("packets", [1, 70, 5000])
def test_a_ring_holds_from_none_to_all_of_its_entries(name, packets):
    """However short the run: packets that wait since before the first checkpoint count from there on."""
    scenario = load_scenario(name, overrides=[f"run.packets={packets}", "run.precision=0"])
    size = min(scenario.traffic.sizes)
    for variant in scenario.access[:2]:
        plan = build_plan(scenario, variant.name, size)
        occupied = simulate(plan, scenario.run).occupancy
        assert 0 <= occupied["mean"] <= occupied["max"] <= plan.ring_packets
