"""`vhost-sim measure` from recordings, and `compare-cpu`, as a person types them; never the host that tests run on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

DATA = Path(__file__).parents[1] / "data" / "host"
QUIET = DATA / "zen5-vm.json"


def test_a_recording_becomes_a_profile_that_a_scenario_can_name(vhost_sim, empty):
    done = vhost_sim("measure", "--from", QUIET, "--out", "mine/cpus/this-host.yaml")
    assert (done.returncode, done.stderr) == (0, "written to mine/cpus/: this-host.yaml\n")
    assert "primitives.lfence" in done.stdout
    assert "the rest is of table zen5" in done.stdout
    checked = vhost_sim("check", "mine/cpus/this-host.yaml")
    assert checked.returncode == 0
    assert "1 tables: 0 errors" in checked.stdout
    options = ("--configs", "mine", "--set", "cpu=this-host", "--sizes", "64", "--set", "run.packets=2000")
    ran = vhost_sim("run", "virtio-user-xdp1-tap", *options)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "measured here" in ran.stdout


def test_the_json_of_a_profile_holds_entries_refusals_and_what_is_unstable(vhost_sim):
    done = vhost_sim("measure", "--from", QUIET, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    data = json.loads(done.stdout)
    assert set(data) == {
        *("schema", "profile", "refused", "unstable", "nearest", "rounds", "seen"),
        *("missing", "behind", "differs"),
    }
    assert data["profile"]["measured"]["entries"]["primitives.lfence"]["repeats"]


def test_a_recording_is_written_as_it_was_read(vhost_sim, empty):
    vhost_sim("measure", "--from", QUIET, "--recording", "again.json")
    assert (empty / "again.json").read_text() == QUIET.read_text()


def test_a_sandbox_and_a_host_without_smap_are_said(vhost_sim):
    assert (
        "refused: primitives.stac: system calls are intercepted"
        in vhost_sim("measure", "--from", DATA / "sandboxed.json").stdout
    )
    assert "no SMAP: no SMAP on this host" in vhost_sim("measure", "--from", DATA / "no-smap.json").stdout


def test_a_busy_machine_is_said(vhost_sim):
    done = vhost_sim("measure", "--from", DATA / "zen5-vm-busy.json")
    assert "UNSTABLE" in done.stdout
    assert "unstable: primitives.line_transfer:" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("measure", "--from", "none.json"), "none.json: cannot be read: No such file or directory"),
        (("measure", "--from", QUIET, "--out", "/proc/x/y.yaml"), "--out /proc/x: cannot be written"),
        (("compare-cpu", "zen4", "zen6"), "unknown cpu 'zen6'; did you mean"),
        (("compare-cpu", "zen4", "zen5", "--access", "vmap,ideal"), "--access vmap,ideal: compare-cpu takes one"),
    ],
    ids=["no recording", "no folder", "no cpu", "two variants"],
)
def test_bad_input_is_one_line(arguments, sentence, refused):
    assert refused(*arguments).startswith(sentence)


def test_without_a_compiler_one_line_says_so(refused, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert refused("measure").startswith("measure: ")


def test_nothing_is_left_when_a_profile_cannot_be_derived(vhost_sim, empty):
    (empty / "bad.json").write_text('{"kind": "host-recording"}')
    done = vhost_sim("measure", "--from", "bad.json", "--out", "this-host.yaml")
    assert done.returncode == 2
    assert [file.name for file in empty.iterdir()] == ["bad.json"]


def test_compare_cpu(vhost_sim):
    options = ("compare-cpu", "zen4", "zen5", "--size", "64", "--access", "copy_user")
    done = vhost_sim(*options, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    data = json.loads(done.stdout)
    assert (data["schema"], data["first"]["name"], data["second"]["name"]) == (1, "zen4", "zen5")
    total = sum(one["worth_ns"] for one in data["differences"]) + data["together_ns"]
    assert total == pytest.approx(data["second"]["ns_per_packet"] - data["first"]["ns_per_packet"])
    shown = vhost_sim(*options).stdout
    assert "zen4 -> zen5 in virtio-user-xdp1-tap (copy_user, 64 B)" in shown
    assert data["differences"][0]["key"].removeprefix("primitives.") in shown
