"""Several queues: one worker in turn, one worker each, workers that share cores, and what all of them share."""

from __future__ import annotations

import pytest

from sim.config import ConfigError, load_scenario
from sim.config.scenario.virtqueue import Queues
from sim.datapath import build_plan
from sim.datapath.plan.registers import Register
from sim.engine import simulate
from sim.engine.fast import FastEngine

SEED = "virtio-user-xdp1-tap"
WIRE = 24


def load(*overrides):
    return load_scenario(SEED, overrides=["access=vmap", "traffic.packet_bytes=64", *overrides])


def run(*overrides):
    scenario = load(*overrides)
    return simulate(build_plan(scenario, "vmap", 64), scenario.run)


@pytest.mark.parametrize(
    ("queues", "lanes", "per_core", "switching"),
    [
        ({"pairs": 1}, 1, 1, False),
        ({"pairs": 6}, 1, 6, False),
        ({"pairs": 6, "workers": "each"}, 6, 1, False),
        ({"pairs": 6, "workers": "each", "cores": 2}, 2, 3, True),
    ],
)
def test_queues_are_divided_among_cores(queues, lanes, per_core, switching):
    section = Queues(**queues)
    assert (section.lanes, section.per_core, section.switching) == (lanes, per_core, switching)


def test_one_worker_gives_each_of_its_queues_the_same_share():
    point = run("queues.pairs=4", "run.precision=0", "run.packets=50000")
    heads = [point.row_rates[f"worker.head{mark}"] for mark in ("", "#1", "#2", "#3")]
    assert heads == pytest.approx([1 / 4] * 4, rel=0.01)
    assert sum(heads) == pytest.approx(1, rel=0.01)


def test_one_worker_is_no_faster_with_more_queues_that_keep_it_busy():
    one, four = run(), run("queues.pairs=4")
    assert four.pps == pytest.approx(one.pps, rel=0.005)
    assert four.bound_by == one.bound_by == "worker"


def test_more_queues_help_a_worker_that_waits_for_its_driver():
    """A driver of 500 ns per packet feeds 2 Mpps at most; a worker of 170 ns carries two of them."""
    slow = "driver.packet_cost=500"
    one, two = run(slow), run(slow, "queues.pairs=2")
    assert one.pps < 2e6 < two.pps < 4e6
    assert two.pps > 1.8 * one.pps


def test_cores_side_by_side_multiply_the_rate():
    assert run("queues={pairs: 4, workers: each}").pps == 4 * run().pps


def test_workers_that_share_a_core_switch_once_per_round():
    point = run("queues={pairs: 4, workers: each, cores: 2}")
    switches = sum(point.row_rates[f"worker.take_work{mark}"] for mark in ("", "#1"))
    assert switches == pytest.approx(1 / 256, rel=0.05)
    assert point.breakdown_ps["context_switch"] / point.packets == pytest.approx(1.3e6 / 256, rel=0.05)
    assert point.pps == pytest.approx(2 * 1e12 / (run().ps_per_packet + 1.3e6 / 256), rel=0.01)


def test_the_uncore_bounds_all_cores_together():
    """Each packet's lines, 64 bytes each, at 1 GB/s for all 64 cores."""
    point = run("queues={pairs: 64, workers: each}", "cpu.uncore_bandwidth=1")
    assert point.bound_by == "uncore"
    lines = point.ps_per_packet / 64 / 64_000  # 64 ps per byte and line, 64 cores
    assert 1 < lines < 4
    assert sum(point.breakdown_ps.values()) == pytest.approx(point.elapsed_ps, rel=1e-9)


def test_a_single_queue_is_far_from_the_uncore_bound():
    assert "uncore" not in run().breakdown_ps


def test_another_task_takes_its_share_of_the_core_whichever_queue_is_served():
    """A round of 256 packets takes some 43 us, so four queues are gone round in more than the period."""
    other = "placement={preempted_us: 5, preempted_every_us: 100}"
    shares = [run(other, f"queues.pairs={pairs}").breakdown_ps["preempted"] for pairs in (1, 4)]
    times = [run(other, f"queues.pairs={pairs}").elapsed_ps for pairs in (1, 4)]
    one, four = (share / time for share, time in zip(shares, times, strict=True))
    assert one == pytest.approx(5 / 100, rel=0.1)
    assert four == pytest.approx(one, rel=0.1)


def test_a_worker_is_switched_out_when_all_of_its_queues_are_empty():
    slow = ("driver.burst=1", "driver.packet_cost=20000", "device.schedule_out=true", "run.packets=3000")
    rates = run(*slow, "queues.pairs=3").row_rates
    switches = sum(rate for row, rate in rates.items() if row.startswith("worker.schedule_out"))
    assert switches == pytest.approx(rates["worker.idle"], rel=0.02)
    assert switches > 0


@pytest.mark.parametrize("driver", ["virtio-user", "lockstep"])
def test_no_kick_is_lost_between_queues(driver):
    """Every packet wakes the worker: a kick that goes missing would stop a queue for good."""
    scenario = load(f"driver.kind={driver}", "driver.burst=1", "queues.pairs=3", "driver.packet_cost=3000",
                    "run.packets=2000", "run.precision=0")  # fmt: skip
    point = simulate(build_plan(scenario, "vmap", 64), scenario.run)
    assert [point.row_rates[f"worker.head{mark}"] for mark in ("", "#1", "#2")] == pytest.approx([1 / 3] * 3, rel=0.01)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("queues={pairs: 4, workers: each, cores: 3}", "4 pairs do not divide evenly among 3 cores"),
        ("queues={pairs: 2, workers: each, cores: 4}", r"4 cores for 2 workers"),
        ("queues={pairs: 2, cores: 2}", r"2 cores for 1 worker;"),
        ("queues.pairs=0", "greater than or equal to 1"),
        ("queues.pair=2", r"unknown key 'queues.pair'; did you mean 'pairs'\?"),
    ],
)
def test_queues_that_make_no_sense_are_said_in_a_sentence(override, sentence):
    with pytest.raises(ConfigError, match=sentence):
        load(override)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("traffic.load=1e6", "a saturating load of one packet size"),
        ("traffic.mix=imix", "a saturating load of one packet size"),
        ("memory.invalidations_per_second=10", "do not go with invalidations"),
        ("device.busyloop_timeout_us=10", "several queues is not modelled with busy polling"),
    ],
)
def test_what_several_queues_cannot_be_combined_with_is_refused(override, sentence):
    with pytest.raises(ConfigError, match=sentence):
        build_plan(load("queues.pairs=2", override), "vmap", 64)


@pytest.mark.parametrize("queues", ["{pairs: 2}", "{pairs: 4, workers: each}", "{pairs: 4, workers: each, cores: 2}"])
@pytest.mark.parametrize("kind", ["tap-xdp-redirect", "tap-bridge"])
def test_all_queue_pairs_share_the_line_of_one_nic(kind, queues):
    found = run(f"backend.kind={kind}", "backend.line_gbps=0.5", f"queues={queues}")
    assert found.pps == pytest.approx(0.5e9 / (8 * (64 + WIRE)), rel=5e-3)
    assert found.bound_by == "nic"


def test_where_the_line_is_wide_each_worker_redirects_as_fast_as_alone():
    wide = ("backend.kind=tap-xdp-redirect", "backend.line_gbps=400")
    assert run(*wide, "queues={pairs: 4, workers: each}").pps == pytest.approx(4 * run(*wide).pps, rel=5e-3)


def test_every_queue_s_frames_leave():
    plan = build_plan(load("backend={kind: tap-xdp-redirect, line_gbps: 10}", "queues={pairs: 3}"), "vmap", 64)
    assert [name for name in plan.actors if name.startswith("nic")] == ["nic", "nic.1", "nic.2"]
    engine = FastEngine(plan, 10**9)
    engine.run(5000)
    registers = engine.machine.registers
    assert 0 <= registers[Register.SINK_QUEUED] - registers[Register.SINK_DONE] <= 1024 + 64
    assert registers[Register.SINK_DONE] > 0
