"""How sure a capacity is: the known one is its value, and each draw is a search of its own."""

from __future__ import annotations

from dataclasses import replace

import pytest

import sim
from sim.config import ConfigError
from sim.study.questions.capacity import carried_near
from sim.study.runs.case import sides_of, with_values
from sim.study.uncertainty.capacities import capacity_uncertainty
from sim.study.uncertainty.distributions import draws_of

COARSE = 0.1
SHORT = ["run.packets=3000", "traffic.packet_bytes=64"]


def load(*overrides, access="vmap"):
    return sim.load_scenario("virtio-user-xdp1-tap", overrides=[*SHORT, f"access={access}", *overrides])


@pytest.fixture(scope="module")
def pair():
    return sim.capacity(load(access="copy_user,vmap"), COARSE, loss=0.1)


def test_the_value_is_the_capacity_and_the_gain_that_of_capacities(pair):
    sure = capacity_uncertainty(pair, COARSE, 2)
    assert [rate.pps.value for rate in sure.rates] == [result.pps for result in pair.results]
    before, after = (result.pps for result in pair.results)
    (gain,) = sure.gains
    assert gain.gain_percent.value == pytest.approx(100 * (after / before - 1))
    for rate in sure.rates:
        assert rate.pps_of_parameters.low <= rate.pps_of_parameters.high


def test_with_a_loss_it_is_about_the_rate_with_that_loss(pair):
    sure = capacity_uncertainty(pair, COARSE, 1, with_loss=True)
    assert [rate.pps.value for rate in sure.rates] == [result.with_loss.pps for result in pair.results]


def test_a_draw_is_a_search_with_its_values():
    scenario = load("calibration=null", "cpu=sapphire-rapids")
    sure = capacity_uncertainty(sim.capacity(scenario, COARSE), COARSE, 1)
    drawn = draws_of([side.case for side in sides_of(scenario)], 1, 1)
    (searched,) = sim.capacity(with_values(scenario, drawn.row(0)), COARSE).results
    assert sure.rates[0].pps_of_parameters.low == pytest.approx(searched.pps, rel=COARSE)
    assert sure.rates[0].pps_of_parameters.low != sure.rates[0].pps.value


@pytest.mark.parametrize("share", [0.2, 0.9, 1.5])
@pytest.mark.parametrize("load_text", ["{kind: constant}", "{kind: on-off, on_us: 100, off_us: 300}"])
def test_a_search_ends_at_the_same_rate_wherever_it_begins(share, load_text):
    scenario = load(f"traffic.load={load_text[:-1]}, pps: 1e+6}}")
    (known,) = sim.capacity(scenario, COARSE).results
    assert carried_near(scenario, share, COARSE) == pytest.approx(known.pps, rel=COARSE)


def test_where_every_rate_loses_nothing_is_drawn(pair):
    lost = [replace(result, without_loss=replace(result.without_loss, pps=0.0)) for result in pair.results]
    with pytest.raises(ConfigError, match=r"every rate loses packets, .*: copy_user at 64 B"):
        capacity_uncertainty(replace(pair, results=tuple(lost)), COARSE, 1)


def test_a_loss_that_was_not_searched_is_refused():
    with pytest.raises(ConfigError, match="no loss is allowed in this search"):
        capacity_uncertainty(sim.capacity(load(), COARSE), COARSE, 1, with_loss=True)
