"""Experiments with the running kernel beside the model: tables for a host, writes to a TAP, a vhost worker."""

from __future__ import annotations

import pytest

from sim.config import load_scenario
from sim.config.errors import ConfigError
from sim.config.loading.load import load_of
from sim.config.tables.measurement import Measurements
from sim.datapath import build_plan
from sim.engine import simulate
from sim.host.experiments.taps import SIZES
from sim.host.profile import build_profile
from sim.host.quality import RepeatSummary, summarise
from sim.host.recording import Recording, read_recording
from sim.study.evidence.figures import figures
from sim.study.evidence.importing import write_measurements
from sim.study.questions import host_kernel
from sim.study.questions.host_kernel import FigureComparison, host_settings, kernel_of, rate_entry
from sim.study.questions.host_tap import WAYS, compare_taps, tap_measurements
from sim.study.questions.host_vhost import compare_vhost, load_vhost, program_settings, vhost_measurements
from sim.study.runs.case import observe
from tests.host.constructed import DATA
from tests.host.emulated import quiet, quiet_ns, recorded, with_runs

EMPTY: dict[str, object] = {}


def recording_of(name: str) -> Recording:
    return read_recording(DATA / f"{name}.json")


# -- the host ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("release", "table"),
    [
        ("6.18.44-fc", "v6.18"),
        ("6.12.95+deb12-amd64", "v6.12"),
        ("6.11.0", "v6.1"),
        ("8.0", "v7.3"),
        ("4.4.0", "v5.0"),
    ],
)
def test_the_table_of_a_kernel_is_the_newest_that_is_not_newer(release, table, monkeypatch):
    tables = ("v5.0", "v6.1", "v6.12", "v6.18", "v7.3", "of-a-distribution")
    monkeypatch.setattr(host_kernel.paths, "names", lambda kind, configs: dict.fromkeys(tables))
    assert kernel_of(release) == table


def test_a_table_in_which_a_step_was_not_counted_does_not_stand_for_a_kernel():
    assert kernel_of("6.1.192") == "v6.1"
    assert kernel_of("6.1.192", step="write_tap") == "v6.12"


def test_a_release_without_a_version_is_refused():
    with pytest.raises(ConfigError, match="'next' names no kernel version"):
        kernel_of("next")


def test_what_is_switched_on_is_that_of_the_machine():
    machine = recording_of("zen3-vm-tap").machine
    settings = host_settings(machine, "zen3")
    assert settings["mitigations.spec_rstack_overflow"] is machine.safe_ret is True
    assert settings["mitigations.hardened_usercopy"] is True
    assert settings["mitigations.retbleed"] is False  # Not affected
    without = machine.model_copy(update={"flags": [], "hardened_usercopy": None})
    assert host_settings(without, "zen3")["mitigations.smap"] is False
    assert "mitigations.hardened_usercopy" not in host_settings(without, "zen3")


@pytest.mark.parametrize(
    ("measured", "verdict"), [(100, "within 15 %"), (115, "within 15 %"), (116, "off"), (84, "off")]
)
def test_a_prediction_is_within_its_tolerance_or_off(measured, verdict):
    compared = FigureComparison(summarise([float(measured)] * 5, 0.05), 100.0)
    assert compared.error == pytest.approx(measured / 100 - 1)
    assert compared.verdict == verdict


def test_a_figure_whose_repeats_disagree_is_refused():
    compared = FigureComparison(summarise([50.0, 80.0, 100.0, 130.0, 180.0], 0.05), 100.0)
    assert compared.verdict.startswith("refused: the middle half of the repeats spreads over")
    assert FigureComparison(None, 100.0).verdict == "not measured"


# -- writes to a TAP ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tap():
    """A recording of writes to a TAP, and the report of it."""
    recording = recording_of("zen3-vm-tap")
    return recording, compare_taps(recording, build_profile(recording, "here").table)


def test_every_way_and_size_is_laid_beside_its_prediction(tap):
    _, report = tap
    assert [(point.way, point.packet_bytes) for point in report.comparisons] == [(w, s) for w in WAYS for s in SIZES]
    for point in report.comparisons:
        beyond, whole = point.beyond_call, point.whole
        assert beyond.predicted_ns == pytest.approx(whole.predicted_ns - report.call.predicted_ns, abs=0.01)


def test_the_cycles_of_an_instruction_are_those_that_make_the_prediction_meet(tap):
    recording, report = tap
    profile = build_profile(recording, "here").table
    point = report.comparisons[0]
    table = {key: value for key, value in profile.items() if key != "extends"}
    cpi = {**table["cpi"], "value": point.cycles_per_instruction, "low": 0.01, "high": 10.0}
    host = host_settings(recording.machine, {**table, "cpi": cpi}, step="write_tap")
    scenario = load_scenario("tap-write", settings={**host, **WAYS[point.way]})
    met = simulate(build_plan(scenario, "copy_user", point.packet_bytes, apart=True), scenario.run)
    beyond_ns = (1e12 / met.pps - met.row_times_ps["worker.call"]) / 1e3
    assert beyond_ns == pytest.approx(point.beyond_call.measured.value, rel=1e-3)


def test_shares_by_function_are_whole_on_both_sides(tap):
    _, report = tap
    for way in WAYS:
        mine = [share for share in report.shares if share.way == way]
        assert sum(share.measured for share in mine) == pytest.approx(1)
        assert sum(share.predicted for share in mine) == pytest.approx(1)
    native = {share.function: share for share in report.shares if share.way == "native"}
    assert min(native["tun_get_user"].measured, native["tun_get_user"].predicted) > 0.02


def test_a_recording_without_writes_is_refused():
    recording = recording_of("zen3-vm")
    with pytest.raises(ConfigError, match="the recording has no writes to a TAP"):
        compare_taps(recording, build_profile(recording, "here").table)


def test_its_measurement_file_names_the_configuration_and_predicts_as_the_report(tap, tmp_path):
    recording, report = tap
    profile = build_profile(recording, "here")
    (tmp_path / "cpus").mkdir()
    (tmp_path / "cpus/here.yaml").write_text(profile.to_yaml())
    written = tap_measurements(report, recording, "here", "here-tap", tmp_path)
    write_measurements(written, tmp_path / "measurements/here-tap.yaml")
    read = load_of(Measurements, "here-tap", tmp_path)
    assert read.set["kernel"] == next(iter(report.scenarios.values())).kernel.name
    first = figures([read], tmp_path)[0]
    assert first.problem is None
    point = report.comparisons[0]
    assert first.entry.value == pytest.approx(1e9 / point.whole.measured.value)
    assert observe(first.cases[0]) == pytest.approx(1e9 / point.whole.predicted_ns, rel=1e-6)


# -- a vhost worker ----------------------------------------------------------------------------------------------------


def profile_of(recording):
    return build_profile(recording, "here").table


@pytest.fixture(scope="module")
def vhost():
    """A quiet recording of a vhost worker, and the report of it."""
    recording = with_runs(recording_of("zen5-vm"), quiet())
    return recording, compare_vhost(recording, profile_of(recording), EMPTY)


def test_a_quiet_host_gives_the_middle_of_its_windows(vhost):
    _, report = vhost
    assert [point.packet_bytes for point in report.comparisons] == list(SIZES)
    for point in report.comparisons:
        seen = point.rate.measured
        assert seen.stable
        assert seen.value == pytest.approx(quiet_ns(point.packet_bytes) + 3e-3, abs=1e-6)  # the fourth round of seven
        assert point.worker.measured.value == pytest.approx(0.99 * seen.value, rel=1e-4)
        assert point.busy == pytest.approx(0.99, rel=1e-4)
        assert point.cycles == pytest.approx(3 * seen.value)
        assert point.instructions == 1200
        assert point.predicted_instructions > 900  # 941 were counted with 64 bytes and 256 packets per kick


def test_packets_that_agree_are_counted(vhost):
    recording, report = vhost
    assert report.counted == sum(256 + run.total.used for run in recording.vhost)


def test_an_emulated_host_is_too_noisy_to_compare():
    recording = with_runs(recording_of("zen5-vm"), recorded("noisy"))
    report = compare_vhost(recording, profile_of(recording), EMPTY)
    assert {point.rate.verdict.partition(":")[0] for point in report.comparisons} == {"refused"}
    assert report.comparisons[0].cycles is None


def test_without_smap_no_toggle_is_predicted():
    recording = with_runs(recording_of("no-smap"), recorded("no-smap"))
    report = compare_vhost(recording, profile_of(recording), EMPTY)
    assert report.scenario.mitigations.smap is False
    point = simulate(build_plan(report.scenario, "copy_user", 64), report.scenario.run)
    assert point.breakdown_cycles.get("stac", 0.0) == 0.0


def test_keys_of_the_scenario_are_settings_of_the_program():
    changed = {
        "virtqueue.size": 512,
        "virtqueue.event_idx": True,
        "driver.burst": 64,
        "backend.program_instructions": 36,
    }
    (first, *_) = program_settings(load_vhost(changed))
    assert (first["ring"], first["event_idx"], first["burst"], first["xdp"]) == (512, 1, 64, 3)
    (received, *_) = program_settings(load_vhost({"device.direction": "rx"}))
    assert (received["receive"], received["xdp"]) == (1, 0)


@pytest.mark.parametrize(
    "changed",
    [
        {"virtqueue.layout": "packed"},
        {"driver.kind": "virtio-net"},
        {"backend.kind": "tap-bridge"},
        {"traffic.load": 1e6},
    ],
)
def test_what_the_driver_program_cannot_be_is_refused(changed):
    with pytest.raises(ConfigError, match="is not what the driver of this experiment can be"):
        load_vhost(changed)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "execute 0 or 36 instructions with tap-xdp-drop (got 50)"),
        ({"backend.kind": "tap-xdp-pass"}, "execute 0 instructions with tap-xdp-pass (got 50)"),
        ({"backend.kind": "tap-skb"}, "execute 0 instructions with tap-skb (got 50)"),
        ({"device.direction": "rx"}, "execute 0 instructions with receive (got 50)"),
    ],
)
def test_instructions_that_no_program_executes_are_refused(changed, said):
    with pytest.raises(ConfigError) as error:
        load_vhost({"backend.program_instructions": 50, **changed})
    assert str(error.value) == f"backend.program_instructions: the programs of this experiment {said}"


@pytest.mark.parametrize("key", ["cpu=zen3", "kernel=v6.1", "mitigations.smap=false", "device.zerocopy_tx=true"])
def test_what_is_read_from_the_host_is_not_set(key):
    with pytest.raises(ConfigError, match=f"{key.partition('=')[0]}: is read from this host"):
        load_vhost({}, overrides=[key])


def test_a_window_without_a_packet_is_refused(vhost):
    recording, _ = vhost
    (first, *others) = recording.vhost
    stalled = first.model_copy(update={"windows": [w.model_copy(update={"packets": 0}) for w in first.windows]})
    with pytest.raises(ConfigError, match=r"\d of \d+ windows of 64 bytes saw no packet"):
        compare_vhost(with_runs(recording, [stalled, *others]), profile_of(recording), EMPTY)


def test_a_kernel_made_of_another_does_not_stand_for_it(monkeypatch):
    names = dict.fromkeys(("v6.1", "v6.1-counted", "v6.12-patched"))
    monkeypatch.setattr(host_kernel.paths, "names", lambda kind, configs: names)
    assert kernel_of("6.1.192") == kernel_of("6.12.95") == "v6.1"


def test_zero_copy_is_as_the_module_has_it(vhost):
    recording, report = vhost
    runs = [run.model_copy(update={"zerocopy": 1}) for run in recording.vhost]
    with_zerocopy = compare_vhost(with_runs(recording, runs), profile_of(recording), EMPTY)
    assert (report.scenario.device.zerocopy_tx, with_zerocopy.scenario.device.zerocopy_tx) == (False, True)


def test_windows_of_other_settings_do_not_count(vhost):
    recording, _ = vhost
    with pytest.raises(ConfigError, match="no window of 64 bytes with these settings"):
        compare_vhost(recording, profile_of(recording), {"driver.burst": 64})
    with pytest.raises(ConfigError, match="the recording has no runs of a vhost worker"):
        compare_vhost(recording_of("zen5-vm"), profile_of(recording), EMPTY)


def test_its_measurement_file_holds_rates_and_instructions(vhost):
    _, report = vhost
    written = vhost_measurements(report, "zen5", EMPTY, "here-vhost")
    assert written.scenario == "vhost-here"
    assert written.set["kernel"] == report.scenario.kernel.name == "v6.1"
    by_name = {entry.id: entry for entry in written.entries}
    assert by_name["tx 64"].value == pytest.approx(1e9 / (quiet_ns(64) + 3e-3))
    assert by_name["tx 64 instructions"].value == 1200
    assert all(figure.problem is None for figure in figures([written]))


def test_a_receiver_that_waits_for_its_source_has_no_rate(vhost):
    recording, _ = vhost
    runs = [run.model_copy(update={"settings": {**run.settings, "receive": 1, "xdp": 0}}) for run in recording.vhost]
    idle = [
        run.model_copy(
            update={
                "windows": [w.model_copy(update={"worker_ns": w.ns // 2, "instructions": None}) for w in run.windows]
            }
        )
        for run in runs
    ]
    waiting = with_runs(recording, idle)
    receive = {"device.direction": "rx"}
    report = compare_vhost(waiting, profile_of(waiting), receive)
    assert report.comparisons[0].busy == pytest.approx(0.5, rel=1e-3)
    with pytest.raises(ConfigError, match="the worker waited for its source"):
        vhost_measurements(report, "zen5", receive, "here-vhost")


def test_a_rate_has_the_bounds_of_its_time():
    entry = rate_entry("tx 64", RepeatSummary(500.0, 400.0, 800.0, 0, "only 2 repeats"), {})
    assert (entry["value"], entry["low"], entry["high"]) == (2e6, 1.25e6, 2.5e6)
    assert entry["note"] == "unstable: only 2 repeats"
