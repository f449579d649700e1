"""Mechanisms switched off, and Shapley shares against known games."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sim
from sim.config import ConfigError
from sim.study.sensitivity.shapley import MECHANISMS, decompose, shapley, without

SEED = "virtio-user-xdp1-tap"
HARDENED = ("mitigations.hardened_usercopy=true", "traffic.packet_bytes=64", "access=copy_user,vmap")


def subsets(players):
    return [frozenset(some) for size in range(len(players) + 1) for some in combinations(players, size)]


def test_the_glove_game():
    # One left glove, two right ones; a pair is worth 1: 2/3 for the left, 1/6 for each right (Shapley 1953).
    worth = {some: float("left" in some and len(some) > 1) for some in subsets(["left", "right", "other"])}
    values = [shapley(worth, player, ["left", "right", "other"]) for player in ("left", "right", "other")]
    assert values == pytest.approx([2 / 3, 1 / 6, 1 / 6])


@given(st.lists(st.floats(-100, 100), min_size=16, max_size=16))
def test_shares_add_up_to_the_whole_whatever_the_game(numbers):
    players = ["a", "b", "c", "d"]
    worth = dict(zip(subsets(players), numbers, strict=True))
    total = sum(shapley(worth, player, players) for player in players)
    assert total == pytest.approx(worth[frozenset(players)] - worth[frozenset()], abs=1e-9)


def test_the_gain_of_the_seed_is_shared_out_exactly():
    scenario = sim.load_scenario(SEED, overrides=HARDENED)
    found = decompose(scenario, "copy_user", "vmap", 64)
    whole = sim.compare(scenario).differences[0]
    assert found.saved_ns == pytest.approx(whole.saved_ns)
    assert found.gain_percent == pytest.approx(whole.gain_percent)
    assert sum(one.saved_ns for one in found.shares) + found.rest_ns == pytest.approx(found.saved_ns)
    assert sum(one.gain_points for one in found.shares) + found.rest_points == pytest.approx(found.gain_percent)
    by_name = {one.mechanism: one for one in found.shares}
    assert list(by_name) == [name for name in MECHANISMS if name != "returns"]  # plain on this CPU
    assert by_name["stac_clac"].saved_ns > by_name["lfence"].saved_ns > by_name["misses"].saved_ns > 0
    assert by_name["object_size_check"].saved_ns > 0
    assert abs(found.rest_ns) < 1


def test_the_gain_without_a_mechanism_is_that_of_a_scenario_without_it():
    scenario = sim.load_scenario(SEED, overrides=HARDENED)
    found = decompose(scenario, "copy_user", "vmap", 64)
    for one in found.shares:
        alone = sim.compare(without(scenario, [one.mechanism])).differences[0].gain_percent
        assert one.gain_without_percent == pytest.approx(alone), one.mechanism


def test_without_smap_is_the_switch():
    scenario = sim.load_scenario(SEED, overrides=HARDENED)
    off = sim.load_scenario(SEED, overrides=[*HARDENED, "mitigations.smap=false"])
    assert sim.run(without(scenario, ["stac_clac"])).points == sim.run(off).points


def test_without_misses_nothing_is_transferred_and_barriers_stay():
    scenario = sim.load_scenario(SEED, overrides=HARDENED)
    point = sim.run(without(scenario, ["misses"])).points[0]
    full = sim.run(scenario).points[0]
    near = full.breakdown_cycles["lfence"]
    assert point.breakdown_cycles["lfence"] == pytest.approx(near, rel=1e-3)
    assert point.breakdown_cycles["line_transfer"] < 0.2 * full.breakdown_cycles["line_transfer"]
    assert point.pps > full.pps


def test_everything_off_leaves_next_to_no_difference():
    scenario = without(sim.load_scenario(SEED, overrides=HARDENED), list(MECHANISMS))
    assert abs(sim.compare(scenario).differences[0].gain_percent) < 1


def test_an_unknown_mechanism_is_said():
    with pytest.raises(ConfigError, match="without: unknown mechanism 'stac'; did you mean 'stac_clac'"):
        without(sim.load_scenario(SEED), ["stac"])
