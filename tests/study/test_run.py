"""`run`: the points, their table, their JSON form, and that everything adds up."""

from __future__ import annotations

import json
import math
from itertools import pairwise

import pytest

import sim
from sim.study.questions.run import run

SEED = "virtio-user-xdp1-tap"

#: Scenarios in which each kind of waiting occurs.
KINDS = {
    "saturated": (),
    "drains": ("traffic.load=1000000",),
    "poisson": ("traffic.load={kind: poisson, pps: 3000000}",),
    "driver bound": ("driver.packet_cost=400",),
    "lockstep": ("driver.kind=lockstep", "driver.burst=1"),
    "event index": ("virtqueue.event_idx=true", "driver.packet_cost=400"),
    "indirect": ("virtqueue.indirect=true", "virtqueue.descriptors_per_packet=3"),
    "chain": ("virtqueue.descriptors_per_packet=2", "kernel=v7.3"),
    "other socket": ("placement.same_socket=false", "cpu=skylake-sp"),
    "siblings": ("placement.smt_siblings=true",),
    "one packet": ("run.packets=1",),
    "one descriptor": ("virtqueue.size=1",),
}


def short(*overrides, packets=4000):
    base = ["traffic.packet_bytes=64", "access=copy_user", f"run.packets={packets}"]
    return sim.load_scenario(SEED, overrides=[*base, *overrides])


def test_points_come_in_the_order_of_access_then_size(seed, result):
    order = [(point.access, point.packet_bytes) for point in result.points]
    assert order == [(access.name, size) for access in seed.access for size in (64, 1518)]


@pytest.mark.parametrize("overrides", KINDS.values(), ids=KINDS)
def test_the_breakdown_is_the_elapsed_time_to_the_picosecond(overrides):
    point = run(short(*overrides)).points[0]
    assert sum(point.breakdown_ps.values()) == point.elapsed_ps
    assert all(value >= 0 for value in point.breakdown_ps.values())
    assert sum(point.breakdown_cycles.values()) == pytest.approx(point.cycles_per_packet, rel=1e-12)


@pytest.mark.parametrize("overrides", KINDS.values(), ids=KINDS)
def test_the_three_ways_to_say_a_rate_agree(overrides):
    scenario = short(*overrides)
    point = run(scenario).points[0]
    assert point.pps == pytest.approx(1e9 / point.ns_per_packet)
    assert point.cycles_per_packet == pytest.approx(point.ns_per_packet * scenario.cpu.core_ghz.value)
    low, high = point.pps_ci
    assert low <= point.pps <= high
    assert 0 <= point.utilisation["worker"] <= 1
    assert 0 <= point.utilisation["driver"] <= 1


@pytest.mark.parametrize("overrides", KINDS.values(), ids=KINDS)
def test_the_rows_of_each_actor_take_the_whole_time(overrides):
    point = run(short(*overrides)).points[0]
    worker = sum(value for name, value in point.row_times_ps.items() if name.startswith("worker."))
    assert worker == pytest.approx(point.ps_per_packet, rel=1e-9)


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ((), "line_transfer"),
        (("placement.same_socket=false",), "line_transfer_cross_socket"),
        (("placement.smt_siblings=true",), "line_transfer_smt"),
    ],
)
def test_waits_for_lines_are_named_after_the_entry_that_prices_them(overrides, name):
    breakdown = run(short("device.batch=4", "driver.burst=4", *overrides)).points[0].breakdown_ps
    assert {key for key in breakdown if key.startswith("line_transfer")} == {name}


def test_what_bounds_the_rate():
    assert run(short()).points[0].bound_by == "worker"
    assert run(short("driver.packet_cost=400")).points[0].bound_by == "driver"
    assert run(short("traffic.load=1000000")).points[0].bound_by == "load"


def test_a_constant_load_below_capacity_is_carried_at_its_rate():
    point = run(short("traffic.load=1000000", packets=20_000)).points[0]
    assert point.pps == pytest.approx(1e6, rel=1e-3)
    assert point.utilisation["worker"] < 0.9


def test_latency_percentiles_rise_and_the_ring_is_never_more_than_full(result):
    for point in result.points:
        percentiles = [point.latency_us[name] for name in ("p50", "p99", "p999")]
        assert all(less <= more for less, more in pairwise(percentiles))
        assert 0 < point.occupancy["mean"] <= point.occupancy["max"] <= 256


def test_mean_latency_and_occupancy_obey_littles_law(result):
    point = result.at("copy_user", 64)
    # Little: packets in the ring = rate x time in the ring; the median is near the mean in a full ring.
    assert point.occupancy["mean"] == pytest.approx(point.pps * point.latency_us["p50"] * 1e-6, rel=0.05)


def test_the_table_has_one_row_per_point_and_says_its_units(result):
    frame = result.to_frame()
    assert list(frame.columns[:17]) == [
        "access",
        "packet_bytes",
        "pps",
        "pps_low",
        "pps_high",
        "ns_per_packet",
        "cycles_per_packet",
        "instructions_per_packet",
        "latency_p50_us",
        "latency_p99_us",
        "latency_p999_us",
        "utilisation_worker",
        "utilisation_driver",
        "ring_occupancy_mean",
        "bound_by",
        "packets",
        frame.columns[16],
    ]
    assert len(frame) == len(result.points)
    parts = frame[[name for name in frame.columns[16:] if name.startswith("cycles_")]]
    assert [*parts.columns, "basis"] == list(frame.columns[16:])
    assert parts.notna().all().all()
    for total, expected in zip(parts.sum(axis=1), frame["cycles_per_packet"], strict=True):
        assert total == pytest.approx(expected, rel=1e-12)


def test_the_json_form_has_the_keys_of_the_contract(result):
    data = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert (data["schema"], data["scenario"]) == (1, SEED)
    for point in data["results"]:
        assert {
            "access",
            "packet_bytes",
            "pps",
            "pps_ci",
            "ns_per_packet",
            "cycles_per_packet",
            "breakdown_cycles",
            "latency_us",
            "utilisation",
            "bound_by",
        } <= set(point)
        assert set(point["latency_us"]) == {"p50", "p99", "p999"}
        assert set(point["utilisation"]) == {"driver", "worker"}
        low, high = point["pps_ci"]
        assert low <= point["pps"] <= high


def test_a_run_of_one_packet_has_no_interval_and_says_so_in_json():
    point = run(short("run.packets=1")).points[0]
    assert math.isinf(point.half_width_ps)
    assert point.to_dict()["pps_ci"] == [0.0, None]


def test_asking_for_a_point_that_was_not_simulated_is_an_error(result):
    with pytest.raises(KeyError, match="copy_user at 65 bytes was not simulated"):
        result.at("copy_user", 65)


def test_a_size_that_does_not_fit_is_refused_before_anything_is_simulated():
    told = []
    scenario = sim.load_scenario(
        SEED, overrides=["traffic.packet_bytes=64,65535", "driver.scatter_bytes=256", "virtqueue.size=64"]
    )
    with pytest.raises(sim.ConfigError, match="65535 bytes scattered over pages"):
        run(scenario, lambda share, label: told.append(share))
    assert told == []


def test_progress_rises_and_names_each_point():
    told = []
    run(short("access=copy_user,vmap"), lambda share, label: told.append((share, label)))
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert 0 < shares[0] <= shares[-1] <= 1
    assert list(dict.fromkeys(label for _, label in told)) == ["copy_user, 64 B", "vmap, 64 B"]


def test_the_same_scenario_gives_the_same_result_twice():
    scenario = short("traffic.load={kind: poisson, pps: 3000000}")
    assert run(scenario).points == run(scenario).points


def test_another_seed_gives_other_arrivals_and_seed_0_is_a_seed():
    times = {
        run(short("traffic.load={kind: poisson, pps: 3000000}", f"run.seed={seed}")).points[0].elapsed_ps
        for seed in (0, 1, 2)
    }
    assert len(times) == 3
