"""Programs and anchors: whoever stands first at a place is its entry, and files know each other's labels no more."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import sim
from sim.datapath.plan.program import Program, entry_of, index_of, insert_before, link
from sim.datapath.plan.registers import R
from sim.datapath.plan.step import Anchor

ROOT = Path(sim.__file__).parent / "datapath"
MODULES = sorted(file for file in ROOT.rglob("*.py") if ".jump(" in file.read_text() and file.name != "program.py")


def program():
    worker = Program("worker", "handler")
    with worker.each("packet", at=Anchor.PACKET):
        worker.step("head", "head")
        worker.step("end", "end")
        worker.then(R.DONE_IDX.add())
        worker.jump(Anchor.FLUSH, R.DONE_IDX.at_least(64))
        worker.jump(Anchor.PACKET)
    with worker.each("flush", at=Anchor.FLUSH):
        worker.step("flush", "flush")
        worker.jump(Anchor.PACKET)
    return worker.steps


def inserted(label):
    worker = Program("worker")
    with worker.each("packet"):
        worker.step(label, label)
    return worker.steps


def targets(steps):
    return {step.label: [jump.target for jump in step.jumps] for step in steps if step.jumps}


def test_jumps_lead_to_the_step_that_stands_first_at_their_anchor():
    assert targets(link(program())) == {"end": ["flush", "head"], "flush": ["head"]}


def test_what_is_inserted_before_an_anchor_is_its_entry_also_the_second_time():
    once = insert_before(program(), Anchor.PACKET, inserted("check"))
    twice = insert_before(once, Anchor.PACKET, inserted("outer"))
    assert [step.label for step in twice] == ["outer", "check", "head", "end", "flush"]
    assert targets(link(twice)) == {"end": ["flush", "outer"], "flush": ["outer"]}
    assert entry_of(twice, Anchor.PACKET) == "outer"
    assert insert_before(once, Anchor.PACKET, []) == once


def test_a_program_says_what_it_does_of_the_last_step_and_how_often_of_all_inside():
    head, end, flush = program()
    assert (head.scopes, flush.scopes) == (("packet",), ("flush",))
    assert (head.effects, end.effects) == ((), (R.DONE_IDX.add(),))
    assert {step.function for step in (head, end, flush)} == {"handler"}


def test_an_anchor_where_nobody_stands_or_two_do_is_an_error():
    with pytest.raises(KeyError, match="DRAIN"):
        insert_before(program(), Anchor.DRAIN, inserted("check"))
    with pytest.raises(KeyError, match="PACKET"):
        index_of([*program(), *program()], Anchor.PACKET)
    with pytest.raises(KeyError, match="FLUSH"):
        link(program()[:2])


def constants(call, first):
    """Text constants among the arguments of a call, of its first one only or of all."""
    arguments = call.args[:1] if first else [*call.args, *(keyword.value for keyword in call.keywords)]
    return {
        argument.value
        for argument in arguments
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    }


@pytest.mark.parametrize("module", MODULES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_file_jumps_to_labels_of_its_own_and_to_others_through_anchors(module):
    calls = [node for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    jumps = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "jump"]
    assert jumps
    labels = set().union(*(constants(call, first=False) for call in calls if call not in jumps))
    assert set().union(*(constants(call, first=True) for call in jumps)) <= labels
