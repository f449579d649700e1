"""`vhost-sim count` as a person types it, from a recording; machines boot in tests/count/test_emulated.py."""

from __future__ import annotations

import csv
import json

import pytest

from sim.count.configurations import configurations
from tests.facts.traces import FOLDER

RECORDING = FOLDER.parent / "counts" / "v6.1.192.json"


def test_counts_become_a_table_that_a_scenario_names(vhost_sim):
    done = vhost_sim("count", "--from", RECORDING, "--extends", "v6.1", "--out", "mine/kernels/v6.1-mine.yaml")
    assert (done.returncode, done.stderr) == (0, "written to mine/kernels/: v6.1-mine.yaml\n")
    assert "tx_xdp_ev0_d1_b1_s64" in done.stdout
    assert "v6.1-mine: v6.1 moved to the counts" in done.stdout
    assert "not counted: txo_inorder_xdp_b32_s64" in done.stdout
    checked = vhost_sim("check", "mine/kernels/v6.1-mine.yaml", "--configs", "mine")
    assert checked.returncode == 0
    ran = vhost_sim("run", "virtio-user-xdp1-tap", "--configs", "mine", "--set", "kernel=v6.1-mine", "--sizes", "64")
    assert (ran.returncode, ran.stderr) == (0, "")


def test_some_configurations_of_a_recording(vhost_sim, empty):
    done = vhost_sim("count", "--from", RECORDING, "--only", "txb_xdp", "--tables", "out", "--json")
    assert done.stderr == "written to out/: counts.csv, functions.csv\n"
    names = [name for name in configurations() if name.startswith("txb_xdp")]
    assert [each["configuration"] for each in json.loads(done.stdout)["configurations"]] == names
    with (empty / "out" / "counts.csv").open(newline="") as file:
        rows = {row["configuration"]: row for row in csv.DictReader(file)}
    assert rows["txb_xdp_ev0_d1_b2_s64"]["stac"] == "8.0"
    functions = (empty / "out" / "functions.csv").read_text()
    assert functions.startswith("configuration,function,instructions,returns\n")
    assert "txb_xdp_ev0_d1_b2_s64,translate_desc,71.0,1.0\n" in functions


def test_a_recording_is_written_again(vhost_sim, empty):
    vhost_sim("count", "--from", RECORDING, "--recording", "again.json")
    assert json.loads((empty / "again.json").read_text()) == json.loads(RECORDING.read_text())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "one of --kernel, --release and --from is needed (got none)"),
        (
            ("--kernel", "a", "--release", "6.1"),
            "one of --kernel, --release and --from is needed (got --kernel and --r",
        ),
        (("--kernel", "a"), "--modules: is needed with --kernel: the folder with the kernel's modules"),
        (("--kernel", "a", "--modules", "."), "a: is no file; a bootable kernel (vmlinuz) is needed"),
        (("--from", "none.json"), "none.json: cannot be read: No such file or directory"),
        (("--from", RECORDING, "--only", "tx_xpd"), "--only tx_xpd: no configuration begins so"),
        (("--from", RECORDING, "--extends", "v6.1"), "--extends v6.1: is for the table that --out writes"),
        (("--from", RECORDING, "--boot", "init_on_alloc=0"), "--boot init_on_alloc=0: is for a kernel that boots"),
        (("--release", "6.1", "--boot", "quiet -- x"), "--boot quiet -- x: is words of a kernel's command line"),
        (("--from", RECORDING, "--out", "x.yaml", "--extends", "v6.3"), "unknown kernel 'v6.3'"),
        (
            ("--from", RECORDING, "--out", "x.yaml", "--only", "txw"),
            "--only: no configuration was counted that a table",
        ),
        (("--from", RECORDING, "--tables", "/proc/x"), "--tables /proc/x: cannot be written"),
    ],
)
def test_what_is_missing_or_wrong_is_said_in_one_line(arguments, said, vhost_sim):
    done = vhost_sim("count", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
