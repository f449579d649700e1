"""The mutation tester: what it changes and what it leaves alone, and that its map of tests is whole."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml

from tests.mutation.mutants import OPERATORS, changed_lines, mutants_of, sample
from tests.mutation.owners import OWNERS
from tests.mutation.run import COMPILED_IN, LISTED, ROOT


def changes(source):
    """Map each line that some mutant changes to what it becomes."""
    found = {}
    for mutant in mutants_of("module.py", source):
        before, after = changed_lines(source, mutant.apply(source))
        found.setdefault(before, []).append(after)
    return {before: sorted(after) for before, after in found.items()}


@pytest.mark.parametrize(
    ("line", "becomes"),
    [
        ("x = a + 2", ["x = a + 1", "x = a + 3", "x = a - 2"]),
        ("x = a <= b", ["x = a < b", "x = a > b"]),
        ('x = Condition(left, ">=", right)', ['x = Condition(left, "<", right)']),
        ("jump(a.at_least(b))", ["jump(a.below(b))", "pass"]),
        ('x = ("switch", "switch")', ['x = ( "switch",)', 'x = ("switch",)']),
        ("x = [a, b]", ["x = [ b,]", "x = [a,]"]),
        ("x = row(a, drains=b, sample=c)", ["x = row(a, drains=b)", "x = row(a, sample=c)"]),
        ("x = a and not b", ["x = a and b", "x = a or not b"]),
    ],
)
def test_a_line_becomes_what_a_mistake_would_make_of_it(line, becomes):
    assert changes(f"{line}\n") == {line: becomes}


@pytest.mark.parametrize(
    "line",
    [
        "x: int | None",
        "def f(a: int | None) -> int | None: pass",
        'raise ValueError(f"{a + b}")',
        'x = row(a, title=f"part {a + b} of", function=b)',
        "@cached(a + b)\ndef f(): pass",
        "x = zip(a, b, strict=True)",
        "from a import (b, c)",
        '"""Say a + b >= c."""',
    ],
)
def test_types_messages_and_words_are_left_alone(line):
    assert changes(f"{line}\n") == {}


def test_a_sample_is_the_beginning_of_a_larger_one_and_takes_a_place_once():
    source = "".join(f"x{number} = a + {number}\n" for number in range(40))
    mutants = list(mutants_of("module.py", source))
    few, many = (sample(mutants, size, 3) for size in (10, 30))
    assert len(few) == 10
    assert {(m.line, m.column) for m in few} <= {(m.line, m.column) for m in many}
    assert len({(m.line, m.column) for m in many}) == 30
    assert few != sample(mutants, 10, 4)
    assert sample(mutants, 10**6, 3)[:10] == sample(reversed(mutants), 10**6, 3)[:10]


def test_every_operator_that_swaps_has_one_to_swap_with():
    assert {"SwapRelation", "DropCall", "DropItem", "DropArgument"} < set(OPERATORS)


@pytest.mark.parametrize("owner", OWNERS, ids=lambda owner: owner.name)
def test_an_owner_has_modules_and_tests(owner):
    assert list(owner.modules(ROOT))
    for test in (*owner.tests, *owner.slow):
        assert (ROOT / test.split("::")[0]).exists(), test


def test_no_module_has_two_owners():
    modules = [module for owner in OWNERS for module in owner.modules(ROOT)]
    assert len(modules) == len(set(modules))


@pytest.mark.parametrize("room", ["costs", "datapath", "engine"])
def test_every_module_of_the_model_has_an_owner(room):
    owned = {module for owner in OWNERS for module in owner.modules(ROOT)}
    assert set((ROOT / "sim" / room).rglob("*.py")) <= owned


def test_what_the_compiled_loop_holds_is_compiled_again():
    """A constant of another module is part of the machine code, whose cache only looks at the loop's own file."""
    tree = ast.parse((ROOT / "sim/engine/loop.py").read_text(encoding="utf-8"))
    sources = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    ours = [Path(*source.split(".")).as_posix() for source in sources if source.startswith("sim")]
    assert ours
    assert [source for source in ours if not source.startswith(COMPILED_IN)] == []


def test_a_survivor_that_is_listed_has_a_reason():
    for entry in yaml.safe_load(LISTED.read_text(encoding="utf-8")):
        assert entry.keys() == {"module", "before", "after", "reason"}
        assert len(entry["reason"].split()) > 3
