"""Every command in every form: tables that fit, Markdown, CSV that pandas reads, JSON."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from sim.cli import main
from sim.config.loading.provenance import made_by

from .conftest import COMMAND
from .test_commands import COMMANDS

SEED = "virtio-user-xdp1-tap"
DATA = Path(__file__).parents[1] / "data"
SHORT = ("--sizes", "64,1518", "--access", "copy_user,vmap", "--set", "run.packets=2000")
FEW = ("--sizes", "64", "--access", "copy_user,vmap", "--set", "run.packets=500")
ONE = ("--sizes", "64", "--access", "vmap", "--set", "run.packets=2000")

#: A call of each command, columns of its CSV and the number of its rows.
CALLS = {
    "run": (("run", SEED, *SHORT), ("access", "packet_bytes", "pps", "latency_p50_us"), 2 * 2),
    "compare": (("compare", SEED, *SHORT), ("packet_bytes", "before_pps", "gain_percent", "saved_ns"), 2),
    "capacity": (
        ("capacity", SEED, "--sizes", "64", "--access", "vmap", "--resolution", "0.2", "--set", "run.packets=500"),
        ("access", "packet_bytes", "capacity_pps", "latency_p50_us"),
        1,
    ),
    "explain": (("explain", SEED, *ONE), ("actor", "step", "primitives.stac", "cycles_per_packet"), None),
    "explain by function": (("explain", SEED, *ONE, "--by", "function"), ("function", "cycles_per_packet"), None),
    "explain with skid": (
        ("explain", SEED, *ONE, "--by", "function", "--skid"),
        ("function", "cycles_per_packet"),
        None,
    ),
    "explain sources": (("explain", SEED, *ONE, "--sources"), ("key", "value", "low", "high", "unit", "source"), None),
    "sweep": (("sweep", "sweep.yaml", "--jobs", "1"), ("access", "packet_bytes", "pps", "virtqueue.size"), 2),
    "report": (
        ("report", SEED, *FEW, "--draws", "2", "-o", "r.html"),
        ("access", "packet_bytes", "pps", "pps_90_low", "pps_90_high"),
        2,
    ),
    "trace": (("trace", SEED, "--packets", "3", *ONE, "-o", "t.json"), ("actor", "name", "us"), None),
    "breakeven": (
        ("breakeven", SEED, "--vary", "driver.burst", "--low", "1", "--high", "64", "--target", "pps>=4.9e6", *ONE),
        ("key", "value", "unit", "pps", "met"),
        None,
    ),
    "sensitivity": (("sensitivity", "small.yaml"), ("input", "low", "high", "swing", "unit"), 2),
    "sensitivity of a scenario": (("sensitivity", SEED, *FEW), ("input", "low", "high", "swing", "unit"), None),
    "validate": (
        ("validate", "--only", "seed-vmap", "--draws", "2"),
        ("measurement", "quantity", "unit", "measured", "predicted", "low", "high", "error"),
        None,
    ),
    "validate left out": (
        ("validate", "--leave-one-out", "./fit.yaml", "--draws", "2"),
        ("left_out", "measurement", "measured", "predicted"),
        2,
    ),
    "calibrate": (
        ("calibrate", "fit.yaml"),
        ("key", "value", "low", "high", "prior.value", "pull"),
        1,
    ),
    "import-trace": (
        ("import-trace", DATA / "traces" / "v5.0.tx_xdp_ev0_d1_b1_s64.csv"),
        ("id", "quantity", "value", "low", "high", "unit"),
        None,
    ),
    "measure": (
        ("measure", "--from", DATA / "host" / "zen5-vm.json"),
        ("key", "value", "low", "high", "unit", "outliers", "stable"),
        None,
    ),
    "count": (
        ("count", "--from", DATA / "counts" / "v6.1.192.json"),
        ("configuration", "instructions", "stac", "clac", "lfence", "returns", "calls", "indirect_calls", "branches"),
        None,
    ),
    "compare-cpu": (
        ("compare-cpu", "zen4", "zen5", "--sizes", "64"),
        ("key", "first.value", "second.value", "ratio", "worth_ns"),
        None,
    ),
    "list": (("list", "studies"), ("kind", "name", "title", "entries", "guesses"), None),
    "init": (("init", "cpu", "my-own"), ("command",), 2),
    "check": (("check", "zen4"), ("severity", "table", "key", "message"), None),
}
FILES = {
    "sweep.yaml": f"schema: 1\nkind: sweep\nname: two\ntitle: two rings\nscenario: {SEED}\n"
    "set: {run.packets: 500, traffic.packet_bytes: 64}\n"
    "axes: {access: {values: [vmap]}, virtqueue.size: {values: [128, 256]}}\n",
    "small.yaml": f"schema: 1\nkind: sensitivity\nname: small\ntitle: does it pay\nscenario: {SEED}\n"
    "access: [copy_user, vmap]\nset: {traffic.packet_bytes: 64, run.packets: 2000}\n"
    "inputs: {cpu.primitives.stac: , cpu.cpi: }\n",
    "fit.yaml": f"schema: 1\nkind: calibration-study\nname: fit\ntitle: fit\nscenario: {SEED}\n"
    "parameters: [{key: cpu.cpi}]\nmeasurements: [seed-vmap/A1 before, in-order/B1 before]\ndraws: 20\ntrials: 20\n",
}


@pytest.fixture
def call(empty, compiled, monkeypatch, capfd):
    """Run one of CALLS, in this process for the sake of time, at a width; return its standard output.

    An answer that is wanted in another form only is shown again, and not computed again.
    """
    from sim.cli.output import asked_form, show_data

    answers = {}

    def remembered(name):
        def show(*answer):
            answers[name] = answer
            show_data(*answer)

        return show

    for name, content in FILES.items():
        (empty / name).write_text(content)
    monkeypatch.chdir(empty)
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)

    def run(name, *options, columns="80"):
        monkeypatch.setenv("COLUMNS", columns)
        if name in answers and len(options) == 2 and options[0] == "--format":
            asked_form.set(options[1])
            show_data(*answers[name])
            return capfd.readouterr().out
        monkeypatch.setattr("sim.cli.output.show_data", remembered(name))
        monkeypatch.setattr("sys.argv", ["vhost-sim", *(str(word) for word in (*CALLS[name][0], *options))])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        assert not ended.value.code, err
        return out

    return run


def test_there_is_a_call_of_every_command():
    """But of the one that serves until it is interrupted."""
    assert {arguments[0] for arguments, _, _ in CALLS.values()} == set(COMMANDS) - {"explore"}


@pytest.mark.parametrize("name", CALLS)
def test_an_answer_is_right_in_every_form(name, call):
    fits_80_columns_plainly(call(name))
    has_markdown_tables(name, call(name, "--format", "md"))
    is_csv(name, call(name, "--format", "csv"))
    text = call(name, "--format", "json")
    assert isinstance(json.loads(text), dict)
    if name in ("list", "check", "import-trace", "measure"):  # quick ones
        assert text == call(name, "--json")


def fits_80_columns_plainly(text):
    lines = text.split("\n")
    assert lines.pop() == ""
    assert [line for line in lines if len(line) > 80 or line.endswith(" ")] == []
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f…]", "".join(lines))  # nor colours, nor a cell that was cut


def has_markdown_tables(name, text):
    blocks = [block.split("\n") for block in text.removesuffix("\n").split("\n\n") if block.startswith("| ")]
    for lines in blocks:
        assert re.fullmatch(r"(\| (---|---:) )+\|", lines[1])
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1
    assert blocks or name in ("report", "check", "init")  # a sentence, findings and commands line by line


def is_csv(name, text):
    _, columns, count = CALLS[name]
    frame = pd.read_csv(io.StringIO(text))
    assert set(columns) <= set(frame.columns)
    assert len(frame) == count if count else len(frame) > 0
    records = list(csv.reader(io.StringIO(text)))
    assert {len(record) for record in records} == {len(frame.columns)}
    assert not re.search(r"(^|,)(nan|None|\[|\{)", text, re.MULTILINE)


def test_markdown_is_the_same_whatever_the_width(call):
    assert call("explain", "--format", "md", columns="40") == call("explain", "--format", "md", columns="200")


def test_the_csv_of_a_run_is_the_file_that_out_writes_and_what_was_asked(call, empty):
    for name, file in (("run", "results.csv"), ("compare", "comparison.csv"), ("capacity", "capacity.csv")):
        printed = pd.read_csv(io.StringIO(call(name, "--format", "csv", "--out", "out")), dtype=str)
        asked = [column for column in printed if column.startswith("asked.")]
        assert {"asked.cpu", "asked.kernel", "asked.queue_pairs", "asked.load"} < set(asked)
        assert printed.drop(columns=asked).to_csv(index=False) == (empty / "out" / file).read_text()


def test_a_sweep_into_a_folder_counts_its_points_as_csv(call):
    assert call("sweep", "--out", "out", "--format", "csv") == (
        "schema,points,computed,reused,refused,failed,first_error,notes,folder,made_by.version,made_by.tables\n"
        f"1,2,2,0,0,0,,,out,{','.join(made_by().values())}\n"
    )


def test_draws_add_the_ends_of_their_intervals(call):
    rates = pd.read_csv(io.StringIO(call("run", "--uncertainty", "4", "--format", "csv")))
    assert (rates["pps_90_low"] < rates["pps_90_high"]).all()
    gains = pd.read_csv(io.StringIO(call("compare", "--uncertainty", "4", "--format", "csv")))
    assert (gains["gain_percent_90_low"] < gains["gain_percent_90_high"]).all()
    assert (gains["saved_stac_ns_of_parameters_90_low"] < gains["saved_stac_ns_of_parameters_90_high"])[0]


@pytest.mark.parametrize(
    ("name", "options", "columns"),
    [
        pytest.param(
            "capacity",
            ("--resolution", "0.1", "--loss", "1%"),
            ("capacity_pps", "capacity_with_loss_pps"),
            marks=pytest.mark.deep,
        ),
        ("explain", (), ("pps",)),
        ("breakeven", (), ("pps",)),
    ],
)
def test_a_search_and_an_explanation_take_draws_in_every_form(call, name, options, columns):
    options = (*options, "--uncertainty", "3")
    rows = pd.read_csv(io.StringIO(call(name, *options, "--format", "csv")))
    for column in columns:
        drawn = rows.dropna(subset=[f"{column}_90_low"])
        assert len(drawn)
        for ends in (column, f"{column}_of_parameters"):
            assert (drawn[f"{ends}_90_low"] < drawn[f"{ends}_90_high"]).all()
    told = json.loads(call(name, *options, "--json"))
    assert told["uncertainty"]["draws"] == 3
    assert ("parts" in told) == (name == "explain")
    assert "of a measurement, and of the parameters alone; 3 draws" in " ".join(call(name, *options).split())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--format", "jsn"), "--format: unknown 'jsn'; did you mean 'json'?"),
        (("--format", "yaml"), "--format: unknown 'yaml'; valid: csv, json, md, table"),
        (("--format", "csv", "--json"), "--format csv: --json is short for --format json; give one of them"),
        (("--json", "--format", "table"), "--format table: --json is short for --format json; give one of them"),
    ],
)
def test_an_unknown_form_and_two_forms_are_refused(options, sentence, refused, empty):
    assert refused("run", SEED, "--out", "out", *options) == sentence
    assert list(empty.iterdir()) == []


def test_json_beside_the_same_format_is_no_disagreement(vhost_sim):
    assert json.loads(vhost_sim("list", "cpus", "--json", "--format", "json").stdout)["schema"] == 1


@pytest.mark.parametrize("columns", ["1", "40", "80", "120", "200"])
def test_no_number_is_cut_at_any_width(columns, call):
    figures = re.compile(r"\d+\.\d+")
    assert set(figures.findall(call("run", columns="400"))) == set(figures.findall(call("run", columns=columns)))


def on_a_terminal(arguments, **environment):
    """What the command prints on a terminal that does not know its width."""
    leader, follower = pty.openpty()
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "CI")}
    kept |= {"TERM": "xterm-256color", "COLUMNS": "80", **environment}
    with subprocess.Popen([COMMAND, *arguments], stdout=follower, stderr=follower, env=kept):
        os.close(follower)
        parts = []
        while True:
            try:
                part = os.read(leader, 65536)
            except OSError:  # the command has ended
                break
            if not part:
                break
            parts.append(part)
    os.close(leader)
    return b"".join(parts).decode()


def test_bars_are_coloured_on_a_terminal_unless_it_is_not_wanted(compiled):
    arguments = ("compare", SEED, *SHORT)
    assert re.search("\x1b\\[[0-9;]+mw+\x1b", on_a_terminal(arguments))
    plain = on_a_terminal(arguments, NO_COLOR="1")
    assert not re.search("\x1b\\[[0-9;]*[34][0-9]", plain)
    assert "wwww" in plain


@pytest.mark.parametrize("columns", ["0", "wide", ""])
def test_a_terminal_whose_columns_say_nothing_is_80_wide(columns, compiled):
    lines = on_a_terminal(("list", "cpus"), COLUMNS=columns, NO_COLOR="1").replace("\x1b[0m", "").split("\r\n")
    assert max(len(re.sub("\x1b\\[[0-9;]*m", "", line)) for line in lines) == 80
