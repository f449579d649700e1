"""How sure a break-even is: places of the range in common draws, shares of them, and where the target crosses."""

from __future__ import annotations

import numpy as np
import pytest

import sim
from sim.config import ConfigError
from sim.study.runs.case import sides_of
from sim.study.sensitivity.breakeven import Crossing, Target, breakeven
from sim.study.sensitivity.drawn_breakeven import _crossings, _single, drawn_breakeven
from sim.study.uncertainty.uncertainty import uncertainty

KEY = "cpu.primitives.stac"
SHORT = ["run.packets=3000", "run.precision=0", "traffic.packet_bytes=64", "access=copy_user,vmap"]


def load(*overrides):
    return sim.load_scenario("virtio-user-xdp1-tap", overrides=[*SHORT, "calibration=null", *overrides])


def varied(value):
    return load(f"{KEY}={value!r}")


@pytest.fixture(scope="module")
def gain():
    return breakeven(varied, load(), KEY, Target.parse("gain>=20%"), low=5, high=60)


@pytest.fixture(scope="module")
def drawn(gain):
    return drawn_breakeven(gain, varied, load(), 20)


def test_the_scenario_as_it_is_has_the_interval_of_its_answer(drawn):
    (answer,) = uncertainty(sides_of(load()), 20, 1).gains
    for ends, known in (
        (drawn.as_it_is.measured, answer.gain_percent),
        (drawn.as_it_is.of_parameters, answer.gain_percent_of_parameters),
    ):
        assert (ends.value, ends.low, ends.high) == pytest.approx((known.value, known.low, known.high))


def test_a_place_has_the_interval_of_the_scenario_with_that_value(drawn):
    (answer,) = uncertainty(sides_of(varied(drawn.places[-1].value)), 20, 1).gains
    known, ends = answer.gain_percent_of_parameters, drawn.places[-1].of_parameters
    assert (ends.value, ends.low, ends.high) == pytest.approx((known.value, known.low, known.high))
    assert [place.value for place in drawn.places] == pytest.approx([5, 18.75, 32.5, 46.25, 60], abs=2)


def test_the_crossing_lies_around_the_answer_and_shares_add_up(gain, drawn):
    assert drawn.crossing.value == drawn.crossing_of_parameters.value == gain.crossings[0].value
    assert drawn.crossing.low < drawn.crossing.value < drawn.crossing.high
    assert drawn.crosses + drawn.always + drawn.never == pytest.approx(1)
    assert drawn.places[0].met < drawn.places[-1].met
    said = drawn.sentence(gain.unit)
    assert said.startswith(
        f"As it is, the target is met in {drawn.as_it_is.met:.0%} of 20 draws; over the range it crosses"
    )
    assert f"{drawn.crossing.value:.5g} cycles [" in said


def test_a_draw_crosses_on_the_line_between_two_places():
    # 0 and 10 at places 0 and 4: 5 is met from 2 on. The second draw always meets, the third never.
    answers = np.array([[0.0, 6.0, 0.0], [10.0, 7.0, 1.0]])
    assert _crossings(Target.parse("pps>=5"), [0.0, 4.0], answers) == [[2.0], [], []]
    assert _crossings(Target.parse("pps<=5"), [0.0, 4.0], answers) == [[2.0], [], []]


def test_there_is_an_interval_only_where_answer_and_draws_cross_once(gain):
    once = gain.crossings
    assert len(once) == 1
    assert _single(gain, [[], [1.0, 2.0]]) is None
    assert _single(gain, [[3.0], [1.0, 2.0], [5.0]]).low == 3.0
    twice = type(gain)(**{**gain.__dict__, "crossings": (*once, Crossing(50.0, begins=False))})
    assert _single(twice, [[3.0]]) is None


@pytest.mark.parametrize("target", ["pps>=5e6", "ns_per_packet<=200", "saved_ns>=30"])
def test_every_quantity_is_drawn(target):
    result = breakeven(varied, load(), KEY, Target.parse(target), low=5, high=60, tolerance=1)
    places = drawn_breakeven(result, varied, load(), 2)
    assert places.places[0].measured.value == pytest.approx(result.looks[0][1])
    assert places.crossing is None or result.crossings


def test_a_key_of_whole_numbers_takes_whole_numbers():
    def size(value):
        assert isinstance(value, int)
        return load(f"driver.burst={value!r}")

    result = breakeven(size, load(), "driver.burst", Target.parse("pps>=1e6"), low=16, high=32)
    looks = [value for value, _ in result.looks]
    quarters = [looks[round(share * (len(looks) - 1))] for share in (0, 0.25, 0.5, 0.75, 1)]
    assert [place.value for place in drawn_breakeven(result, size, load(), 1).places] == quarters


def test_no_draws_are_refused(gain):
    with pytest.raises(ConfigError, match="draws: at least 1 draw is needed"):
        drawn_breakeven(gain, varied, load(), 0)
