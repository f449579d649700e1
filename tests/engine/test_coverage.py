"""The 95 % interval of a run holds the rate of an endless one as often as it says, whatever arrives."""

from __future__ import annotations

import numpy as np
import pytest

import sim
from sim.datapath import build_plan
from sim.engine.fast import FastEngine
from sim.engine.simulate import stopping
from sim.engine.statistics import estimate

#: What is drawn by a seed. Loads of 50, 80 and 95 % of what the worker carries (5.02 Mpps).
RANDOM = {
    "imix": ("traffic.mix=imix",),
    "poisson-50": ("traffic.load={kind: poisson, pps: 2.51e6}",),
    "poisson-80": ("traffic.load={kind: poisson, pps: 4.02e6}",),
    "poisson-95": ("traffic.load={kind: poisson, pps: 4.77e6}",),
}
#: What is the same for every seed, so that an interval holds the rate always or never.
FIXED = {"saturated": (), "on-off": ("traffic.load={kind: on-off, pps: 6e6, on_us: 30, off_us: 50}",)}
PACKETS = 200_000


def checkpoints(overrides, seed):
    fixed = ("access=copy_user", "traffic.packet_bytes=64", f"run.packets={PACKETS}")
    scenario = sim.load_scenario("virtio-user-xdp1-tap", overrides=[*fixed, f"run.seed={seed}", *overrides])
    plan = build_plan(scenario, "copy_user", scenario.traffic.sizes[0])
    engine = FastEngine(plan, stopping(plan, scenario.run).every)
    engine.run(PACKETS)
    return engine.checkpoints.taken


def ps_per_packet(runs):
    """Time per packet of all runs together, without the first tenth of each."""
    ends = [(taken[len(taken) // 10], taken[-1]) for taken in runs]
    time_ps = sum(last.time_ps - first.time_ps for first, last in ends)
    return time_ps / sum(last.packets - first.packets for first, last in ends)


def share_inside(overrides, seeds):
    runs = [checkpoints(overrides, seed) for seed in range(seeds)]
    right = ps_per_packet(runs)
    found = [estimate(taken) for taken in runs]
    return np.mean([abs(one.ps_per_packet - right) <= one.half_width_ps for one in found])


@pytest.mark.deep
@pytest.mark.parametrize("kind", RANDOM)
def test_an_interval_holds_the_rate_as_often_as_it_says(kind):
    assert 0.93 <= share_inside(RANDOM[kind], 200) <= 0.97


@pytest.mark.parametrize("kind", FIXED)
def test_an_interval_of_what_is_not_drawn_holds_the_rate(kind):
    assert share_inside(FIXED[kind], 2) == 1
