"""Intervals of rates and gains: common draws, sentences for odd cases, what makes an answer wide."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import sim
from sim.config import ConfigError
from sim.config.loading.load import load_table
from sim.study.runs.case import sides_of, with_values
from sim.study.uncertainty.distributions import draws_of, used_entries
from sim.study.uncertainty.uncertainty import uncertainty

SEED = "virtio-user-xdp1-tap"


def load(*overrides):
    return sim.load_scenario(SEED, overrides=["access=copy_user,vmap", "traffic.packet_bytes=64", *overrides])


@pytest.fixture(scope="module")
def prior():
    return uncertainty(sides_of(load("calibration=null", "cpu.features.smap_waits_for_loads=true")), 200, 1)


@pytest.fixture(scope="module")
def fitted():
    return uncertainty(sides_of(load()), 100, 1)


def test_the_value_is_the_run_with_the_tables_as_they_are(fitted):
    result = sim.run(load())
    for rate in fitted.rates:
        assert rate.pps.value == result.at(rate.access, 64).pps
        assert rate.pps.low < rate.pps.value < rate.pps.high
    (gain,) = fitted.gains
    assert gain.gain_percent.value == pytest.approx(sim.compare(load()).differences[0].gain_percent)


def test_a_draw_is_a_run_with_its_values():
    scenario = load("calibration=null")
    sides = sides_of(scenario)
    drawn = draws_of([side.case for side in sides], 1, 1)
    found = uncertainty(sides, 1, 1)
    result = sim.run(with_values(scenario, drawn.row(0)))
    assert [rate.pps_of_parameters.low for rate in found.rates] == [point.pps for point in result.points]
    assert "1 draw: no interval of the parameters, their ends are that draw" in found.notes
    assert found.gains[0].sentence(1) == "1 draw says nothing of the sign"


def test_common_draws_make_the_difference_surer_than_the_rates(prior):
    before, after = (rate.pps_of_parameters for rate in prior.rates)
    (gain,) = prior.gains
    apart = 1e9 / before.low - 1e9 / after.low, 1e9 / before.high - 1e9 / after.high
    independent = np.hypot(1e9 / before.low - 1e9 / before.high, 1e9 / after.low - 1e9 / after.high)
    assert gain.saved_ns_of_parameters.high - gain.saved_ns_of_parameters.low < 0.5 * independent
    assert min(apart) < gain.saved_ns.value < max(apart)


def test_a_calibration_narrows_what_it_was_fitted_to(prior, fitted):
    for wide, narrow in zip(prior.rates, fitted.rates, strict=True):
        parts = [rate.pps_of_parameters for rate in (narrow, wide)]
        assert parts[0].high - parts[0].low < 0.4 * (parts[1].high - parts[1].low)
        assert narrow.pps.high - narrow.pps.low < 0.6 * (wide.pps.high - wide.pps.low)
    before = fitted.rates[0]
    assert 4.8e6 < before.pps_of_parameters.low < 5e6 < before.pps_of_parameters.high < 5.25e6


def test_a_measurement_may_lie_further_off_than_the_parameters_alone(prior, fitted):
    for sure in (prior, fitted):
        for rate in sure.rates:
            assert rate.pps.low < rate.pps_of_parameters.low < rate.pps_of_parameters.high < rate.pps.high
    (gain,) = fitted.gains
    assert gain.gain_percent.low < gain.gain_percent_of_parameters.low
    assert gain.gain_percent_of_parameters.high < gain.gain_percent.high
    assert gain.path == "executed"


def test_the_sign_of_the_seeds_gain_is_certain(fitted):
    (gain,) = fitted.gains
    assert gain.certain
    assert gain.sentence(fitted.draws) == "the sign is certain: all of 100 draws have it"


def test_a_switch_that_is_an_inference_is_drawn_and_the_interval_holds_its_other_state():
    scenario = load("cpu=sapphire-rapids", "kernel=v6.12")
    drawn = draws_of([side.case for side in sides_of(scenario)], 100, 1)
    assert drawn.switches == ("cpu.features.smap_waits_for_loads",)
    assert list(drawn.columns[drawn.switches[0]]).count(0.0) == 25
    sure = uncertainty(sides_of(scenario), 100, 1)
    turned = sim.compare(load("cpu=sapphire-rapids", "kernel=v6.12", "cpu.features.smap_waits_for_loads=false"))
    (gain,) = sure.gains
    assert gain.gain_percent.low < turned.differences[0].gain_percent < gain.gain_percent.high


def test_a_switch_is_not_drawn_where_it_is_settled_and_where_values_were_fitted_with_it():
    for overrides in (
        ["cpu=granite-rapids"],
        ["cpu=sapphire-rapids", "cpu.features.smap_waits_for_loads=true"],
        [],  # the calibration's own CPU
    ):
        drawn = draws_of([side.case for side in sides_of(load(*overrides))], 4, 1)
        assert drawn.switches == ()
    assert draws_of([side.case for side in sides_of(load("calibration=null"))], 4, 1).switches


def test_a_sign_that_is_not_certain_is_said_so():
    # Cheap toggles on Zen 5: with a slow driver, which some draws have, it is the driver that bounds both.
    scenario = load("calibration=null", "kernel=v7.3", "cpu=zen5")
    (gain,) = uncertainty(sides_of(scenario), 40, 1).gains
    assert not gain.certain
    assert gain.sentence(40).startswith("the sign is not certain: ")
    assert 0.5 < gain.same_sign < 1
    nearly = replace(gain, same_sign=799 / 800)
    assert nearly.sentence(800) == "the sign is not certain: over 99% of 800 draws have it"


def test_no_error_of_model_and_rig_lifts_a_rate_above_a_full_link():
    settings = ["access=copy_user,vmap", "traffic.packet_bytes=1500", "run.packets=3000", "run.precision=0"]
    scenario = sim.load_scenario("virtio-user-xdp-redirect", overrides=settings)
    found = uncertainty(sides_of(scenario), 20, 1)
    full = 10e9 / 8 / (1500 + 24)  # packets/s of 10 GbE
    for rate in found.rates:
        assert rate.pps.low < rate.pps.value
        assert rate.pps.high == pytest.approx(full, rel=0.01)
    assert found.gains[0].gain_percent.high < 15  # and 26 if a measurement could lie above the link


def test_a_seed_gives_the_same_and_0_is_a_seed():
    first, again, other = (uncertainty(sides_of(load()), 5, seed) for seed in (0, 0, 1))
    assert first == again
    assert first.rates != other.rates
    assert "5 draws: too few for quantiles, the ends of the parameters are the lowest and highest draw" in first.notes


def test_what_has_no_range_gives_the_same_in_every_draw():
    scenario = load("calibration=null", "cpu.features.smap_waits_for_loads=true")
    fixed = {
        one.key: one.quantity.model_copy(update={"low": one.quantity.value, "high": one.quantity.value})
        for one in used_entries(scenario)
    }
    settings = {key: quantity.model_dump() for key, quantity in fixed.items()}
    loaded = sim.load_scenario(
        SEED,
        overrides=["cpu.features.smap_waits_for_loads=true"],
        settings={"calibration": None, "access": ["copy_user", "vmap"], "traffic.packet_bytes": 64, **settings},
    )
    found = uncertainty(sides_of(loaded), 25, 1)
    assert "no entry that the answer depends on has a range: every draw gives the same" in found.notes
    for rate in found.rates:
        assert rate.pps_of_parameters.low == rate.pps.value == rate.pps_of_parameters.high
    assert found.widest == {}


def test_what_makes_it_wide_adds_up(prior):
    assert {"cpu.primitives.stac + clac", "cpu.cpi"} <= set(list(prior.widest)[:3])
    assert 0.9 < prior.explained <= 1.001
    assert sum(prior.widest.values()) <= prior.explained + 0.05


def test_fitted_values_are_drawn_together_and_only_while_they_are_the_fitted_ones():
    calibration = load_table("calibration", "seed-two-rates")
    keys = {one.key for one in calibration.parameters}
    cases = [side.case for side in sides_of(load())]
    drawn = draws_of(cases, 64, 1)
    assert set(drawn.fitted) == keys
    rows = {tuple(row) for row in calibration.sample()}
    for number in range(64):
        assert tuple(drawn.row(number)[one.key] for one in calibration.parameters) in rows
    mine = draws_of([side.case for side in sides_of(load("cpu.primitives.lfence=9"))], 8, 1)
    assert "cpu.primitives.lfence" not in mine.columns  # set by the user: it has no range any more
    zen4 = draws_of([side.case for side in sides_of(load("cpu=zen4"))], 8, 1)
    assert set(zen4.fitted) == {"kernel.work_scale", "backend.program_instructions"}


def test_a_difference_below_what_runs_resolve_has_no_sign():
    # Without SMAP and lfence the mapping saves next to nothing.
    scenario = load("calibration=null", "mitigations.smap=false", "mitigations.spectre_v1=false")
    (gain,) = uncertainty(sides_of(scenario), 5, 1).gains
    assert gain.resolution_ns == pytest.approx(0.002 * 1e9 / sim.run(scenario).points[1].pps)
    assert gain.sentence(5) == "no difference that the runs resolve (0.3 ns)"
    assert replace(gain, resolution_ns=12.7).sentence(5) == "no difference that the runs resolve (10 ns)"
    assert not gain.certain


@pytest.mark.parametrize("draws", [0, -3])
def test_no_draws_is_refused(draws):
    with pytest.raises(ConfigError, match="draws: at least 1 draw is needed"):
        uncertainty(sides_of(load()), draws, 1)


def test_rows_of_draws_are_the_columns_the_other_way_round():
    (first, *_) = sides_of(sim.load_scenario("virtio-user-xdp1-tap"))
    drawn = draws_of([first.case], 5, 1)
    rows = drawn.rows(range(1, 5, 2))
    assert rows == [{key: column[number].item() for key, column in drawn.columns.items()} for number in (1, 3)]
    assert drawn.row(3) == rows[1]
    assert replace(drawn, columns={}).rows(range(3)) == [{}, {}, {}]
    with pytest.raises(IndexError):
        drawn.rows(range(6))
