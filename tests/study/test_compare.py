"""`compare`: what is saved, and what makes it up."""

from __future__ import annotations

import pytest

import sim

SEED = "virtio-user-xdp1-tap"


def load(*overrides):
    return sim.load_scenario(SEED, overrides=["traffic.packet_bytes=64,512", "run.packets=6000", *overrides])


@pytest.fixture(scope="module")
def comparison():
    return sim.compare(load())


def test_one_scenario_compares_its_first_two_variants(comparison):
    assert (comparison.before, comparison.after) == ("copy_user", "vmap")
    assert [one.packet_bytes for one in comparison.differences] == [64, 512]


def test_gain_saved_time_and_saved_cycles_say_the_same(comparison):
    for one in comparison.differences:
        assert one.gain_percent == pytest.approx(100 * (one.after.pps - one.before.pps) / one.before.pps)
        assert one.saved_ns == pytest.approx(1e9 / one.before.pps - 1e9 / one.after.pps)
        assert one.saved_cycles == pytest.approx(one.saved_ns * load().cpu.core_ghz.value)


def test_what_makes_up_the_difference_adds_up_to_it_largest_first(comparison):
    for one in comparison.differences:
        parts = list(one.made_up_of.values())
        assert sum(parts) == pytest.approx(one.saved_ns, abs=1e-9)
        assert [abs(part) for part in parts] == sorted((abs(part) for part in parts), reverse=True)


def test_a_variant_compared_with_itself_saves_nothing():
    for one in sim.compare(load(), access=("vmap", "vmap")).differences:
        assert (one.gain_percent, one.saved_ns) == (0, 0)
        assert set(one.made_up_of.values()) == {0}


def test_turned_around_the_difference_changes_its_sign(comparison):
    back = sim.compare(load(), access=("vmap", "copy_user"))
    for there, here in zip(comparison.differences, back.differences, strict=True):
        assert here.saved_ns == -there.saved_ns


def test_both_sides_meet_the_same_arrivals():
    poisson = "traffic.load={kind: poisson, pps: 2000000}"
    (one, _) = sim.compare(load(poisson)).differences
    # Neither side is full: both carry exactly what arrives, so common random numbers leave no difference in the rate.
    assert one.before.bound_by == one.after.bound_by == "load"
    assert one.gain_percent == pytest.approx(0, abs=0.2)


def test_two_scenarios_compare_their_first_variants_at_the_sizes_they_share():
    other = load("kernel=v6.12", "traffic.packet_bytes=512,1024", "access=vmap")
    comparison = sim.compare(load(), other)
    assert (comparison.before, comparison.after) == (f"{SEED} (copy_user)", f"{SEED} (vmap)")
    assert [one.packet_bytes for one in comparison.differences] == [512]


def test_two_scenarios_of_the_same_name_and_variant_are_told_apart():
    comparison = sim.compare(load(), load("cpu=zen4"))
    assert (comparison.before, comparison.after) == (f"{SEED} (copy_user) [1]", f"{SEED} (copy_user) [2]")
    assert comparison.differences[0].before.cycle_ps != comparison.differences[0].after.cycle_ps


def test_variants_of_two_scenarios_can_be_named():
    comparison = sim.compare(load(), load(), access=("ideal", "vmap"))
    assert [one.after.access for one in comparison.differences] == ["vmap", "vmap"]
    assert comparison.before == f"{SEED} (ideal)"


def test_what_cannot_be_compared_says_so():
    with pytest.raises(sim.ConfigError) as error:
        sim.compare(load("access=vmap"))
    assert str(error.value) == f"access: two variants of {SEED} are needed, or a second scenario"
    with pytest.raises(sim.ConfigError) as error:
        sim.compare(load(), load("traffic.packet_bytes=65"))
    assert str(error.value) == f"{SEED} and {SEED} have no packet size in common"


@pytest.mark.parametrize("access", [("copy_user", "vmpa"), ("vmpa", "copy_user")])
def test_a_variant_that_the_scenario_does_not_list_is_named(access):
    with pytest.raises(sim.ConfigError, match="vmpa"):
        sim.compare(load(), access=access)


def test_the_table_and_the_json_form_add_up(comparison):
    frame, data = comparison.to_frame(), comparison.to_dict()
    assert list(frame["packet_bytes"]) == [64, 512]
    parts = frame[[name for name in frame if name.startswith("saved_") and name not in ("saved_ns", "saved_cycles")]]
    for total, expected in zip(parts.sum(axis=1), frame["saved_ns"], strict=True):
        assert total == pytest.approx(expected, abs=1e-9)
    assert set(data) == {"schema", "before", "after", "results", "notes"}
    assert set(data["results"][0]) == {
        "packet_bytes",
        "before_pps",
        "after_pps",
        "gain_percent",
        "saved_ns",
        "saved_cycles",
        "made_up_of_ns",
        "bound_by",
        "basis",
    }


def test_the_points_of_both_sides_carry_the_name_of_their_side(comparison):
    assert [point.access for point in comparison.points()] == ["copy_user", "copy_user", "vmap", "vmap"]
