"""`make` makes an environment for what is asked, anew for another interpreter; the container copies what there is."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
INTERPRETER = f"{sys.version.split()[0]} {sys.base_prefix}"


@pytest.fixture
def planned(tmp_path):
    """Return the commands that `make` would run for a target, with an environment that an interpreter has made."""

    def plan(target, made_by, *ready):
        if shutil.which("make") is None:
            pytest.skip("make is not installed")
        environment = tmp_path / "environment"
        environment.mkdir(exist_ok=True)
        (environment / ".python").write_text(f"{made_by}\n")
        for name in ready:
            (environment / name).touch()
        command = [
            "make",
            "--dry-run",
            "--no-print-directory",
            f"VENV={environment}",
            f"PYTHON={sys.executable}",
            target,
        ]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        return done.stdout.replace(str(environment), "VENV").splitlines()

    return plan


def test_run_installs_nothing_that_only_tests_need(planned):
    lines = "\n".join(planned("run", "nothing"))
    assert "--editable '.[plots]'" in lines
    assert "'.[dev" not in lines
    assert "constraints-run.txt" in lines
    assert lines.endswith("vhost-sim compare virtio-user-xdp1-tap --access copy_user,vmap --out out/seed")


def test_what_is_ready_is_not_made_again(planned):
    assert len(planned("run", INTERPRETER, ".ready-run")) == 1
    assert [line.split()[0] for line in planned("lint", INTERPRETER, ".ready-run", ".ready")] == [
        "VENV/bin/ruff", "VENV/bin/ruff", "VENV/bin/mypy", "VENV/bin/hadolint",
    ]  # fmt: skip


@pytest.mark.parametrize("target", ["run", "lint"])
def test_another_interpreter_makes_the_environment_anew(target, planned):
    lines = planned(target, "3.99.0 /elsewhere", ".ready-run", ".ready")
    assert any("rm -rf VENV" in line for line in lines)
    assert any(re.search(r"-m venv .*VENV$", line) for line in lines)
    assert any("'.[dev]'" in line for line in lines) == (target == "lint")


def test_the_container_copies_what_exists_and_no_more_is_sent():
    text = (ROOT / "Containerfile").read_text(encoding="utf-8")
    copied = [name for line in re.findall(r"^COPY (.+) \S+$", text, re.MULTILINE) for name in line.split()]
    assert copied
    assert [name for name in copied if not (ROOT / name).exists()] == []
    kept = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(kept) == sorted(copied)
    assert re.search(r"^ARG EXTRAS=(\w+)$", text, re.MULTILINE)[1] in EXTRAS
