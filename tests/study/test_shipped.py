"""Every scenario that is shipped can be explained: its rows add up to its total, and every input has a source."""

from __future__ import annotations

import pytest

import sim
from sim.config.loading import paths
from sim.report.tables.explained import executes, explanation_tables, numbers


@pytest.mark.parametrize("name", sorted(paths.names("scenario")))
def test_the_rows_of_a_shipped_scenario_add_up(name):
    scenario = sim.load_scenario(name, overrides=["run.packets=4000", "run.precision=0"])
    for variant in scenario.access:
        explained = sim.explain(scenario, variant.name, max(scenario.traffic.sizes))
        rows = [row for row in explained.plan.rows if row.actor == "worker"]
        cycles = explained.point.cycles_per_packet
        # A row in progress at a checkpoint counts on one side of it only.
        assert sum(explained.time_cycles(row) for row in rows) == pytest.approx(cycles, rel=0.02)
        assert all(executes(row) and numbers(row, explained.plan.cycle_ps) for row in rows)
        assert all(one.quantity.source for one in explained.inputs())
        assert explanation_tables(explained)


@pytest.mark.parametrize("name", sorted(paths.names("scenario")))
def test_a_shipped_scenario_runs_with_every_size_and_says_what_it_is(name):
    scenario = sim.load_scenario(name)
    assert scenario.name == name
    assert scenario.title
    assert scenario.source
    short = scenario.model_copy(update={"run": scenario.run.model_copy(update={"packets": 3000})})
    for one in sim.run(short).points:
        assert one.pps > 0
        assert sum(one.breakdown_ps.values()) == one.elapsed_ps
