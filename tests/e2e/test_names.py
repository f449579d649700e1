"""One meaning per noun (docs/glossary.md): no two classes share a name, and a value is named for what it is."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

import sim

ROOT = Path(sim.__file__).parent
MODULES = {str(file.relative_to(ROOT)): ast.parse(file.read_text(encoding="utf-8")) for file in ROOT.rglob("*.py")}
ROOMS = sorted({name.split("/")[0] for name in MODULES if "/" in name})

#: Names that say nothing of their value.
EMPTY_NAMES = {"one", "found", "thing", "what"}


def empty_names(tree: ast.AST) -> Iterator[str]:
    """Names that a module binds: variables, arguments, attributes, functions, classes, aliases."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            name = node.id
        elif isinstance(node, ast.arg):
            name = node.arg
        elif isinstance(node, ast.alias):
            name = node.asname or ""
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            name = node.attr
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            name = node.name
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar):
            name = node.name or ""
        else:
            continue
        if name.strip("_") in EMPTY_NAMES:
            yield f"line {node.lineno}: {name}"


def test_each_way_to_bind_a_name_is_seen():
    source = (
        "one = 1\nfor found in (): pass\n[what for what in ()]\ndef f(thing, *, one=2): self.found = 3\nlambda one: 1\n"
        "import os as what\nclass C:\n    found: int = 0\nif (one := 1): pass\nother = one + found\n"
    )
    lines = [int(text.split()[1].rstrip(":")) for text in empty_names(ast.parse(source))]
    assert sorted(lines) == [1, 2, 3, 4, 4, 4, 5, 6, 8, 9]


@pytest.mark.parametrize("room", ROOMS)
def test_a_value_is_named_for_what_it_is(room):
    offenders = [
        f"{module} {text}"
        for module, tree in sorted(MODULES.items())
        if module.startswith(f"{room}/")
        for text in empty_names(tree)
    ]
    assert offenders == []


def test_no_two_classes_share_a_name():
    homes = defaultdict(list)
    for module, tree in MODULES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                homes[node.name].append(module)
    assert {name: modules for name, modules in homes.items() if len(modules) > 1} == {}


def test_the_glossary_has_each_of_its_terms_once_and_in_order():
    text = (ROOT.parent / "docs/glossary.md").read_text(encoding="utf-8")
    for section in text.split("\n## ")[1:]:
        terms = [line.split("**")[1] for line in section.splitlines() if line.startswith("| **")]
        assert len(set(terms)) == len(terms), section.splitlines()[0]


def test_what_the_glossary_names_exists():
    text = (ROOT.parent / "docs/glossary.md").read_text(encoding="utf-8")
    classes = {node.name for tree in MODULES.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    for line in text.splitlines():
        if not line.startswith("| **"):
            continue
        home = line.split("|")[3]
        for code in home.split("`")[1::2]:
            path = ROOT.parent / code
            assert path.exists() if "/" in code else code in classes, f"{line.split('|')[1]}: {code}"
