"""Licence, metadata, citation, change log, issue forms and hooks agree with each other and with the command."""

from __future__ import annotations

import importlib.metadata
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

import sim
from sim.cli import app

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
FORMS = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"))
BIN = Path(sys.executable).parent
GROUP: Any = typer.main.get_command(app)
#: The kinds of change of Keep a Changelog.
KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_version_has_one_home():
    assert PROJECT["dynamic"] == ["version"]
    assert importlib.metadata.version("vhost-sim") == sim.__version__
    assert yaml.safe_load(read("CITATION.cff"))["version"] == sim.__version__


def test_the_licence_is_apache_2_whole():
    text = read("LICENSE")
    assert text.lstrip().startswith("Apache License\n")
    assert [f"\n   {number}. " in text for number in range(1, 10)] == [True] * 9
    assert "END OF TERMS AND CONDITIONS" in text
    assert PROJECT["license"] == yaml.safe_load(read("CITATION.cff"))["license"] == "Apache-2.0"


def test_the_citation_has_what_the_format_needs():
    cited = yaml.safe_load(read("CITATION.cff"))
    assert {"cff-version", "message", "title", "authors"} <= set(cited)
    assert cited["title"] == PROJECT["name"]
    assert [author["name"] for author in cited["authors"]] == [author["name"] for author in PROJECT["authors"]]


def test_the_change_log_keeps_its_form():
    text = read("CHANGELOG.md")
    versions = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert versions[0] == "Unreleased"
    assert all(re.match(r"\d+\.\d+\.\d+", version) for version in versions[1:])
    assert set(re.findall(r"^### (.+)$", text, re.MULTILINE)) <= KINDS


@pytest.mark.parametrize("form", [form for form in FORMS if form.stem != "config"], ids=lambda form: form.stem)
def test_an_issue_form_is_one(form):
    data = yaml.safe_load(form.read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= set(data)
    fields = [part for part in data["body"] if part["type"] != "markdown"]
    assert {part["type"] for part in fields} <= {"input", "textarea", "dropdown", "checkboxes"}
    assert all(part["attributes"]["label"] for part in fields)
    names = [part["id"] for part in fields]
    assert len(names) == len(set(names))
    assert any(part.get("validations", {}).get("required") for part in fields)


def test_the_commands_of_issue_forms_exist():
    text = "\n".join(form.read_text(encoding="utf-8") for form in FORMS)
    lines = re.findall(r"(?:^\s+|\(|`)(vhost-sim [a-z][^`)\n]+)", text, re.MULTILINE)
    assert any("--uncertainty --out wrong" in line for line in lines)
    for line in lines:
        _, name, *words = shlex.split(line)
        known = {option for parameter in GROUP.commands[name].params for option in parameter.opts}
        assert [word for word in words if word.startswith("-") and word not in known] == [], line


def test_what_is_left_to_the_owner_is_said_in_one_place():
    assert "## Left to the owner" in read("CONTRIBUTING.md")
    for name in ("SECURITY.md", "CODE_OF_CONDUCT.md"):
        assert "Left to the owner: an address, see CONTRIBUTING.md" in read(name)
    assert "urls" not in PROJECT


def test_links_of_the_papers_lead_somewhere():
    for name in ("CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md"):
        links = re.findall(r"\]\(([^)#]+)", read(name))
        assert [link for link in links if not (ROOT / link).exists()] == []


def test_hooks_run_tools_of_the_environment_that_make_makes():
    (local,) = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
    assert local["repo"] == "local"
    for hook in local["hooks"]:
        program, *words = shlex.split(hook["entry"])
        tool = Path(program)
        assert tool.parts[:2] == (".venv", "bin")
        done = subprocess.run([BIN / tool.name, *words, "--help"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, hook["id"]


def test_types_are_marked_as_such():
    assert (Path(sim.__file__).parent / "py.typed").exists()
