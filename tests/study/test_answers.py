"""The short answers of a review: each from the review's own numbers, in words that hold for gains, losses and none."""

from __future__ import annotations

from dataclasses import replace

import pytest

import sim
from sim.study.review.ask import review
from sim.study.review.review import answers
from sim.study.sensitivity.tornado import Index

SEED = "virtio-user-xdp1-tap"
SHORT = ["run.packets=3000", "run.precision=0", "traffic.packet_bytes=64,1518"]


@pytest.fixture(scope="module")
def seed(plain_review):
    return plain_review


def swung(found, low, high, nominal=10.0):
    index = Index("cpu.cpi", {"low": low, "high": high, "swing": abs(high - low)}, {})
    tornado = replace(found.tornado, nominal=nominal, indices=(index,))
    return answers(replace(found, tornado=tornado, switches=()))["What would change it"]


def test_the_seven_questions_are_answered_in_the_order_of_a_review(seed):
    assert list(seed.answers()) == [
        "What",
        "How much",
        "What bounds it",
        "How sure",
        "Why",
        "What would change it",
        "What to measure next",
    ]


def test_how_much_names_both_rates_the_gain_and_that_of_the_largest_packet(seed):
    before, after = (seed.result.at(name, 64).pps / 1e6 for name in ("copy_user", "vmap"))
    said = seed.answers()["How much"]
    assert said.startswith(f"{before:.2f} [")
    assert f" to {after:.2f} [" in said
    assert f"{100 * (after / before - 1):+.1f} % [" in said
    assert f"{1e3 / before - 1e3 / after:+.1f} ns [" in said
    assert said.endswith(" at 1518 B, a size for which nothing was published")


def test_the_parts_of_why_are_those_of_the_comparison_with_stac_and_clac_as_one(seed):
    difference = seed.comparisons[0].differences[0]
    pair = difference.made_up_of["stac"] + difference.made_up_of["clac"]
    said = seed.answers()["Why"]
    assert said.startswith(f"of the {difference.saved_ns:.1f} ns saved: stac + clac {pair:.1f} (")
    assert f"({pair / difference.saved_ns:.0%})" in said


def test_what_a_loss_is_made_of_is_what_it_costs_more(seed):
    turned = [replace(one, before=one.after, after=one.before) for one in seed.comparisons[0].differences]
    lost = replace(seed.comparisons[0], differences=tuple(turned))
    difference = turned[0]
    pair = difference.made_up_of["stac"] + difference.made_up_of["clac"]
    said = answers(replace(seed, comparisons=(lost,)))["Why"]
    assert said.startswith(f"of the {-difference.saved_ns:.1f} ns lost: stac + clac {-pair:.1f} (")


def test_rates_that_were_fitted_are_not_called_predictions(seed):
    said = seed.answers()["How sure"]
    met = "is met and not predicted: calibration seed-two-rates was fitted to the published"
    assert f"The rate of copy_user {met} 5.00 Mpps (seed-vmap/A1 before)" in said
    assert f"The rate of vmap {met} 6.10 Mpps (seed-vmap/A1 after)" in said
    assert "does not state CPU, clock, packet size, SMAP, " in said
    predicted = [replace(one, used=one.access == "copy_user") for one in seed.published]
    error = seed.result.at("vmap", 64).pps / 6.1e6 - 1
    said = answers(replace(seed, published=tuple(predicted)))["How sure"]
    assert f"The rate of vmap is a prediction, {error:+.1%} from the published 6.10 Mpps" in said
    said = answers(replace(seed, published=()))["How sure"]
    assert "The rate of vmap is a prediction, and none was published to lay beside it" in said
    assert "does not state" not in said


def test_entries_that_a_calibration_moved_are_counted_as_fitted(seed):
    fitted = sum(one.key in seed.priors for one in seed.sources)
    assert fitted > 0
    assert f"{len(seed.sources)} table entries are behind it, each with a range: " in seed.answers()["How sure"]
    assert f"{fitted} fitted" in seed.answers()["How sure"]


def test_what_would_change_it_says_whether_an_input_turns_the_sign(seed):
    assert swung(seed, 5.0, 15.0) == (
        "most of all cpu.cpi: 5.0 % at one end of its range, 15.0 % at the other. "
        "No number alone, at either end of its range, turns the sign"
    )
    assert swung(seed, -1.0, 15.0).endswith("Alone at an end of its range each of these turns the sign: cpu.cpi")
    assert swung(seed, -15.0, 1.0, nominal=-10.0).endswith("turns the sign: cpu.cpi")
    assert swung(seed, -15.0, -1.0, nominal=-10.0).endswith("turns the sign")
    assert swung(seed, 10.0, 10.0) == "no input that it depends on moves it, at either end of its range"


def test_switches_that_move_the_answer_are_named_furthest_first(seed):
    said = seed.answers()["What would change it"]
    first, second = seed.switches[:2]
    assert (first.key, first.is_on) == ("mitigations.smap", True)
    assert f"Switches: {first.answer:.1f} % with mitigations.smap off, {second.answer:.1f} % with {second.key} " in said
    assert "eibrs" not in said  # moves nothing


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
