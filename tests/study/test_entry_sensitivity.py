"""The sensitivity of a scenario without a study: every entry that it reads is an input."""

from __future__ import annotations

import numpy as np
import pytest

from sim.config import load_scenario
from sim.study.runs.case import gain_percent, sides_of, with_values
from sim.study.runs.pool import run_cases
from sim.study.sensitivity.entries import asked_of, runs_of, sensitivity_of, sides_asked
from sim.study.sensitivity.tornado import moving_together, swing_entries

SHORT = ["run.packets=2000", "run.precision=0", "traffic.packet_bytes=64,1518"]


@pytest.fixture(scope="module")
def scenario():
    return load_scenario("virtio-user-xdp1-tap", overrides=[*SHORT, "access=copy_user,vmap,ideal"])


@pytest.fixture(scope="module")
def screened(scenario):
    return sensitivity_of(scenario, "morris", samples=3, seed=0)


def inputs(scenario):
    together = moving_together(side.case for side in sides_asked(scenario))
    return len({key.replace("clac", "stac") for key in together})


def test_two_variants_at_the_first_size_are_looked_at(scenario):
    assert [(access, size) for _, access, size in asked_of(scenario)] == [("copy_user", 64), ("vmap", 64)]


def test_a_mix_is_one_size():
    mixed = load_scenario("virtio-user-xdp1-tap", overrides=["traffic.mix=imix", "access=vmap"])
    assert [(access, size) for _, access, size in asked_of(mixed)] == [("vmap", mixed.traffic.sizes[0])]


def test_the_tornado_is_the_one_of_the_page(scenario):
    assert sensitivity_of(scenario, "tornado") == swing_entries(sides_asked(scenario))


def test_the_answer_is_the_gain_of_the_second_variant(scenario, screened):
    first, second = run_cases([side.case for side in sides_asked(scenario)])
    assert (screened.output, screened.unit) == ("gain", "%")
    assert screened.nominal == pytest.approx(gain_percent(first, second), rel=1e-12)


def test_every_entry_that_is_read_is_an_input_and_toggles_are_one(scenario, screened):
    keys = {index.key for index in screened.indices}
    assert keys == {index.key for index in swing_entries(sides_asked(scenario)).indices}
    assert "cpu.primitives.stac + clac" in keys
    assert len(keys) == inputs(scenario)


def test_runs_are_trajectories_times_inputs_and_one_of_both_sides(scenario, screened):
    assert screened.runs == 2 * (1 + 3 * (inputs(scenario) + 1))
    assert runs_of(scenario, "morris", 3) >= screened.runs


def test_a_seed_gives_the_same_and_0_is_a_seed(scenario, screened):
    assert sensitivity_of(scenario, "morris", samples=3, seed=0) == screened
    assert sensitivity_of(scenario, "morris", samples=3, seed=1) != screened


def test_a_rate_of_one_variant_that_falls_with_a_cost_has_a_negative_effect():
    alone = load_scenario("virtio-user-xdp1-tap", overrides=[*SHORT, "access=vmap"])
    found = {index.key: index.values for index in sensitivity_of(alone, "morris", samples=3).indices}
    (side,) = sides_of(alone.model_copy(update={"traffic": alone.traffic.model_copy(update={"packet_bytes": [64]})}))
    low, high = (alone.cpu.cpi.low, alone.cpu.cpi.high)
    ends = [with_values(side.case.scenario, {"cpu.cpi": value}) for value in (low, high)]
    at_ends = run_cases([type(side.case)(end) for end in ends])
    assert np.diff(at_ends) < 0
    assert found["cpu.cpi"]["mu"] == -found["cpu.cpi"]["mu_star"] < 0


def test_sobol_ranks_by_what_is_together(scenario):
    found = sensitivity_of(scenario, "sobol", samples=8)
    totals = [index.values["ST"] for index in found.indices]
    assert totals == sorted(totals, reverse=True)
    assert found.runs == 2 * (1 + 8 * (inputs(scenario) + 2))
    assert any(line.startswith("measure this next: ") for line in found.findings)
