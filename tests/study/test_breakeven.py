"""Break-even on cases that are solvable by hand, and on the model."""

from __future__ import annotations

import pytest

import sim
from sim.config import ConfigError
from sim.study.sensitivity.breakeven import Target, breakeven, search

SEED = "virtio-user-xdp1-tap"


def line(x):
    """Saved time in ns: 4 ns per cycle of x, less 10."""
    return 4 * x - 10


def find(value_at, low, high, relation=">=", value=6.0, whole=False, tolerance=1e-4):
    return search(value_at, "x", "cycles", Target("saved_ns", relation, value), low, high, tolerance, whole)


def test_a_line_by_hand():
    found = find(line, 0, 10)
    ((crossing),) = found.crossings
    assert crossing.value == pytest.approx(4, abs=1e-3)  # 4 x - 10 = 6
    assert crossing.begins
    assert found.sentence() == "saved_ns >= 6 holds from 4 cycles of x from 0 to 10 cycles"


def test_the_other_relation_ends_where_this_one_begins():
    (crossing,) = find(line, 0, 10, "<").crossings
    assert crossing.value == pytest.approx(4, abs=1e-3)
    assert not crossing.begins


def test_always_and_never_are_said():
    assert find(line, 5, 10).verdict == "always"
    assert find(line, 5, 10).sentence() == "saved_ns >= 6: always, for x from 5 to 10 cycles (it goes from 10 to 30)"
    assert find(line, 0, 3).verdict == "never"
    assert find(line, 0, 3, "<").verdict == "always"


def test_two_crossings_are_both_found():
    found = find(lambda x: 25 - (x - 5) ** 2, 0, 10, value=9.0)
    assert [one.value for one in found.crossings] == pytest.approx([1, 9], abs=1e-3)  # 25 - 16 = 9
    assert [one.begins for one in found.crossings] == [True, False]


def test_a_range_of_one_value():
    assert find(line, 4, 4).verdict == "always"  # exactly 6, and >= is met
    assert find(line, 4, 4, ">").verdict == "never"


def test_whole_numbers_stay_whole_and_the_first_that_meets_is_named():
    asked = []
    found = find(lambda x: asked.append(x) or line(x), 1, 100, value=100.0, whole=True)
    assert all(x == int(x) for x in asked)
    assert [one.value for one in found.crossings] == [28]  # 4 * 27.5 - 10 = 100


def test_values_that_are_refused_are_left_out_by_name():
    def even(x):
        if x % 2:
            raise ConfigError(f"x: {x:g} is odd")
        return line(x)

    found = find(even, 2, 64, value=60.0, whole=True)
    assert all(place % 2 == 0 for place, _ in found.looks)
    assert found.crossings[0].value == 18  # 4 * 17.5 - 10
    assert found.left_out[0].endswith("is odd")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("pps>=30M", 30e6),
        ("pps >= 2.5 G", 2.5e9),
        ("pps<300k", 300e3),
        ("ns_per_packet<=0.2k", 200.0),
        ("gain>=21%", 21.0),
        ("pps>=6e6", 6e6),
    ],
)
def test_a_letter_multiplies_the_number_of_a_target(text, value):
    assert Target.parse(text).value == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pps>=30m", "one of gain, saved_ns, pps, ns_per_packet, a relation and a number are needed, as in pps>=30M"),
        ("gain>=10k", "a gain is given in percent"),
        ("pps>=1e308G", "'1e308' is out of range"),
        ("gain>=10", "a gain is given in percent"),
        ("pps>=5%", "a gain is given in percent"),
        ("speed>=5", "one of gain, saved_ns, pps, ns_per_packet"),
        ("gain=10%", "one of gain"),
        ("pps>=1.2.3", "'1.2.3' is not a number"),
    ],
)
def test_a_target_that_is_none_is_refused(text, said):
    with pytest.raises(ConfigError, match=said.replace("'", ".")):
        Target.parse(text)


def test_the_model_meets_the_target_at_the_value_that_is_found():
    def varied(value):
        return sim.load_scenario(SEED, overrides=[f"cpu.primitives.stac={value!r}", "traffic.packet_bytes=64"])

    target = Target.parse("gain>=21%")
    found = breakeven(varied, varied(15.0), "cpu.primitives.stac", target, low=5, high=40)
    (crossing,) = found.crossings
    gains = [sim.compare(varied(crossing.value + step)).differences[0].gain_percent for step in (-0.5, 0, 0.5)]
    assert gains[0] < 21 < gains[2]
    assert gains[1] == pytest.approx(21, abs=0.05)


def test_a_key_without_a_range_needs_one():
    scenario = sim.load_scenario(SEED)
    with pytest.raises(ConfigError, match=r"has no range of its own; a low and a high end are needed"):
        breakeven(lambda value: scenario, scenario, "virtqueue.size", Target.parse("pps>=1e6"))
