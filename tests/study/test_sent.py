"""Cases on their way to other processes: once, and the same one there whoever asks about it."""

from __future__ import annotations

import gc
import pickle
import weakref
from concurrent.futures import Executor, Future

import pytest

import sim
from sim.study.runs.case import Case, sides_of
from sim.study.runs.sent import Sender
from tests.live.test_state import SEED


class Elsewhere(Executor):
    """Runs each job at once, with all that goes to another process pickled on the way."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []

    def submit(self, function, /, *args, **kwargs):
        packet = pickle.dumps((function, args, kwargs))
        self.packets.append(packet)
        of, given, named = pickle.loads(packet)
        future = Future()
        future.set_result(of(*given, **named))
        return future


def identity(case, given):
    return [id(case), id(case.scenario.cpu)]


@pytest.fixture
def cases():
    scenario = sim.load_scenario(SEED, overrides=["traffic.packet_bytes=[64, 256]"])
    return [side.case for side in sides_of(scenario)]


def asked(cases, executor):
    sender = Sender(cases, executor)
    return [sender.submit(identity, number, []).result() for number in range(len(cases))]


def test_a_case_is_the_same_one_there_whatever_it_is_sent_with(cases):
    there = Elsewhere()
    first = asked(cases[:1], there)
    others = asked(cases[1:], there)
    assert asked(cases, there) == first + others
    assert len({case for case, _ in first + others}) == len(cases)
    assert id(cases[0]) not in {case for case, _ in first}


def test_cases_that_are_sent_together_share_their_tables_there(cases):
    assert len({cpu for _, cpu in asked(cases, Elsewhere())}) == 1


def test_more_cases_than_are_sent_together_arrive_as_they_were(cases):
    many = [Case(cases[number % len(cases)].scenario) for number in range(70)]
    there = asked(many, Elsewhere())
    assert len({case for case, _ in there}) == 70
    assert [Sender(many, Elsewhere()).submit(sizes, n, []).result() for n in range(70)] == [
        case.scenario.traffic.sizes for case in many
    ]


def sizes(case, given):
    return case.scenario.traffic.sizes


def test_cases_that_were_sent_long_ago_are_not_kept(cases):
    old = Case(cases[0].scenario)
    kept = weakref.ref(old)
    asked([old], Elsewhere())
    del old
    asked([Case(cases[0].scenario) for _ in range(512)], Elsewhere())
    gc.collect()
    assert kept() is None
