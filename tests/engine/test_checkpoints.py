"""Checkpoints: at most 512 of them, evenly spaced, however long the run."""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace

import numpy as np
import pytest

from sim.config.scenario.endpoints import Driver
from sim.config.scenario.scenario import Run
from sim.datapath import build_plan
from sim.engine.fast import FastEngine
from sim.engine.record import MOST_CHECKPOINTS, Checkpoints
from sim.engine.simulate import simulate, stopping
from tests.engine.scenarios import ENGINES, base
from tests.engine.test_same_trace import assert_same_checkpoints


def reach_all(checkpoints: Checkpoints, packets: range) -> None:
    machine = SimpleNamespace(
        counts=np.zeros((0, 0)), histogram=[], occupied_ps=lambda now_ps: 0, registers=defaultdict(int)
    )
    for used in packets:
        machine.marked_used = used
        checkpoints.reach(machine, now_ps=10 * used)


@pytest.mark.parametrize(
    ("packets", "every", "taken"),
    [
        (5120, 10, 512),  # packets 0 to 5110
        (5130, 20, 257),  # the 513th, at 5120, halves them
        (5130 + 20 * 255, 20, 512),
        (10250, 40, 257),
        (100_000, 320, 313),
    ],
)
def test_too_many_become_those_of_a_doubled_distance(packets, every, taken):
    checkpoints = Checkpoints(10)
    reach_all(checkpoints, range(packets))
    assert checkpoints.every == every
    assert [point.packets for point in checkpoints.taken] == [n * every for n in range(taken)]
    assert len(checkpoints.taken) <= MOST_CHECKPOINTS


def lockstep(burst: int = 1):
    return base("v5.0").model_copy(update={"driver": Driver(kind="lockstep", burst=burst)})


def test_both_engines_drop_the_same():
    plan = build_plan(lockstep(), "vmap", 64)
    slow, fast = (kind(plan, 1) for kind in ENGINES)
    for engine in (slow, fast):
        engine.run(1500)
        assert engine.checkpoints.every == 4
    assert_same_checkpoints(slow.checkpoints, fast.checkpoints)


@pytest.mark.parametrize("burst", [1, 7])
def test_what_stays_is_what_the_doubled_distance_would_have_given(burst):
    plan = build_plan(lockstep(burst), "vmap", 64)
    thinned = ENGINES[1](plan, 1)
    thinned.run(6000)
    assert thinned.checkpoints.every == 16
    sparse = ENGINES[1](plan, 16)
    sparse.run(6000)
    assert_same_checkpoints(thinned.checkpoints, sparse.checkpoints)


@pytest.mark.parametrize(
    ("packets", "begins", "becomes"),
    [
        (131_007, 256, 256),
        (131_008, 256, 256),  # ends with a flush at 131 008
        (131_009, 256, 512),  # the flush behind it is the 513th checkpoint
        (131_072, 512, 512),
        (262_144, 1024, 1024),
        (700_000, 2048, 2048),
    ],
)
def test_where_every_packet_is_simulated_checkpoints_lie_as_they_would_become(packets, begins, becomes):
    """512 lie up to 256 x 512 = 131 072 packets; the last flush may bring a run up to 63 packets beyond its end."""
    plan = build_plan(base("v5.0"), "copy_user", 64)
    looks = stopping(plan, Run(packets=packets, precision=0))
    doubled, distant = FastEngine(plan, 256), FastEngine(plan, looks.every)
    for engine in (doubled, distant):
        engine.run(packets)
    assert_same_checkpoints(doubled.checkpoints, distant.checkpoints)
    assert (looks.every, doubled.checkpoints.every) == (begins, becomes)
    assert stopping(plan, Run(packets=packets)).every == 256, "a run may end before it has so many"


def test_a_long_run_still_gives_a_point():
    plan = build_plan(lockstep(), "vmap", 64)
    point = simulate(plan, Run(packets=600_000, precision=0))
    assert point.packets > 500_000
    assert point.half_width_ps < 0.001 * point.ps_per_packet
