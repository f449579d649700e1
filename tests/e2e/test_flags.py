"""The library does not speak of the command line's options; the command line knows what to call every argument."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

import sim
from sim.cli import FLAGS, app, worded
from sim.config.errors import ConfigError

SOURCES = Path(sim.__file__).parent
#: An option, but not in a whole command that is quoted: `vhost-sim measure --ring`, `perf report --stdio`.
OPTION = re.compile(r"(?<![\w`-])--[a-z]")
COMMAND = re.compile(r"`(?:vhost-sim|perf) [^`]*`")
#: What the C compiler is asked with.
ALLOWED = {"--version"}
#: Modules that spell commands, each with what for.
SPELLS = {"live/state.py": "a page shows the command that gives the same numbers"}


def below_the_command_line() -> Iterator[tuple[str, ast.Module]]:
    for file in sorted(SOURCES.rglob("*.py")):
        name = str(file.relative_to(SOURCES))
        if not name.startswith("cli/"):
            yield name, ast.parse(file.read_text(encoding="utf-8"))


def raised(tree: ast.Module) -> Iterator[dict[str, ast.expr]]:
    """The keyword arguments of every `ConfigError(...)`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "ConfigError":
            yield {word.arg: word.value for word in node.keywords if word.arg}


def test_no_text_of_the_library_names_an_option():
    found = [
        f"{name}:{node.lineno}: {node.value}"
        for name, tree in below_the_command_line()
        if name not in SPELLS
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value not in ALLOWED
        if OPTION.search(COMMAND.sub("", node.value))
    ]
    assert not found


def test_every_argument_that_an_error_names_has_an_option():
    """A key without a file is an argument of the library, or a dotted key or table of a scenario.

    The functions that Python is given (`sim.api`) name their own parameters; the command does not call them.
    """
    fields = set(sim.Scenario.model_fields)
    named = {
        (name, words["key"].value)
        for name, tree in below_the_command_line()
        for words in raised(tree)
        if isinstance(words.get("key"), ast.Constant) and "file" not in words and not name.startswith("api/")
    }
    assert named
    unknown = {(name, key) for name, key in named if key.partition(".")[0] not in fields and key not in FLAGS}
    assert not unknown


def test_every_option_of_an_argument_exists():
    options = {
        option
        for command in get_command(app).commands.values()  # type: ignore[attr-defined]
        for parameter in command.params
        for option in parameter.opts
    }
    assert set(FLAGS.values()) <= options


@pytest.mark.parametrize(
    ("error", "library", "line"),
    [
        (
            ConfigError("at least 1 is needed", key="jobs", got=0),
            "jobs: at least 1 is needed (got 0)",
            "--jobs 0: at least 1 is needed",
        ),
        (
            ConfigError("two CPUs are needed", key="ring"),
            "ring: two CPUs are needed",
            "--ring: two CPUs are needed",
        ),
        (
            ConfigError("unknown mechanism 'lfenc'", key="without", got="lfenc", expected=["lfence", "misses"]),
            "without: unknown mechanism 'lfenc'; did you mean 'lfence'?",
            "--without: unknown mechanism 'lfenc'; did you mean 'lfence'?",
        ),
        (
            ConfigError("at least 1 is needed", file="a.yaml", key="jobs", got=0),
            "a.yaml: jobs: at least 1 is needed (got 0)",
            "a.yaml: jobs: at least 1 is needed (got 0)",
        ),
        (
            ConfigError("is not modelled", key="queues.pairs", given="queues.pairs=2"),
            "queues.pairs=2: queues.pairs: is not modelled",
            "--set queues.pairs=2: queues.pairs: is not modelled",
        ),
        (
            ConfigError("is not modelled", key="queues.pairs"),
            "queues.pairs: is not modelled",
            "queues.pairs: is not modelled",
        ),
    ],
)
def test_the_command_line_words_arguments_as_options(error, library, line):
    assert (str(error), worded(error)) == (library, line)
