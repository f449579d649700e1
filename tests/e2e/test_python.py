"""The questions of the command line as functions: the same answers, in the words of Python."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import sim
from sim.api import progress as bars
from sim.cli import app, worded

SEED = "virtio-user-xdp1-tap"
SHORT = {"access": ["copy_user", "vmap"], "traffic.packet_bytes": 64, "run.packets": 4000}
#: The command whose name is a word of Python already.
OTHER_NAMES = {"list": "list_tables"}


def test_every_command_is_a_function_of_the_same_name():
    commands = {command.name or command.callback.__name__ for command in app.registered_commands}
    assert {OTHER_NAMES.get(name, name.replace("-", "_")) for name in commands} <= {*sim.__all__}


def test_a_name_a_file_and_a_loaded_scenario_give_the_same_answer(tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text(f"schema: 1\nkind: scenario\nname: {SEED}\nextends: {SEED}\n", encoding="utf-8")
    loaded = sim.load_scenario(SEED, overrides=SHORT)
    rates = [sim.run(asked, overrides=SHORT).points for asked in (SEED, str(own), own, loaded)]
    assert rates[1:] == rates[:-1]
    assert sim.run(loaded).points == rates[0]


def test_overrides_are_a_mapping_or_texts_and_change_a_scenario_that_is_loaded():
    base = sim.load_scenario(SEED, overrides=SHORT)
    nested = sim.run(base, overrides={"mitigations": {"smap": False}})
    assert nested.points == sim.run(base, overrides=["mitigations.smap=false"]).points
    assert nested.points == sim.run(SEED, overrides={**SHORT, "mitigations.smap": False}).points


def test_a_scenario_that_was_changed_keeps_what_its_calibration_has_fitted():
    base = sim.load_scenario(SEED)
    assert sim.load_scenario(base) == base
    other = sim.load_scenario(base, overrides={"cpu": "zen4"})
    assert other == sim.load_scenario(SEED, overrides={"cpu": "zen4"})


def test_access_variants_of_a_question_need_not_be_listed_by_the_scenario(tmp_path):
    file = sim.init("access", "one-window", tmp_path)
    assert file == tmp_path / "access" / "one-window.yaml"
    comparison = sim.compare(SEED, access=("copy_user", "one-window"), overrides=SHORT, configs=tmp_path)
    assert (comparison.before, comparison.after) == ("copy_user", "one-window")


@pytest.mark.parametrize(
    ("ask", "command"),
    [
        (lambda: sim.compare(SEED, access=("copy_user", "vmap"), overrides=["traffic.packet_bytes=64"]), ["compare"]),
        (lambda: sim.run(SEED, overrides=["access=copy_user,vmap", "traffic.packet_bytes=64"]), ["run"]),
        (lambda: sim.breakeven(SEED, "cpu.primitives.stac", "gain>=20%", overrides=["traffic.packet_bytes=64"]), [
            "breakeven", "--vary", "cpu.primitives.stac", "--target", "gain>=20%"
        ]),
        (lambda: sim.sensitivity(SEED, access=("copy_user", "vmap"), overrides=["traffic.packet_bytes=64"]), [
            "sensitivity"
        ]),
    ],
    ids=["compare", "run", "breakeven", "sensitivity"],
)  # fmt: skip
def test_a_function_says_what_the_command_says(installed, ask, command):
    name, *rest = command
    done = installed(name, SEED, "--access", "copy_user,vmap", "--sizes", "64", *rest, "--json")
    assert done.returncode == 0, done.stderr
    told, answer = json.loads(done.stdout), json.loads(json.dumps(ask().to_dict()))
    assert {key: told[key] for key in answer} == answer


WRONG = {
    "draws: at least 1 draw is needed (got 0)": lambda: sim.uncertainty(SEED, 0, overrides=SHORT),
    "method: unknown 'tornadoes'; did you mean 'tornado'?": lambda: sim.sensitivity(SEED, "tornadoes"),
    "unknown scenario 'nope'; see sim.list_tables('scenarios')": lambda: sim.run("nope"),
    "kind: unknown 'cpu'; did you mean 'cpus'?": lambda: sim.list_tables("cpu"),
    "target: '.' is not a number (got pps>=.)": lambda: sim.breakeven(SEED, "cpu.cpi", "pps>=."),
    "dask: jobs and a scheduler exclude each other (got tcp://nowhere)": (
        lambda: sim.sweep("cost-ranges", jobs=2, dask="tcp://nowhere")
    ),
    "measurements: names the profile, which is written to out: give both": (
        lambda: sim.measure(tap=True, measurements="mine.yaml")
    ),
    "overrides: change the scenario of vhost, which is not asked for": lambda: sim.measure(
        overrides={"driver.burst": 1}
    ),
    "kernel: a kernel or a recording is needed, one of them (got None)": sim.count,
    "model_error: goes with a study": lambda: sim.calibrate(model_error=True),
    "draws: at least 0 is needed (got -1)": lambda: sim.validate(draws=-1),
    "access variant 'vmpa' is not in scenario virtio-user-xdp1-tap; did you mean 'vmap'?": (
        lambda: sim.explain(sim.load_scenario(SEED, overrides=SHORT), "vmpa")
    ),
    "cpu.core_gzh=3: unknown key 'cpu.core_gzh'; did you mean 'core_ghz'?": (
        lambda: sim.run(SEED, overrides={"cpu": {"core_gzh": 3}})
    ),
}


@pytest.mark.parametrize("sentence", WRONG)
def test_what_is_wrong_is_said_in_the_words_of_python(sentence):
    with pytest.raises(sim.ConfigError) as caught:
        WRONG[sentence]()
    assert str(caught.value) == sentence.replace(" (got None)", "")
    assert "--" not in str(caught.value)


def test_the_command_line_words_the_same_error_its_own_way():
    with pytest.raises(sim.ConfigError) as caught:
        sim.run("nope")
    assert worded(caught.value) == "unknown scenario 'nope'; see `vhost-sim list scenarios`"


def test_nothing_is_written_where_an_answer_cannot_be(tmp_path):
    there = tmp_path / "file"
    there.write_text("", encoding="utf-8")
    with pytest.raises(sim.ConfigError, match=r"^out: .*is not a folder"):
        sim.report(SEED, there / "page.html", overrides=SHORT)
    with pytest.raises(sim.ConfigError, match=r"^out: .*is not a folder"):
        sim.trace(SEED, 8, there / "trace.json")
    assert there.read_text(encoding="utf-8") == ""


def test_a_page_and_a_timeline_are_written_and_the_page_says_the_call(tmp_path):
    page, timeline = tmp_path / "page.html", tmp_path / "trace.json"
    sim.report(SEED, page, draws=2, overrides=SHORT)
    assert "sim.report(&#x27;virtio-user-xdp1-tap&#x27;, &#x27;report.html&#x27;, draws=2" in page.read_text("utf-8")
    sim.trace(SEED, 8, timeline, access="vmap", overrides={"run.packets": 4000})
    assert json.loads(timeline.read_text("utf-8"))["otherData"]["access"] == "vmap"


def test_a_sweep_reads_its_rows_back_and_is_fed_its_own_description(tmp_path):
    file = sim.init("sweep", "my-sweep", tmp_path / "mine")
    held = sim.sweep(file, configs=tmp_path / "mine").to_frame()
    kept = sim.sweep(file, tmp_path / "out", configs=tmp_path / "mine")
    assert kept.to_frame()["pps"].tolist() == held["pps"].tolist()
    again = sim.sweep(tmp_path / "out" / "_sweep.yaml", configs=tmp_path / "mine").to_frame()
    assert again["pps"].tolist() == held["pps"].tolist()


def test_progress_is_told_to_a_function_or_to_nobody(capsys):
    told = []
    changed = {**SHORT, "run.precision": 0}
    sim.run(SEED, overrides=changed, progress=lambda share, label: told.append((share, label)))
    assert told[-1][0] == pytest.approx(1.0)
    assert told[0][1] == "copy_user, 64 B"
    counts = []
    sim.uncertainty(SEED, 4, overrides=SHORT, progress=lambda share, label: counts.append(label))
    assert counts[-1].endswith("/s")
    sim.run(SEED, overrides=SHORT, progress=True)
    assert capsys.readouterr().err == ""


class Cell:
    """What IPython gives back for something displayed: it can be updated."""

    def __init__(self):
        self.states = []

    def update(self, shown):
        self.states.append(shown.data)


def test_in_a_notebook_a_bar_is_drawn_in_the_cell_and_gone_at_the_end(monkeypatch):
    shown = pytest.importorskip("IPython.display")

    cell = Cell()

    def display(bar, display_id):
        assert display_id
        cell.update(bar)
        return cell

    kernel = SimpleNamespace(kernel=1)
    here = SimpleNamespace(get_ipython=lambda: kernel, display=shown)
    monkeypatch.setitem(sys.modules, "IPython", here)
    monkeypatch.setattr(shown, "display", display)
    monkeypatch.setattr(bars, "_QUIET_SECONDS", 0)
    monkeypatch.setattr(bars, "_BETWEEN_SECONDS", 0)
    assert bars.in_notebook()
    with bars.counting(True, "runs") as report:
        report(1, 4)
        report(3, 4)
    assert 'value="0.250"' in cell.states[0]
    assert "3/4 runs" in cell.states[1]
    assert cell.states[-1] == ""


def test_outside_of_a_notebook_there_is_none():
    assert not bars.in_notebook()


def test_types_are_marked_as_such():
    assert (Path(sim.__file__).parent / "py.typed").is_file()
