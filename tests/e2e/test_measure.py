"""`vhost-sim measure` from recordings, and `compare-cpu`, as a person types them; never the host that tests run on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from sim.host.recording import read_recording
from tests.host.emulated import quiet, with_runs
from tests.host.turn import only_measuring

from .conftest import COMMAND

DATA = Path(__file__).parents[1] / "data" / "host"
QUIET = DATA / "zen5-vm.json"
TAPS = DATA / "zen3-vm-tap.json"
ROOT = pytest.mark.skipif(os.geteuid() != 0 or not Path("/dev/net/tun").exists(), reason="needs root and /dev/net/tun")


def test_a_recording_becomes_a_profile_that_a_scenario_can_name(vhost_sim, empty):
    done = vhost_sim("measure", "--from", QUIET, "--out", "mine/cpus/this-host.yaml")
    assert (done.returncode, done.stderr) == (0, "written to mine/cpus/: this-host.yaml\n")
    assert "primitives.lfence" in done.stdout
    assert "the rest is of table zen5" in done.stdout
    checked = vhost_sim("check", "mine/cpus/this-host.yaml")
    assert checked.returncode == 0
    assert "1 table: 0 errors" in checked.stdout
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
        *("missing", "behind", "differs", "made_by"),
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
        (("measure", "--from", QUIET, "--tap"), "--tap: the recording has no writes to a TAP"),
        (("measure", "--from", QUIET, "--vhost"), "--vhost: the recording has no runs of a vhost worker"),
        (("measure", "--from", TAPS, "--measurements", "m.yaml"), "--measurements: takes the figures of one of"),
        (
            ("measure", "--from", TAPS, "--tap", "--measurements", "m.yaml"),
            "--measurements: names the CPU profile of this host, which --out writes",
        ),
        (("measure", "--from", TAPS, "--set", "driver.burst=64"), "--set: changes the scenario of --vhost"),
        (
            ("measure", "--from", TAPS, "--vhost", "--set", "driver.kind=virtio-net"),
            "driver.kind: is not what the driver of this experiment can be",
        ),
        (("measure", "--from", TAPS, "--vhost", "--set", "driver.bursts=1"), "--set driver.bursts=1: unknown key"),
        (("compare-cpu", "zen4", "zen6"), "unknown cpu 'zen6'; did you mean"),
        (("compare-cpu", "zen4", "zen5", "--access", "vmap,ideal"), "--access vmap,ideal: compare-cpu takes one"),
    ],
    ids=[
        *("no recording", "no folder", "no writes", "no worker", "no experiment", "no profile", "no scenario"),
        *("another driver", "no key", "no cpu", "two variants"),
    ],
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


def test_nothing_is_written_when_an_experiment_refuses(refused, empty):
    files = ("--out", "here.yaml", "--recording", "again.json")
    assert refused("measure", "--from", QUIET, "--tap", *files) == "--tap: the recording has no writes to a TAP"
    assert [file.name for file in empty.iterdir()] == []


def test_nothing_is_written_when_there_are_no_figures(refused, empty):
    idle = [run.model_copy(update={"settings": run.settings | {"receive": 1, "xdp": 0}}) for run in quiet()]
    windows = [
        [window.model_copy(update={"worker_ns": 1, "instructions": None}) for window in run.windows] for run in idle
    ]
    runs = [run.model_copy(update={"windows": seen}) for run, seen in zip(idle, windows, strict=True)]
    (empty / "worker.json").write_text(with_runs(read_recording(QUIET), runs).to_json())
    files = ("--out", "here.yaml", "--measurements", "figures.yaml")
    sets = ("--set", "device.direction=rx")
    assert "the worker waited for its source" in refused("measure", "--from", "worker.json", "--vhost", *sets, *files)
    assert [file.name for file in empty.iterdir()] == ["worker.json"]


def test_writes_to_a_tap_stand_beside_their_prediction_and_are_figures_to_validate(vhost_sim, empty):
    files = ("--out", "mine/cpus/here.yaml", "--measurements", "mine/measurements/here-tap.yaml")
    done = vhost_sim("measure", "--from", TAPS, "--tap", *files)
    assert (done.returncode, done.stderr.count("written to")) == (0, 2)
    assert "frame written to a TAP, less a write to /dev/null, against its prediction" in done.stdout
    assert "share of the time of a write by kernel function" in done.stdout
    assert "the table that stands for this kernel: v6." in done.stdout
    checked = vhost_sim("validate", "--configs", "mine", "--only", "here-tap", "--draws", "0", "--format", "csv")
    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout.count("here-tap/native") == 6
    (empty / "fit.yaml").write_text(
        "schema: 1\nkind: calibration-study\nname: fit\ntitle: this host\nscenario: tap-write\n"
        "parameters: [{key: cpu.cpi}]\nmeasurements: [here-tap]\ndraws: 20\ntrials: 20\n"
    )
    fitted = vhost_sim("calibrate", "fit.yaml", "--configs", "mine", "--format", "csv")
    assert (fitted.returncode, fitted.stdout.count("cpu.cpi")) == (0, 1)


def test_the_json_of_writes_to_a_tap_holds_each_way_and_size(vhost_sim):
    data = json.loads(vhost_sim("measure", "--from", TAPS, "--tap", "--json").stdout)["tap"]
    assert {(write["way"], write["packet_bytes"]) for write in data["writes"]} == {
        (way, size)
        for way in ("native", "program", "generic", "skb", "down")
        for size in (64, 128, 256, 512, 1024, 1518)
    }
    assert {share["function"] for share in data["functions"]} >= {"tun_get_user", "tun_build_skb", "all others"}


def test_a_vhost_worker_stands_beside_its_prediction(vhost_sim, empty):
    (empty / "worker.json").write_text(with_runs(read_recording(QUIET), quiet()).to_json())
    files = ("--out", "mine/cpus/this-host.yaml", "--measurements", "mine/measurements/here.yaml")
    done = vhost_sim("measure", "--from", "worker.json", "--vhost", *files)
    written = "written to mine/cpus/: this-host.yaml\nwritten to mine/measurements/: here.yaml\n"
    assert (done.returncode, done.stderr) == (0, written)
    assert "cpu: this-host\n" in (empty / "mine/measurements/here.yaml").read_text()
    assert "this kernel's vhost worker against its prediction" in done.stdout
    assert "descriptors used, statistics of the TAP and runs of the XDP program agree" in done.stdout
    assert "command line: not shown" in done.stdout
    checked = vhost_sim("validate", "--configs", "mine", "--only", "here", "--draws", "0", "--format", "csv")
    assert (checked.returncode, checked.stdout.count("here/tx 64")) == (0, 2)
    rows = vhost_sim("measure", "--from", "worker.json", "--vhost", "--format", "csv").stdout.splitlines()
    assert len(rows) == 1 + 6
    assert rows[0].startswith("direction,packet_bytes,measured_pps,predicted_pps")


@pytest.mark.skipif(Path("/dev/vhost-net").exists(), reason="this kernel has vhost_net")
def test_a_kernel_without_vhost_net_is_one_line(refused):
    assert refused("measure", "--vhost") == "measure: this kernel has no /dev/vhost-net"


@pytest.mark.skipif(os.geteuid() == 0, reason="is refused to others than root")
def test_somebody_else_than_root_is_one_line(refused):
    assert refused("measure", "--tap").startswith("measure: ")


@ROOT
@pytest.mark.deep
def test_writes_to_a_tap_on_this_machine(empty):
    before = {folder.name for folder in Path("/sys/class/net").iterdir()}
    command = [COMMAND, "measure", "--tap", "--json"]
    with only_measuring():
        done = subprocess.run(command, cwd=empty, capture_output=True, text=True, timeout=600, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    data = json.loads(done.stdout)["tap"]
    assert all(write["measured_ns"] > 0 for write in data["writes"])
    assert {folder.name for folder in Path("/sys/class/net").iterdir()} == before


@ROOT
@pytest.mark.deep
def test_a_second_run_is_refused_and_a_killed_one_leaves_nothing(installed, empty):
    with only_measuring():
        before = programs()
        with subprocess.Popen([COMMAND, "measure", "--tap"], cwd=empty, stdout=subprocess.DEVNULL) as first:
            until = time.monotonic() + 60
            while not programs() - before and time.monotonic() < until:
                time.sleep(0.1)
            assert programs() - before
            for options in ((), ("--tap",)):
                second = installed("measure", *options)
                assert (second.returncode, second.stdout) == (2, "")
                assert "another experiment is running here" in second.stderr
            first.send_signal(signal.SIGKILL)
        until = time.monotonic() + 10
        while programs() - before and time.monotonic() < until:
            time.sleep(0.1)
        assert not programs() - before


def programs() -> set[int]:
    """The processes of the compiled programs that run now."""
    running = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if "vhost-sim/" in os.readlink(process / "exe"):
                running.add(int(process.name))
        except OSError:
            continue
    return running


def test_compare_cpu(vhost_sim):
    options = ("compare-cpu", "zen4", "zen5", "--sizes", "64", "--access", "copy_user")
    done = vhost_sim(*options, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    data = json.loads(done.stdout)
    assert (data["schema"], data["first"]["name"], data["second"]["name"]) == (1, "zen4", "zen5")
    total = sum(one["worth_ns"] for one in data["differences"]) + data["together_ns"]
    assert total == pytest.approx(data["second"]["ns_per_packet"] - data["first"]["ns_per_packet"])
    shown = vhost_sim(*options).stdout
    assert "zen4 -> zen5 in virtio-user-xdp1-tap (copy_user, 64 B)" in shown
    assert data["differences"][0]["key"].removeprefix("primitives.") in shown
