"""Processes that share the work of all pages: there when they are asked, anew where one has died, gone at the end."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import BrokenExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress

import pytest

import sim
from sim.config.errors import ConfigError
from sim.live.workers import EndedError, Workers
from sim.study.runs.case import Case, one_point
from sim.study.runs.pool import Job, local_executor, run_jobs
from tests.live.test_state import SEED


@pytest.fixture
def workers():
    made = Workers(1)
    yield made
    made.close()


def test_one_pool_serves_all_questions(workers):
    pool = workers.executor()
    assert pool.submit(os.getpid).result() == workers.executor().submit(os.getpid).result() != os.getpid()


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
