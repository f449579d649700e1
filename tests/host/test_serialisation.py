"""What a barrier drains and refills, what work hides of a lock: arithmetic on made-up series (1 tick = 2 cycles)."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim.host.derive import LATER
from sim.host.profile import build_profile
from sim.host.programs import BEHIND, SERIALISING
from sim.host.serialisation import added, added_cycles, serialising, significant

from .conftest import RECORDINGS, recording_of

CPI = 0.5


def barrier(back_to_back, tail, growth, second=None):
    """Return series in which n instructions take n x CPI cycles and a barrier adds what S1 says."""
    ticks = {"lfence 0": back_to_back / 2}
    for n in BEHIND:
        cost = back_to_back + (min(tail, n) + growth * n if n else 0)
        ticks[f"work {n}"] = n * CPI / 2
        ticks[f"work_lfence {n}"] = (n * CPI + cost) / 2
        ticks[f"work_two_lfences {n}"] = (n * CPI + cost + (back_to_back if second is None else second)) / 2
    return ticks


def derived(recording):
    return {entry.key: entry for entry in serialising(recording)}


def middle(entry):
    return statistics.median(entry.repeats)


def test_a_barrier_is_its_cost_back_to_back_its_tail_and_its_growth(made_up):
    entries = derived(made_up(barrier(4.25, 5.05, 0.25, second=4.5)))
    assert middle(entries["primitives.lfence"]) == 4.25
    assert entries["primitives.lfence"].spans == pytest.approx((4.5, 4.5, 4.5))
    assert middle(entries["serialisation.drain_tail"]) == pytest.approx(5.05)
    growth = entries["serialisation.refill"]
    assert middle(growth) == pytest.approx(1 / 4)
    assert "not significantly" not in growth.source


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(1, 100), st.floats(0, 14), st.floats(0, 1))
def test_what_a_barrier_was_made_of_is_recovered(made_up, back_to_back, tail, growth):
    entries = derived(made_up(barrier(back_to_back, tail, growth)))
    assert middle(entries["primitives.lfence"]) == pytest.approx(back_to_back)
    assert middle(entries["serialisation.drain_tail"]) == pytest.approx(tail, abs=1e-6)
    assert middle(entries["serialisation.refill"]) == pytest.approx(growth, abs=1e-6)


def test_no_growth_says_so_and_ranges_to_that_between_two_chains(made_up):
    chains = {f"two_chains {n}": float(n) for n in (14, 28)}
    chains |= {f"two_chains_lfence {n}": n + 5 + 0.15 * n for n in (14, 28)}
    growth = derived(made_up(barrier(10, 6, 0) | chains))["serialisation.refill"]
    assert middle(growth) == pytest.approx(0, abs=1e-9)
    assert "not significantly above 0" in growth.source
    assert growth.spans == (0.0, pytest.approx(0.15 * 2))


def test_the_tail_ranges_to_that_of_wide_work(made_up):
    wide = {f"wide {n}": n * 0.125 for n in (14, 28, 56)}
    wide |= {f"wide_lfence {n}": n * 0.125 + (10 + 9) / 2 for n in (14, 28, 56)}
    tail = derived(made_up(barrier(10, 6, 0) | wide))["serialisation.drain_tail"]
    assert (middle(tail), tail.spans) == (pytest.approx(6), (pytest.approx(9),))


def test_a_slope_is_significant_above_its_scatter():
    assert significant([0.24, 0.25, 0.26, 0.25, 0.25])
    assert not significant([-0.2, 0.3, 0.1, -0.1, 0.05])
    assert not significant([0.0] * 5)
    assert not significant([0.25])


def test_what_is_hidden_of_a_lock_is_what_it_no_longer_adds(made_up):
    ticks = {"work 0": 1.0, "work_spin_lock 0": 14.0, "work 112": 30.0}
    part = derived(made_up(ticks | {"work_spin_lock 112": 33.0}))["serialisation.lock_hidden"]
    assert middle(part) == ((14 - 1) - (33 - 30)) * 2
    assert "may be more" not in part.source
    whole = derived(made_up(ticks | {"work_spin_lock 112": 29.9}))["serialisation.lock_hidden"]
    assert middle(whole) == (14 - 1) * 2
    assert "it may be more" in whole.source


def test_every_sequence_is_shown_at_every_distance(made_up):
    ticks = {f"{name} {n}": 5.0 + n for n in BEHIND for name in SERIALISING} | {f"work {n}": float(n) for n in BEHIND}
    rows = added_cycles(made_up(ticks))
    assert [row.instructions for row in rows] == [*BEHIND]
    assert all(row.cycles == dict.fromkeys(SERIALISING.values(), 5 * 2) for row in rows)
    assert added_cycles(made_up({"load 0": 1.0})) == []


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_recording_without_these_series_says_that_they_are_not_measured(name):
    profile = build_profile(recording_of(name), "this-host")
    kernel = profile.missing.pop("primitives.safe_ret, in the kernel", None)
    assert kernel == (None if name == "sandboxed" else "not measured (needs root, /dev/net/tun and bpf())")
    assert set(profile.missing) == {*LATER}
    assert set(profile.missing.values()) == {"not measured (the recording has no such series)"}


def test_what_was_measured_is_carried_with_its_repeats(made_up):
    profile = build_profile(made_up(barrier(4, 5, 0.25) | {"imul_chain 0": 1.5}), "this-host")
    tail = profile.entry("serialisation.drain_tail")
    assert (tail.value, tail.unit, tail.grade) == (5, "cycles", "measured-here")
    assert profile.cpu.measured is not None
    assert profile.cpu.measured.entries["serialisation.drain_tail"].repeats == [5] * 6


def test_a_recorded_zen3_drains_little_refills_nothing_and_hides_its_locks():
    recording = recording_of("zen3-vm")
    profile = build_profile(recording, "this-host")
    assert set(profile.missing) == {"next_line_prefetch"}  # timed since
    lfence = profile.cpu.primitives["lfence"].value
    alone, doubled = (statistics.median(added(recording, name, 28)) for name in ("work_lfence", "work_two_lfences"))
    assert doubled - alone == pytest.approx(lfence, rel=0.1)  # the second finds nothing to drain
    assert alone == pytest.approx(lfence + profile.entry("serialisation.drain_tail").value, rel=0.1)
    growth = profile.entry("serialisation.refill")
    assert growth.value < 0.01
    assert "not significantly above 0" in growth.source
    assert growth.high > 0.2  # two chains
    # A lock is hidden by the time that the work takes by itself.
    lock = [statistics.median(added(recording, "work_spin_lock", n)) for n in (0, 14, 28, 56)]
    work = [statistics.median([value or 0.0 for value in recording.cycles(f"work {n}")]) for n in (0, 14, 28, 56)]
    assert [lock[0] - left for left in lock] == pytest.approx(work, abs=1.5)


def test_returns_in_the_kernel_take_more_than_their_sequence_alone():
    safe_ret = build_profile(recording_of("zen3-vm"), "this-host").cpu.primitives["safe_ret"]
    assert "XDP program" in safe_ret.source
    assert safe_ret.low < 22 < 25 < safe_ret.value < 35
