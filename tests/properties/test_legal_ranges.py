"""Every entry may take every number that its unit has, the ends included: a plan, or one line that says why not."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.config import ConfigError, load_scenario
from sim.config.loading import paths
from sim.config.tables.quantity import BOUNDS
from sim.costs.audit import quantities
from sim.datapath import build_plan
from sim.study.runs.case import variants_and_sizes

SEED = "virtio-user-xdp1-tap"
SCENARIOS = sorted(paths.names("scenario"))


def units(name):
    """The unit of every entry that the first point of a scenario reads."""
    scenario = load_scenario(name)
    plan = build_plan(scenario, *variants_and_sizes(scenario)[0])
    return {key: entry.unit for key, entry in quantities(scenario) if key in plan.inputs}


def ends(unit):
    """The ends of what a unit has, the next numbers inside them, and the smallest of all."""
    least, most = BOUNDS[unit]
    inside = (math.nextafter(least, most), math.nextafter(most, least), math.sqrt(most))
    return (least, most, *inside, *((1e-300, 1e-4, 0.5) if least == 0 else ()))


def built(name, key, value):
    """The plan of the first point with a value, None where it is refused; every cost of it is a number."""
    try:
        scenario = load_scenario(name, settings={key: value})
        plan = build_plan(scenario, *variants_and_sizes(scenario)[0])
    except ConfigError:
        return None
    assert all(0 <= row.cost_ps < 2**62 for row in plan.rows), (key, value)
    return plan


@st.composite
def entries(draw):
    name = draw(st.sampled_from(SCENARIOS))
    key, unit = draw(st.sampled_from(sorted(units(name).items())))
    least, most = BOUNDS[unit]
    return name, key, draw(st.sampled_from(ends(unit)) | st.floats(least, most))


@settings(max_examples=60, deadline=None)
@given(entries())
def test_an_entry_takes_any_number_of_its_unit(entry):
    built(*entry)


@pytest.mark.deep
@pytest.mark.parametrize("name", SCENARIOS)
def test_every_entry_of_every_scenario_takes_the_ends_of_its_unit(name):
    refused = [(key, value) for key, unit in units(name).items() for value in ends(unit) if not built(name, key, value)]
    taken = {key for key, _ in units(name).items()} - {key for key, _ in refused}
    assert taken


@pytest.mark.parametrize("value", [0, 1e-4])
def test_a_line_that_moves_in_no_time_costs_nothing(value):
    plan = built(SEED, "cpu.primitives.line_transfer", value)
    assert plan.latencies.transfer_ps == 0


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("cpu.store_buffer=0.5", "cpu: store_buffer: a store waits in an entry, so that there is at least 1"),
        (
            "kernel.behaviour.page_frag_bytes=1",
            "kernel.behaviour.page_frag_bytes: a frame of 64 bytes takes 832 bytes of a page fragment (got 1)",
        ),
        ("virtqueue={iotlb: true, iotlb_updates_per_second: 1.0e-300}", "0 (none), or at least 0.001 (got 1e-300)"),
        ("virtqueue={iotlb: true, iotlb_misses_per_second: 1.0e-4}", "0 (none), or at least 0.001 (got 0.0001)"),
        ("memory.invalidations_per_second=1.0e-300", "0 (none), or at least 0.001 (got 1e-300)"),
        (
            "placement={preempted_us: 1.0e-12, preempted_every_us: 1.0e-11}",
            "preempted_every_us: 0 (never), or at least 1",
        ),
        ("placement={preempted_us: 9.95, preempted_every_us: 10}", "leaves nothing to the worker"),
        ("backend={kind: tap-bridge, line_gbps: 1.0e-300}", "greater than or equal to 0.001"),
    ],
)
def test_a_number_that_no_machine_works_with_is_refused(assignment, said):
    with pytest.raises(ConfigError) as refused:
        build_plan(load_scenario(SEED, overrides=[assignment]), "copy_user", 64)
    assert said in str(refused.value)


def test_a_burst_that_does_not_fit_the_ring_is_said():
    plan = build_plan(load_scenario(SEED, overrides=["driver.burst=30000"]), "copy_user", 64)
    assert plan.notes == ("driver.burst: 30000 packets do not fit a ring of 256: an index write publishes fewer",)
    assert build_plan(load_scenario(SEED, overrides=["driver.burst=256"]), "copy_user", 64).notes == ()


@pytest.mark.parametrize("name", ["l1_hit", "l3_hit", "line_transfer", "line_stream", "clean_line", "stac", "lfence"])
def test_a_cpu_that_lacks_a_cost_is_refused_with_its_name(name):
    """Whatever looks it up: a row, a cache line, a copy."""
    scenario = load_scenario(SEED)
    left = {other: entry for other, entry in scenario.cpu.primitives.items() if other != name}
    lacking = scenario.model_copy(update={"cpu": scenario.cpu.model_copy(update={"primitives": left})})
    with pytest.raises(ConfigError, match=f"no cost for primitive '{name}'; an unknown cost is an error"):
        build_plan(lacking, "copy_user", 1024)


def test_a_cpu_that_lacks_what_nothing_reads_is_enough():
    scenario = load_scenario(SEED)
    left = {name: entry for name, entry in scenario.cpu.primitives.items() if name != "memory_remote"}
    enough = scenario.model_copy(update={"cpu": scenario.cpu.model_copy(update={"primitives": left})})
    assert build_plan(enough, "copy_user", 64) == build_plan(scenario, "copy_user", 64)
