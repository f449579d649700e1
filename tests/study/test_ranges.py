"""Distributions of table entries, and draws that do not depend on what else is drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri

import sim
from sim.config.tables.quantity import Quantity
from sim.costs.audit import quantities
from sim.study.runs.case import with_values
from sim.study.uncertainty.distributions import at_scores, at_shares, draw, latin_shares, ranged, used_entries

SEED = "virtio-user-xdp1-tap"


def quantity(low, value, high, distribution=None):
    fields = {"low": low, "value": value, "high": high, "unit": "cycles", "source": "test", "grade": "guess"}
    return Quantity(**fields, distribution=distribution)


def score_of(quantity: Quantity, value: float) -> float:
    """Return the score of a value inside its range (infinite at an end, 0 for an entry without a range)."""
    kind = quantity.drawn_from
    if kind == "fixed":
        return 0.0
    logarithm = kind.startswith("log-")
    low, middle, high, x = (
        float(np.log(number)) if logarithm else number
        for number in (quantity.low, quantity.value, quantity.high, value)
    )
    if kind.endswith("uniform"):
        share = (x - low) / (high - low)
    elif x < middle:
        share = 0.5 * (1 - (middle - x) / (middle - low)) ** 2
    else:
        share = 1 - 0.5 * (1 - (x - middle) / (high - middle)) ** 2 if high > middle else 0.5
    return float(ndtri(share))


ranges = st.tuples(*[st.floats(0.01, 100)] * 3).map(sorted).filter(lambda three: three[2] > (1 + 1e-9) * three[0])


def test_a_distribution_follows_from_the_range_unless_it_is_named():
    assert quantity(1, 1, 1).drawn_from == "fixed"
    assert quantity(4, 9, 19).drawn_from == "triangular"
    assert quantity(4, 9, 20).drawn_from == "log-triangular"  # five times apart
    assert quantity(0, 9, 20).drawn_from == "triangular"  # no logarithm of 0
    assert quantity(4, 9, 20, "uniform").drawn_from == "uniform"
    assert quantity(4, 4, 4, "uniform").drawn_from == "fixed"


def test_a_logarithm_needs_a_low_above_zero():
    with pytest.raises(ValueError, match="distribution log-uniform needs a low above 0"):
        quantity(0, 1, 2, "log-uniform")


@given(ranges, st.sampled_from(["triangular", "log-triangular"]))
def test_the_value_is_the_median_and_the_ends_are_the_ends(three, kind):
    entry = quantity(*three, kind)
    low, median, high = at_shares(entry, np.array([0.0, 0.5, 1.0]))
    assert median == pytest.approx(entry.value)
    assert (low, high) == pytest.approx((entry.low, entry.high))


@given(ranges, st.sampled_from(["triangular", "log-triangular", "uniform", "log-uniform"]), st.floats(-3, 3))
def test_a_score_gives_a_value_that_gives_the_score(three, kind, score):
    entry = quantity(*three, kind)
    value = float(at_scores(entry, np.array(score)))
    assert entry.low <= value <= entry.high
    again = float(at_scores(entry, np.array(score_of(entry, value))))
    assert again == pytest.approx(value, rel=1e-6)


def test_a_triangle_by_hand():
    # A quarter of the draws lies below x: 1/2 (1 - (10 - x)/10)^2 = 1/4 -> x = 10 sqrt(1/2).
    entry = quantity(0, 10, 40, "triangular")
    assert float(at_shares(entry, np.array(0.25))) == pytest.approx(10 * 0.5**0.5)
    assert float(at_shares(entry, np.array(0.75))) == pytest.approx(40 - 30 * 0.5**0.5)


def test_a_latin_hypercube_has_one_draw_in_each_stratum():
    shares = latin_shares(0, "a", 100)
    assert sorted((shares * 100).astype(int)) == list(range(100))
    assert not np.array_equal(shares, latin_shares(0, "b", 100))
    assert not np.array_equal(shares, latin_shares(1, "a", 100))
    assert np.array_equal(shares, latin_shares(0, "a", 100))


def test_an_entry_has_the_same_draws_whatever_else_is_drawn():
    scenario = sim.load_scenario(SEED)
    entries = used_entries(scenario)
    together = draw(entries, 50, 7)
    for one in entries[::5]:
        assert np.array_equal(draw([one], 50, 7)[one.key], together[one.key])


def test_entries_that_one_source_gives_together_move_together():
    scenario = sim.load_scenario(SEED, overrides=["calibration=null"])
    drawn = draw([ranged(scenario, f"cpu.primitives.{name}") for name in ("stac", "clac", "lfence")], 50, 1)
    assert np.array_equal(drawn["cpu.primitives.stac"], drawn["cpu.primitives.clac"])
    assert abs(np.corrcoef(drawn["cpu.primitives.stac"], drawn["cpu.primitives.lfence"])[0, 1]) < 0.5


def test_only_what_an_answer_depends_on_is_drawn():
    keys = {one.key for one in used_entries(sim.load_scenario(SEED, overrides=["access=vmap"]))}
    assert {"cpu.cpi", "cpu.primitives.stac", "kernel.steps.head.instructions"} <= keys
    assert "cpu.primitives.lfence" not in keys  # vmap executes none
    assert "cpu.primitives.vmap_fixed" not in keys
    assert "cpu.primitives.load" not in keys  # low = high
    assert "cpu.primitives.lfence" in {one.key for one in used_entries(sim.load_scenario(SEED))}


def test_other_values_give_the_scenario_that_overrides_give():
    values = {"cpu.primitives.lfence": 12.5, "kernel.steps.head.instructions": 40.0, "driver.packet_cost": 50.0}
    changed = with_values(sim.load_scenario(SEED), values)
    overridden = sim.load_scenario(SEED, overrides=[f"{key}={value}" for key, value in values.items()])
    assert {key: one.value for key, one in quantities(changed)} == {
        key: one.value for key, one in quantities(overridden)
    }
    for access in ("copy_user", "vmap"):
        (before,), (after,) = (
            sim.run(one.model_copy(update={"access": [one.variant(access)]})).points[:1]
            for one in (
                side.model_copy(update={"traffic": side.traffic.model_copy(update={"packet_bytes": [64]})})
                for side in (changed, overridden)
            )
        )
        assert before == replace(after, notes=())  # which says how far a value is from its table


def test_a_key_that_is_no_entry_is_said_with_the_nearest():
    from sim.config import ConfigError
    from sim.study.runs.case import entry

    with pytest.raises(
        ConfigError, match=r"'cpu.primitives.lfenze' is not a table entry.*mean 'cpu.primitives.lfence'"
    ):
        entry(sim.load_scenario(SEED), "cpu.primitives.lfenze")
