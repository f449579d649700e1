"""Calibration on the model: planted values come back within the stated errors; what cannot hold is said."""

from __future__ import annotations

from textwrap import dedent

import pytest

import sim
from sim.config import ConfigError, load_scenario
from sim.config.loading.load import load_table
from sim.config.tables.study import CalibrationStudy, Parameter
from sim.study.evidence.calibrate import calibrate

SEED = "virtio-user-xdp1-tap"
PLANTED = {"cpu.primitives.stac": 10.0, "cpu.cpi": 0.34}


def measurements(folder, entries, name="mine", spread=0.0):
    """Write a measurement file into a folder of tables."""
    text = f"""\
        schema: 1
        kind: measurement
        name: {name}
        title: synthetic
        source: a test
        read: full
        set: {{traffic.packet_bytes: 64}}
        noise: 0.005
        spread: {spread}
        entries:
        """
    file = folder / "measurements" / f"{name}.yaml"
    file.parent.mkdir(exist_ok=True)
    lines = [
        f"  - {{id: {key}, quantity: pps, value: {pps}, low: {pps}, high: {pps}, access: {access}, set: {settings}}}"
        for key, pps, access, settings in entries
    ]
    file.write_text(dedent(text) + "\n".join(lines) + "\n", encoding="utf-8")


def rate(access="copy_user", **values):
    overrides = ["calibration=null", "traffic.packet_bytes=64", f"access={access}"]
    overrides += [f"{key.replace('__', '.')}={value}" for key, value in values.items()]
    (point,) = sim.run(load_scenario(SEED, overrides=overrides)).points
    return point.pps


def planted(access, **more):
    names = {key.replace(".", "__"): value for key, value in PLANTED.items()}
    return rate(access, cpu__primitives__clac=PLANTED["cpu.primitives.stac"], **names, **more)


def study(*keys, **fields):
    table = {
        "schema_": 1,
        "name": "test",
        "title": "test",
        "scenario": SEED,
        "measurements": ["mine"],
        "parameters": [Parameter(key=key) for key in keys],
        "draws": 100,
        "trials": 100,
    }
    return CalibrationStudy.model_validate({**table, **fields})


def test_planted_values_come_back_within_their_errors(tmp_path):
    entries = [
        ("before", planted("copy_user"), "copy_user", "{}"),
        ("after", planted("vmap"), "vmap", "{}"),
        ("no smap", planted("copy_user", mitigations__smap="false"), "copy_user", "{mitigations.smap: false}"),
    ]
    measurements(tmp_path, entries)
    found = calibrate(study(*PLANTED), tmp_path)
    by_key = {one.key: one for one in found.parameters}
    for key, value in PLANTED.items():
        one = by_key[key]
        assert one.low <= value <= one.high
        assert abs(one.value - value) < one.error
        assert one.error < 0.25 * (one.prior.high - one.prior.low)
    assert by_key["cpu.primitives.clac"].value == by_key["cpu.primitives.stac"].value  # moves with it
    assert len(found.combinations) == 2
    assert all(abs(one.residual) < 1 for one in found.residuals)


def test_the_prior_is_that_of_the_cpu_which_the_measurements_name(tmp_path):
    measurements(tmp_path, [("fast", 8e6, "copy_user", "{cpu: zen4}")])
    (fitted,) = calibrate(study("cpu.cpi"), tmp_path).parameters
    assert fitted.prior == load_table("cpu", "zen4").cpi
    named = Parameter(key="cpu.cpi", cpus=["zen4"])
    (again,) = calibrate(study(parameters=[named]), tmp_path).parameters
    assert (again.prior, again.value) == (fitted.prior, fitted.value)


def test_a_mixture_of_priors_is_refused_and_so_is_a_cpu_that_no_measurement_is_of(tmp_path):
    measurements(tmp_path, [("slow", 5e6, "copy_user", "{}"), ("fast", 8e6, "copy_user", "{cpu: zen4}")])
    mixture = r"cpu.cpi: its measurements are of broadwell-2.6ghz and zen4, whose priors differ; a parameter for"
    with pytest.raises(ConfigError, match=mixture):
        calibrate(study("cpu.cpi"), tmp_path)
    each = [Parameter(key="cpu.cpi", cpus=[name]) for name in ("broadwell-2.6ghz", "zen4")]
    priors = [fitted.prior for fitted in calibrate(study(parameters=each), tmp_path).parameters]
    assert priors[0] != priors[1] == load_table("cpu", "zen4").cpi
    with pytest.raises(ConfigError, match=r"cpu.cpi: none of its measurements is of zen5"):
        calibrate(study(parameters=[Parameter(key="cpu.cpi", cpus=["zen5"])]), tmp_path)


def test_a_value_outside_the_range_is_an_edge_and_a_contradiction(tmp_path):
    measurements(tmp_path, [("fast", 9e6, "copy_user", "{}")])
    found = calibrate(study("cpu.cpi"), tmp_path)
    (one,) = found.parameters
    assert one.at_edge
    assert one.prior.low <= one.value < 0.3
    said = "\n".join(found.findings)
    assert "cpu.cpi is at the edge of its range: " in said
    assert "the measurements contradict each other or the model" in said


def test_two_figures_of_one_configuration_that_differ_are_named(tmp_path):
    measurements(tmp_path, [("one", 4.5e6, "copy_user", "{}"), ("two", 5.5e6, "copy_user", "{}")])
    found = calibrate(study("cpu.cpi"), tmp_path)
    assert any(
        line.startswith("mine/one and mine/two measured the same configuration -18.2% apart") for line in found.findings
    )


def test_sessions_share_a_shift_and_do_not_contradict(tmp_path):
    measurements(tmp_path, [("one", 4.5e6, "copy_user", "{}")])
    measurements(tmp_path, [("two", 4.9e6, "copy_user", "{}")], name="later", spread=0.2)
    found = calibrate(study("cpu.cpi", measurements=["mine", "later"], reference="mine"), tmp_path)
    (shift,) = found.shifts
    assert shift.session == "later"
    assert shift.value == pytest.approx(0.085, abs=0.01)  # ln(4.9/4.5), a little less
    assert not any("contradict" in line for line in found.findings)


def test_an_entry_without_a_range_is_not_fitted_and_said(tmp_path):
    measurements(tmp_path, [("one", 4.6e6, "copy_user", "{}")])
    found = calibrate(study("cpu.cpi", "cpu.primitives.store"), tmp_path)
    fixed = found.parameters[1]
    assert (fixed.value, fixed.low, fixed.high, fixed.error) == (1, 1, 1, 0)
    assert "low = high in the table, so nothing is fitted: cpu.primitives.store" in found.findings


def test_what_is_not_modelled_is_said_and_not_used(tmp_path):
    measurements(tmp_path, [("one", 4.6e6, "copy_user", "{}"), ("two", 4.6e6, "copy_user", "{kernel: v9}")])
    found = calibrate(study("cpu.cpi"), tmp_path)
    assert list(found.not_modelled) == ["mine/two"]
    assert [one.measurement for one in found.residuals] == ["mine/one"]
    measurements(tmp_path, [("two", 4.6e6, "copy_user", "{kernel: v9}")])
    with pytest.raises(ConfigError, match="study test: none of its measurements is modelled"):
        calibrate(study("cpu.cpi"), tmp_path)


def test_a_seed_gives_the_same_and_0_is_a_seed(tmp_path):
    measurements(tmp_path, [("one", 4.6e6, "copy_user", "{}")])
    first, again = (calibrate(study("cpu.cpi", seed=0, draws=1), tmp_path) for _ in range(2))
    assert first == again
    assert len(first.sample()) == 1


def test_a_count_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"v5.0 d1_b32_s64 stac is a count or 0: no cost can be fitted to it"):
        calibrate(study("cpu.cpi", measurements=["counts-seed-kernels/v5.0 d1_b32_s64 stac"]), tmp_path)


def test_an_unknown_measurement_is_said(tmp_path):
    with pytest.raises(ConfigError, match="unknown measurement 'seed-vmp'; did you mean 'seed-vmap'"):
        calibrate(study("cpu.cpi", measurements=["seed-vmp"]))
