"""Every shipped scenario through every command that applies: what should be equal is equal, whoever says it."""

from __future__ import annotations

import csv
import io
import json

import pytest

import sim
from sim.config.loading import paths

NAMES = sorted(paths.names("scenario"))
#: Several queues on several cores.
FEW = ("eight-workers",)
SHORT = ("--set", "run.packets=3000")
#: Resolution of a search, and what a run of some thousand packets tells of a rate beside what was offered.
COARSE, NOISE = 0.1, 0.03
#: Searches of a rate that have none, by the key that their refusal names.
NO_CAPACITY = {
    "four-queues-one-worker": "queues",
    "workers-share-cores": "queues",
    "tap-write": "traffic.load",
    "virtio-user-receive-senders": "traffic.load",
    **dict.fromkeys(
        ("tcp-request-response", "tcp-stream-messages", "tcp-stream-to-guest", "udp-datagrams"), "traffic.application"
    ),
}
#: Where nobody is full the rate jumps by phase: offered more slowly, more may be carried than by a sender that never
#: waits (mismatch 42).
JUMPS = ("virtio-net-routing",)


@pytest.fixture(params=[pytest.param(name, marks=() if name in FEW else pytest.mark.deep) for name in NAMES])
def name(request):
    return request.param


@pytest.fixture
def answers(name, vhost_sim):
    """The answer of each command in its JSON form, or the line with which it refuses."""
    scenario = sim.load_scenario(name)
    size, cpu = str(scenario.traffic.sizes[0]), scenario.cpu.name
    two = len(scenario.access) > 1
    sizes = ("--sizes", size) if scenario.traffic.application == "none" else ()
    short = (*sizes, *SHORT)
    cost = scenario.cpu.cpi.value
    at = ("--vary", "cpu.cpi", "--low", cost, "--high", cost)
    calls = {
        "run": ("run", name, *short),
        "uncertainty": ("compare" if two else "run", name, *short, "--uncertainty", "1"),
        "capacity": ("capacity", name, *short, "--resolution", COARSE, "--loss", "10%"),
        "explain": ("explain", name, *short),
        "compare-cpu": ("compare-cpu", cpu, cpu, "--scenario", name, *sizes),
        "trace": ("trace", name, "--packets", "300", *short, "-o", "trace.json"),
        "pps": ("breakeven", name, *at, "--target", "pps>=1", *short),
        "ns_per_packet": ("breakeven", name, *at, "--target", "ns_per_packet>=1", *short),
    }
    if two:
        calls["gain"] = ("breakeven", name, *at, "--target", "gain>=1%", *short)
        calls["saved_ns"] = ("breakeven", name, *at, "--target", "saved_ns>=1", *short)
    told = {}
    for call, arguments in calls.items():
        done = vhost_sim(*arguments, "--json")
        assert done.returncode in (0, 2), done.stderr
        told[call] = json.loads(done.stdout) if done.returncode == 0 else done.stderr
    done = vhost_sim("run", name, *short, "--format", "csv")
    told["rows"] = list(csv.DictReader(io.StringIO(done.stdout)))
    return told


def same(number, other):
    assert number == pytest.approx(other, rel=1e-9, abs=1e-9)


def test_what_should_be_equal_is_equal(name, answers):
    scenario = sim.load_scenario(name)
    cores, saturated = scenario.queues.lanes, scenario.traffic.load.kind == "saturate"
    points = answers["run"]["results"]
    first = points[0]
    for point, row in zip(points, answers["rows"], strict=True):
        same(point["pps"], cores * 1e9 / point["ns_per_packet"])
        same(sum(point["breakdown_cycles"].values()), point["cycles_per_packet"])
        same((point["pps"], point["ns_per_packet"]), (float(row["pps"]), float(row["ns_per_packet"])))
        assert point["basis"] == row["basis"] == scenario.queues.basis
        if saturated:
            assert (point["offered_pps"], point["lost_pps"]) == (None, None)
        else:
            assert point["pps"] + point["lost_pps"] == pytest.approx(point["offered_pps"], rel=NOISE)
    _explained(answers, first, cores)
    _looked_at(answers, points)
    _searched(name, answers["capacity"], points, saturated)
    _uncertain(answers, points)


def _explained(answers, first, cores):
    explained = answers["explain"]
    same((explained["pps"], explained["total_cycles"]), (first["pps"], first["cycles_per_packet"]))
    cpu = answers["compare-cpu"]
    same(cpu["first"]["pps"], cores * 1e9 / cpu["first"]["ns_per_packet"])
    same(cpu["first"]["pps"], cpu["second"]["pps"])
    assert explained["basis"] == cpu["basis"] == first["basis"]
    assert answers["trace"]["packets"] >= 300  # to the end of a flush


def _looked_at(answers, points):
    first, second = (points * 2)[:2]
    expected = {"pps": first["pps"], "ns_per_packet": first["ns_per_packet"]}
    if "gain" in answers:
        expected["gain"] = 100 * (second["pps"] / first["pps"] - 1)
        expected["saved_ns"] = first["ns_per_packet"] - second["ns_per_packet"]
    for quantity, value in expected.items():
        assert answers[quantity]["looks"][0][quantity] == pytest.approx(value, rel=1e-9, abs=1e-6)
        assert answers[quantity]["basis"] == first["basis"]


def _searched(name, capacities, points, saturated):
    if name in NO_CAPACITY:
        assert NO_CAPACITY[name] in capacities
        return
    for capacity, point in zip(capacities["results"], points, strict=True):
        assert capacity["basis"] == point["basis"]
        if name not in JUMPS:
            assert capacity["capacity_pps"] <= capacity["saturated_pps"] * (1 + COARSE)
        assert capacity["capacity_pps"] <= capacity["capacity_with_loss_pps"] * (1 + COARSE)
        if saturated:
            same(capacity["saturated_pps"], point["pps"])
        else:
            assert point["pps"] <= capacity["saturated_pps"] * (1 + NOISE)
        if capacity["capacity_pps"]:
            carried, lost = capacity["carried_pps"], capacity["lost_pps"]
            assert carried + lost == pytest.approx(capacity["offered_pps"], rel=NOISE)
            assert capacity["offered_pps"] == pytest.approx(capacity["capacity_pps"], rel=NOISE)


def _uncertain(answers, points):
    told = answers["uncertainty"]
    same([rate["pps"]["value"] for rate in told["uncertainty"]["rates"]], [point["pps"] for point in points][:2])
    if "gain" not in answers:
        return
    (compared,), (gain,) = told["results"], told["uncertainty"]["gains"]
    same((compared["before_pps"], compared["after_pps"]), (points[0]["pps"], points[1]["pps"]))
    same(gain["gain_percent"]["value"], compared["gain_percent"])
    same(gain["saved_ns"]["value"], compared["saved_ns"])
    same(sum(compared["made_up_of_ns"].values()), compared["saved_ns"])
    assert compared["basis"] == points[0]["basis"]
    same([limit["ideal_pps"] for limit in told["limits"]], [limit["ideal_pps"] for limit in answers["run"]["limits"]])
