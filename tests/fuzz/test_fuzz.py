"""Drawn inputs give an answer or one clean line; what notices that they do not is shown inputs that fail."""

from __future__ import annotations

import os
import time
from subprocess import CompletedProcess

import pytest

from sim.config import ConfigError
from tests.fuzz import fuzzers, run
from tests.fuzz.fuzzers import FUZZERS, Fuzzer, Input
from tests.fuzz.outcome import ANSWERED, FAILED, REFUSED, Outcome, judged, of_process

#: Inputs of each fuzzer in the suite: some twenty seconds of processor time, all together.
FEW = {"structured": 100, "text": 60, "settings": 8, "parts": 40}
#: As many in the deep tests; `make fuzz` goes on for as long as it is told.
MANY = 40


def failures(name, numbers):
    fuzzer = FUZZERS[name](seed=1)
    try:
        tried = {number: run.tried(fuzzer, number)[1] for number in numbers}
    finally:
        fuzzer.close()
    assert {ANSWERED, REFUSED} <= {outcome.kind for outcome in tried.values()}
    return [f"--again {name}/1/{number}: {each.said}" for number, each in tried.items() if each.kind == FAILED]


@pytest.mark.parametrize("name", FUZZERS)
def test_drawn_inputs_give_an_answer_or_a_clean_line(name):
    assert failures(name, range(FEW[name])) == []


@pytest.mark.deep
@pytest.mark.parametrize("name", FUZZERS)
def test_many_drawn_inputs_give_an_answer_or_a_clean_line(name):
    assert failures(name, range(FEW[name], MANY * FEW[name])) == []


@pytest.mark.parametrize("name", ["structured", "text", pytest.param("parts", marks=pytest.mark.deep)])
def test_an_input_depends_on_seed_and_number_alone(name):
    first, second, other = FUZZERS[name](1), FUZZERS[name](1), FUZZERS[name](2)
    drawn = [first.draw(number) for number in range(6)]
    assert [second.draw(number) for number in reversed(range(6))] == drawn[::-1]
    assert [other.draw(number) for number in range(6)] != drawn
    for fuzzer in (first, second, other):
        fuzzer.close()
        assert not fuzzer.folder.exists()


def raises(error):
    def use():
        raise error

    return use


def hangs():
    while True:
        pass


@pytest.mark.parametrize(
    ("use", "kind", "said"),
    [
        (lambda: {"pps": [1.0, "nan"]}, ANSWERED, ""),
        (raises(ConfigError("no such file")), REFUSED, "no such file"),
        (raises(ConfigError(" ")), FAILED, "says nothing"),
        (raises(KeyError("l1_hit")), FAILED, "KeyError in "),
        (raises(MemoryError()), FAILED, "MemoryError in "),
        (raises(RecursionError()), FAILED, "RecursionError in "),
        (hangs, FAILED, "TooLongError in "),
        (lambda: {"rows": [{"pps": float("nan")}]}, FAILED, "an answer holds rows: pps: nan"),
        (lambda: ({"pps": float("inf")},), FAILED, "an answer holds pps: inf"),
    ],
)
def test_only_answers_and_clean_lines_are_no_failures(use, kind, said):
    outcome = judged(use, seconds=0.2)
    assert outcome.kind == kind
    assert outcome.said.startswith(said)


@pytest.mark.parametrize(
    ("code", "stdout", "stderr", "kind"),
    [
        (0, '{"pps": 1.0}', "vhost-sim: a note\n", ANSWERED),
        (0, '{"pps": NaN}', "", FAILED),
        (0, "", "", FAILED),
        (2, "", "vhost-sim: no such file\n", REFUSED),
        (2, "", f"vhost-sim: {'x' * 401}\n", FAILED),
        (2, "", "vhost-sim: \x1b[31mred\n", FAILED),
        (2, "", "vhost-sim: two\nlines\n", FAILED),
        (2, "", "", FAILED),
        (2, "{}", "vhost-sim: no such file\n", FAILED),
        (1, "", "Traceback (most recent call last):\n", FAILED),
        (-11, "", "", FAILED),
    ],
)
def test_the_command_ends_with_an_answer_or_exit_code_2(code, stdout, stderr, kind):
    assert of_process(CompletedProcess([], code, stdout, stderr)).kind == kind


class Dying(Fuzzer):
    """Its third input ends the process, its sixth is refused."""

    name = "dying"

    def draw(self, number):
        return Input(str(number), b"content")

    def judge(self, given):
        if given.title == "2":
            os._exit(7)
        return Outcome(FAILED, "a traceback") if given.title == "5" else Outcome(ANSWERED)


def test_a_worker_that_dies_is_a_failure_of_its_input_and_the_next_goes_on(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(fuzzers.FUZZERS, "dying", Dying)
    monkeypatch.setitem(run.SHARES, "dying", 1.0)
    monkeypatch.setattr(run, "OUT", tmp_path)
    assert run.main(["--only", "dying", "--cases", "20", "--jobs", "1", "--minutes", "1"]) == 1
    assert "| dying | 20 | 18 | 0 | 2 |" in capsys.readouterr().out
    assert (tmp_path / "dying-1-2.txt").read_text().endswith("the process died (7)\n")
    assert (tmp_path / "dying-1-5.txt").read_text() == "5\npython -m tests.fuzz.run --again dying/1/5\n\na traceback\n"
    assert (tmp_path / "dying-1-5.input").read_bytes() == b"content"
    assert run.main(["--again", "dying/1/5"]) == 1
    assert run.main(["--again", "dying/1/4"]) == 0


def test_a_worker_that_hangs_in_machine_code_is_a_failure(monkeypatch, tmp_path):
    class Hanging(Dying):
        def judge(self, given):
            if given.title == "1":
                time.sleep(60)
            return Outcome(ANSWERED)

    monkeypatch.setitem(fuzzers.FUZZERS, "dying", Hanging)
    monkeypatch.setattr(run, "OUT", tmp_path)
    monkeypatch.setattr(run, "SILENCE_S", 0.5)
    tried = run.fuzz("dying", 1, 0, 1, 0.1, 5)
    assert (tried.failures, tried.cases) == ([1], 5)
