"""The commands that weigh evidence, as a person types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

SEED = "virtio-user-xdp1-tap"
PERF = Path(__file__).parents[1] / "data" / "perf"
TRACE = Path(__file__).parents[1] / "data" / "traces" / "v6.12.95.tx_xdp_ev0_d1_b32_s64.csv"
SHORT = ("--sizes", "64", "--access", "copy_user,vmap")


def as_json(done):
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_uncertainty_takes_a_number_or_none(vhost_sim):
    few = as_json(vhost_sim("compare", SEED, *SHORT, "--uncertainty", "4", "--json"))["uncertainty"]
    assert few["draws"] == 4
    assert few["gains"][0]["gain_percent"]["low"] < few["gains"][0]["gain_percent"]["high"]
    many = as_json(vhost_sim("run", SEED, "--sizes", "64", "--access", "vmap", "--uncertainty", "--json"))
    assert many["uncertainty"]["draws"] in (100, 200, 400, 800, 1600)
    assert 0 < many["uncertainty"]["precision"] <= 0.05 or many["uncertainty"]["draws"] == 1600
    assert [rate["access"] for rate in many["uncertainty"]["rates"]] == ["vmap"]


def test_inside_the_evidence_nothing_is_said_and_outside_it_one_line(vhost_sim):
    assert "evidence" not in as_json(vhost_sim("run", SEED, *SHORT, "--json"))
    done = vhost_sim("run", SEED, *SHORT, "--set", "cpu=zen4")
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("outside the evidence")]
    assert "CPU zen4 (measured: broadwell-2.6ghz" in line


def test_without_and_shapley(vhost_sim):
    full = as_json(vhost_sim("compare", SEED, *SHORT, "--shapley", "--json"))
    shares = {one["mechanism"]: one for one in full["shapley"]["shares"]}
    less = as_json(vhost_sim("compare", SEED, *SHORT, "--without", "lfence", "--json"))
    assert less["results"][0]["gain_percent"] == pytest.approx(shares["lfence"]["gain_without_percent"])
    rows = as_json(vhost_sim("explain", SEED, "--access", "copy_user", "--without", "stac_clac", "--json"))
    assert rows["counts"]["metadata"]["per_packet"]["stac"] == 0


def test_breakeven(vhost_sim):
    done = vhost_sim("breakeven", SEED, "--vary", "cpu.primitives.stac", "--target", "gain>=90%")
    assert "\ngain >= 90 %: never, for cpu.primitives.stac from " in done.stdout
    bounds = ("--low", "1", "--high", "64")
    data = as_json(vhost_sim("breakeven", SEED, "--vary", "driver.burst", *bounds, "--target", "pps>=4.9e6", "--json"))
    assert data["schema"] == 1
    assert data["verdict"] in ("crosses", "always", "never")


def test_sensitivity(vhost_sim, empty):
    data = as_json(vhost_sim("sensitivity", "seed-gain", "--json"))
    assert data["indices"][0]["key"] == "cpu.primitives.stac"
    done = vhost_sim("sensitivity", "seed-gain", "--method", "morris", "--samples", "2", "--out", "out")
    assert "measure this next: " in done.stdout
    files = {file.name for file in (empty / "out").iterdir()}
    assert files == {f"morris.{end}" for end in ("csv", "parquet", "svg", "png")}


def test_validate(vhost_sim, empty):
    done = vhost_sim("validate", "--only", "seed-vmap,in-order", "--draws", "5", "--out", "out", "--markdown", "v.md")
    assert done.returncode == 0
    assert "seed-vmap/A1 before" in done.stdout
    assert (empty / "v.md").read_text(encoding="utf-8").startswith("# Validation\n")
    assert (empty / "out" / "validation.png").stat().st_size > 5000


def test_a_trace_becomes_a_measurement_that_validate_reads(vhost_sim, empty):
    options = ("--set", "kernel=v6.12", "--set", "cpu=sapphire-rapids", "--set", "mitigations.hardened_usercopy=true")
    done = vhost_sim("import-trace", TRACE, "--out", "mine/measurements/mine.yaml", *options)
    assert (done.returncode, done.stderr) == (0, "written to mine/measurements/: mine.yaml\n")
    data = as_json(vhost_sim("validate", "--configs", "mine", "--only", "mine", "--json"))
    found = {row["quantity"]: row["status"] for row in data["results"]}
    assert (found["stac"], found["clac"], found["lfence"]) == ("met", "met", "met")
    assert "mine" in vhost_sim("list", "measurements", "--configs", "mine").stdout


def test_a_profile_becomes_a_measurement_that_validate_reads(vhost_sim, empty):
    options = ("--set", "kernel=v5.3", "--set", "cpu=broadwell-ep-e5-2650v4", "--set", "virtqueue.size=1024")
    done = vhost_sim("import-trace", PERF / "1-children.txt", "--out", "mine/measurements/mine.yaml", *options)
    assert (done.returncode, done.stderr) == (0, "written to mine/measurements/: mine.yaml\n")
    assert "assumed: the 53.00 % of the samples which the report does not show are the worker's, too" in done.stdout
    done = vhost_sim("validate", "--configs", "mine", "--only", "mine", "--draws", "0", "--json")
    shares = {row["measurement"]: row["measured"] for row in as_json(done)["results"]}
    assert shares["mine/handle_tx_copy"] == pytest.approx(0.04)


def test_every_kind_of_study_is_listed(vhost_sim):
    listed = {one["name"] for one in as_json(vhost_sim("list", "studies", "--json"))["studies"]}
    assert {"seed-two-rates", "seed-gain", "cost-ranges"} <= listed
    assert "sensitivity" in vhost_sim("list", "studies").stdout


def test_leave_one_out(vhost_sim, empty):
    folder = empty / "mine" / "studies"
    folder.mkdir(parents=True)
    (folder / "small.yaml").write_text(
        "schema: 1\nkind: calibration-study\nname: small\ntitle: small\nscenario: virtio-user-xdp1-tap\n"
        "parameters: [{key: cpu.cpi}]\nmeasurements: [seed-vmap/A1 before, in-order/B1 before]\n"
        "draws: 20\ntrials: 20\n"
    )
    data = as_json(vhost_sim("validate", "--leave-one-out", "small", "--draws", "5", "--configs", "mine", "--json"))
    assert set(data["left_out"]) == {"seed-vmap", "in-order"}
    (row,) = data["left_out"]["in-order"]["results"]
    assert row["predicted"] == pytest.approx(5e6, rel=0.02)  # what the other figure says
