"""Imports go one way (DESIGN.md, section 3), and the command starts without the heavy libraries."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import sim

ROOT = Path(sim.__file__).parent
ROOMS = ("config", "costs", "datapath", "engine", "host", "study", "report", "cli")  # each may import those before it
HEAVY = {"numba", "pandas", "scipy", "matplotlib"}
MODULES = sorted(file for room in ROOMS for file in (*ROOT.glob(f"{room}/**/*.py"), *ROOT.glob(f"{room}.py")))


def rooms_imported(source):
    """The rooms of `sim` that a module imports anywhere in its text, with the line."""
    found = []
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module] if node.module != "sim" else [f"sim.{alias.name}" for alias in node.names]
        found += [(name.split(".")[1], node.lineno) for name in names if name.startswith("sim.")]
    return found


def test_the_test_finds_every_module_and_each_form_of_import():
    assert len(MODULES) > 30
    source = "import sim.cli\nfrom sim import report\ndef f():\n    from sim.study.questions.run import run\n"
    assert rooms_imported(source) == [("cli", 1), ("report", 2), ("study", 4)]


@pytest.mark.parametrize("module", MODULES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_module_imports_from_its_own_room_and_those_before_it(module):
    room = module.relative_to(ROOT).parts[0].removesuffix(".py")
    allowed = ROOMS[: ROOMS.index(room) + 1]
    upward = [
        f"line {line}: sim.{name}"
        for name, line in rooms_imported(module.read_text(encoding="utf-8"))
        if name in ROOMS and name not in allowed
    ]
    assert upward == []


def test_the_room_that_measures_cannot_simulate():
    for module in ROOT.glob("host/*.py"):
        rooms = {name for name, _ in rooms_imported(module.read_text(encoding="utf-8"))}
        assert rooms <= {"config", "costs", "host"}, module.name


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["list", "cpus"]], ids=" ".join)
def test_the_command_starts_without_the_heavy_libraries(arguments, empty):
    code = (
        "import json, sys\nfrom sim.cli import main\n"
        f"sys.argv = ['vhost-sim', *{arguments!r}]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=empty, capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert "typer" in loaded
    assert loaded & (HEAVY if "--help" in arguments else set()) == set()


def test_importing_the_package_imports_nothing_heavy(empty):
    code = "import sys, sim\nprint(sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=empty, capture_output=True, text=True, check=True)
    assert not (HEAVY | {"pydantic", "numpy", "simpy"}) & set(ast.literal_eval(done.stdout))
