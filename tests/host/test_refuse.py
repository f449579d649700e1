"""Physically impossible values are refused by name."""

from __future__ import annotations

import pytest

from sim.host.entries import DerivedEntry
from sim.host.quality import at_least_nothing, impossible, split, wrong_clock


def entries(**values):
    primitives = [DerivedEntry(f"primitives.{name}", [value] * 5, "") for name, value in values.items()]
    return [DerivedEntry("core_ghz", [4.0] * 5, ""), *primitives]


def test_an_ordinary_machine_is_possible():
    usual = entries(
        l1_hit=5, l2_hit=16, l3_hit=35, memory_local=110, line_transfer=60, line_stream=6, stac=0, copy_bytes=60
    )
    assert impossible(usual) == {}


def test_l2_faster_than_l1_refuses_both_by_name():
    text = "l1_hit (5 cycles) is not faster than l2_hit (4.5 cycles)"
    assert impossible(entries(l1_hit=5, l2_hit=4.5)) == {"primitives.l1_hit": text, "primitives.l2_hit": text}


def test_levels_in_cycles_and_ns_are_compared_in_ns():
    # 16 cycles at 4 GHz are 4 ns.
    assert set(impossible(entries(l2_hit=16, l3_hit=3.9))) == {"primitives.l2_hit", "primitives.l3_hit"}
    assert impossible(entries(l2_hit=16, l3_hit=4.1)) == {}


def test_a_negative_difference_is_refused_with_its_value():
    assert impossible(entries(stac=-1.25)) == {"primitives.stac": "negative difference (-1.25 cycles)"}


@pytest.mark.parametrize(("key", "value"), [("primitives.stac", -1.25), ("serialisation.drain_tail", -0.1)])
def test_a_difference_below_0_by_less_than_can_be_told_is_0(key, value):
    repeats = [value, value - 0.2, value + 2.0, value, value - 0.1]
    entry = at_least_nothing(DerivedEntry(key, repeats, "what was timed"))
    assert entry.repeats == pytest.approx([0, 0, value + 2.0, 0, 0])
    assert entry.source == "what was timed; not told apart from 0"
    assert impossible([entry]) == {}


@pytest.mark.parametrize(("key", "value"), [("primitives.stac", -1.6), ("primitives.stlb_hit", -0.1)])
def test_a_difference_further_below_0_or_of_what_is_never_nothing_stays_as_it_is(key, value):
    entry = DerivedEntry(key, [value] * 5, "what was timed")
    assert at_least_nothing(entry) is entry
    assert set(impossible([entry])) == {key}


def test_a_difference_of_nothing_is_refused_unless_it_can_be_nothing():
    assert impossible(entries(stlb_hit=0)) == {"primitives.stlb_hit": "no difference (0 cycles)"}
    assert impossible(entries(stac=0, clac=0, clean_line=0)) == {}


@pytest.mark.parametrize(
    ("name", "value"), [("l1_hit", 1.0), ("copy_bytes", 300.0), ("lock_rmw", 0.5), ("line_transfer", 1.0)]
)
def test_values_that_no_cpu_has_are_refused(name, value):
    assert "which holds every x86-64 CPU" in impossible(entries(**{name: value}))[f"primitives.{name}"]


def test_entries_without_repeats_are_neither_refused_nor_kept():
    nothing = DerivedEntry("primitives.pin_page", [], "")
    assert impossible([nothing]) == {}
    assert split([nothing], {}) == []


def test_refused_entries_are_left_out():
    assert [entry.key for entry in split(entries(l1_hit=1), {"primitives.l1_hit": "why"})] == ["core_ghz"]


def test_cycles_are_believed_when_a_multiplication_takes_three(made_up):
    assert wrong_clock(made_up({"imul_chain 0": 1.5})) == ""
    assert "takes 3.6 cycles and not 3" in wrong_clock(made_up({"imul_chain 0": 1.8}))
    assert "was not possible" in wrong_clock(made_up({}))


def test_a_counter_that_drifts_is_not_believed(made_up):
    recording = made_up({"imul_chain 0": 1.5})
    drifted = recording.rounds[0].model_copy(update={"ticks_per_ns": 2.1})
    assert "is not steady (2 to 2.1 ticks per ns)" in wrong_clock(
        recording.model_copy(update={"rounds": [drifted, *recording.rounds[1:]]})
    )


def test_the_recorded_machines_keep_their_clock(quiet, busy):
    assert (wrong_clock(quiet), wrong_clock(busy)) == ("", "")
