"""The short answers of a review: each from the review's own numbers, in words that hold for gains, losses and none."""

from __future__ import annotations

from dataclasses import replace

import pytest

import sim
from sim.study.answers import answers
from sim.study.review import review
from sim.study.sensitivity import Index

SEED = "virtio-user-xdp1-tap"
SHORT = ["run.packets=3000", "run.precision=0", "traffic.packet_bytes=64,1518"]


@pytest.fixture(scope="module")
def seed():
    return review(sim.load_scenario(SEED, overrides=[*SHORT, "access=copy_user,vmap"]), 20)


def swung(found, low, high, nominal=10.0):
    index = Index("cpu.cpi", {"low": low, "high": high, "swing": abs(high - low)}, {})
    tornado = replace(found.tornado, nominal=nominal, indices=(index,))
    return answers(replace(found, tornado=tornado))["What would change it"]


def test_the_six_questions_are_answered_in_the_order_of_a_review(seed):
    assert list(seed.answers()) == [
        "What", "How much", "How sure", "Why", "What would change it", "What to measure next",
    ]  # fmt: skip


def test_how_much_names_both_rates_the_gain_and_that_of_the_largest_packet(seed):
    before, after = (seed.result.at(name, 64).pps / 1e6 for name in ("copy_user", "vmap"))
    said = seed.answers()["How much"]
    assert said.startswith(f"{before:.2f} [")
    assert f" to {after:.2f} [" in said
    assert f"{100 * (after / before - 1):+.1f} % [" in said
    assert f"{1e3 / before - 1e3 / after:+.1f} ns [" in said
    assert said.endswith(" at 1518 B")


def test_the_parts_of_why_are_those_of_the_comparison_with_stac_and_clac_as_one(seed):
    difference = seed.comparisons[0].differences[0]
    pair = difference.made_up_of["stac"] + difference.made_up_of["clac"]
    assert f"stac + clac {pair:+.1f} ns ({pair / difference.saved_ns:.0%})" in seed.answers()["Why"]
    assert f"of the {difference.saved_ns:+.1f} ns: " in seed.answers()["Why"]


def test_rates_that_were_fitted_are_not_called_predictions(seed):
    said = seed.answers()["How sure"]
    assert "These rates are met and not predicted: calibration seed-two-rates was fitted to seed-vmap/A1 before" in said
    predicted = [replace(one, used=one.access == "copy_user") for one in seed.published]
    said = answers(replace(seed, published=tuple(predicted)))["How sure"]
    assert "For vmap 6.10 Mpps were published (seed-vmap/A1 after), " in said
    assert "not used by the calibration" in said
    said = answers(replace(seed, published=()))["How sure"]
    assert "Nothing was published for exactly this configuration" in said


def test_what_would_change_it_says_whether_an_input_turns_the_sign(seed):
    assert swung(seed, 5.0, 15.0) == (
        "most of all cpu.cpi: 5.0 % at one end of its range, 15.0 % at the other. "
        "No input alone, at either end of its range, turns the sign"
    )
    assert swung(seed, -1.0, 15.0).endswith("Alone at an end of its range each of these turns the sign: cpu.cpi")
    assert swung(seed, -15.0, 1.0, nominal=-10.0).endswith("turns the sign: cpu.cpi")
    assert swung(seed, -15.0, -1.0, nominal=-10.0).endswith("turns the sign")
    assert swung(seed, 10.0, 10.0) == "no input that it depends on moves it, at either end of its range"


def test_one_variant_has_a_rate_and_shares_of_its_cycles():
    found = review(sim.load_scenario(SEED, overrides=[*SHORT, "access=vmap"]), 5)
    said = found.answers()
    rate = found.sure.rates[0].pps
    assert said["What"].startswith("the rate of vmap (")
    assert said["How much"] == (f"{rate.value / 1e6:.2f} [{rate.low / 1e6:.2f}, {rate.high / 1e6:.2f}] Mpps at 64 B")
    point = found.result.points[0]
    share = point.breakdown_cycles["instruction"] / point.cycles_per_packet
    assert said["Why"].startswith(f"of its cycles: instruction {share:.0%}, ")
    assert " Mpps at one end of its range" in said["What would change it"]


def test_no_difference_has_no_reason():
    overrides = [*SHORT, "virtqueue.iotlb=true", "access=copy_user,vmap"]
    found = review(sim.load_scenario(SEED, overrides=overrides), 5)
    assert found.answers()["Why"] == "nothing that it executes less or more shows in the rate"
    assert found.answers()["How sure"].startswith("No difference that the runs resolve")
