"""Every step of every shipped scenario runs as often as it says; a step in the wrong place is named."""

from __future__ import annotations

from dataclasses import replace

import pytest

import sim
from sim.datapath import build_plan
from sim.engine import simulate
from sim.study.questions.explain import misplaced
from tests.shipped import every_third

LONG = {"packets": 100_000, "engine": "fast", "precision": 0}


def run_of(scenario, access, size):
    plan = build_plan(scenario, access, size, apart=True)
    return plan, simulate(plan, scenario.run.model_copy(update=LONG))


@pytest.mark.parametrize("of", [min, pytest.param(max, marks=pytest.mark.deep)], ids=["smallest", "largest"])
@pytest.mark.parametrize("name", every_third(2))
def test_every_step_runs_as_often_as_it_says(name, of):
    scenario = sim.load_scenario(name)
    size = of(scenario.traffic.sizes)
    for variant in scenario.access:
        assert [str(finding) for finding in misplaced(*run_of(scenario, variant.name, size))] == []


def test_a_ring_that_makes_no_call_says_nothing_about_another_of_the_same_driver():
    """With ideal accesses the queue never stops and the guest always polls: its calls are those of the sending ring."""
    plan, point = run_of(sim.load_scenario("virtio-net-routing"), "ideal", 64)
    assert point.row_rates["driver.irq#rx"] == point.row_rates["driver.recheck_used"] == 0
    assert point.row_rates["driver.interrupt"] == pytest.approx(point.row_rates["worker.call"], rel=1e-3)
    assert misplaced(plan, point) == []
    often = [
        replace(row, scopes=("call",), sometimes="now and then") if row.label == "kick_barrier" else row
        for row in plan.rows
    ]
    assert [finding.label for finding in misplaced(replace(plan, rows=tuple(often)), point)] == ["kick_barrier"]


def test_a_step_that_says_another_scope_than_it_runs_in_is_named():
    scenario = sim.load_scenario("virtio-user-xdp1-tap")
    plan, point = run_of(scenario, "vmap", 64)
    wrong = [replace(row, scopes=("packet",)) if row.label == "refill" else row for row in plan.rows]
    (finding,) = misplaced(replace(plan, rows=tuple(wrong)), point)
    assert (finding.actor, finding.label, finding.expected) == ("worker", "refill", 1.0)
    assert finding.measured < 0.05
    assert str(finding).startswith("step 'refill' of the worker says that it runs once per packet: it ran 0.0")


def test_a_step_with_a_condition_may_run_less_often_but_not_more():
    scenario = sim.load_scenario("virtio-user-xdp1-tap")
    plan, point = run_of(scenario, "vmap", 64)
    seldom = [
        replace(row, scopes=("packet",), sometimes="now and then") if row.label == "refill" else row
        for row in plan.rows
    ]
    assert misplaced(replace(plan, rows=tuple(seldom)), point) == []
    often = [
        replace(row, scopes=("round",), sometimes="now and then") if row.label == "head" else row for row in plan.rows
    ]
    assert [finding.label for finding in misplaced(replace(plan, rows=tuple(often)), point)] == ["head"]
