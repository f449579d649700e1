"""Every shipped scenario runs on both engines with identical traces, and its first packets without a deadlock."""

from __future__ import annotations

import pytest

import sim
from sim.config import paths
from sim.datapath import build_plan
from sim.engine.order import TieOrder
from tests.engine.scenarios import ENGINES

PACKETS = 1500
VARIANTS = [
    (name, variant.name)
    for name in sorted(paths.names("scenario"))
    for variant in sim.load_scenario(name).access
]  # fmt: skip


@pytest.mark.parametrize(("name", "access"), VARIANTS, ids=["-".join(one) for one in VARIANTS])
def test_both_engines_give_the_same_trace(name, access):
    scenario = sim.load_scenario(name)
    plan = build_plan(scenario, access, scenario.traffic.sizes[0])
    traces = []
    for kind in ENGINES:
        engine = kind(plan, 256, ties=TieOrder.stated(len(plan.actors)))
        engine.trace = []
        engine.run(PACKETS)
        traces.append(engine.trace)
    assert traces[0] == traces[1]
