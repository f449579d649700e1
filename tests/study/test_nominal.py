"""Cases as their tables have them: run and looked at once, wherever, for all that is asked of them later."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

import sim
from sim.config.errors import ConfigError
from sim.engine import simulate
from sim.study.runs.case import Case, one_point, sides_of
from sim.study.runs.drawn import ran
from sim.study.runs.pool import local_executor
from sim.study.uncertainty import nominal
from sim.study.uncertainty.nominal import nominals, tried
from sim.study.uncertainty.runs import draws_by_side
from sim.study.uncertainty.uncertainty import uncertainty

SHORT = ["traffic.packet_bytes=64,1500", "access=copy_user,uaccess_batched", "run.packets=20000"]


@pytest.fixture(scope="module")
def sides():
    return sides_of(sim.load_scenario("virtio-user-xdp1-tap", overrides=SHORT))


def test_another_process_gives_what_this_one_does(sides):
    scenario = sim.load_scenario("virtio-user-xdp1-tap", overrides=SHORT)
    cases = [side.case for side in sides]
    here = nominals(cases)
    with local_executor(1) as pool:
        assert nominals(cases, pool) == here
    assert tuple(each.point for each in here) == sim.run(scenario).points


def test_the_class_of_a_path_is_that_of_its_accessors(sides):
    known = nominals([side.case for side in sides])
    assert [each.basis.path for each in known] == ["executed"] * 2 + ["by analogy"] * 2


def test_what_is_known_is_not_run_again_and_changes_nothing(sides, monkeypatch):
    plain, rows = uncertainty(sides, 6, 1), draws_by_side(sides, 6, 1)
    known = nominals([side.case for side in sides])
    asked = []

    def run(cases, jobs, executor, progress):
        from sim.study.runs.pool import run_jobs

        asked.extend(jobs)
        return run_jobs(cases, jobs, executor, progress)

    assert uncertainty(sides, 6, 1, run=run, known=known) == plain
    assert len(asked) == 6 * len(sides)
    again = draws_by_side(sides, 6, 1, bases=[each.basis for each in known])
    assert [draws.row(5) for draws in again] == [draws.row(5) for draws in rows]


def test_what_cannot_be_run_is_raised_as_it_is():
    scenario = sim.load_scenario("virtio-user-xdp1-tap", overrides=["queues.pairs=2", "traffic.mix=imix"])
    impossible = Case(one_point(scenario, "copy_user", 64))
    with ThreadPoolExecutor(1) as pool:
        for executor in (None, pool):
            with pytest.raises(ConfigError, match="of one packet size"):
                nominals([impossible], executor)


def test_what_cannot_be_run_does_not_end_the_others(sides):
    scenario = sim.load_scenario("virtio-user-xdp1-tap", overrides=["queues.pairs=2", "traffic.mix=imix"])
    cases = [sides[0].case, Case(one_point(scenario, "copy_user", 64)), sides[1].case]
    with ThreadPoolExecutor(1) as pool:
        for executor in (None, pool):
            first, said, last = tried(cases, executor)
            assert [first, last] == nominals([sides[0].case, sides[1].case])
            assert "of one packet size" in said


def test_a_size_that_cannot_be_run_does_not_end_the_others(sides, monkeypatch):
    cases = [side.case for side in sides]
    others = nominals(cases)

    def failing(case, runs, draw=0):
        point = ran(case, runs, draw=draw)
        if (point.access, point.packet_bytes) == ("copy_user", 1500):
            raise ConfigError("too long")
        return point

    monkeypatch.setattr(nominal, "ran", failing)
    assert tried(cases) == [others[0], "too long", *others[2:]]


def test_what_is_said_of_a_point_stands_in_the_order_of_a_plain_run():
    """What its load and its costs are said to be."""
    overrides = ["driver.packet_cost=1", "run.packets=300"]
    scenario = sim.load_scenario("virtio-user-receive-back-pressure", overrides=overrides)
    case = Case(one_point(scenario, "copy_user", scenario.traffic.sizes[0]))
    (given,) = nominals([case])
    assert ["period" in note for note in given.point.notes] == [True, False]
    assert given.point == simulate(case.plan, scenario.run)
