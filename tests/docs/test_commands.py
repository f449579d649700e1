"""Every command that README and documentation show does what they say, in the order of the page."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import typer

from sim.cli import app
from tests.docs.blocks import NAMES, ROOT
from tests.docs.run import SLOW, blocks_of, commands_of, is_possible, is_slow, run_page, targets

GROUP: Any = typer.main.get_command(app)
_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


def spans(name, word):
    """Code inside sentences that begins with a word."""
    text = re.sub(r"^```.*?^```$", "", (ROOT / name).read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [one for one in _CODE.findall(text) if one.startswith(f"{word} ")]


WITH_BLOCKS = [name for name in NAMES if blocks_of(name)]
SLOW_BLOCKS = [(name, block) for name in NAMES for block in blocks_of(name) if any(map(is_slow, block.commands))]


def test_pages_with_commands_are_found():
    assert {"README.md", "docs/howto/cpu.md", "docs/howto/step.md", *LONG} <= set(WITH_BLOCKS)
    assert {name for name, _ in SLOW_BLOCKS} >= {"README.md"}


@pytest.mark.parametrize("part", SLOW)
def test_an_entry_of_the_slow_table_stands_for_a_command(part):
    assert [name for name in NAMES for command in commands_of(name) if part in command.line]


@pytest.mark.parametrize("name", WITH_BLOCKS)
def test_an_output_is_that_of_commands_which_run_together(name):
    for block in blocks_of(name):
        assert block.output is None or len({is_slow(command) for command in block.commands}) == 1, block.line


#: Pages of many commands.
LONG = ("docs/howto/questions.md", "docs/tutorial.md")


@pytest.mark.deep
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long if name in LONG else ()) for name in WITH_BLOCKS]
)
def test_the_commands_of_a_page_do_what_it_says(name, tmp_path):
    assert run_page(name, tmp_path, lambda command: not is_slow(command)) == []


@pytest.mark.deep
@pytest.mark.slow
@pytest.mark.parametrize(("name", "block"), SLOW_BLOCKS, ids=[f"{name}:{block.line}" for name, block in SLOW_BLOCKS])
def test_so_do_those_that_take_long(name, block, tmp_path):
    wanted = [command for command in block.commands if is_slow(command) and is_possible(command)]
    assert run_page(name, tmp_path, wanted.__contains__, python=False) == []


@pytest.mark.parametrize(("name", "span"), [(name, span) for name in NAMES for span in spans(name, "vhost-sim")])
def test_a_command_in_a_sentence_exists_and_takes_its_options(name, span):
    words = shlex.split(span)[1:]
    command = GROUP
    if not words[0].startswith("-"):
        assert words[0] in GROUP.commands
        command, words = GROUP.commands[words[0]], words[1:]
    known = {"-h", "--help"} | {option for one in command.params for option in one.opts}
    assert [word for word in words if word.startswith("-") and word.partition("=")[0] not in known] == []


@pytest.mark.parametrize(("name", "span"), [(name, span) for name in NAMES for span in spans(name, "make")])
def test_a_target_in_a_sentence_exists(name, span):
    assert span.split()[1] in targets()


def test_links_of_the_readme_lead_somewhere():
    links = re.findall(r"\]\(([^)#]+)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
