"""The man page says what the application says, and a formatter of man pages has nothing to say about it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import Any

import pytest
import typer

from generate.man import PAGE, man_page
from sim.cli import app

GROUP: Any = typer.main.get_command(app)


def shown():
    """The page as a reader sees it, or skip where nothing can show it."""
    formatter = shutil.which("groff")
    if formatter is None:
        pytest.skip("groff is not installed")
    command = [formatter, "-man", "-Tascii", "-P-cbou", "-ww", "-rLL=200n", PAGE]
    done = subprocess.run(command, env={**os.environ, "GROFF_NO_SGR": "1"}, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return " ".join(done.stdout.split())


def test_the_kept_page_is_what_the_application_gives():
    """If it is not: `PYTHONPATH=docs python -m generate.man` writes it again."""
    assert PAGE.read_text(encoding="utf-8") == man_page()


def test_every_command_stands_there_with_its_options_and_examples():
    page = shown()
    for name, command in GROUP.commands.items():
        section = re.search(rf"VHOST-SIM {name.upper()} (.*?)(?= VHOST-SIM [A-Z-]+ vhost-sim | EXIT STATUS )", page)
        assert section, name
        assert section[1].startswith(f"vhost-sim {name}")
        for parameter in command.params:
            for flag in parameter.opts if parameter.param_type_name == "option" else ():
                assert flag in section[1], (name, flag)
            assert " ".join((parameter.help or "").replace("`", "").split()) in section[1]
        assert " ".join((command.epilog or "").split()) in section[1]


def test_no_line_of_the_page_is_taken_for_a_request():
    requests = {
        line.split()[0] for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith((".", "'"))
    }
    assert requests <= {".TH", ".SH", ".TP", ".PP", ".B", ".I", ".RI", ".nf", ".fi", '.\\"'}
