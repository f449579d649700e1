"""Overrides `KEY=VALUE`: what `--set` can say, in which order it counts, and when the calibration applies."""

from __future__ import annotations

import numpy as np
import pytest

import sim
from sim.config import ConfigError, load_scenario
from sim.config.loading.load import Scenarios, load_table
from sim.config.scenario.traffic import Load

SEED = "virtio-user-xdp1-tap"
ENTRY = {"value": 50, "unit": "ns", "low": 40, "high": 60, "source": "x", "grade": "guess"}


def load(*overrides):
    return load_scenario(SEED, overrides=overrides)


@pytest.mark.parametrize(
    ("key", "text", "unit"),
    [("core_ghz", "3.2", "GHz"), ("primitives.lfence", "12", "cycles"), ("primitives.line_transfer", "31.5", "ns")],
)
def test_a_bare_number_replaces_an_entry_and_says_who_set_it(key, text, unit):
    cpu = load(f"cpu.{key}={text}").cpu
    entry = cpu.primitives[key.removeprefix("primitives.")] if key.startswith("primitives") else getattr(cpu, key)
    assert (entry.value, entry.low, entry.high, entry.unit) == (float(text), float(text), float(text), unit)
    assert (entry.source, entry.grade) == ("set by the user", "guess")


def test_an_entry_that_the_file_does_not_spell_out_can_be_set_too():
    cost = load("driver.packet_cost=60").driver.packet_cost
    assert (cost.value, cost.low, cost.high, cost.unit, cost.source) == (60, 60, 60, "ns", "set by the user")


def test_one_side_of_a_default_entry_can_be_set():
    reuse = load("device.reuse_bytes_per_packet.low=10").device.reuse_bytes_per_packet
    default = load().device.reuse_bytes_per_packet
    assert reuse == default.model_copy(update={"low": 10})


def test_a_whole_entry_can_be_given_as_yaml():
    entry = load("cpu.core_ghz={value: 3, unit: GHz, low: 2, high: 4, source: mine, grade: vendor}").cpu.core_ghz
    assert (entry.low, entry.value, entry.high, entry.source, entry.grade) == (2, 3, 4, "mine", "vendor")


def test_a_flag_keeps_its_form_and_says_who_set_it():
    flag = load("cpu.features.smap=false").cpu.features.smap
    assert (flag.value, flag.source, flag.grade) == (False, "set by the user", "guess")


def test_tables_are_set_by_name():
    scenario = load("kernel=v6.12", "cpu=zen4", "access=vmap")
    assert scenario.cpu == load_table("cpu", "zen4")
    assert scenario.kernel.accessors == load_table("kernel", "v6.12").accessors
    assert scenario.access == [load_table("access", "vmap")]


@pytest.mark.parametrize("text", ["copy_user,vmap", "[copy_user, vmap]", " copy_user , vmap "])
def test_access_takes_a_list_with_or_without_brackets(text):
    assert [variant.name for variant in load(f"access={text}").access] == ["copy_user", "vmap"]


@pytest.mark.parametrize(("text", "sizes"), [("64", [64]), ("64,1518", [64, 1518]), ("[1518, 64]", [1518, 64])])
def test_sizes_take_a_list_with_or_without_brackets(text, sizes):
    assert load(f"traffic.packet_bytes={text}").traffic.packet_bytes == sizes


def test_a_rate_is_a_constant_load():
    load_ = load("traffic.load=5000000").traffic.load
    assert (load_.kind, load_.pps) == ("constant", 5e6)


def test_a_rate_may_be_written_as_people_write_it():
    load_ = load("traffic.load=5e6").traffic.load
    assert (load_.kind, load_.pps) == ("constant", 5e6)


def test_the_load_can_be_set_key_by_key():
    load_ = load("traffic.load.kind=poisson", "traffic.load.pps=1000000").traffic.load
    assert (load_.kind, load_.pps) == ("poisson", 1e6)


def test_the_last_of_two_overrides_of_a_key_wins():
    assert load("driver.burst=8", "driver.burst=16").driver.burst == 16
    assert load("cpu=zen4", "cpu=zen3").cpu.name == "zen3"


def test_a_key_inside_a_table_counts_after_the_name_of_the_table_whatever_their_order():
    for overrides in (("cpu=zen4", "cpu.core_ghz=5"), ("cpu.core_ghz=5", "cpu=zen4")):
        cpu = load(*overrides).cpu
        assert (cpu.name, cpu.core_ghz.value) == ("zen4", 5)


def test_a_key_below_a_load_in_short_form_changes_a_part_of_it(tmp_path):
    """`load: 1.0e+6` with another backlog became a sender that never runs dry."""
    asked = Scenarios("virtio-user-pvp")
    assert asked.load({}).traffic.load == Load(kind="constant", pps=1e6)
    for given in (asked.load({"traffic.load.backlog": 99}), asked.load({}, ["traffic.load.backlog=99"])):
        assert given.traffic.load == Load(kind="constant", pps=1e6, backlog=99)
    file = tmp_path / "mine.yaml"
    head = "schema: 1\nkind: scenario\nname: mine\nextends: virtio-user-pvp\n"
    file.write_text(head + "traffic: {load: {kind: poisson}}\n")
    assert load_scenario(file).traffic.load == Load(kind="poisson", pps=1e6)
    file.write_text(head + "traffic: {load: saturate}\n")
    assert load_scenario(file).traffic.load == Load()


def test_a_key_below_what_is_no_section_is_refused_and_does_not_hide_it(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("schema: 1\nkind: scenario\nname: mine\nextends: virtio-user-xdp1-tap\ndriver: 5\n")
    with pytest.raises(ConfigError, match=r"^driver\.burst=8: 'driver' has no keys below it"):
        load_scenario(file, overrides=["driver.burst=8"])


def test_overrides_do_not_leak_into_the_next_load():
    before = load()
    load("cpu.core_ghz=9", "virtqueue.size=8", "access=ideal")
    assert load() == before


def test_the_named_calibration_replaces_the_tables_own_entry():
    fitted = load_table("calibration", "seed-copy-user").parameters[0]
    cpi = load("calibration=seed-copy-user").cpu.cpi
    assert fitted.key == "cpu.cpi"
    assert (cpi.value, cpi.low, cpi.high) == (fitted.value, fitted.low, fitted.high)
    assert cpi.source.startswith("fitted by calibration seed-copy-user")


def test_a_value_fitted_for_some_cpus_is_left_alone_on_others():
    fitted = {one.key: one for one in load_table("calibration", "seed-two-rates").parameters}
    assert fitted["cpu.core_ghz"].cpus == ["broadwell-2.6ghz"]
    assert load().cpu.core_ghz.value == fitted["cpu.core_ghz"].value
    server = load("cpu=broadwell-ep-e5-2650v4").cpu
    assert server.core_ghz == load_table("cpu", "broadwell-ep-e5-2650v4").core_ghz
    assert server.cpi.value == fitted["cpu.cpi"].value  # the same core
    assert load("cpu=zen4").cpu == load_table("cpu", "zen4")


def test_without_a_calibration_the_kernels_own_scale_counts():
    assert load("calibration=null").kernel.work_scale == load_table("kernel", "v5.0").work_scale


def test_an_override_counts_after_the_calibration():
    assert load("kernel.work_scale=1.1").kernel.work_scale.value == 1.1


def test_the_calibration_is_not_applied_again_to_a_resolved_scenario(write):
    from sim.config import dump_scenario

    file = write("scenario.yaml", dump_scenario(load("cpu.cpi=0.45")))
    assert load_scenario(file).cpu.cpi.value == 0.45
    fitted = load_table("calibration", "seed-copy-user").parameters[0].value
    assert load_scenario(file, overrides=["calibration=seed-copy-user"]).cpu.cpi.value == fitted


@pytest.mark.parametrize(
    ("key", "value"),
    [("driver.burst", np.int64(16)), ("cpu.cpi", np.float64(0.45)), ("mitigations.smap", np.bool_(False))],
)
def test_a_setting_may_be_a_number_of_numpy(key, value):
    assert load_scenario(SEED, settings={key: value}) == load_scenario(SEED, settings={key: value.item()})


def test_scenarios_of_one_file_do_not_see_each_others_settings():
    scenarios = Scenarios(SEED)
    plain = scenarios.load({})
    settings = {"cpu.primitives.stac": 9, "virtqueue.size": 64, "traffic.mix": "imix", "driver.packet_cost": 60}
    for key, value in settings.items():
        assert scenarios.load({key: value}) == load_scenario(SEED, settings={key: value}) != plain
    assert scenarios.load({"cpu": "zen4", "cpu.cpi": 0.4}) == load("cpu=zen4", "cpu.cpi=0.4")
    assert scenarios.load({}) == plain == load()


def test_a_key_of_an_entry_by_name_that_its_table_leaves_out_can_be_set():
    scenario = load_scenario(SEED, overrides=["kernel.accessors.payload_copy.parts=2", "kernel=v7.3"])
    assert scenario.kernel.accessors["payload_copy"].parts == 2
    scenario = load_scenario(SEED, overrides=["cpu.primitives.call.distribution=uniform"])
    assert scenario.cpu.primitives["call"].distribution == "uniform"
    with pytest.raises(ConfigError, match=r"unknown key 'kernel\.accessors\.payload_copy\.part'; did you mean 'parts'"):
        load_scenario(SEED, overrides=["kernel.accessors.payload_copy.part=2"])


@pytest.mark.parametrize(
    ("mapping", "texts"),
    [
        ({"cpu.core_ghz": 3.2, "kernel": "v6.12"}, ["cpu.core_ghz=3.2", "kernel=v6.12"]),
        ({"mitigations": {"smap": False, "pti": True}}, ["mitigations.smap=false", "mitigations.pti=true"]),
        ({"access": ["copy_user", "vmap"], "traffic.packet_bytes": [64, 128]},
         ["access=copy_user,vmap", "traffic.packet_bytes=64,128"]),
        ({"cpu": "zen4", "cpu.primitives": {"lfence": np.float64(12)}}, ["cpu=zen4", "cpu.primitives.lfence=12"]),
        ({"mitigations": "off"}, ["mitigations=off"]),
        ({"calibration": None}, ["calibration=null"]),
        ({"traffic.load": {"kind": "poisson", "pps": 1e6}}, ["traffic.load.kind=poisson", "traffic.load.pps=1e6"]),
        ({"driver": {"packet_cost": ENTRY}},
         ["driver.packet_cost={value: 50, unit: ns, low: 40, high: 60, source: x, grade: guess}"]),
    ],
)  # fmt: skip
def test_a_mapping_says_the_same_as_texts(mapping, texts):
    assert sim.load_scenario(SEED, overrides=mapping) == sim.load_scenario(SEED, overrides=texts)


def test_a_mistake_in_a_mapping_is_named_by_its_key():
    with pytest.raises(ConfigError, match=r"unknown key 'mitigations\.smpa'; did you mean 'smap'\?"):
        sim.load_scenario(SEED, overrides={"mitigations": {"smpa": False}})
