"""Every shipped scenario runs on both engines, with identical traces."""

from __future__ import annotations

import pytest

import sim
from sim.config import paths
from sim.datapath import build_plan
from tests.engine.scenarios import ENGINES

SCENARIOS = sorted(paths.names("scenario"))


@pytest.mark.parametrize("name", SCENARIOS)
def test_both_engines_give_the_same_trace_of_a_shipped_scenario(name):
    scenario = sim.load_scenario(name)
    for access in [variant.name for variant in scenario.access]:
        traces = []
        for kind in ENGINES:
            engine = kind(build_plan(scenario, access, scenario.traffic.sizes[0]), 64)
            engine.trace = []
            engine.run(1500)
            traces.append(engine.trace)
        assert traces[0] == traces[1], access
        assert len(traces[0]) > 1500


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_shipped_scenario_runs_with_every_size_and_says_what_it_is(name):
    scenario = sim.load_scenario(name)
    assert scenario.name == name
    assert scenario.title
    assert scenario.source
    short = scenario.model_copy(update={"run": scenario.run.model_copy(update={"packets": 3000})})
    for one in sim.run(short).points:
        assert one.pps > 0
        assert sum(one.breakdown_ps.values()) == one.elapsed_ps
