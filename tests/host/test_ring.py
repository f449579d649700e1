"""The ring experiment: what the program prints, which runs count, and its comparison with the simulator."""

from __future__ import annotations

import io
import json
import statistics
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from sim.config.errors import ConfigError
from sim.config.loading.load import load_table
from sim.config.tables.cpu import Repeats
from sim.config.tables.vocabulary import STEPS
from sim.host.profile import build_profile
from sim.host.programs import SOURCES
from sim.host.ring import MOVED, RingPoint, RingSettings, RingWindow, Surroundings, parse_window
from sim.report.tables.host import ring_table
from sim.study.questions import host_ring as study
from sim.study.questions.run import run
from sim.study.runs.case import with_values

SETTINGS = RingSettings(size=256, burst=32, batch=64, packet_bytes=64, free_threshold=32, fenced=True)
PRINTED = {
    "ticks_per_ns": 2.6,
    "core_ratio": [1.6, 1.6],
    **{"packets": 6400, "refills": 64, "drains": 0, "sleeps": 0, "flushes": 100, "kicks": 0, "disturbed": 2},
    **{"there_ns": [21.0, 22.0], "back_ns": [23.0, 24.0], "stream_64_ns": [150.0, 206.0], "stream_8_ns": [38.0, 38.0]},
    **{"pool_ns": [24.0, 17.0], "warm_ns": [18.0, 18.0]},
    **{"head_ns": [27.6, 40.0], "fenced_ns": [10.0, 10.0], "head_open_ns": [12.0, 4.0], "open_ns": [4.0, 4.0]},
    "ns_per_packet": [90.0, 40.0, 41.0, 39.0, 40.0, 40.0, 5.0, 40.0],
}


NEAR = Surroundings(line_transfer=22.0, line_stream=1.0, clean_line=0.5, exposed=0.9, hidden=20.0)
FAR = replace(NEAR, line_transfer=125.0)


def a_window(ns, before=NEAR, after=None, spread=0.01):
    return RingWindow(ns, spread, before, after or before, 0, {"refills": 0.01})


def test_a_window_is_the_mean_of_its_middle_intervals_and_events_per_packet():
    parsed = parse_window(json.dumps(PRINTED), 64)
    assert parsed.ns_per_packet == (40 + 40 + 40 + 40) / 4  # without the two lowest and the two highest intervals
    assert parsed.spread == 0
    assert parsed.events_per_packet["flushes"] == 100 / 6400
    assert parsed.disturbed == 2


def test_distances_and_clean_lines_are_read_before_and_after():
    parsed = parse_window(json.dumps(PRINTED), 64)
    # 12 + 64 bytes lie on two lines.
    share = (27.6 - 10) / 22
    assert parsed.before == Surroundings(22, (150 - 38) / 56, (24 - 18) / 2, share, pytest.approx(22 - 8 / share))
    # A pool that is not slower than L1, a copy that shows more than the line takes, and one that shows nothing.
    assert parsed.after == Surroundings(23, (206 - 38) / 56, 0.0, 1.0, 23)
    assert parsed.place.line_transfer == (22 + 23) / 2
    assert parsed.place.exposed == (share + 1) / 2


def test_too_few_undisturbed_intervals_give_no_time():
    assert parse_window(json.dumps(PRINTED | {"ns_per_packet": [40.0] * 4}), 64).ns_per_packet is None


@pytest.mark.parametrize(
    "text",
    [
        *("", "{}", "killed"),
        *(json.dumps(PRINTED | bad) for bad in ({"packets": None}, {"there_ns": [None, 1.0]}, {"pool_ns": [1.0]})),
        json.dumps(PRINTED | {"there_ns": [0.0, 1.0], "back_ns": [0.0, 1.0]}),
    ],
)
def test_what_the_program_should_not_print_is_one_line(text):
    with pytest.raises(ConfigError, match="ring: the ring program answered"):
        parse_window(text, 64)


def test_a_window_counts_where_the_cpus_stay_wherever_that_is():
    assert a_window(40).counts
    assert a_window(140, FAR).counts
    assert a_window(40, NEAR, replace(NEAR, line_transfer=22.0 * (1 + MOVED))).counts
    assert not a_window(40, NEAR, FAR).counts
    assert not a_window(140, FAR, NEAR).counts
    assert not a_window(40, spread=MOVED + 0.01).counts
    assert not a_window(None).counts


def test_a_point_holds_the_windows_that_count():
    windows = (a_window(40), a_window(41), a_window(90, NEAR, FAR), a_window(39), a_window(None))
    measured = RingPoint(SETTINGS, windows)
    assert ([window.ns_per_packet for window in measured.counted], measured.moved) == ([40, 41, 39], 1)
    assert measured.clean_lines == [0.5] * 2 * 5  # before and after, of every window


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
    lfence = scenario.cpu.primitives["lfence"].value + scenario.cpu.serialisation.drain_tail.value
    assert scenario.cpu.serialisation.refill.value == 0
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


def predicted_ns(scenario, place, clean_line):
    """What a scenario gives with the distances of one window."""
    cpu = scenario.cpu
    values = {"line_transfer": place.line_transfer, "line_stream": place.line_stream, "clean_line": clean_line}
    changes = {f"cpu.primitives.{name}": value for name, value in values.items()}
    changes["cpu.primitives.worker_wakeup"] = place.line_transfer / 1000
    changes["cpu.payload_exposed"] = place.exposed
    changes["cpu.overlap"] = min(1.0, place.hidden / (cpu.reorder_buffer.value * cpu.cpi.value / cpu.core_ghz.value))
    return run(with_values(scenario, changes)).at("ring_fenced", 64).ns_per_packet


@pytest.fixture(scope="module")
def short(scenario):
    """The scenario with one size and a profile whose repeats agree."""
    measured = scenario.cpu.measured
    agreed = {key: entry.model_copy(update={"stable": True}) for key, entry in measured.entries.items()}
    cpu = scenario.cpu.model_copy(update={"measured": measured.model_copy(update={"entries": agreed})})
    traffic = scenario.traffic.model_copy(update={"packet_bytes": [64]})
    return scenario.model_copy(update={"cpu": cpu, "traffic": traffic})


def test_each_window_is_predicted_with_its_own_distance_and_the_middle_one_is_compared(short):
    near, far = predicted_ns(short, NEAR, 0.5), predicted_ns(short, FAR, 0.5)
    assert far > near + 60
    windows = [a_window(near / 0.9), a_window(far / 0.95, FAR), a_window(near / 0.9), a_window(near / 0.85)]
    compared = study.compare(short, RingPoint(SETTINGS, tuple(windows)))
    assert [point.ns_per_packet for point in compared.predicted] == [near, far, near, near]
    assert compared.middle == (near / 0.9, near)
    assert compared.error == pytest.approx(1 / 0.9 - 1)
    assert (compared.verdict, compared.unstable) == ("within 15 %", {})
    assert compared.to_dict()["windows"]["line_transfer_ns"] == [22.0, 125.0, 22.0, 22.0]


@given(st.lists(st.tuples(st.floats(0.9, 1.1), st.booleans()), min_size=1, max_size=12))
def test_moving_between_two_places_adds_nothing_to_the_error(windows):
    """Each window is off by its own factor at its own distance: the error is one of them, the middle one."""
    point = SimpleNamespace
    counted = [point(ns_per_packet=factor * (140.0 if far else 40.0)) for factor, far in windows]
    predicted = tuple(point(ns_per_packet=140.0 if far else 40.0) for _, far in windows)
    compared = study.RingComparison("ring_fenced", point(counted=counted, moved=0), predicted, {})
    factors = sorted(factor for factor, _ in windows)
    assert compared.error == pytest.approx(statistics.median_low(factors) - 1)


def test_a_prediction_that_is_off_says_so(short):
    near = predicted_ns(short, NEAR, 0.5)
    compared = study.compare(short, RingPoint(SETTINGS, (a_window(near * 0.8),) * 5))
    assert compared.error == pytest.approx(-0.2)
    assert compared.verdict == "off"


def test_windows_that_are_off_by_different_factors_refuse_the_comparison(short):
    near = predicted_ns(short, NEAR, 0.5)
    windows = tuple(a_window(near * factor) for factor in (0.8, 1.0, 1.2, 0.85, 1.15))
    compared = study.compare(short, RingPoint(SETTINGS, windows))
    assert compared.error == pytest.approx(0)
    assert compared.verdict == "refused: measured over predicted time"
    assert "spreads over 0.85 to 1.15" in compared.unstable[study.RATE]


def test_clean_lines_that_disagree_at_a_size_refuse_it_by_name(short):
    near = predicted_ns(short, NEAR, 50.0)  # beside these lines the first one travels for nothing
    looks = [replace(NEAR, clean_line=value) for value in (0.0, 0.0, 50.0, 100.0, 100.0)]
    compared = study.compare(short, RingPoint(SETTINGS, tuple(a_window(near, look) for look in looks)))
    assert compared.verdict == "refused: clean_line"
    assert compared.unstable["cpu.primitives.clean_line"].startswith("the middle half of its repeats, 0 to 100, moves ")


def test_an_unstable_entry_that_decides_the_prediction_refuses_it_and_others_do_not(short):
    measured = short.cpu.measured
    spread = {
        "primitives.lfence": [5.0, 10.0, 60.0, 60.0],
        "serialisation.drain_tail": [-4.0, -2.0, 0.0, 0.1],  # a difference of nothing: not a price
        "primitives.pin_page": [1.0, 1000.0, 5.0, 700.0],  # no packet pins a page
        "primitives.eventfd_signal": [1.0, 1000.0, 5.0, 700.0],  # replaced: no kernel is in the ring
    }
    entries = {key: Repeats(repeats=repeats, outliers=0, stable=False) for key, repeats in spread.items()}
    updated = measured.model_copy(update={"entries": {**measured.entries, **entries}})
    scenario = short.model_copy(update={"cpu": short.cpu.model_copy(update={"measured": updated})})
    near = predicted_ns(scenario, NEAR, 0.5)
    compared = study.compare(scenario, RingPoint(SETTINGS, (a_window(near),) * 5))
    assert compared.verdict == "refused: lfence"
    assert compared.to_dict()["refused"] == ["cpu.primitives.lfence"]


def test_lines_that_travel_together_refuse_a_ring_without_fences_and_no_other(short):
    # Copies without fences hide three times as long as a reorder buffer lasts: lines of several packets are under way.
    cpu = short.cpu
    buffer_ns = cpu.reorder_buffer.value * cpu.cpi.value / cpu.core_ghz.value
    place = replace(NEAR, line_transfer=5 * buffer_ns, hidden=3 * buffer_ns)
    plain = study.compare(short, RingPoint(replace(SETTINGS, fenced=False), (a_window(40, place),) * 5))
    assert plain.verdict == "refused: overlap"
    assert plain.unstable["cpu.overlap"].startswith("copies of 64 bytes without fences hide 3 times what")
    fenced = study.compare(short, RingPoint(SETTINGS, (a_window(140, place),) * 5))
    assert fenced.unstable == {}
    within = replace(place, hidden=0.9 * buffer_ns)
    assert study.compare(short, RingPoint(replace(SETTINGS, fenced=False), (a_window(40, within),) * 5)).unstable == {}


def test_without_a_window_that_counts_nothing_is_compared(short):
    moved = study.compare(short, RingPoint(SETTINGS, (a_window(140, NEAR, FAR),)))
    assert (moved.error, moved.verdict) == (None, "CPUs moved")
    disturbed = study.compare(short, RingPoint(SETTINGS, (a_window(None),)))
    assert disturbed.verdict == "disturbed"
    assert disturbed.to_dict()["measured_ns"] is None


def test_the_table_shows_errors_and_refuses_by_name(short):
    near = predicted_ns(short, NEAR, 0.5)
    windows = tuple(a_window(near * factor) for factor in (0.8, 1.0, 1.2, 0.85, 1.15))
    report = study.RingReport(short, (study.compare(short, RingPoint(SETTINGS, windows)),))
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(ring_table(report))
    shown = console.export_text()
    assert "refused: measured over predicted time" in shown
    assert "refused: ring_fenced, 64 B: measured over predicted time: the middle half" in shown
    assert f"{near:.1f}" in shown


def test_progress_goes_on_from_the_rings_to_the_predictions(short, monkeypatch):
    def rings(settings, pair, progress):
        progress(0.5, "ring")
        return [RingPoint(setting, (a_window(None),)) for setting in settings]

    told = []
    monkeypatch.setattr(study, "run_rings", rings)
    report = study.run_experiment(short, (0, 1), lambda share, doing: told.append((share, doing)))
    assert [comparison.verdict for comparison in report.comparisons] == ["disturbed"] * 2
    prediction = "prediction of the ring, 64 B"
    assert told == [(0.35, "ring"), (0.7, prediction), (pytest.approx(0.85), prediction)]


def test_one_cpu_is_not_enough_for_a_ring():
    from sim.host.ring import run_rings

    with pytest.raises(ConfigError, match="two CPUs are needed"):
        run_rings([SETTINGS], (0, None))
