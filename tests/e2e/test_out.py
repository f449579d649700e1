"""`--out`: the same bytes each time, from the written scenario too, and tables of one's own by YAML alone."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

SEED = "virtio-user-xdp1-tap"
RESULTS = ["cycles.png", "cycles.svg", "pps.png", "pps.svg", "results.csv", "results.parquet", "scenario.yaml"]
OPTIONS = ("--sizes", "64,512", "--access", "copy_user,vmap", "--set", "run.packets=3000", "--seed", "0")


def contents(folder):
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def test_run_writes_the_same_bytes_each_time_and_from_its_own_scenario(vhost_sim, empty):
    for scenario, folder in ((SEED, "a"), (SEED, "b"), ("a/scenario.yaml", "c")):
        options = OPTIONS if scenario == SEED else ()
        done = vhost_sim("run", scenario, *options, "--out", folder)
        assert done.returncode == 0
        assert done.stderr.startswith(f"written to {folder}/: results.csv")
    first = contents(empty / "a")
    assert sorted(first) == RESULTS
    for other in ("b", "c"):
        second = contents(empty / other)
        assert [name for name in first if first[name] != second[name]] == []


def test_compare_writes_the_same_bytes_each_time(vhost_sim, empty):
    for folder in ("a", "b"):
        assert vhost_sim("compare", SEED, *OPTIONS, "--out", folder).returncode == 0
    first, second = contents(empty / "a"), contents(empty / "b")
    assert {"comparison.csv", "comparison.parquet", "scenario.yaml", "pps.svg", "cycles.png"} <= set(first)
    assert [name for name in first if first[name] != second[name]] == []


def test_comparing_two_scenarios_keeps_both(vhost_sim, empty):
    (empty / "new.yaml").write_text(f"schema: 1\nextends: {SEED}\nname: new\nkernel: v6.12\n")
    assert vhost_sim("compare", SEED, "new.yaml", *OPTIONS, "--out", "both").returncode == 0
    assert {"scenario-1.yaml", "scenario-2.yaml"} <= set(contents(empty / "both"))


def test_a_second_run_into_the_same_folder_replaces_the_first(vhost_sim, empty):
    vhost_sim("run", SEED, *OPTIONS, "--out", "a")
    first = contents(empty / "a")
    vhost_sim("run", "a/scenario.yaml", "--set", "driver.burst=8", "--out", "a")
    second = contents(empty / "a")
    assert sorted(second) == RESULTS
    assert first["results.csv"] != second["results.csv"]


def test_plots_are_readable(vhost_sim, empty):
    vhost_sim("run", SEED, *OPTIONS, "--out", "a")
    for name in ("pps.svg", "cycles.svg"):
        root = ElementTree.parse(empty / "a" / name).getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
    for name in ("pps.png", "cycles.png"):
        assert (empty / "a" / name).read_bytes().startswith(b"\x89PNG\r\n")


def test_no_file_names_this_machine(vhost_sim, empty):
    vhost_sim("run", SEED, *OPTIONS, "--out", "a")
    for name in ("results.csv", "scenario.yaml", "pps.svg"):
        assert str(empty.parent) not in (empty / "a" / name).read_text()


@pytest.fixture
def own(empty):
    """Tables of one's own: an access variant and a CPU, by YAML only."""
    for kind in ("access", "cpus"):
        (empty / "mine" / kind).mkdir(parents=True)
    (empty / "mine/access/one-window.yaml").write_text(
        "schema: 1\nkind: access\nname: one-window\ntitle: no speculation barrier\nsource: my patch\n"
        "metadata:\n  recipes:\n    descriptor_read: [branch, stac, load, store, load, store, clac, test]\n"
    )
    (empty / "mine/cpus/fast.yaml").write_text(
        "schema: 1\nkind: cpu\nextends: zen4\nname: fast\ntitle: a Zen 4 at 6 GHz\n"
        "core_ghz: {value: 6, unit: GHz, low: 6, high: 6, source: a wish, grade: guess}\n"
    )
    return ("--configs", "mine")


def test_an_access_variant_and_a_cpu_are_added_by_yaml_alone(vhost_sim, own):
    options = ("--access", "copy_user,one-window", "--set", "cpu=fast", "--set", "run.packets=3000", "--sizes", "64")
    done = vhost_sim("compare", SEED, *own, *options, "--json")
    (one,) = json.loads(done.stdout)["results"]
    assert one["saved_cycles"] == pytest.approx(6 * one["saved_ns"])
    saved = [name for name, value in one["made_up_of_ns"].items() if value > 0]
    assert "lfence" in saved


def test_own_tables_are_listed_and_checked(vhost_sim, own):
    assert "fast" in [one["name"] for one in json.loads(vhost_sim("list", "cpus", *own, "--json").stdout)["cpus"]]
    assert "fast" not in [one["name"] for one in json.loads(vhost_sim("list", "cpus", "--json").stdout)["cpus"]]
    assert vhost_sim("check", "fast", "one-window", *own).returncode == 0


def test_a_result_with_own_tables_needs_them_no_more(vhost_sim, own, empty):
    options = ("--access", "one-window", "--set", "cpu=fast", "--set", "run.packets=3000", "--sizes", "64")
    first = vhost_sim("run", SEED, *own, *options, "--out", "a", "--json")
    again = vhost_sim("run", "a/scenario.yaml", "--json")
    assert again.stdout == first.stdout


def test_a_sweep_can_be_fed_its_own_description(vhost_sim, empty):
    (empty / "two.yaml").write_text(
        f"schema: 1\nkind: sweep\nname: two\ntitle: two rings\nscenario: {SEED}\n"
        "set: {run.packets: 500, traffic.packet_bytes: 64}\n"
        "axes: {access: {values: [vmap]}, virtqueue.size: {low: 128, high: 512, count: 2, integer: true}}\n"
    )
    assert vhost_sim("sweep", "two.yaml", "--out", "first").returncode == 0
    assert vhost_sim("sweep", "first/_sweep.yaml", "--out", "again").returncode == 0
    first, again = contents(empty / "first"), contents(empty / "again")
    assert any(name.endswith(".parquet") for name in first)
    assert {name: data for name, data in first.items() if name.endswith(".parquet")} == {
        name: data for name, data in again.items() if name.endswith(".parquet")
    }
