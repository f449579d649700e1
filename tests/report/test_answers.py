"""Answers as Python shows them: a line at a prompt, a table and a plot in a notebook, a frame for programs."""

from __future__ import annotations

import subprocess
import sys

import pandas as pd
import pytest

import sim
from sim.config.answer import Answer, counted
from sim.report.notebook.answers import html_of
from sim.study.sweep.run import run_sweep
from tests.sweep.studies import Inline, sweep

SEED = "virtio-user-xdp1-tap"
SHORT = {"access": ["copy_user", "vmap"], "traffic.packet_bytes": 64, "run.packets": 4000}


def _swept():
    axes = {"driver.burst": {"values": [1, 32]}, "access": {"values": ["copy_user", "vmap"]}}
    return run_sweep(sweep(axes), Inline())


#: Asks each question whose answer is an `Answer`; with what its line holds, a column of its table, whether it draws.
ASKED = {
    "Result": (lambda: sim.run(SEED, overrides=SHORT), "copy_user 5.0", "Mpps", True),
    "Comparison": (lambda: sim.compare(SEED, overrides=SHORT), "copy_user -> vmap, 64 B: +20", "gain (%)", True),
    "Explanation": (lambda: sim.explain(SEED, "vmap", overrides=SHORT), "cycles per packet", "kernel function", True),
    "Capacities": (lambda: sim.capacity(SEED, resolution=0.2, overrides=SHORT), "without loss", "share", True),
    "Uncertainty": (lambda: sim.uncertainty(SEED, 20, overrides=SHORT), "20 draws", "sign", True),
    "Sensitivities": (lambda: sim.sensitivity(SEED, overrides=SHORT), "moved most by cpu.", "swing", True),
    "BreakEven": (
        lambda: sim.breakeven(SEED, "cpu.primitives.stac", "gain>=20%", overrides=SHORT, draws=20),
        "gain >= 20 % holds from",
        "met_in_draws",
        True,
    ),
    "Decomposition": (lambda: sim.shapley(SEED, overrides=SHORT), "ns saved per packet", "mechanism", True),
    "Validation": (lambda: sim.validate(["seed-vmap"], draws=0), "2 of 2 published figures met", "predicted", True),
    "Calibration": (lambda: sim.calibrate("seed-copy-user"), "1 parameter fitted to 1 figure", "pull", True),
    "Listing": (lambda: sim.list_tables("cpus"), "cpus: ", "guesses", False),
    "Checked": (lambda: sim.check(["zen4"]), "1 table: 0 errors", "severity", False),
    "CpuComparison": (lambda: sim.compare_cpu("zen4", "zen5", overrides=SHORT), "zen4 ", "ns / packet", True),
    "Timeline": (lambda: sim.trace(SEED, 64, overrides=SHORT), "64 packets in", "actor", True),
    "Outcome": (_swept, "4 points: 4 computed", "gain_percent", True),
    "Review": (lambda: sim.report(SEED, draws=20, overrides=SHORT), "the sign is certain", "gain (%)", True),
}


@pytest.mark.parametrize("kind", ASKED)
def test_an_answer_is_a_line_at_a_prompt_a_table_with_a_plot_in_a_notebook_and_a_frame(kind):
    ask, says, column, draws = ASKED[kind]
    answer = ask()
    assert isinstance(answer, Answer)
    line = repr(answer)
    assert line.startswith(f"<{kind}: ")
    assert says in line
    assert len(line) < 400
    assert "\n" not in line
    assert len(answer.to_frame()) >= 1
    shown = html_of(answer)
    assert f">{column}</th>" in shown
    assert ("<svg" in shown) == draws
    assert not pd.isna(answer.to_frame()).all(axis=None)


def test_every_answer_of_the_public_list_is_asked_for_here_but_those_of_a_host():
    classes = {name: getattr(sim, name) for name in sim.__all__ if isinstance(getattr(sim, name), type)}
    answers = {name for name, value in classes.items() if issubclass(value, Answer)}
    assert answers - {*ASKED} == {"Answer", "CountedKernel", "MeasuredHost", "Measurements", "Profile"}


def test_a_notebook_shows_what_was_asked_of_the_public_functions():
    result = sim.run(SEED, overrides=SHORT)
    assert result._repr_html_() == html_of(result)


def test_without_what_draws_an_answer_is_shown_as_its_line(monkeypatch):
    result = sim.run(SEED, overrides=SHORT)
    monkeypatch.setattr(Answer, "drawn_by", None)
    assert result._repr_html_() is None


def test_without_matplotlib_a_notebook_shows_the_table_alone(monkeypatch):
    monkeypatch.setattr("sim.config.errors.find_spec", lambda name: None)
    shown = html_of(sim.run(SEED, overrides=SHORT))
    assert "<table>" in shown
    assert "<svg" not in shown


def test_text_that_came_from_a_file_is_escaped():
    scenario = sim.load_scenario(SEED, overrides={**SHORT, "name": "<script>alert(1)</script>"})
    shown = html_of(sim.run(scenario))
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown


def test_long_tables_say_how_many_rows_are_left():
    listed = sim.list_tables("cpus")
    left = len(listed.to_frame()) - 12
    assert f"{left} more of {left + 12} rows: <code>to_frame()</code>" in html_of(listed)


@pytest.mark.parametrize(("number", "said"), [(0, "0 entries"), (1, "1 entry"), (2, "2 entries")])
def test_one_of_something_is_not_a_plural(number, said):
    assert counted(number, "entry", "entries") == said


def test_the_package_starts_without_what_draws_or_computes():
    code = "import sys, sim; print(sorted({'numba', 'pandas', 'scipy', 'matplotlib', 'pydantic'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
