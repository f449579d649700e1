"""The model's own error: its most likely standard deviation, its evidence, and whom it is lent to."""

from __future__ import annotations

from math import hypot, sqrt

import numpy as np
import pytest

import sim
from sim.config.loading.load import load_table
from sim.config.tables.calibration import LeftOut
from sim.study.evidence.discrepancy import most_likely
from sim.study.runs.case import sides_of
from sim.study.uncertainty.measured import model_sigma, path_class, rig_sigma, spread_of

SEED = "virtio-user-xdp1-tap"


def rows(errors, sigma):
    return [LeftOut(measurement=f"a/{n}", error=float(error), sigma=sigma) for n, error in enumerate(errors)]


def cases(*overrides):
    return [side.case for side in sides_of(sim.load_scenario(SEED, overrides=["access=copy_user,vmap", *overrides]))]


def test_errors_that_ranges_and_repeats_explain_leave_nothing():
    assert most_likely(rows([0.01, -0.02, 0.015], 0.02)) == 0.0


def test_what_they_do_not_explain_is_the_models():
    # Of equal known variances the most likely whole variance is the mean of the squares.
    errors = np.array([0.1, -0.1, 0.05, -0.05])
    assert most_likely(rows(errors, 0.03)) == pytest.approx(sqrt(np.mean(errors**2) - 0.03**2), rel=2e-3)


def test_the_calibration_holds_what_follows_from_its_evidence():
    calibration = load_table("calibration", "seed-two-rates")
    classes = {(one.path, one.quantity): one for one in calibration.discrepancies}
    assert set(classes) == {("executed", "pps"), ("executed", "ratio"), ("by analogy", "ratio")}
    for one in classes.values():
        assert one.sigma == pytest.approx(most_likely(one.evidence), abs=2e-4)
        held = [abs(row.error) <= 1.645 * hypot(row.sigma, one.sigma) for row in one.evidence]
        assert 0.8 <= np.mean(held) <= 1
    named = {row.measurement for one in classes.values() for row in one.evidence}
    assert {"seed-vmap/A1 before", "tx-batching/B8 XDP_DROP", "synchronisation/A8 RCU"} <= named


def test_a_path_is_by_analogy_as_soon_as_a_count_of_a_step_is_a_guess():
    assert path_class([case.plan for case in cases()]) == "executed"
    guessed = cases("kernel.steps.head.instructions=40")
    assert path_class([case.plan for case in guessed]) == "by analogy"


def test_a_rate_of_the_fitted_rig_repeats_better_than_that_of_another():
    calibration = load_table("calibration", "seed-two-rates")
    here, other = cases()[0].scenario, cases("cpu=zen4")[0].scenario
    assert rig_sigma("pps", here, calibration) == 0.033
    assert rig_sigma("pps", other, calibration) == rig_sigma("pps", here, None) == 0.15
    assert rig_sigma("ratio", other, calibration) == 0.02


def test_who_has_no_discrepancies_borrows_those_of_the_seed():
    calibration = load_table("calibration", "seed-two-rates")
    ratio = model_sigma("ratio", "executed", calibration)
    for overrides in ([], ["calibration=null"], ["calibration=all-published"]):
        assert spread_of(cases(*overrides)).ratio == pytest.approx(hypot(0.02, ratio))
    largest = max(one.sigma for one in calibration.discrepancies)
    assert model_sigma("pps", "by analogy", calibration) == largest
