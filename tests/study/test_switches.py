"""Switches turned over: the answer is that of a run with the setting changed by hand."""

from __future__ import annotations

import pytest

import sim
from sim.study.runs.case import sides_of
from sim.study.sensitivity.tornado import turned_over

SEED = "virtio-user-xdp1-tap"
SHORT = ["run.packets=3000", "run.precision=0", "traffic.packet_bytes=64"]


def gain(*overrides):
    scenario = sim.load_scenario(SEED, overrides=[*SHORT, "access=copy_user,vmap", *overrides])
    return sim.compare(scenario).differences[0].gain_percent


@pytest.fixture(scope="module")
def found():
    scenario = sim.load_scenario(SEED, overrides=[*SHORT, "access=copy_user,vmap"])
    return {one.key: one for one in turned_over(sides_of(scenario))}


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("mitigations.smap", "mitigations.smap=false"),
        ("mitigations.spectre_v1", "mitigations.spectre_v1=false"),
        ("mitigations.hardened_usercopy", "mitigations.hardened_usercopy=true"),
        ("cpu.features.smap_waits_for_loads", "cpu.features.smap_waits_for_loads.value=false"),
    ],
)
def test_a_switch_gives_what_a_run_with_it_turned_gives(key, change, found):
    assert found[key].answer == pytest.approx(gain(change))
    assert found[key].is_on is (not change.endswith("true"))


def test_what_moves_the_answer_furthest_stands_first(found):
    moved = [abs(one.answer - gain()) for one in found.values()]
    assert moved == sorted(moved, reverse=True)


def test_smap_is_one_switch_and_features_have_their_grade(found):
    assert "cpu.features.smap" not in found
    assert (found["cpu.features.smap_waits_for_loads"].grade, found["mitigations.smap"].grade) == ("guess", "")


def test_one_side_alone_has_a_rate():
    scenario = sim.load_scenario(SEED, overrides=[*SHORT, "access=copy_user"])
    off = sim.load_scenario(SEED, overrides=[*SHORT, "access=copy_user", "mitigations.smap=false"])
    turned = {one.key: one for one in turned_over(sides_of(scenario))}
    assert turned["mitigations.smap"].answer == pytest.approx(sim.run(off).points[0].pps)
