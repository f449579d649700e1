"""Gains under other settings: each is the gain of that scenario, and what is measured gets narrower."""

from __future__ import annotations

import pytest

import sim
from sim.config import ConfigError
from sim.study.review.alternatives import alternatives, answers, as_measured
from sim.study.runs.case import sides_of
from sim.study.uncertainty.uncertainty import uncertainty

SEED, PAIR = "virtio-user-xdp1-tap", ("copy_user", "vmap")
SHORT = {"traffic.packet_bytes": 64, "run.packets": 20000}


def load(**settings):
    return sim.load_scenario(SEED, settings={**SHORT, "access": list(PAIR), **settings})


def test_each_change_is_asked_in_the_scenario_that_it_makes():
    found = alternatives(SEED, PAIR, {"as it is": SHORT, "SMAP off": {**SHORT, "mitigations.smap": False}}, 5)
    for one, smap in zip(found, (True, False), strict=True):
        compared = sim.compare(load(**{"mitigations.smap": smap})).differences[0]
        assert one.gain.gain_percent.value == pytest.approx(compared.gain_percent)
        assert one.before_pps.value == compared.before.pps
        assert one.after_pps.value == compared.after.pps
    assert [one.name for one in found] == ["as it is", "SMAP off"]


def test_the_first_size_is_taken():
    sizes = {"traffic.packet_bytes": [1518, 64], "run.packets": 4000}
    (one,) = alternatives(SEED, PAIR, {"x": sizes}, 1)
    assert one.gain.packet_bytes == 1518


def test_answers_are_the_gains_of_an_uncertainty_in_their_order():
    sure = uncertainty(sides_of(load(access=["copy_user", "vmap", "ideal"])), 5, 1)
    found = answers(sure)
    assert [one.name for one in found] == ["vmap", "ideal"]
    assert [one.gain for one in found] == list(sure.gains)
    assert all(one.before_pps == sure.rates[0].pps for one in found)
    assert found[1].after_pps == sure.rates[2].pps


def test_a_setting_that_is_refused_says_so():
    with pytest.raises(ConfigError, match=r"unknown key 'mitigations\.smep'"):
        alternatives(SEED, PAIR, {"x": {"mitigations.smep": False}}, 1)


def test_what_is_measured_is_known_to_a_share_of_its_value():
    scenario = load(calibration=None)
    known = scenario.cpu.primitives["lfence"]
    settings = as_measured(scenario, ["cpu.primitives.lfence"], 0.05)
    measured = load(calibration=None, **settings).cpu.primitives["lfence"]
    assert (measured.low, measured.value, measured.high) == (0.95 * known.value, known.value, 1.05 * known.value)


def test_no_range_gets_wider_by_measuring():
    scenario = load(calibration=None)
    known = scenario.cpu.primitives["lfence"]
    (settings,) = as_measured(scenario, ["cpu.primitives.lfence"], 100.0).values()
    assert (settings["low"], settings["high"]) == (known.low, known.high)


def test_a_measurement_narrows_the_gain():
    scenario = load(calibration=None)
    toggles = ["cpu.primitives.stac", "cpu.primitives.clac", "cpu.cpi", "cpu.overlap", "cpu.payload_exposed"]
    tables = {**SHORT, "calibration": None}
    before, after = alternatives(
        SEED, PAIR, {"before": tables, "after": {**tables, **as_measured(scenario, toggles, 0.05)}}, 40
    )
    ranges = [answer.gain.gain_percent_of_parameters for answer in (before, after)]
    width = [interval.high - interval.low for interval in ranges]
    assert width[1] < 0.8 * width[0]
    assert before.gain.gain_percent.value == after.gain.gain_percent.value


def test_only_table_entries_can_be_measured():
    with pytest.raises(ConfigError, match=r"'driver\.burst' is not a table entry with a range"):
        as_measured(load(), ["driver.burst"], 0.05)
