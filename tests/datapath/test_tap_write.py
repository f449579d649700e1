"""Frames written to a TAP: each way executes what was counted of it."""

from __future__ import annotations

import pytest

from sim.config import load_scenario
from sim.config.errors import ConfigError
from sim.datapath import build_plan
from sim.engine import simulate
from sim.study.runs.case import executed
from sim.study.runs.functions import function_times, instructions_of

NATIVE: dict[str, object] = {}
GENERIC = {"device.sndbuf_limited": True}
SKB = {"device.sndbuf_limited": True, "backend.kind": "tap-skb"}
DOWN = {"device.sndbuf_limited": True, "backend.kind": "tap-down"}
OFF = {"mitigations.spec_rstack_overflow": False, "mitigations.retpoline": False}  # as counted


def plan_of(settings, kernel="v6.12", size=64, functions=False):
    scenario = load_scenario("tap-write", settings={"kernel": kernel, **OFF, **settings})
    return scenario, build_plan(scenario, "copy_user", size, functions=functions)


@pytest.mark.parametrize(
    ("kernel", "way", "instructions", "returns"),
    [  # returns-and-functions.md: the same calls, counted under emulation from ksys_write, 64 bytes
        ("v6.12", DOWN, 2180, 53),
        ("v6.12", SKB, 2500, 62),
        ("v6.12", GENERIC, 2797, 62),
        ("v6.12", NATIVE, 1035, 28),
        ("v7.3", DOWN, 2372, 53),
        ("v7.3", SKB, 2738, 63),
        ("v7.3", GENERIC, 3016, 63),
        ("v7.3", NATIVE, 1107, 30),
        ("v6.18", DOWN, 2344, 54),  # counted with the programs of `measure --tap`
        ("v6.18", SKB, 2711, 65),
        ("v6.18", GENERIC, 2984, 64),
        ("v6.18", NATIVE, 1133, 31),
    ],
)
def test_each_way_executes_what_was_counted(kernel, way, instructions, returns):
    scenario, plan = plan_of(way, kernel)
    counts = executed(plan, scenario)
    assert counts["instructions"] == pytest.approx(instructions)
    assert counts["returns"] == pytest.approx(returns)


@pytest.mark.parametrize(("kernel", "tun_get_user", "tun_build_skb"), [("v6.12", 124, 149), ("v7.3", 142, 150)])
def test_the_native_way_is_split_into_the_functions_that_were_counted(kernel, tun_get_user, tun_build_skb):
    _, plan = plan_of(NATIVE, kernel, functions=True)
    totals: dict[str, float] = {}
    for row in plan.rows:
        for function, once, _ in instructions_of(row):
            totals[function] = totals.get(function, 0) + once
    assert totals["tun_get_user"] == pytest.approx(tun_get_user)
    assert totals["tun_build_skb"] == pytest.approx(tun_build_skb)
    assert totals["__rcu_read_unlock"] == pytest.approx(27)


def test_the_time_of_a_write_is_that_of_its_functions():
    scenario, plan = plan_of(NATIVE, functions=True)
    point = simulate(plan, scenario.run)
    assert sum(function_times(plan, point).values()) == pytest.approx(1e12 / point.pps, rel=1e-6)


def test_a_mitigated_return_costs_as_often_as_there_are_returns():
    with_thunks = load_scenario("tap-write")
    plain = load_scenario("tap-write", settings={"mitigations.spec_rstack_overflow": False})
    safe_ret = with_thunks.cpu.primitives["safe_ret"].value
    costs = [simulate(build_plan(scenario, "copy_user", 64), scenario.run) for scenario in (with_thunks, plain)]
    cycles = [point.cycles_per_packet for point in costs]
    assert cycles[0] - cycles[1] == pytest.approx(28 * safe_ret, rel=1e-3)


def test_a_frame_that_does_not_fit_the_buffer_becomes_an_skb():
    labels = {size: {row.label for row in plan_of(NATIVE, size=size)[1].rows} for size in (3000, 3500)}
    assert labels[3500] - labels[3000] == {"skb", "expand"}
    assert labels[3000] - labels[3500] == {"build"}


def test_a_program_adds_its_instructions():
    _, bare = plan_of(NATIVE)
    _, xdp1 = plan_of({"backend.program_instructions": 50})
    more = sum(row.instructions for row in xdp1.rows) - sum(row.instructions for row in bare.rows)
    assert more == 50


def test_a_kernel_that_was_not_counted_says_so():
    with pytest.raises(ConfigError, match=r"kernel v6.1: no entry for step 'write_call'"):
        plan_of(NATIVE, "v6.1")
