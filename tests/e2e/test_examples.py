"""The public API says what it takes, returns and raises, and its examples run."""

from __future__ import annotations

import doctest
import inspect
import re
import sys
from pathlib import Path

import pytest

import sim

FLAGS = doctest.ELLIPSIS
FUNCTIONS = [name for name in sim.__all__ if inspect.isfunction(getattr(sim, name))]


def examples(value, name):
    finder = doctest.DocTestFinder(recurse=False)
    return [test for test in finder.find(value, name, module=sys.modules[value.__module__]) if test.examples]


SHOWN = [name for name in sim.__all__ if name in FUNCTIONS or examples(getattr(sim, name), name)]


@pytest.mark.parametrize("name", SHOWN)
def test_the_examples_of_a_public_name_run(name):
    tests = examples(getattr(sim, name), name)
    assert tests, f"sim.{name} has no example"
    for test in tests:
        assert doctest.DocTestRunner(optionflags=FLAGS).run(test).failed == 0


def test_the_example_of_the_package_runs():
    assert doctest.testmod(sim, optionflags=FLAGS).failed == 0


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_public_function_describes_each_parameter_what_it_returns_and_what_it_raises(name):
    text = inspect.getdoc(getattr(sim, name)) or ""
    parameters = text.partition("Parameters\n----------\n")[2].partition("\n\n")[0]
    lines = [line for line in parameters.splitlines() if not line.startswith(" ")]
    described = [name for line in lines for name in line.split(", ")]
    assert described == list(inspect.signature(getattr(sim, name)).parameters)
    for section in ("Returns", "Raises", "Examples"):
        assert f"\n{section}\n{'-' * len(section)}\n" in text, section


def test_the_public_list_is_what_can_be_had_and_each_answer_is_what_a_function_returns():
    assert sorted(sim.__all__) == sorted(sim._HOME)
    assert sim.__all__ == sorted(sim.__all__, key=lambda name: (name[0].islower(), name))
    assert {*dir(sim)} == {*sim.__all__, "__version__"}
    returned = {inspect.signature(getattr(sim, name)).return_annotation for name in FUNCTIONS}
    classes = {name: getattr(sim, name) for name in sim.__all__ if inspect.isclass(getattr(sim, name))}
    answers = {name for name, value in classes.items() if issubclass(value, sim.Answer)}
    assert answers - {"Answer", "Profile"} <= returned
    assert returned <= {*sim.__all__, "Explored", "Path"}


def test_a_function_keeps_its_name_where_a_room_has_it_too():
    import sim.count.counts
    import sim.report.tables.rows

    assert inspect.isfunction(sim.report)
    assert inspect.isfunction(sim.count)
    assert sys.modules["sim.report"].__name__ == "sim.report"


def test_the_reference_lists_what_is_public_and_no_other_function():
    page = (Path(__file__).parents[2] / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
    public = page.partition("## What is below")[0]
    listed = re.findall(r"^::: (sim[.\w]+)$", public, re.MULTILINE)
    assert {name.rpartition(".")[2] for name in listed} >= {*sim.__all__}
    assert {name.rpartition(".")[2] for name in listed} - {*sim.__all__} == {"Capacity", "Difference"}
