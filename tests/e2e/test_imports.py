"""Imports go one way (DESIGN.md, sections 3 and 9), modules have a size, the command starts without heavy libraries."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import sim

ROOT = Path(sim.__file__).parent
ROOMS = (
    "config",
    "costs",
    "datapath",
    "engine",
    "host",
    "count",
    "study",
    "report",
    "live",
    "api",
    "cli",
)  # each may import those before it
STUDY = ("runs", "questions", "uncertainty", "sweep", "sensitivity", "evidence", "timeline", "review")  # the same
HEAVY = {"numba", "pandas", "scipy", "matplotlib"}
#: What takes longer to import than a short command may, and none of them needs for what it prints.
NEEDLESS = {"numba", "pandas", "pyarrow", "matplotlib", "plotly", "simpy", "SALib", "distributed", "IPython", "nicegui"}
SEED = "virtio-user-xdp1-tap --access copy_user,vmap --sizes 64"
#: Libraries that a command may not import, by command.
MAY_NOT_IMPORT = {
    "--help": NEEDLESS | {"scipy", "numpy", "pydantic", "yaml", "llvmlite"},
    "run --help": NEEDLESS | {"scipy", "numpy", "yaml", "llvmlite"},  # typer takes pydantic for it
    "list cpus": NEEDLESS | {"scipy", "llvmlite"},
    f"explain {SEED.replace('copy_user,', '')}": NEEDLESS | {"scipy"},
    f"run {SEED}": NEEDLESS | {"scipy"},
    f"compare {SEED}": NEEDLESS | {"scipy"},
    f"compare {SEED} --uncertainty 20": NEEDLESS | {"scipy"},
    f"report {SEED} --draws 20 --out page.html": NEEDLESS - {"plotly", "importlib.metadata"}
    | {"scipy.optimize", "scipy.stats"},
}
MODULES = sorted(file for room in ROOMS for file in (*ROOT.glob(f"{room}/**/*.py"), *ROOT.glob(f"{room}.py")))

MOST_MODULES = 15
LEAST_LINES = 60
#: Modules that import each other today, by the first of each circle.
CIRCLES: dict[str, str] = {}
#: Folders with more modules, and modules with fewer lines, each with its reason.
LARGE_FOLDERS: dict[str, str] = {}
SHORT = {
    "config/loading/provenance.py": "what made an answer, in every form",
    "config/progress.py": "what a long call tells, in every room",
    "engine/histogram.py": "buckets that both engines share",
    "engine/order.py": "the order of events that both engines share",
    "study/sweep/together.py": "which points of a sweep go together, not how one is run",
}


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


def modules_imported(source, known):
    """The modules of `sim` that a module imports anywhere in its text, those for types alone included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in known else node.module


@pytest.fixture(scope="module")
def graph():
    """Each module of `sim` with those that it imports."""
    names = {".".join(("sim", *file.relative_to(ROOT).with_suffix("").parts)): file for file in MODULES}
    names = {name.removesuffix(".__init__"): file for name, file in names.items()}
    return {
        name: set(modules_imported(file.read_text(encoding="utf-8"), names)) & {*names} for name, file in names.items()
    }


def first_circle(graph):
    """The modules of a circle of imports, empty when there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def test_no_module_imports_one_that_imports_it(graph):
    assert len(graph) == len(MODULES)
    assert first_circle({"a": {"b"}, "b": {"c"}, "c": {"a"}}) != []
    left = {name: set() if name in CIRCLES else imported for name, imported in graph.items()}
    assert first_circle(left) == []
    for name in CIRCLES:
        assert first_circle({**left, name: graph[name]}) != [], f"{name} is in no circle any more: take it off the list"


def test_a_room_of_the_studies_imports_from_those_before_it(graph):
    """Modules of `study` itself may import the first two rooms, and rooms none of them."""
    assert {file.parent.name for file in MODULES if file.parent.parent == ROOT / "study"} == {*STUDY}
    upward = []
    for name, imported in graph.items():
        if match := re.match(r"sim\.study\.(\w+)(\.|$)", name):
            allowed = STUDY[: STUDY.index(match[1]) + 1] if match[1] in STUDY else STUDY[:2]
            rooms = {
                part[2]
                for part in (other.split(".") for other in imported)
                if part[:2] == ["sim", "study"] and part[2:]
            }
            upward += [f"{name} imports sim.study.{room}" for room in sorted(rooms - {*allowed})]
    assert upward == []


def test_no_folder_is_large():
    sizes = Counter(str(file.parent.relative_to(ROOT)) for file in MODULES if file.name != "__init__.py")
    assert {name for name, number in sizes.items() if number > MOST_MODULES} == {*LARGE_FOLDERS}


def test_a_module_is_short_for_a_reason():
    lines = {str(file.relative_to(ROOT)): len(file.read_text(encoding="utf-8").splitlines()) for file in MODULES}
    short = {name for name, number in lines.items() if number < LEAST_LINES and not name.endswith("__init__.py")}
    assert short == {*SHORT}


def test_the_room_that_measures_cannot_simulate():
    for module in ROOT.glob("host/*.py"):
        rooms = {name for name, _ in rooms_imported(module.read_text(encoding="utf-8"))}
        assert rooms <= {"config", "costs", "host"}, module.name


def after(command, asked, empty):
    """What a Python expression says in the process of a command, at its end."""
    code = (
        "import gc, json, sys\nfrom sim.cli import main\n"
        f"sys.argv = ['vhost-sim', *{command.split()!r}]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        f"print(json.dumps({asked}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=empty, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def imported_by(command, empty):
    """The modules that a command imports."""
    return {*after(command, "[*sys.modules]", empty)}


@pytest.mark.parametrize("command", MAY_NOT_IMPORT)
def test_a_short_command_imports_nothing_that_it_can_do_without(command, empty):
    loaded = imported_by(command, empty)
    assert "typer" in loaded
    assert loaded & MAY_NOT_IMPORT[command] == set()


def test_a_command_that_needs_a_library_is_seen_to_import_it(empty):
    assert {"pandas", "pyarrow"} <= imported_by(f"run {SEED} --out out", empty)


def test_what_a_short_command_imports_is_not_searched_for_circles(empty):
    young, middle, old = (made["collections"] for made in after(f"run {SEED}", "gc.get_stats()", empty))
    assert young + middle < 100  # of those hundreds that Python would make
    assert old == 0


def test_importing_the_package_imports_nothing_heavy(empty):
    code = "import sys, sim\nprint(sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=empty, capture_output=True, text=True, check=True)
    assert not (HEAVY | {"pydantic", "numpy", "simpy"}) & set(ast.literal_eval(done.stdout))
