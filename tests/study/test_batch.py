"""Many runs: the same figures whoever computed them, and failures by number."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from os import environ, getenv
from threading import Event

import numpy as np
import pytest

import sim
from sim.study.runs.case import SIZE, Case, executed, observe, one_point, sides_of
from sim.study.runs.functions import known_functions
from sim.study.runs.pool import Job, answers, local_executor, pool_for, run_jobs
from sim.study.runs.sent import Knowing

SEED = "virtio-user-xdp1-tap"


def case(access="copy_user", quantity="pps", functions=(), **overrides):
    settings = {key.replace("__", "."): value for key, value in overrides.items()}
    return Case(one_point(sim.load_scenario(SEED, settings=settings), access, 64), quantity, functions)


def test_a_pool_gives_the_figures_of_this_process():
    cases = [case(), case("vmap")]
    jobs = [Job(number % 2, {"cpu.primitives.lfence": 9 + 0.1 * number}) for number in range(130)]  # two chunks
    told = []
    alone = run_jobs(cases, jobs, progress=lambda done, of: told.append((done, of)))
    with local_executor(2) as pool, pool_for(len(jobs), 2) as threads:
        together, beside = run_jobs(cases, jobs, pool), run_jobs(cases, jobs, threads)
    assert isinstance(threads, ThreadPoolExecutor)
    assert np.array_equal(alone.figures, together.figures)
    assert np.array_equal(alone.figures, beside.figures)
    assert told[-1] == (130, 130)


def test_who_no_longer_waits_ends_the_jobs_that_have_not_begun():
    """Also while none of them is done."""
    begun, goes_on = Event(), Event()

    def held(case, values):
        begun.set()
        goes_on.wait(60)
        return [0.0] * len(values)

    def progress(done, of):
        if begun.is_set():
            raise KeyboardInterrupt

    jobs = [Job(number, {}) for number in range(3)]
    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(KeyboardInterrupt):
            answers(held, [case()] * 3, jobs, pool, progress)
        later = pool.submit(lambda: "the pool goes on")
        begun.clear()
        goes_on.set()
        assert later.result(60) == "the pool goes on"
    assert not begun.is_set()


def test_what_is_run_in_the_place_of_several_cases_is_asked_of_together():
    cases = [side.case for side in sides_of(sim.load_scenario(SEED))]
    assert [len(chunk) for chunk in _noted(cases, 20)] == [120] * 3
    assert [len(chunk) for chunk in _noted(cases, 1, weight=10)] == [6] * 3
    assert [len(chunk) for chunk in _noted(cases, 100)] == [400] * 3 + [200] * 3
    sizes = [value.get(SIZE, 64) for chunk in _noted(cases[:6], 20) for value in chunk]
    assert sizes == [size for size in (64, 128, 256, 512, 1024, 1518) for _ in range(20)]


def test_processes_that_stay_share_even_little():
    """A third of all runs is two chunks where six are wanted; one where each half would not be worth being sent."""
    cases = [side.case for side in sides_of(sim.load_scenario(SEED))]
    stay = _Here()
    assert [len(chunk) for chunk in _noted(cases, 20, executor=stay)] == [60] * 6
    assert [len(chunk) for chunk in _noted(cases[:6], 20, executor=stay)] == [30] * 4
    assert [len(chunk) for chunk in _noted(cases, 1, executor=stay)] == [6] * 3
    assert [len(chunk) for chunk in _noted(cases, 1, executor=stay, weight=10)] == [3] * 6
    assert [len(chunk) for chunk in _noted(cases, 1000, executor=stay)] == [400] * 45
    stay.chunks = 24
    assert [len(chunk) for chunk in _noted(cases, 20, executor=stay)] == [30] * 12


class _Here(Knowing):
    """Asks in this process."""

    chunks = 6

    def ask(self, of, case, given, weight=1):
        future = Future()
        future.set_result(of(case(), given))
        return future


def _noted(cases, each, **how):
    chunks = []

    def noting(case, values):
        chunks.append(values)
        return [0.0] * len(values)

    answers(noting, cases, [Job(number, {}) for number in range(len(cases)) for _ in range(each)], **how)
    return chunks


def test_a_process_begins_as_it_is_told():
    with local_executor(1, begin=_begin) as pool:
        assert pool.submit(getenv, _BEGUN).result() == "1"


_BEGUN = "VHOST_SIM_TEST_BEGUN"


def _begin():
    environ[_BEGUN] = "1"


def test_a_run_that_fails_is_nan_with_its_reason():
    outcomes = run_jobs([case()], [Job(0, {}), Job(0, {"cpu.core_ghz": 0.0}), Job(0, {"kernel.nothing": 1.0})])
    assert np.isnan(outcomes.figures).tolist() == [False, True, True]
    assert set(outcomes.errors) == {1, 2}


def test_shares_of_all_functions_add_up():
    functions = tuple(known_functions(case(functions=("handle_tx_copy",)).plan))
    assert observe(case(quantity="share", functions=functions)) == pytest.approx(1)


def test_executed_counts_are_those_of_the_source():
    counted = case(driver__kind="lockstep", driver__burst=32, backend__program_instructions=0, cpu="sapphire-rapids")
    found = executed(counted.plan, counted.scenario)
    assert (found["stac"], found["clac"], found["lfence"]) == (4.25, 4.25, 2.125)  # executed-counts.md, v5.0
    assert found["instructions"] == pytest.approx(888, rel=0.004)


def test_cases_that_share_tables_share_them_in_another_process():
    scenario = sim.load_scenario(SEED)
    other = sim.load_scenario(SEED, overrides=["cpu=zen4"])
    cases = [Case(one_point(asked, "copy_user", 64)) for asked in (scenario, scenario, other)]
    with local_executor(1) as pool:
        places = answers(_tables, cases, [Job(number, {}) for number in range(3)], pool)
    assert places[0] == places[1] != places[2]


def _tables(case, values):
    return [(case.scenario.cpu.name, id(case.scenario.cpu), id(case.scenario.kernel)) for _ in values]
