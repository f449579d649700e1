"""Laws of what the host does to a mapping: no invalidations change nothing, a storm leaves nothing of the gain."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from sim.config.loading.load import load_table
from sim.datapath import build_plan
from sim.engine import simulate
from sim.study.sensitivity.breakeven import Target, breakeven

from .scenarios import ACCESS, busy_workers, load, quick

TORN_DOWN = [name for name in ACCESS if load_table("access", name).mapping.torn_down != "never"]
#: Invalidations so dense that one window runs into the next: the ring is never mapped.
STORM = ("memory.invalidation_stall=0.1", "memory.invalidations_per_second=1000000")


def rate(overrides, access):
    scenario = load(*overrides, f"access={access}", "traffic.packet_bytes=64")
    return simulate(build_plan(scenario, access, 64), scenario.run).pps


def test_the_variants_that_notifiers_tear_down_are_known():
    assert {name for name in ACCESS if name.startswith(("vmap_notifier", "direct_map"))} == set(TORN_DOWN)


@quick
@given(busy_workers(), st.sampled_from(TORN_DOWN), st.floats(1e-3, 1e3))
def test_without_invalidations_their_window_and_stall_change_nothing(overrides, access, stall_us):
    plans = [
        build_plan(load(*overrides, f"access={access}", *more), access, 64)
        for more in ((), (f"memory.invalidation_stall={stall_us}", f"memory.invalidation_window={stall_us}"))
    ]
    assert replace(plans[0], arrivals=None) == replace(plans[1], arrivals=None)


@quick
@given(busy_workers(), st.sampled_from(TORN_DOWN))
def test_a_storm_leaves_a_torn_down_mapping_no_faster_than_copy_user(overrides, access):
    assert rate((*overrides, *STORM), access) <= rate((*overrides, *STORM), "copy_user") * 1.005


def test_beyond_the_break_even_a_mapping_is_slower_than_copy_user_and_before_it_faster():
    key, pair = "memory.invalidations_per_second", ("access=copy_user,vmap_notifier", "traffic.packet_bytes=64")

    def at(per_second):
        return load(*pair, f"{key}={per_second}")

    (crossing,) = breakeven(at, at(1000), key, Target("gain", ">=", 0.0), low=100, high=20000).crossings
    assert not crossing.begins
    for factor, faster in ((0.5, True), (2, False)):
        overrides = (f"{key}={crossing.value * factor}",)
        assert (rate(overrides, "vmap_notifier") > rate(overrides, "copy_user")) == faster
