"""The model's own error: its most likely standard deviation, its evidence, and whom it is lent to."""

from __future__ import annotations

from math import hypot, sqrt

import numpy as np
import pytest

import sim
from sim.config.loading.load import load_table
from sim.config.loading.paths import names
from sim.config.tables.calibration import LeftOut
from sim.study.evidence.discrepancy import most_likely
from sim.study.evidence.figures import figures, load_measurements
from sim.study.runs.case import sides_of
from sim.study.sensitivity.tornado import turned_over
from sim.study.uncertainty.measured import model_sigma, path_class, rig_sigma, spread_of
from sim.study.uncertainty.uncertainty import uncertainty

SEED = "virtio-user-xdp1-tap"
SHORT = ("run.packets=3000", "run.precision=0", "traffic.packet_bytes=64")


def rows(errors, sigma):
    return [LeftOut(measurement=f"a/{n}", error=float(error), sigma=sigma) for n, error in enumerate(errors)]


def cases(*overrides):
    return [side.case for side in sides_of(sim.load_scenario(SEED, overrides=["access=copy_user,vmap", *overrides]))]


def variants(*accesses, configs=None):
    overrides = [*SHORT, f"access={','.join(accesses)}"]
    return [side.case for side in sides_of(sim.load_scenario(SEED, overrides=overrides, configs=configs))]


def test_errors_that_ranges_and_repeats_explain_leave_nothing():
    assert most_likely(rows([0.01, -0.02, 0.015], 0.02)) == 0.0


def test_what_they_do_not_explain_is_the_models():
    # Of equal known variances the most likely whole variance is the mean of the squares.
    errors = np.array([0.1, -0.1, 0.05, -0.05])
    assert most_likely(rows(errors, 0.03)) == pytest.approx(sqrt(np.mean(errors**2) - 0.03**2), rel=2e-3)


def test_the_calibration_holds_what_follows_from_its_evidence():
    calibration = load_table("calibration", "seed-two-rates")
    classes = {(one.path, one.quantity): one for one in calibration.discrepancies}
    assert set(classes) == {(path, quantity) for path in ("executed", "by analogy") for quantity in ("pps", "ratio")}
    for one in classes.values():
        assert one.sigma == pytest.approx(most_likely(one.evidence), abs=2e-4)
        held = [abs(row.error) <= 1.645 * hypot(row.sigma, one.sigma) for row in one.evidence]
        assert 0.8 <= np.mean(held) <= 1
    named = {row.measurement for one in classes.values() for row in one.evidence}
    assert {"seed-vmap/A1 before", "tx-batching/B8 XDP_DROP", "synchronisation/A8 RCU"} <= named


def test_a_path_is_by_analogy_as_soon_as_a_count_of_a_step_is_a_guess():
    assert path_class(cases()) == "executed"
    assert path_class(cases("kernel.steps.head.instructions=40")) == "by analogy"


def test_a_variant_is_by_analogy_unless_a_published_rate_or_a_count_is_one_of_it():
    published = {
        (case.scenario.access[0].name, figure.name)
        for figure in figures(load_measurements())
        for case in figure.cases
        if figure.problem is None
    }
    for variant in (load_table("access", name) for name in names("access")):
        if variant.role == "userspace" or not variant.changes:
            continue
        measured = {figure for access, figure in published if access == variant.name}
        assert bool(variant.executed) == bool(measured), variant.name
        for figure in filter(None, variant.executed.split("; ")):
            assert any(name == figure or name.startswith(f"{figure}/") for name in measured), figure
        wanted = "executed" if measured else "by analogy"
        assert path_class(variants(variant.name)) == wanted, variant.name


def test_a_variant_of_the_users_own_is_by_analogy_whatever_it_extends(tmp_path):
    (tmp_path / "access").mkdir()
    (tmp_path / "access" / "mine.yaml").write_text(
        "schema: 1\nkind: access\nname: mine\nextends: vmap\nround: [test]\n"
    )
    assert path_class(variants("mine", configs=tmp_path)) == "by analogy"


def test_what_nobody_has_executed_widens_its_own_gain_and_no_other():
    sides = sides_of(sim.load_scenario(SEED, overrides=[*SHORT, "access=copy_user,vmap,uaccess_batched"]))
    vmap, batched = uncertainty(sides, 20).gains
    (alone,) = uncertainty(sides[:2], 20).gains
    assert (vmap.path, batched.path) == ("executed", "by analogy")
    assert vmap == alone

    def around(gain):  # by how much a measurement is less sure than the parameters, over the gain's own width
        measured, parameters = gain.gain_percent, gain.gain_percent_of_parameters
        return (measured.high - measured.low) - (parameters.high - parameters.low)

    assert around(batched) > 2 * around(vmap)


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


def test_a_class_of_which_nothing_is_published_takes_the_largest_of_the_others():
    calibration = load_table("calibration", "seed-two-rates")
    known = {(one.path, one.quantity): one for one in calibration.discrepancies}
    assert model_sigma("pps", "by analogy", calibration) == known.pop(("by analogy", "pps")).sigma
    without = calibration.model_copy(update={"discrepancies": list(known.values())})
    assert model_sigma("pps", "by analogy", without) == known["by analogy", "ratio"].sigma
    assert known["by analogy", "ratio"].sigma == max(one.sigma for one in known.values())


def test_what_the_page_turns_over_by_doubt_stays_inside_the_interval():
    # smap_waits_for_loads is an inference on Sapphire Rapids; turned over it doubles the gain.
    overrides = [*SHORT, "access=copy_user,vmap", "cpu=sapphire-rapids", "kernel=v6.12", "placement.same_socket=false"]
    sides = sides_of(sim.load_scenario(SEED, overrides=overrides))
    (gain,) = uncertainty(sides, 100).gains
    (doubted,) = (switch for switch in turned_over(sides) if switch.key == "cpu.features.smap_waits_for_loads")
    assert doubted.answer > 1.5 * gain.gain_percent.value
    assert gain.gain_percent.low < doubted.answer < gain.gain_percent.high
    for ends in (gain.gain_percent, gain.saved_ns):
        parameters = gain.gain_percent_of_parameters if ends is gain.gain_percent else gain.saved_ns_of_parameters
        assert ends.low <= parameters.low < parameters.high <= ends.high
