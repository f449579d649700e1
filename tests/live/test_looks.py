"""What somebody looks at is answered before it is moved: once, until something else is, and for that move itself."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from math import inf
from types import SimpleNamespace

import pytest
from nicegui import core

from sim.live.answers import OutdatedError
from sim.live.controls import MITIGATIONS, Control, moved, tables_of
from sim.live.page import Page, _Move
from sim.live.questions import Tables, ask
from sim.live.state import SCENARIO, of_command
from sim.live.widgets import Echo
from tests.live.test_state import SEED

TABLES = Tables()
SMAP = next(control for control in MITIGATIONS if control.label == "SMAP")
CPU = tables_of(TABLES)[0]
PICKER = Control(SCENARIO, "scenario", "pick", (SEED, "af-xdp-tx"))


class Form:
    """A form whose controls are chosen by label and text."""

    def looked_at(self, label, name):
        control = {"SMAP": SMAP, "CPU": CPU, "scenario": PICKER}.get(label)
        return None if control is None else (control, name or "false")

    def slides(self, place):
        return False


class Known:
    """Answers nothing, and notes what it was asked to prepare until that was wanted no more, or it is let go."""

    def __init__(self):
        self.begun, self.ended, self.is_let_go = [], [], False

    def prepare(self, tables, question, wanted, executor):
        self.begun.append(question.state)
        while wanted() and not self.is_let_go:
            time.sleep(0.002)
        self.ended.append(("answered" if wanted() else "dropped", question.state))
        if not wanted():
            raise OutdatedError


def executor(wanted, *, is_ahead):
    assert not is_ahead  # somebody waits for it
    return None


@pytest.fixture
def page():
    page = Page.__new__(Page)
    page._question = ask(TABLES, of_command(SEED, []))
    page._scenario, page._is_settled, page._move = page._question.scenario, True, 1
    page._last, page._look, page._looked_at = _Move(page._question.state), None, -inf
    page._form, page._known, page._tables = Form(), Known(), TABLES
    page._running, page._executor = lambda: True, executor
    return page


def looking(page, reads, monkeypatch):
    """Run what a reader does in an event loop as that of a page, and wait for what it leaves."""

    async def all_of_it():
        monkeypatch.setattr(core, "loop", asyncio.get_running_loop())
        await reads()
        page._known.is_let_go = True
        await until(lambda: page._look is None)

    asyncio.run(all_of_it())


def look(page, label, name=""):
    page._looked(SimpleNamespace(args=[label, name]))


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


def test_a_look_is_answered_once_however_often_it_is_told(page, monkeypatch):
    async def reader():
        for _ in range(3):
            look(page, "SMAP")
            await asyncio.sleep(0.02)

    looking(page, reader, monkeypatch)
    state = moved(SMAP, page._question.state, page._scenario, "false")
    assert page._known.begun == [state]
    assert page._known.ended == [("answered", state)]


def test_another_look_or_another_move_drops_it(page, monkeypatch):
    async def reader():
        look(page, "SMAP")
        await until(lambda: page._known.begun)
        look(page, "CPU", "zen4")
        await until(lambda: len(page._known.begun) == 2)
        page._move += 1

    looking(page, reader, monkeypatch)
    assert [how for how, _ in page._known.ended] == ["dropped"] * 2


def test_the_move_that_was_looked_at_lets_it_go_on(page, monkeypatch):
    async def answer(number, move, *, is_sliding):
        pass

    async def reader():
        look(page, "CPU", "zen4")
        await until(lambda: page._known.begun)
        page._numbers, page._moved_at = iter((2,)), 0.0
        page._status, page._echo, page._answer = SimpleNamespace(set_text=print), Echo(), answer
        page._moved(CPU, "zen4")
        await asyncio.sleep(0.05)

    looking(page, reader, monkeypatch)
    assert page._last.state.text("cpu") == "zen4"
    assert page._known.ended == [("answered", page._last.state)]


@pytest.mark.parametrize(("label", "name"), [("scenario", "af-xdp-tx"), ("CPU", "zen4"), ("SMAP", "false")])
def test_each_control_asks_for_what_its_move_asks_for(page, monkeypatch, label, name):
    async def reader():
        look(page, label, name)
        await until(lambda: page._known.begun)

    looking(page, reader, monkeypatch)
    control, text = page._form.looked_at(label, name)
    assert page._known.begun == [page._asked(control, text)[0]]


def test_what_is_refused_or_unknown_or_comes_while_something_is_asked_is_left(page, monkeypatch):
    async def reader():
        look(page, "no such control", "zen4")
        look(page, "CPU", "no-such-cpu")
        await until(lambda: page._look is None)
        page._last = _Move(of_command(SEED, ["cpu=zen3"]))
        look(page, "SMAP")

    looking(page, reader, monkeypatch)
    assert page._known.begun == []


def test_what_nobody_looks_at_is_prepared_once_the_page_is_left_alone(page, monkeypatch):
    """In small jobs; a look, at whatever, ends it until a while after."""
    monkeypatch.setattr("sim.live.page._PAUSE_SECONDS", 0.01)
    monkeypatch.setattr("sim.live.page._ATTENTION_SECONDS", 1.0)
    page._form.controls = [PICKER, SMAP]
    page._is_seen, said = (lambda: True), []
    page._executor = lambda wanted, *, is_ahead: said.append(is_ahead)

    async def reader():
        preparing = asyncio.create_task(page._prepare(page._question, {"cpu"}, lambda: True))
        await until(lambda: page._known.begun)
        look(page, "a picker that is opened")
        await until(lambda: page._known.ended)
        await asyncio.sleep(0.05)
        assert len(page._known.begun) == 1
        await until(lambda: len(page._known.begun) == 2)
        page._known.is_let_go = True
        await preparing

    looking(page, reader, monkeypatch)
    state = moved(SMAP, page._question.state, page._scenario, "false")
    assert page._known.ended == [("dropped", state), ("answered", state)]
    assert said == [True, True]


def test_a_move_is_said_back_soon_or_with_its_answer(page, monkeypatch):
    said, echo = [], Echo()

    async def reader():
        for word in ("slider", "computing"):
            echo.later(partial(said.append, word))
        assert said == []
        await until(lambda: said)
        assert said == ["slider", "computing"]
        echo.later(partial(said.append, "picker"))
        echo.now()
        assert said[2:] == ["picker"]
        await asyncio.sleep(0.1)

    looking(page, reader, monkeypatch)
    assert said == ["slider", "computing", "picker"]
