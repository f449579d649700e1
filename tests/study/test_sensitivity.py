"""Sobol and Morris against known answers, and what goes wrong said in sentences."""

from __future__ import annotations

import numpy as np
import pytest

from sim.config import ConfigError
from sim.config.tables.study import Sensitivity
from sim.study.sensitivity.screening import morris, sobol
from sim.study.sensitivity.study import load_sensitivity, sensitivity

A, B = 7.0, 0.1


def ishigami(shares):
    """Ishigami and Homma 1990: sin x1 + a sin^2 x2 + b x3^4 sin x1 on (-pi, pi)."""
    x = np.pi * (2 * shares - 1)
    return np.sin(x[:, 0]) + A * np.sin(x[:, 1]) ** 2 + B * x[:, 2] ** 4 * np.sin(x[:, 0])


def test_sobol_on_ishigami():
    first = 0.5 * (1 + B * np.pi**4 / 5) ** 2
    second = A**2 / 8
    third = B**2 * np.pi**8 * (1 / 18 - 1 / 50)
    total = first + second + third
    indices, said = sobol(ishigami, ["x1", "x2", "x3"], 4096, seed=1)
    found = {one.key: one for one in indices}
    assert said == []
    for key, alone, together in (
        ("x1", first / total, (first + third) / total),
        ("x2", second / total, second / total),
        ("x3", 0.0, third / total),
    ):
        assert found[key].values["S1"] == pytest.approx(alone, abs=0.03)
        assert found[key].values["ST"] == pytest.approx(together, abs=0.03)
        assert abs(found[key].values["ST"] - together) <= 2 * found[key].half_widths["ST"]
    assert [one.key for one in indices] == ["x1", "x2", "x3"]  # 0.56, 0.44, 0.24


def test_sobol_on_a_linear_function():
    slopes = np.array([3.0, 2.0, 1.0])
    indices, _ = sobol(lambda shares: shares @ slopes, ["a", "b", "c"], 1024, seed=0)
    for one, expected in zip(indices, slopes**2 / (slopes**2).sum(), strict=True):
        assert one.values["S1"] == pytest.approx(expected, abs=0.02)
        assert one.values["ST"] == pytest.approx(expected, abs=0.02)


def test_morris_on_a_linear_function_is_exact():
    slopes = np.array([3.0, -2.0, 0.0])
    indices, _ = morris(lambda shares: shares @ slopes, ["a", "b", "c"], 10, seed=1)
    found = {one.key: one.values for one in indices}
    assert [one.key for one in indices] == ["a", "b", "c"]
    for key, slope in zip("abc", slopes, strict=True):
        assert found[key]["mu_star"] == pytest.approx(abs(slope), abs=1e-9)
        assert found[key]["mu"] == pytest.approx(slope, abs=1e-9)
        assert found[key]["sigma"] == pytest.approx(0, abs=1e-9)


def test_morris_on_ishigami_sees_what_acts_only_with_another():
    indices, _ = morris(ishigami, ["x1", "x2", "x3"], 1000, seed=1)
    found = {one.key: one.values for one in indices}
    assert found["x3"]["mu"] == pytest.approx(0, abs=0.5)  # its effect has no sign of its own
    assert found["x3"]["sigma"] > 3
    # Four levels at +/- pi and +/- pi/3, steps of 2/3 of the range: sin^2 x2 is 0 at the ends, 3/4 in between.
    assert found["x2"]["mu_star"] == pytest.approx(A * 0.75 / (2 / 3), rel=1e-9)


@pytest.mark.parametrize("screen", [sobol, morris])
def test_a_seed_gives_the_same_and_0_is_a_seed(screen):
    first, again, other = (screen(ishigami, ["x1", "x2", "x3"], 16, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first != other


@pytest.mark.parametrize("screen", [sobol, morris])
def test_a_constant_answer_is_a_sentence(screen):
    indices, said = screen(lambda shares: np.full(len(shares), 2.5), ["a", "b"], 8, seed=1)
    assert indices == []
    assert said == ["the answer is 2.5 at every point: it depends on none of these inputs"]


@pytest.mark.parametrize("screen", [sobol, morris])
def test_one_sample_is_a_sentence(screen):
    _, said = screen(lambda shares: shares.sum(axis=1), ["a", "b"], 1, seed=1)
    assert any("nothing can be said of how sure the numbers are" in one for one in said)


def test_an_index_below_zero_is_explained():
    slopes = np.array([1.0, 0.0])
    remarks = []
    for seed in range(10):
        noise = np.random.default_rng(seed)
        indices, _ = sobol(lambda s, n=noise: s @ slopes + 0.05 * n.standard_normal(len(s)), ["a", "b"], 32, seed=seed)
        remarks += [(one.values["S1"], one.remark) for one in indices if one.key == "b"]
    below = [remark for value, remark in remarks if value < 0]
    assert below
    assert all("S1 is estimated below zero: " in remark for remark in below)
    assert all("S1" not in remark for value, remark in remarks if value >= 0)


@pytest.mark.parametrize(("screen", "block", "what"), [(sobol, 5, "block of samples"), (morris, 4, "trajectory")])
def test_a_failed_point_takes_its_block_with_it_and_nothing_else(screen, block, what):
    def failing(shares):
        found = shares @ np.array([3.0, 2.0, 1.0])
        found[block + 1] = np.nan
        return found

    indices, said = screen(failing, ["a", "b", "c"], 64, seed=1)
    whole, _ = screen(lambda shares: shares @ np.array([3.0, 2.0, 1.0]), ["a", "b", "c"], 64, seed=1)
    assert said == [f"1 of 64 {what}s with a failed point in them are left out"]
    name = "ST" if screen is sobol else "mu_star"
    for one, other in zip(indices, whole, strict=True):
        assert one.values[name] == pytest.approx(other.values[name], rel=0.1)


def study(inputs, **fields):
    table = {
        "schema_": 1,
        "name": "test",
        "scenario": "virtio-user-xdp1-tap",
        "access": ["copy_user", "vmap"],
        "set": {"traffic.packet_bytes": 64, "calibration": None},
        "inputs": inputs,
        **fields,
    }
    return Sensitivity.model_validate(table)


def test_a_tornado_takes_numbers_whole_numbers_and_categories():
    inputs = {
        "cpu.primitives.stac": None,
        "cpu.primitives.store": None,
        "driver.burst": {"low": 1, "high": 64, "integer": True, "scale": "log"},
        "mitigations.smap": {"values": [True, False]},
        "kernel": {"values": ["v5.0", "v6.12"]},
        "virtqueue.size": {"values": [256, 100]},
    }
    found = sensitivity(study(inputs), "tornado")
    by_key = {one.key: one.values for one in found.indices}
    assert set(by_key) == set(inputs) - {"cpu.primitives.store"}
    assert found.indices[0].key == "mitigations.smap"
    assert by_key["cpu.primitives.stac"]["low"] < found.nominal < by_key["cpu.primitives.stac"]["high"]
    said = "\n".join(found.findings)
    assert "cpu.primitives.store: low = high, so nothing can depend on it" in said
    assert "virtqueue.size=100" in said
    assert "is not a power of two" in said
    assert "measure this next: mitigations.smap" in said


def test_a_study_of_fixed_entries_says_so():
    found = sensitivity(study({"cpu.primitives.store": None}), "sobol")
    assert found.indices == ()
    assert found.findings == ("cpu.primitives.store: low = high, so nothing can depend on it",)


@pytest.mark.parametrize("method", [sobol, morris])
def test_what_moves_the_answer_most_stands_first(method):
    slopes = np.array([1.0, 3.0, 2.0])
    indices, _ = method(lambda shares: shares @ slopes, ["a", "b", "c"], 64, seed=1)
    assert [index.key for index in indices] == ["b", "c", "a"]


def test_sobol_on_the_model_is_the_same_twice():
    small = study({"cpu.primitives.stac": None, "cpu.cpi": None}, samples=8)
    assert sensitivity(small, "sobol") == sensitivity(small, "sobol")


def test_an_input_that_is_no_entry_needs_values():
    with pytest.raises(ConfigError, match=r"'virtqueue.size' is not a table entry with a range"):
        sensitivity(study({"virtqueue.size": None}), "tornado")


def test_the_shipped_study_has_twelve_inputs_with_ranges():
    shipped = load_sensitivity("seed-gain")
    assert len(shipped.inputs) == 12
    assert shipped.samples * (12 + 2) * 2 >= 14_000  # two variants each
