"""A resolved scenario written to a file is the same scenario, and writes the same bytes again."""

from __future__ import annotations

import pytest
import yaml

from sim.config import dump_scenario, load_scenario

SEED = "virtio-user-xdp1-tap"

VARIED = [
    (),
    ("kernel=v7.3", "cpu=zen5", "access=vmap"),
    ("calibration=null",),
    ("kernel.work_scale=1.1", "cpu.primitives.lfence=12"),
    ("virtqueue.event_idx=true", "virtqueue.indirect=true", "virtqueue.descriptors_per_packet=2"),
    ("traffic.load=2000000", "traffic.dirty_bytes=full", "traffic.packet_bytes=64"),
    ("driver.packet_cost=60", "driver.kind=lockstep", "driver.burst=1"),
    ("run.seed=0", "run.precision=0"),
    ("title='Ω: naïve # not a comment'",),
    (f"title='{'a ' * 80}\U0001f600 {'b ' * 80}'",),
    (f'title="{"a " * 80}\\t{"b " * 80}"',),
]


@pytest.mark.parametrize("overrides", VARIED, ids=lambda overrides: " ".join(overrides) or "as shipped")
def test_dump_and_load_give_the_same_scenario_and_the_same_bytes(overrides, write):
    scenario = load_scenario(SEED, overrides=overrides)
    file = write("scenario.yaml", dump_scenario(scenario))
    again = load_scenario(file)
    assert again == scenario
    assert dump_scenario(again).encode() == file.read_bytes()


@pytest.mark.parametrize("overrides", VARIED, ids=lambda overrides: " ".join(overrides) or "as shipped")
def test_the_text_is_the_same_without_libyaml(overrides, monkeypatch):
    scenario = load_scenario(SEED, overrides=overrides)
    text = dump_scenario(scenario)
    monkeypatch.setattr("sim.config.loading.files._Dumper", yaml.SafeDumper)
    assert dump_scenario(scenario) == text


def test_a_resolved_scenario_needs_no_other_table(write):
    text = dump_scenario(load_scenario(SEED)).replace("seed-two-rates\n", "a-calibration-that-is-gone\n", 1)
    scenario = load_scenario(write("scenario.yaml", text))
    assert scenario.calibration == "a-calibration-that-is-gone"
    assert scenario.kernel == load_scenario(SEED).kernel


@pytest.mark.parametrize("override", ["kernel=v6.12", "cpu=zen4", "access=vmap", "kernel.work_scale=0.9"])
def test_a_resolved_scenario_takes_an_override_as_the_named_one_does(override, write):
    file = write("scenario.yaml", dump_scenario(load_scenario(SEED)))
    assert load_scenario(file, overrides=[override]) == load_scenario(SEED, overrides=[override])


def test_a_list_of_a_resolved_scenario_can_name_a_shipped_variant_again(write):
    file = write("scenario.yaml", dump_scenario(load_scenario(SEED, overrides=["access=vmap"])))
    names = [one.name for one in load_scenario(file, overrides=["access=vmap,ideal"]).access]
    assert names == ["vmap", "ideal"]
