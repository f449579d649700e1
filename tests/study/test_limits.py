"""Physical limits: line rates and copy bounds by arithmetic, `ideal` as a run."""

from __future__ import annotations

import pytest

import sim
from sim.datapath import build_plan
from sim.study.questions.limits import copy_ps, limits, line_rate_pps

SEED = "virtio-user-xdp1-tap"
BARE = ["calibration=null"]  # the tables' own numbers


@pytest.mark.parametrize(
    ("packet_bytes", "gbit", "pps"),
    [(64, 10, 10e9 / 8 / (64 + 24)), (64, 40, 40e9 / 8 / 88), (1518, 25, 25e9 / 8 / (1518 + 24))],
)
def test_a_line_carries_bits_over_bytes_on_the_wire(packet_bytes, gbit, pps):
    assert line_rate_pps(packet_bytes, gbit) == pytest.approx(pps)


def test_64_bytes_at_10_gbe_are_14_2_mpps():
    assert line_rate_pps(64, 10) / 1e6 == pytest.approx(14.2, abs=0.005)


def test_the_copy_bound_is_what_the_copies_of_one_packet_cost():
    """Broadwell at 3 GHz, 0.4 cycles per instruction, 64 bytes: the header by the loop, the packet by `rep movsb`."""
    header = (12 + 6 + 4 * 6) * 0.4 / 3 + exposed_line_ns()
    payload = (40 + 64 / 30) / 3 + 1.06  # start, bytes, and the clean line behind the dirty one
    plan = build_plan(sim.load_scenario(SEED, overrides=BARE), "ideal", 64)
    assert copy_ps(plan) / 1e3 == pytest.approx(header + payload, abs=0.005)


@pytest.mark.parametrize("pairs", [2, 4])
def test_a_worker_that_serves_several_queues_copies_each_packet_once(pairs):
    together = [f"queues.pairs={pairs}", "traffic.packet_bytes=1500", "run.packets=4000", "access=copy_user,ideal"]
    found = limits(sim.load_scenario(SEED, overrides=together))[0]
    own = build_plan(sim.load_scenario(SEED, overrides=together[1:]), "ideal", 1500)
    assert found.copy_pps == pytest.approx(1e12 / copy_ps(own), rel=0.05)  # the header's line is hidden by other work
    rate = sim.run(sim.load_scenario(SEED, overrides=together)).points[0].pps
    assert rate < found.copy_pps


def exposed_line_ns() -> float:
    """The payload's first line: 23 ns less what hides, 60 % of it paid."""
    row = next(
        row
        for row in build_plan(sim.load_scenario(SEED, overrides=BARE), "ideal", 64).rows
        if row.label == "header_copy"
    )
    return 0.6 * (23 - row.hidden_ps / 1e3)


def test_no_variant_beats_its_limits_and_ideal_is_not_simulated_twice(monkeypatch):
    scenario = sim.load_scenario(SEED, overrides=["traffic.packet_bytes=64,1518"])
    result = sim.run(scenario)
    monkeypatch.setattr("sim.study.questions.limits.run", None)
    bounds = {bound.packet_bytes: bound for bound in limits(scenario, result.points)}
    assert set(bounds) == {64, 1518}
    for point in result.points:
        assert point.pps <= bounds[point.packet_bytes].ideal_pps < bounds[point.packet_bytes].copy_pps
    assert bounds[1518].copy_pps < bounds[64].copy_pps


def test_a_mix_copies_the_mean_of_its_packets():
    shares = {"bytes": [64, 1518], "weights": [1, 1]}
    mixed = sim.load_scenario(SEED, settings={"traffic.mix": shares})
    costs = [copy_ps(build_plan(sim.load_scenario(SEED), "ideal", size)) for size in (64, 1518)]
    assert limits(mixed)[0].copy_pps == pytest.approx(1e12 / (sum(costs) / 2), rel=0.01)


def test_a_bound_that_a_variant_exceeds_is_said_to_be_none():
    """A guest that routes, at 64 B, is full with nobody: who waits for whom goes by phases."""
    scenario = sim.load_scenario("virtio-net-routing", overrides=["traffic.packet_bytes=64", "run.packets=20000"])
    points = sim.run(scenario).points
    (limit,) = limits(scenario, points)
    best = max(points, key=lambda point: point.pps if point.access != "ideal" else 0)
    assert best.pps > 1.1 * limit.ideal_pps
    assert limit.beaten_by == limit.to_dict()["beaten_by"] == best.access
    assert limit.note.startswith(f"no checks is no bound at 64 B: {best.access} carries more")


def test_a_bound_that_holds_says_nothing():
    scenario = sim.load_scenario("virtio-user-xdp1-tap", overrides=["traffic.packet_bytes=64"])
    (limit,) = limits(scenario, sim.run(scenario).points)
    assert (limit.note, "beaten_by" in limit.to_dict()) == (None, False)
