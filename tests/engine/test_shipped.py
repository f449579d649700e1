"""Every scenario that is shipped runs on both engines with the same trace, at its smallest and largest size."""

from __future__ import annotations

import pytest

from sim.config import load_scenario
from sim.config.loading import paths
from sim.datapath import build_plan
from tests.engine.scenarios import ENGINES

PACKETS = 150


@pytest.mark.parametrize("name", sorted(paths.names("scenario")))
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
