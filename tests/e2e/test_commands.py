"""Every command as a person types it: what it prints, as text and as JSON."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from importlib.metadata import version

import pytest
import typer

from sim.cli import app
from sim.cli.options import with_default_draws
from sim.cli.tables import KINDS
from sim.config.loading.provenance import tables_digest

from .conftest import COMMAND

SEED = "virtio-user-xdp1-tap"
COMMANDS = sorted(typer.main.get_command(app).commands)
SHORT = ("--set", "run.packets=2000")


def as_json(done):
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_there_are_the_commands_that_the_issue_names():
    assert {"run", "compare", "explain", "list", "check", "calibrate"} <= set(COMMANDS)
    assert {"validate", "sensitivity", "breakeven", "import-trace"} <= set(COMMANDS)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("run", "nope"),
        ("run", SEED, "--sizes", "64", "--json", *SHORT),
    ],
)
def test_the_installed_command_answers_as_its_fork_does(arguments, installed, vhost_sim):
    whole, fork = installed(*arguments), vhost_sim(*arguments)
    assert (whole.returncode, whole.stdout, whole.stderr) == (fork.returncode, fork.stdout, fork.stderr)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_json(command, vhost_sim):
    done = vhost_sim(command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"vhost-sim {command}" in done.stdout
    assert all(words in done.stdout for words in ("--format", "table|csv|json|md", "--json", "Examples:"))


@pytest.mark.parametrize("command", [(), ("run",), ("list",)], ids=" ".join)
def test_h_is_short_for_help(command, vhost_sim):
    short, long = vhost_sim(*command, "-h"), vhost_sim(*command, "--help")
    assert (short.returncode, short.stdout, short.stderr) == (0, long.stdout, "")
    assert "Usage: vhost-sim" in short.stdout


def test_help_lists_every_command(vhost_sim):
    done = vhost_sim("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert all(command in done.stdout for command in COMMANDS)


def test_help_names_every_mechanism_that_can_be_left_out(vhost_sim):
    from sim.study.sensitivity.shapley import MECHANISMS

    text = re.sub(r"[\s│]+", " ", vhost_sim("run", "--help").stdout)
    assert f"for every variant: {', '.join(MECHANISMS)}" in text


def test_without_arguments_help_is_shown(vhost_sim):
    done = vhost_sim()
    assert "Usage: vhost-sim" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_version(vhost_sim):
    assert vhost_sim("--version").stdout == f"vhost-sim {version('vhost-sim')}, tables {tables_digest()}\n"


def test_run(vhost_sim):
    data = as_json(vhost_sim("run", SEED, "--sizes", "64,512", "--access", "copy_user,vmap", *SHORT, "--json"))
    assert (data["schema"], data["scenario"]) == (1, SEED)
    asked = [(access, size) for access in ("copy_user", "vmap") for size in (64, 512)]
    assert [(point["access"], point["packet_bytes"]) for point in data["results"]] == asked
    for point in data["results"]:
        assert {"pps", "pps_ci", "ns_per_packet", "cycles_per_packet", "breakdown_cycles"} <= set(point)
        assert {"latency_us", "utilisation", "bound_by"} <= set(point)
        assert sum(point["breakdown_cycles"].values()) == pytest.approx(point["cycles_per_packet"])
        assert point["pps"] == pytest.approx(1e9 / point["ns_per_packet"])


def test_run_prints_the_rates_as_text(vhost_sim):
    arguments = ("run", SEED, "--sizes", "64", "--access", "vmap", *SHORT)
    (point,) = as_json(vhost_sim(*arguments, "--json"))["results"]
    done = vhost_sim(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{point['pps'] / 1e6:.3f}" in done.stdout
    assert "worker cycles per packet at 64 B" in done.stdout


def test_compare_two_variants(vhost_sim):
    data = as_json(vhost_sim("compare", SEED, "--access", "copy_user,vmap", "--sizes", "64", *SHORT, "--json"))
    assert (data["schema"], data["before"], data["after"]) == (1, "copy_user", "vmap")
    (one,) = data["results"]
    assert one["gain_percent"] == pytest.approx(100 * (one["after_pps"] / one["before_pps"] - 1))
    assert sum(one["made_up_of_ns"].values()) == pytest.approx(one["saved_ns"])


def test_compare_two_scenarios(vhost_sim, empty):
    (empty / "new.yaml").write_text(f"schema: 1\nextends: {SEED}\nname: new\nkernel: v6.12\n")
    data = as_json(vhost_sim("compare", SEED, "new.yaml", "--sizes", "64", *SHORT, "--json"))
    assert (data["before"], data["after"]) == (f"{SEED} (copy_user)", "new (copy_user)")
    assert "total" in vhost_sim("compare", SEED, "new.yaml", "--sizes", "64", *SHORT).stdout


def test_explain(vhost_sim):
    data = as_json(vhost_sim("explain", SEED, "--access", "copy_user", "--json"))
    assert (data["schema"], data["access"], data["packet_bytes"]) == (1, "copy_user", 64)
    # Per packet: one window around the avail entry, one around the descriptor.
    assert data["counts"]["metadata"]["per_packet"]["stac"] == 1 + 1
    assert data["counts"]["payload"]["per_packet"]["stac"] == 1 + 1  # vnet header, packet bytes
    worker = sum(row["cycles_per_packet"] for row in data["rows"] if row["actor"] == "worker")
    assert worker == pytest.approx(data["total_cycles"])


def test_explain_shows_the_size_that_is_asked_for(vhost_sim):
    assert as_json(vhost_sim("explain", SEED, "--access", "vmap", "--sizes", "1518", "--json"))["packet_bytes"] == 1518


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ((), "total of the worker"),
        (("--actor", "driver"), "total of the driver"),
        (("--actor", "nic", "--set", "backend.kind=tap-bridge"), "total of the nic"),
        (("--by", "function"), "vhost_get_vq_desc"),
        (("--sources",), "cpu.primitives.stac"),
    ],
    ids=["rows", "driver", "nic", "function", "sources"],
)
def test_explain_prints_rows_functions_and_sources(options, shown, vhost_sim):
    done = vhost_sim("explain", SEED, *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert shown in done.stdout


@pytest.mark.parametrize(
    ("what", "name"),
    [
        ("cpus", "broadwell-2.6ghz"),
        ("kernels", "v5.0"),
        ("access", "vmap"),
        ("scenarios", SEED),
        ("calibrations", "seed-copy-user"),
        ("studies", "seed-copy-user"),
        ("measurements", "seed-vmap"),
    ],
)
def test_list(what, name, vhost_sim):
    data = as_json(vhost_sim("list", what, "--json"))
    assert data["schema"] == 1
    listed = {one["name"]: one for one in data[what]}
    assert set(listed[name]) == {"name", "title", "entries", "guesses"}
    assert list(listed) == sorted(listed)
    assert name in vhost_sim("list", what).stdout


def test_the_help_of_list_names_every_kind(vhost_sim):
    text = re.sub(r"[\s│]+", " ", vhost_sim("list", "--help").stdout)
    assert f"what to list: {', '.join(KINDS)} [required]" in text


def test_check_finds_nothing_wrong_with_what_is_shipped(vhost_sim):
    data = as_json(vhost_sim("check", "--json"))
    assert {finding["severity"] for finding in data["findings"]} == {"guess"}
    assert set(data["findings"][0]) == {"severity", "table", "key", "message"}
    assert data["tables"] > 100


def test_check_counts_what_it_has_looked_at(vhost_sim, empty):
    (empty / "mine.yaml").write_text("schema: 1\nkind: cpu\nextends: zen4\nname: mine\ntitle: Mine\n")
    assert vhost_sim("check", "mine.yaml").stdout.startswith("1 table: 0 errors, 0 warnings, ")


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["text", "json"])
def test_check_ends_with_2_when_a_table_has_an_error(options, vhost_sim, empty):
    (empty / "bad.yaml").write_text("schema: 1\nkind: cpu\nextends: zen4\nname: bad\ncore_gzh: 1\n")
    done = vhost_sim("check", "bad.yaml", *options)
    assert "unknown key 'core_gzh'; did you mean 'core_ghz'?" in done.stdout
    assert done.stderr == ""
    assert done.returncode == 2


def test_check_ends_with_0_when_there_are_only_warnings(vhost_sim, empty):
    (empty / "odd.yaml").write_text(
        "schema: 1\nkind: cpu\nextends: zen4\nname: odd\nprimitives:\n"
        "  l1_hit: {value: 900, unit: cycles, low: 900, high: 900, source: a test, grade: guess}\n"
    )
    done = vhost_sim("check", "odd.yaml")
    assert "warning: cpu odd primitives.l1_hit: l1_hit" in done.stdout
    assert done.returncode == 0


def test_calibrate(vhost_sim, empty):
    (empty / "small.yaml").write_text(
        f"schema: 1\nkind: calibration-study\nname: small\ntitle: one rate\nscenario: {SEED}\n"
        "parameters: [{key: cpu.cpi}]\nmeasurements: [seed-vmap/A1 before]\ndraws: 20\ntrials: 20\n"
    )
    done = vhost_sim("calibrate", "small.yaml", "--json", "--out", "mine/new.yaml")
    assert done.returncode == 0
    data = json.loads(done.stdout)
    assert data["schema"] == 1  # as every other
    assert data["parameters"][0]["key"] == "cpu.cpi"
    assert {"value", "low", "high", "source", "grade", "prior", "pull"} <= set(data["parameters"][0])
    assert done.stderr == "written to mine/: new.yaml\n"
    again = vhost_sim("run", SEED, "--set", "calibration=./mine/new.yaml", "--sizes", "64", "--json")
    assert as_json(again)["results"][0]["pps"] == pytest.approx(5e6, rel=0.01)


def test_short_options_are_overrides_and_set_wins_over_them(vhost_sim):
    options = ("--sizes", "64", "--set", "traffic.packet_bytes=128", "--access", "ideal", *SHORT)
    (point,) = as_json(vhost_sim("run", SEED, *options, "--json"))["results"]
    assert (point["access"], point["packet_bytes"]) == ("ideal", 128)


def test_a_seed_changes_random_arrivals_and_nothing_else(vhost_sim):
    def pps(seed):
        options = ("--set", "traffic.load={kind: poisson, pps: 3000000}", "--sizes", "64", "--access", "vmap")
        (point,) = as_json(vhost_sim("run", SEED, *options, "--seed", seed, *SHORT, "--json"))["results"]
        return point["pps"]

    assert pps(0) == pps(0)
    assert pps(0) != pps(1)


@pytest.mark.parametrize(
    "arguments", [("list", "cpus"), ("run", SEED, "--json", "--sizes", "64", *SHORT), ("explain", SEED, "--sources")]
)
def test_a_reader_that_stops_early_is_no_error_of_ours(arguments, empty, compiled):
    with subprocess.Popen([COMMAND, *arguments], cwd=empty, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""


def test_report_writes_one_page_and_the_same_bytes_under_any_name(vhost_sim, empty):
    options = ("--sizes", "64", "--access", "copy_user,vmap", *SHORT, "--draws", "20")
    for folder in ("a", "b"):
        done = vhost_sim("report", SEED, *options, "-o", f"{folder}/{folder}.html", "--json")
        assert (done.returncode, done.stderr) == (0, f"written to {folder}/: {folder}.html\n")
    said = json.loads(done.stdout)
    assert said["answer"].startswith("vmap gains ")
    assert {"uncertainty", "tornado", "limits", "evidence", "inputs", "comparisons"} <= set(said)
    first, second = ((empty / folder / f"{folder}.html").read_bytes() for folder in ("a", "b"))
    assert first == second
    command = "vhost-sim report virtio-user-xdp1-tap --set access=copy_user,vmap --set traffic.packet_bytes=64"
    assert command.encode() in first


def test_report_of_a_study_has_its_question_and_its_inputs(vhost_sim, empty):
    (empty / "small.yaml").write_text(
        f"schema: 1\nkind: sensitivity\nname: small\ntitle: does it pay\nscenario: {SEED}\naccess: [copy_user, vmap]\n"
        "set: {traffic.packet_bytes: 64, run.packets: 2000}\ninputs: {cpu.primitives.stac: , cpu.cpi: }\n"
    )
    done = vhost_sim("report", "small.yaml", "--draws", "2", "-o", "small.html", "--json")
    assert (done.returncode, done.stderr) == (0, "written to ./: small.html\n")
    said = json.loads(done.stdout)
    assert said["question"] == "does it pay"
    assert {one["key"] for one in said["tornado"]["indices"]} == {"cpu.primitives.stac", "cpu.cpi"}


def test_trace_writes_a_timeline(vhost_sim, empty):
    asked = ("trace", SEED, "--packets", "10", "--access", "vmap", "--sizes", "64", "-o", "trace.json", "--json")
    done = vhost_sim(*asked)
    assert (done.returncode, done.stderr) == (0, "written to ./: trace.json\n")
    said = json.loads(done.stdout)
    assert (said["access"], said["packet_bytes"]) == ("vmap", 64)
    for spent in said["actors"].values():
        assert sum(spent.values()) == pytest.approx(said["elapsed_us"])
    events = json.loads((empty / "trace.json").read_text())["traceEvents"]
    tracks = {event["args"]["name"] for event in events if event.get("name") == "thread_name"}
    assert tracks == set(said["actors"])


@pytest.mark.parametrize("command", COMMANDS)
def test_the_examples_of_a_command_are_commands(command):
    group = typer.main.get_command(app)
    _, *examples = (group.commands[command].epilog or "").split("\n")
    assert any(example.startswith(f"vhost-sim {command}") for example in examples)
    for example in examples:
        program, name, *arguments = shlex.split(example)
        assert program == "vhost-sim"
        group.commands[name].make_context(name, with_default_draws(arguments))
