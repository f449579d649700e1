"""The public API says what it takes, returns and raises, and its examples run."""

from __future__ import annotations

import doctest
import inspect
import sys

import pytest

import sim

FLAGS = doctest.ELLIPSIS
FUNCTIONS = [name for name in sim.__all__ if inspect.isfunction(getattr(sim, name))]


def examples(value, name):
    finder = doctest.DocTestFinder(recurse=False)
    return [test for test in finder.find(value, name, module=sys.modules[value.__module__]) if test.examples]


@pytest.mark.parametrize("name", [name for name in sim.__all__ if name != "ConfigError"])
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
    described = [line for line in parameters.splitlines() if not line.startswith(" ")]
    assert described == list(inspect.signature(getattr(sim, name)).parameters)
    for section in ("Returns", "Raises", "Examples"):
        assert f"\n{section}\n{'-' * len(section)}\n" in text, section
