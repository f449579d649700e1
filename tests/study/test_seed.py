"""The measurement that the project starts from: both of its numbers are fitted, by what the priors leave open.

published-measurements.md A1: about 5.0 -> 6.1 Mpps, TX, virtio-user + vhost_net + xdp1 on TAP.
"""

from __future__ import annotations

import pytest

import sim
from sim.config.loading.load import load_table
from sim.costs.audit import quantities
from sim.study.evidence.calibrate import calibrate, load_study, write_calibration

BEFORE_PPS, AFTER_PPS = 5.0e6, 6.1e6
SAVED_NS = 1e9 / BEFORE_PPS - 1e9 / AFTER_PPS
#: Two printed digits: +/- 0.05 Mpps.
DIGITS = 0.05e6


@pytest.fixture(scope="module")
def shipped():
    return load_table("calibration", "seed-two-rates")


@pytest.fixture(scope="module")
def before_alone():
    return load_table("calibration", "seed-copy-user")


@pytest.fixture(scope="module")
def fitted():
    return calibrate(load_study("seed-copy-user"))


def test_nothing_in_the_seed_scenario_is_set_by_hand(seed):
    assert [key for key, entry in quantities(seed) if entry.source == "set by the user"] == []


def test_the_seeds_figures_are_36_ns_apart():
    assert pytest.approx(36, abs=0.1) == SAVED_NS  # 200.0 - 163.9


def test_both_rates_are_met_within_their_digits_because_they_are_fitted(result):
    assert result.at("copy_user", 64).pps == pytest.approx(BEFORE_PPS, abs=DIGITS)
    assert result.at("vmap", 64).pps == pytest.approx(AFTER_PPS, abs=DIGITS)


def test_the_difference_is_met_within_4_ns(result):
    saved = result.at("copy_user", 64).ns_per_packet - result.at("vmap", 64).ns_per_packet
    assert saved == pytest.approx(36, abs=4)


def test_fitted_on_before_alone_after_is_predicted_within_5_percent():
    settings = ["calibration=seed-copy-user", "traffic.packet_bytes=64", "access=copy_user,vmap"]
    before, after = sim.run(sim.load_scenario("virtio-user-xdp1-tap", overrides=settings)).points
    assert before.pps == pytest.approx(BEFORE_PPS, abs=DIGITS)
    assert after.pps == pytest.approx(AFTER_PPS, rel=0.05)


def test_both_are_bound_by_the_worker_and_averaged_well(result):
    for access in ("copy_user", "vmap"):
        point = result.at(access, 64)
        assert point.bound_by == "worker"
        assert point.half_width_ps / point.ps_per_packet <= 0.002


def test_two_numbers_identify_two_combinations_and_leave_every_prior_its_range(shipped):
    assert [one.measurement for one in shipped.residuals] == ["seed-vmap/A1 before", "seed-vmap/A1 after"]
    assert len(shipped.combinations) == 2
    assert "2 measurements identify 2 combinations" in shipped.findings[0]
    assert not any(one.at_edge for one in shipped.parameters)
    for one in shipped.parameters:
        assert one.prior.low <= one.low <= one.value <= one.high <= one.prior.high
        assert abs(one.pull) < 1.5, one.key  # no entry comes near the end of its range


@pytest.mark.parametrize("name", ["seed-copy-user", "seed-two-rates", "all-published"])
def test_a_prior_is_the_range_of_the_table(name):
    calibration = load_table("calibration", name)
    for one in calibration.parameters:
        settings = {
            "calibration": None,
            **({"cpu": one.cpus[0]} if one.cpus else {}),
            **({"kernel": one.kernels[0]} if one.kernels else {}),
        }
        scenario = sim.load_scenario("virtio-user-xdp1-tap", settings=settings)
        assert one.prior == dict(quantities(scenario))[one.key]
        assert one.grade == "derived"
        assert one.source.startswith(f"fitted by calibration {name}")


@pytest.mark.parametrize("name", ["seed-copy-user", "seed-two-rates", "all-published"])
def test_the_draws_have_the_errors_that_are_stated(name):
    calibration = load_table("calibration", name)
    rows = calibration.sample()
    assert len(rows) == load_study(name).draws
    for column, one in enumerate(calibration.parameters):
        values = [row[column] for row in rows]
        mean = sum(values) / len(values)
        spread = (sum((value - mean) ** 2 for value in values) / len(values)) ** 0.5
        assert spread == pytest.approx(one.error, rel=0.01)
        assert min(values) >= one.prior.low
        assert max(values) <= one.prior.high


def test_the_committed_calibration_can_be_made_again(before_alone, fitted):
    (mine,), (theirs,) = fitted.parameters, before_alone.parameters
    for number in ("value", "low", "high"):
        assert getattr(mine, number) == pytest.approx(getattr(theirs, number), rel=1e-3), number
    assert mine.prior == theirs.prior
    assert fitted.residuals[0].measurement == before_alone.residuals[0].measurement


@pytest.mark.deep
@pytest.mark.parametrize("name", ["seed-two-rates", "all-published"])
def test_the_larger_calibrations_can_be_made_again(name):
    committed, again = load_table("calibration", name), calibrate(load_study(name))
    for mine, theirs in zip(again.parameters, committed.parameters, strict=True):
        assert mine.value == pytest.approx(theirs.value, rel=1e-2), mine.key
        assert mine.error == pytest.approx(theirs.error, rel=0.1), mine.key


def test_writing_it_gives_a_file_that_loads_to_the_same(fitted, tmp_path):
    file = tmp_path / "new" / "seed-copy-user.yaml"
    write_calibration(fitted, file)
    assert load_table("calibration", str(file)) == fitted
    assert sorted(path.name for path in file.parent.iterdir()) == [file.name]


@pytest.mark.parametrize("key", ["cpu.features.smap", "cpu.primitives.lfenze", "virtqueue.size"])
def test_only_an_entry_with_a_range_can_be_fitted(key):
    from sim.config import ConfigError
    from sim.config.tables.study import Parameter

    study = load_study("seed-copy-user").model_copy(update={"parameters": [Parameter(key=key)]})
    with pytest.raises(ConfigError, match=f"'{key}' is not a table entry with a range"):
        calibrate(study)
