"""Mutants: every small change of a module that a test should notice, and a sample of them by seed.

The operators are those of cosmic-ray, and a few that know how the model is written: a datapath is data, so a mistake
in it is as likely a wrong relation of a jump, a call or an argument left out or an item too few as it is a wrong `+`.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import parso
from cosmic_ray.ast import ast_nodes
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator
from parso.python.tree import Keyword
from parso.python.tree import Operator as Sign
from parso.tree import NodeOrLeaf

#: What a relation that is data is mistaken for: in quotes, or as the test of a register.
RELATIONS = {'">="': '"<"', '"<"': '">="', '"=="': '"!="', '"!="': '"=="'}
TESTS = {"at_least": "below", "below": "at_least", "equals": "differs", "differs": "equals"}
#: Arguments that only say in words what something is, or look after themselves.
WORDS = ("step", "function", "title", "note", "encoding", "strict")
#: Statements whose content is a message or a type, and no answer.
_SILENT = ("decorator", "raise_stmt", "assert_stmt", "import_name", "import_from")

#: Operators of cosmic-ray, without their prefixes: an arithmetic sign for its opposite, a comparison for its neighbour.
_ARITHMETIC = "Add_Sub Sub_Add Mul_Div Div_Mul FloorDiv_Mul Mod_FloorDiv Pow_Mul LShift_RShift RShift_LShift"
_BITWISE = "BitOr_BitAnd BitAnd_BitOr BitXor_BitAnd"
_COMPARISONS = "Lt_LtE LtE_Lt Gt_GtE GtE_Gt Lt_GtE GtE_Lt Gt_LtE LtE_Gt Eq_NotEq NotEq_Eq Is_IsNot IsNot_Is"
_WORDS_OF_PYTHON = "AndWithOr OrWithAnd TrueWithFalse FalseWithTrue BreakWithContinue ContinueWithBreak"
_SIGNS = "Delete_USub Delete_Not"


class SwapRelation(Operator):
    """Replace a relation that is data: `Condition(left, ">=", ...)`, `register.at_least(...)`."""

    def mutation_positions(self, node):
        quoted = node.type == "string" and node.value in RELATIONS
        called = node.type == "name" and node.value in TESTS and node.parent.type == "trailer"
        if quoted or called:
            yield node.start_pos, node.end_pos

    def mutate(self, node, index):
        node.value = (RELATIONS | TESTS)[node.value]
        return node

    @classmethod
    def examples(cls):
        return ()


class DropCall(Operator):
    """Leave out a call that stands by itself: a datapath is written as calls that add to it."""

    def mutation_positions(self, node):
        if self._is_call(node) and node.parent.type == "simple_stmt":
            yield node.start_pos, node.end_pos

    @staticmethod
    def _is_call(node) -> bool:
        if node.type != "atom_expr":
            return False
        last = node.children[-1]
        return last.type == "trailer" and last.children[0].value == "("

    def mutate(self, node, index):
        first = node.get_first_leaf()
        return Keyword("pass", node.start_pos, first.prefix)

    @classmethod
    def examples(cls):
        return ()


class _Drop(Operator):
    """Leave one of several comma-separated nodes out."""

    def mutation_positions(self, node):
        for child in self.droppable(node):
            yield child.start_pos, child.end_pos

    def mutate(self, node, index):
        child = list(self.droppable(node))[index]
        place = node.children.index(child)
        if place + 1 < len(node.children):
            del node.children[place : place + 2]
        else:
            del node.children[place - 1 :]
        if len(node.children) == 1 and node.type == "testlist_comp":  # (x,) and not (x)
            node.children.append(Sign(",", (0, 0)))
        return node

    @classmethod
    def examples(cls):
        return ()


class DropItem(_Drop):
    """Leave an item of a tuple or list out."""

    def droppable(self, node) -> list[NodeOrLeaf]:
        if node.type != "testlist_comp" or any(child.type.endswith("comp_for") for child in node.children):
            return []
        return [child for child in node.children if child.type != "operator"]


class DropArgument(_Drop):
    """Leave an argument that is given by name out of a call."""

    def droppable(self, node) -> list[NodeOrLeaf]:
        if node.type != "arglist":
            return []
        return [child for child in node.children if _keyword(child) not in (None, *WORDS)]


def _keyword(argument) -> str | None:
    """Return the name that an argument is given by."""
    if argument.type != "argument" or getattr(argument.children[1], "value", None) != "=":
        return None
    return argument.children[0].value


def _operators() -> dict[str, Operator]:
    names = [f"ReplaceBinaryOperator_{pair}" for pair in f"{_ARITHMETIC} {_BITWISE}".split()]
    names += [f"ReplaceComparisonOperator_{pair}" for pair in _COMPARISONS.split()]
    names += [f"Replace{words}" for words in _WORDS_OF_PYTHON.split()]
    names += [f"ReplaceUnaryOperator_{sign}" for sign in _SIGNS.split()]
    names += ["NumberReplacer", "ZeroIterationForLoop"]
    return {name: get_operator(f"core/{name}")() for name in names} | {
        operator.__name__: operator() for operator in (SwapRelation, DropCall, DropItem, DropArgument)
    }


OPERATORS = _operators()


@dataclass(frozen=True, order=True)
class Mutant:
    """One change: the `occurrence`-th place of an operator in a module, which starts in this line and column."""

    module: str
    line: int
    column: int
    operator: str
    occurrence: int

    def apply(self, source: str) -> str:
        """Return the changed source of the module."""
        changed = mutate_code(source, OPERATORS[self.operator], self.occurrence)
        if changed is None:
            raise ValueError(f"{self} is not in the source")
        return changed


def changed_lines(before: str, after: str) -> tuple[str, str]:
    """Return the lines that differ, without their indentation: a mutant's name that survives a move of its line."""
    old, new = before.splitlines(), after.splitlines()
    while old and new and old[0] == new[0]:
        del old[0], new[0]
    while old and new and old[-1] == new[-1]:
        del old[-1], new[-1]
    return tuple(" ".join(" ".join(lines).split()) for lines in (old, new))  # type: ignore[return-value]


def _says_something(node: NodeOrLeaf) -> bool:
    """Return whether a node takes part in an answer: not in a message, a type or a decorator."""
    while node.parent is not None:
        above = node.parent
        if above.type == "argument" and _keyword(above) in WORDS:
            return False
        if above.type in _SILENT or (above.type in ("annassign", "tfpdef", "funcdef") and _is_annotation(above, node)):
            return False
        node = above
    return True


def _is_annotation(above, node) -> bool:
    place = above.children.index(node)
    before = above.children[place - 1] if place else None
    return getattr(before, "value", None) in (":", "->") and node.type != "suite"


def mutants_of(module: str, source: str) -> Iterator[Mutant]:
    """Return every mutant of a module that can change an answer."""
    nodes = list(ast_nodes(parso.parse(source)))
    for name, operator in OPERATORS.items():
        occurrence = 0
        for node in nodes:
            for (line, column), _ in operator.mutation_positions(node):
                if _says_something(node):
                    yield Mutant(module, line, column, name, occurrence)
                occurrence += 1


def sample(mutants: Iterable[Mutant], size: int, seed: int) -> list[Mutant]:
    """Draw `size` places by seed, and one mutant of each: a place with many operators is no likelier than another.

    A smaller sample is the beginning of a larger one.
    """
    places: dict[tuple[str, int, int], list[Mutant]] = {}
    for mutant in sorted(mutants):
        places.setdefault((mutant.module, mutant.line, mutant.column), []).append(mutant)
    generator = random.Random(seed)
    order = list(places.values())
    generator.shuffle(order)
    return [generator.choice(operators) for operators in order[:size]]


def of_folder(root: Path, modules: Iterable[Path]) -> list[Mutant]:
    """Return all mutants of some modules below a root."""
    return [
        mutant
        for module in modules
        for mutant in mutants_of(module.relative_to(root).as_posix(), module.read_text(encoding="utf-8"))
    ]
