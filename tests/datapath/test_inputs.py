"""`plan.inputs` is complete: an entry changes a Plan if and only if it was read while the Plan was built."""

from __future__ import annotations

import pytest

from sim.config import load_scenario
from sim.config.errors import ConfigError
from sim.config.tables.quantity import inconceivable, noting_reads
from sim.costs.audit import quantities
from sim.costs.draws import tracing
from sim.datapath import build_plan
from sim.study.runs.case import with_values
from tests.shipped import NAMES, every_third


def all_that_runs(plan):
    """What engines and results take from a Plan."""
    return (
        *(plan.rows, plan.latencies, plan.initial, plan.cycle_ps, plan.uncore_ps_per_line, plan.setup, plan.class_rows),
        *(plan.in_flight, plan.regions, plan.period_ps),
    )


def built(scenario, access, values):
    """The Plan with other values in some entries, or the sentence with which it is refused."""
    try:
        return all_that_runs(build_plan(with_values(scenario, values), access, scenario.traffic.sizes[0]))
    except ConfigError as error:
        return str(error)


def others(key, value):
    """Values to try in turn: an entry may be compared with a limit, so that only a large step is seen."""
    yield value * 1.5 + 1
    yield value * 0.3
    yield value * 20 + 50
    yield 1.0 if key in ("cpu.core_ghz", "cpu.uncore_bandwidth") else 0.0
    yield max(value, 1.0) * 1e4


def changes(scenario, access, key, value, before):
    return any(built(scenario, access, {key: other}) != before for other in others(key, value))


def moved(entry):
    """Another value of an entry, within what its unit allows."""
    other = entry.value * 1.7 + 3
    return entry.value / 2 if inconceivable(other, entry.unit) else other


def check_inputs(scenario, again):
    """Change entries variant by variant; those that an earlier variant has read are changed once more if `again`."""
    seen = set()
    for variant in scenario.access:
        plan = build_plan(scenario, variant.name, scenario.traffic.sizes[0])
        before = all_that_runs(plan)
        unread = {key: moved(entry) for key, entry in quantities(scenario) if key not in plan.inputs}
        assert unread
        assert built(scenario, variant.name, unread) == before  # none of all the others, changed at once, matters
        tried = {key: entry.value for key, entry in plan.inputs.items() if again or key not in seen}
        assert [key for key, value in tried.items() if not changes(scenario, variant.name, key, value, before)] == []
        seen |= set(plan.inputs)


@pytest.mark.parametrize("name", every_third(0))
def test_an_entry_changes_the_plan_if_and_only_if_it_is_an_input(name):
    check_inputs(load_scenario(name), again=False)


@pytest.mark.deep
@pytest.mark.parametrize("name", NAMES)
def test_so_it_does_in_every_variant(name):
    check_inputs(load_scenario(name), again=True)


def test_the_entries_that_lists_by_hand_had_forgotten_are_inputs():
    scenario = load_scenario("virtio-net-xdp1-tap")
    inputs = build_plan(scenario, scenario.access[0].name, 64).inputs
    assert {"driver.pktgen_cost", "driver.byte_cost", "memory.other_pages"} <= set(inputs)
    assert list(inputs) == [key for key, _ in quantities(scenario) if key in inputs]  # in the order of the tables


def test_what_only_the_set_up_costs_is_told_apart():
    scenario = load_scenario("virtio-user-xdp1-tap")
    plan = build_plan(scenario, "vmap", 64)
    assert {"cpu.primitives.vmap_fixed", "cpu.primitives.vmap_page"} <= plan.ledger.only_for_setup() <= set(plan.inputs)
    assert "cpu.core_ghz" not in plan.ledger.only_for_setup()  # cycles per packet become time too


def test_a_plan_is_kept_for_the_scenario_that_it_was_built_of():
    scenario = load_scenario(NAMES[0])
    access, size = scenario.access[0].name, scenario.traffic.sizes[0]
    plan = build_plan(scenario, access, size)
    assert build_plan(scenario, access, size) is plan
    assert build_plan(scenario, access, size, apart=True) is not plan
    assert build_plan(load_scenario(NAMES[0]), access, size) is not plan, "another one, even if it says the same"


def test_a_plan_is_built_anew_where_somebody_notes_what_is_read_or_puts_other_values_in():
    scenario = load_scenario(NAMES[0])
    access, size = scenario.access[0].name, scenario.traffic.sizes[0]
    plan = build_plan(scenario, access, size)
    with noting_reads():
        assert build_plan(scenario, access, size) is not plan
    with tracing():
        assert build_plan(scenario, access, size) is not plan
    assert build_plan(scenario, access, size) is plan
