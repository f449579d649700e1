"""Every shipped scenario runs on both engines, with the same trace."""

from __future__ import annotations

import pytest

import sim
from sim.config import paths
from sim.datapath import build_plan
from tests.engine.scenarios import ENGINES

PACKETS = 700  # two rounds of the handler, several flushes


@pytest.mark.parametrize("name", sorted(paths.names("scenario")))
def test_a_shipped_scenario_gives_the_same_trace_on_both_engines(name):
    scenario = sim.load_scenario(name)
    for access in scenario.access:
        plan = build_plan(scenario, access.name, scenario.traffic.sizes[0])
        traces = []
        for kind in ENGINES:
            engine = kind(plan, 100)
            engine.trace = []
            engine.run(PACKETS)
            assert engine.machine.marked_used >= PACKETS
            traces.append(engine.trace)
        assert traces[0] == traces[1]
