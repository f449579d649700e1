"""The ring experiment: what the program prints, which runs count, and its comparison with the simulator."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from sim.config.errors import ConfigError
from sim.config.loading.load import load_table
from sim.config.tables.vocabulary import STEPS
from sim.host.profile import build_profile
from sim.host.programs import SOURCES
from sim.host.ring import MOVED, RingRun, RingSettings, parse_run, point, unmoved
from sim.study.questions import host_ring as study
from sim.study.questions.run import run

SETTINGS = RingSettings(size=256, burst=32, batch=64, packet_bytes=64, free_threshold=32, fenced=True)
PRINTED = {
    "ticks_per_ns": 2.6,
    "core_ratio": [1.6, 1.6],
    **{"packets": 6400, "refills": 64, "drains": 0, "sleeps": 0, "flushes": 100, "kicks": 0, "disturbed": 2},
    "ns_per_packet": [90.0, 40.0, 41.0, 39.0, 40.0, 40.0, 5.0, 40.0],
}


def a_run(ns, transfer_ns=22.0):
    return RingRun(ns, transfer_ns, 0, {"refills": 0.01})


def test_a_run_is_the_mean_of_its_middle_windows_and_events_per_packet():
    parsed = parse_run(json.dumps(PRINTED), 22.0)
    assert parsed.ns_per_packet == (40 + 40 + 40 + 40) / 4  # without the two lowest and the two highest intervals
    assert parsed.events_per_packet["flushes"] == 100 / 6400
    assert (parsed.disturbed, parsed.transfer_ns) == (2, 22.0)


def test_too_few_undisturbed_windows_give_no_time():
    assert parse_run(json.dumps(PRINTED | {"ns_per_packet": [40.0] * 4}), None).ns_per_packet is None


@pytest.mark.parametrize("text", ["", "{}", "killed", json.dumps(PRINTED | {"packets": None})])
def test_what_the_program_should_not_print_is_one_line(text):
    with pytest.raises(ConfigError, match="ring: the ring program answered"):
        parse_run(text, None)


def test_a_run_counts_where_lines_travel_as_the_profile_says():
    assert unmoved(a_run(40, 22.0), 22.0)
    assert unmoved(a_run(40, 22.0 * (1 + MOVED)), 22.0)
    assert not unmoved(a_run(40, 125.0), 22.0)
    assert unmoved(a_run(40, None), 22.0)


def test_a_point_is_the_median_of_the_runs_that_count():
    measured = point(SETTINGS, [a_run(40), a_run(41), a_run(140, 125.0), a_run(39), a_run(None), a_run(40)], 22.0)
    assert measured.summary is not None
    assert (measured.summary.value, measured.summary.stable, measured.moved) == (40, True, 1)
    assert measured.pps == 1e9 / 40


def test_without_a_run_that_counts_there_is_no_rate():
    measured = point(SETTINGS, [a_run(140, 125.0), a_run(None)], 22.0)
    assert (measured.summary, measured.pps, measured.moved) == (None, None, 1)


@pytest.fixture(scope="module")
def scenario(quiet):
    return study.ring_scenario(build_profile(quiet, "this-host").table)


def test_the_scenario_has_the_profile_and_no_kernel(scenario, quiet):
    assert scenario.cpu.name == "this-host"
    assert scenario.cpu.primitives["syscall"].value == 0
    transfer_ns = scenario.cpu.primitives["line_transfer"].value
    assert scenario.cpu.primitives["worker_wakeup"].value == pytest.approx(transfer_ns / 1000)
    assert scenario.cpu.primitives["lfence"] == build_profile(quiet, "this-host").cpu.primitives["lfence"]


def test_the_program_gets_the_settings_of_the_scenario(scenario):
    settings = study.ring_settings(scenario)
    assert [(setting.fenced, setting.packet_bytes) for setting in settings] == [
        (fenced, size) for fenced in (True, False) for size in (64, 128, 256, 512, 1024, 1518)
    ]
    assert replace(settings[0], packet_bytes=64, fenced=True) == SETTINGS


def test_a_fence_costs_its_two_fences_and_what_they_no_longer_hide(scenario):
    result = run(scenario)
    fenced, plain = result.at("ring_fenced", 64), result.at("ring_plain", 64)
    lfence = scenario.cpu.primitives["lfence"].value
    # Per packet: one before the avail entry, one before the descriptor; per flush and refill one more each.
    assert fenced.breakdown_cycles["lfence"] == pytest.approx(2 * lfence, rel=0.03)
    assert "lfence" not in plain.breakdown_cycles
    assert fenced.breakdown_cycles["line_transfer"] > plain.breakdown_cycles["line_transfer"]


def test_the_device_flushes_and_refills_as_the_program_does(scenario):
    rates = run(scenario).at("ring_plain", 64).row_rates
    assert rates["worker.used_index"] == pytest.approx(1 / 64)  # batches of 64
    assert rates["worker.idle"] == 0  # the ring never runs empty


def test_the_fenced_recipes_differ_from_the_plain_ones_by_the_fence_alone():
    fenced, plain = load_table("access", "ring_fenced"), load_table("access", "ring_plain")
    assert fenced.metadata.read == ["lfence", *plain.metadata.read]
    assert fenced.metadata.write == plain.metadata.write
    without = {name: [word for word in recipe if word != "lfence"] for name, recipe in fenced.metadata.recipes.items()}
    assert without == plain.metadata.recipes


def test_steps_of_the_program_that_the_kernel_table_counts_are_marked_in_its_source():
    source = (SOURCES / "ring.c").read_text()
    kernel = load_table("implementation", "user-ring")
    counted = {name for name, step in kernel.steps.items() if step.instructions.source.startswith("ring.c: STEP")}
    assert {name for name in STEPS if f'STEP("{name}")' in source} == counted


def test_a_comparison_says_how_far_off_the_prediction_is(scenario):
    predicted = run(scenario).at("ring_fenced", 64)
    truth = predicted.ns_per_packet

    def compared(*times, transfer_ns=22.0):
        measured = point(SETTINGS, [a_run(ns, transfer_ns) for ns in times], 22.0)
        return study.RingComparison(measured, predicted)

    assert compared(*[truth] * 5).error == pytest.approx(0)
    assert compared(*[truth] * 5).verdict == "within 15 %"
    assert compared(*[truth * 0.8] * 5).error == pytest.approx(-0.2)
    assert compared(*[truth * 0.8] * 5).verdict == "off"
    assert compared(*[truth] * 2).verdict == "within 15 %, unstable"
    assert compared(truth, transfer_ns=125.0).verdict == "CPUs moved"
    assert compared(None).verdict == "disturbed"
    assert compared(None).to_dict()["measured_pps"] is None


def test_one_cpu_is_not_enough_for_a_ring():
    from sim.host.ring import run_rings

    with pytest.raises(ConfigError, match="two CPUs are needed"):
        run_rings([SETTINGS], (0, None), 22.0)
