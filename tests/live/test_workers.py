"""Processes that share the work of all pages: there when they are asked, anew where one has died, gone at the end."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import BrokenExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import connection, get_context

import pytest

import sim
from sim.config.errors import ConfigError
from sim.live.workers import EndedError, Workers
from sim.study.runs.case import Case, one_point, sides_of
from sim.study.runs.pool import Job, local_executor, run_jobs
from sim.study.runs.sent import Sender
from tests.live.test_state import SEED


@pytest.fixture
def workers():
    made = Workers(1)
    yield made
    made.close()


def test_one_pool_serves_all_questions(workers):
    pool = workers.executor()
    assert pool.submit(os.getpid).result() == workers.executor().submit(os.getpid).result() != os.getpid()


def test_what_nobody_has_asked_for_comes_in_smaller_jobs(workers):
    assert workers.executor(is_ahead=True).chunks > workers.executor().chunks


def test_a_process_that_dies_is_said_and_replaced(workers):
    case = Case(one_point(sim.load_scenario(SEED, overrides=["run.packets=20000"]), "copy_user", 64))
    pool = workers.executor()
    os.kill(pool.submit(os.getpid).result(), signal.SIGKILL)
    with pytest.raises(ConfigError, match="a worker process died"):
        run_jobs([case], [Job(0, {})] * 20_000, pool)
    assert run_jobs([case], [Job(0, {})], workers.executor()).figures[0] > 1e6


def test_the_end_waits_for_nothing(workers):
    pool = workers.executor()
    process = pool.submit(os.getpid).result()
    pool.submit(time.sleep, 600)
    workers.close()
    assert not os.path.exists(f"/proc/{process}")
    with pytest.raises(EndedError):
        workers.executor()


def test_a_job_that_nobody_waits_for_holds_nothing_up(workers):
    waiting = [True]
    held = workers.executor(lambda: waiting[0]).submit(time.sleep, 600)
    asked = workers.executor()
    behind = asked.submit(os.getpid)
    with pytest.raises(TimeoutError):
        behind.result(2)  # somebody still waits for what is slow
    waiting[0] = False
    with pytest.raises(BrokenProcessPool):
        behind.result(60)
    with pytest.raises(BrokenProcessPool):
        held.result()
    with pytest.raises(BrokenProcessPool):
        asked.submit(os.getpid)
    assert workers.executor().submit(os.getpid).result(60) != os.getpid()


def process_of(case, given):
    return os.getpid()


def test_a_job_that_nobody_waits_for_holds_up_no_other_of_its_process():
    """The other processes are free, and go on."""
    cases = [side.case for side in sides_of(sim.load_scenario(SEED, overrides=["traffic.packet_bytes=[64, 256]"]))]
    workers, waiting = Workers(2), [True]
    try:
        pool = workers.executor()
        first = [Sender(cases, pool).submit(process_of, number, [{}]) for number in range(len(cases))]
        homes = [job.result(60) for job in first]
        held = Sender(cases, workers.executor(lambda: waiting[0])).submit(slow_process_of, 0, [600.0])
        behind = Sender(cases, pool).submit(process_of, 0, [{}])
        with pytest.raises(TimeoutError):
            behind.result(2)  # somebody still waits for what is slow
        waiting[0] = False
        with pytest.raises(BrokenProcessPool):
            behind.result(60)
        with pytest.raises(BrokenProcessPool):
            held.result(60)
        anew = Sender(cases, workers.executor())
        now = [anew.submit(process_of, number, [{}]).result(60) for number in range(len(cases))]
        assert [process for process in now if process in homes] == [home for home in homes if home != homes[0]]
    finally:
        workers.close()


def slow_process_of(case, given):
    time.sleep(given[0])
    return os.getpid()


def test_a_job_goes_to_the_process_that_knows_its_case():
    scenario = sim.load_scenario(SEED, overrides=["traffic.packet_bytes=[64, 256]"])
    cases = [side.case for side in sides_of(scenario)]
    workers = Workers(2)
    try:
        pool = workers.executor()
        first = [Sender(cases, pool).submit(process_of, number, [{}]) for number in range(len(cases))]
        homes = [job.result(60) for job in first]
        assert sorted(map(homes.count, set(homes))) == [len(cases) // 2] * 2  # they wait for each other at first
        for order in (range(len(cases)), reversed(range(len(cases)))):
            sender = Sender(cases, workers.executor())
            assert all(sender.submit(process_of, number, [{}]).result(60) == homes[number] for number in order)
        held = Sender(cases[:1], pool).submit(slow_process_of, 0, [2.0] + [0.0] * 200)
        assert Sender(cases[:1], pool).submit(process_of, 0, [{}]).result(60) not in (homes[0], held)  # that is busy
        assert held.result(60) == homes[0]
    finally:
        workers.close()


def test_three_cases_in_parts_are_shared_evenly_with_two_known_in_each_process():
    """A third case is built in both, which takes less time than one process waiting for the other."""
    scenario = sim.load_scenario(SEED, overrides=["traffic.packet_bytes=[64]"])
    cases = [side.case for side in sides_of(scenario)]
    assert len(cases) == 3
    workers = Workers(2)
    try:
        sender = Sender(cases, workers.executor())
        jobs = [sender.submit(slow_process_of, number, [0.3, 0.0, 0.0], weight=10) for number in (0, 1, 2) * 2]
        homes = [job.result(60) for job in jobs]
        assert {home: homes.count(home) for home in homes} == dict.fromkeys(homes, 3)
        known = {home: {number % 3 for number in range(6) if homes[number] == home} for home in homes}
        assert sorted(map(len, known.values())) == [2, 2]
    finally:
        workers.close()


def test_a_pool_ends_whose_jobs_were_cancelled_before_its_process_died(monkeypatch):
    """The thread that tells all jobs of it does not end on one that nobody waits for."""
    uncaught = []
    monkeypatch.setattr(threading, "excepthook", uncaught.append)
    ended = threading.Event()

    def ask():
        with suppress(BrokenExecutor), local_executor(1) as pool:
            process = pool.submit(os.getpid).result()
            pool.submit(time.sleep, 600)
            waiting = [pool.submit(time.sleep, 600) for _ in range(5)]
            assert waiting[-1].cancel()
            os.kill(process, signal.SIGKILL)
            waiting[0].result()
        ended.set()

    threading.Thread(target=ask, daemon=True).start()
    assert ended.wait(60)
    assert uncaught == []


def test_an_end_leaves_other_processes_of_this_one_alone():
    """A notebook has its own: they may have been started at any time."""
    with suppress(EndedError), local_executor(1) as pool:
        pool.submit(os.getpid).result(60)
        other = get_context("spawn").Process(target=time.sleep, args=(600,))
        other.start()
        raise EndedError
    try:
        other.join(0.5)
        assert other.is_alive()
    finally:
        other.kill()
        other.join()


def die_while_answering():
    """Let the answer be sent by half."""

    def send_half(sender, content, *_):
        os.write(sender.fileno(), content[: len(content) // 2])
        os.kill(os.getpid(), signal.SIGKILL)

    connection.Connection._send = send_half
    return "an answer of some length"


def test_a_pool_ends_whose_process_died_while_it_answered():
    """The other half of the answer never comes."""
    ended = threading.Event()

    def ask():
        with suppress(BrokenExecutor), local_executor(1) as pool:
            pool.submit(die_while_answering).result()
        ended.set()

    threading.Thread(target=ask, daemon=True).start()
    assert ended.wait(20)
