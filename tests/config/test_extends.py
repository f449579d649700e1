"""`extends`: a table that says only what differs."""

from __future__ import annotations

import os

import pytest

import sim
from sim.config import load_scenario
from sim.config.loading.load import load_table, merge

SEED = "virtio-user-xdp1-tap"


def test_a_scenario_that_extends_the_seed_keeps_what_it_does_not_say(write):
    file = write("mine.yaml", f"schema: 1\nextends: {SEED}\nname: mine\nvirtqueue: {{size: 1024}}\n")
    seed, mine = load_scenario(SEED), load_scenario(file)
    assert mine.name == "mine"
    assert mine.virtqueue == seed.virtqueue.model_copy(update={"size": 1024})
    assert (mine.cpu, mine.kernel, mine.access, mine.run) == (seed.cpu, seed.kernel, seed.access, seed.run)


def test_a_table_that_takes_the_place_of_another_is_read_whatever_its_time(write, tmp_path):
    """Tables of one archive have one time."""
    link, prices = tmp_path / "cpu.yaml", []
    for value in (41, 42, 43):
        entry = f"{{value: {value}, unit: cycles, low: 1, high: 99, source: s, grade: guess}}"
        text = f"schema: 1\nextends: broadwell-2.6ghz\nname: own\nprimitives: {{stac: {entry}}}\n"
        file = write(f"{value}.yaml", text)
        os.utime(file, ns=(10**18, 10**18))
        link.unlink(missing_ok=True)
        link.symlink_to(file)
        cpus = load_scenario(SEED, overrides=[f"cpu={link}"]).cpu, load_table("cpu", str(link))
        prices += [cpu.primitives["stac"].value for cpu in cpus]
    assert prices == [41, 41, 42, 42, 43, 43]


def test_extends_reaches_through_several_files_and_the_nearest_wins(write):
    write("a.yaml", f"schema: 1\nextends: {SEED}\nname: a\ndriver: {{burst: 8}}\ndevice: {{batch: 16}}\n")
    write("b.yaml", "schema: 1\nextends: a.yaml\nname: b\ndriver: {burst: 4}\n")
    write("c.yaml", "schema: 1\nextends: b.yaml\nname: c\nvirtqueue: {size: 64}\n")
    scenario = load_scenario(write("d.yaml", "schema: 1\nextends: c.yaml\nname: d\n"))
    assert (scenario.name, scenario.driver.burst, scenario.device.batch, scenario.virtqueue.size) == ("d", 4, 16, 64)


def test_a_relative_extends_counts_from_the_file_that_says_it(write, monkeypatch, tmp_path):
    write("base/b.yaml", f"schema: 1\nextends: {SEED}\nname: b\ndriver: {{burst: 4}}\n")
    file = write("mine.yaml", "schema: 1\nextends: base/b.yaml\nname: mine\n")
    write("elsewhere/empty", "")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert load_scenario(file).driver.burst == 4


@pytest.mark.parametrize("length", [1, 2, 5])
def test_a_circle_is_an_error_that_names_a_file_of_it(write, length):
    for number in range(length):
        write(f"{number}.yaml", f"schema: 1\nextends: {(number + 1) % length}.yaml\n")
    file = write("0.yaml", f"schema: 1\nextends: {1 % length}.yaml\n")
    with pytest.raises(sim.ConfigError) as error:
        load_scenario(file)
    assert str(error.value) == f"{file}: extends itself in a circle"


def test_a_users_table_extends_the_shipped_one_of_the_same_name(write, tmp_path):
    write(
        "cpus/zen4.yaml",
        """\
        schema: 1
        extends: zen4
        core_ghz: {value: 5, unit: GHz, low: 4, high: 6, source: my machine, grade: measured-here}
        primitives:
          lfence: {value: 7, unit: cycles, low: 7, high: 7, source: my machine, grade: measured-here}
        """,
    )
    shipped, mine = load_table("cpu", "zen4"), load_table("cpu", "zen4", tmp_path)
    assert (mine.core_ghz.value, mine.primitives["lfence"].value) == (5, 7)
    assert {name for name in shipped.primitives if shipped.primitives[name] != mine.primitives[name]} == {"lfence"}
    assert load_scenario(SEED, overrides=["cpu=zen4"], configs=tmp_path).cpu == mine
    assert load_scenario(SEED, overrides=["cpu=zen4"]).cpu == shipped


def test_a_users_table_can_extend_another_of_the_users_by_name(write, tmp_path):
    write("access/half.yaml", "schema: 1\nextends: copy_user\nname: half\nmetadata: {remove: [lfence]}\n")
    write("access/less.yaml", "schema: 1\nextends: half\nname: less\ntitle: less\npayload: {remove: [lfence]}\n")
    less = load_table("access", "less", tmp_path)
    assert (less.metadata.remove, less.payload.remove) == (["lfence"], ["lfence"])


def test_merging_replaces_an_entry_whole_and_goes_into_other_mappings():
    entry = {"value": 1, "unit": "ns", "low": 1, "high": 2, "source": "a", "grade": "guess"}
    other = {"value": 5, "unit": "us", "grade": "vendor"}
    base = {"keep": 1, "table": {"x": entry, "y": {"p": 1, "q": 2}}, "list": [1, 2]}
    over = {"table": {"x": other, "y": {"q": 3}}, "list": [3]}
    assert merge(base, over) == {"keep": 1, "table": {"x": other, "y": {"p": 1, "q": 3}}, "list": [3]}
    assert base["table"]["y"] == {"p": 1, "q": 2}


def test_extending_a_table_of_another_kind_is_an_error(write):
    file = write("mine.yaml", "schema: 1\nkind: scenario\nextends: ./cpu.yaml\n")
    cpu = write("cpu.yaml", "schema: 1\nkind: cpu\nextends: zen4\n")
    with pytest.raises(sim.ConfigError) as error:
        load_scenario(file)
    assert str(error.value) == f"{cpu}: is a cpu table; a scenario is needed here"
