"""stac and clac by differencing system calls; sandboxes; hosts without SMAP."""

from __future__ import annotations

import statistics

import pytest

from sim.host.user_access import intercepted, kernel_entries, pair_differences, toggles, waits_for_loads

#: Ticks of 2 cycles. One user access costs 22 ticks = 44 cycles; its body in user space 3 (6 with the safe return).
CALLS = {
    "sys_invalid 0": 140.0,
    **{"sys_getcpu_0 0": 140.0, "sys_getcpu_1 0": 162.0, "sys_getcpu_2 0": 184.0},
    **{"sys_time_0 0": 150.0, "sys_time_1 0": 172.0},
    **{"sys_gettimeofday_0 0": 150.0, "sys_settimeofday_bad 0": 194.0},
    **{"user_access_body 0": 3.0, "user_access_body_safe_ret 0": 6.0},
}
COLD = {"two_fields 0": 200.0, "two_fields 1": 400.0, "two_fields 2": 400.0, "two_fields 3": 600.0}


def halves(recording):
    entries = {entry.key: entry for entry in toggles(recording).entries}
    assert set(entries) == {"primitives.stac", "primitives.clac"}
    return statistics.median(entries["primitives.stac"].repeats), statistics.median(entries["primitives.clac"].repeats)


def test_the_pair_is_one_access_less_its_body_split_in_two(made_up):
    assert halves(made_up(CALLS)) == ((44 - 6) / 2, (44 - 6) / 2)


def test_a_kernel_with_safe_ret_has_a_dearer_body(made_up):
    thunk = {"spec_rstack_overflow": "Vulnerable: Safe RET, no microcode"}
    assert halves(made_up(CALLS, vulnerabilities=thunk)) == ((44 - 12) / 2, (44 - 12) / 2)


def test_the_range_holds_what_each_pair_of_calls_says(made_up):
    entry = toggles(made_up(CALLS | {"sys_time_1 0": 174.0})).entries[0]
    assert max(entry.spans) == (48 - 6) / 2
    assert min(entry.spans) == (44 - 6) / 2


def test_a_settimeofday_reads_two_fields(made_up):
    differences = pair_differences(made_up(CALLS).cycles)
    assert {statistics.median(repeats) for repeats in differences.values()} == {44.0}
    assert len(differences) == 4


def test_a_host_without_smap_yields_zero_and_says_so(made_up):
    derived = toggles(made_up(CALLS, flags=["erms"]))
    assert [statistics.median(entry.repeats) for entry in derived.entries] == [0.0, 0.0]
    assert all("no SMAP on this host" in entry.source for entry in derived.entries)
    assert derived.waits is None


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"sys_invalid 0": 2000.0}, "system calls are intercepted: a refused one takes 4000 cycles"),
        ({"sys_invalid 0": None}, "system calls are not answered as Linux does"),
        ({"sys_getcpu_1 0": 200.0}, "calls that differ by one user access disagree about it (-32 to 120 cycles)"),
        (
            dict.fromkeys(("sys_getcpu_0 0", "sys_time_0 0", "sys_gettimeofday_0 0")),
            "the system calls that differ by one user access are not answered as Linux does",
        ),
    ],
    ids=["slow", "unanswered", "disagreeing", "too few"],
)
def test_system_calls_that_are_intercepted_give_no_entries(changes, sentence, made_up):
    recording = made_up(CALLS | changes)
    assert intercepted(recording).startswith(sentence)
    assert toggles(recording).entries == []
    assert toggles(recording).why_not.startswith(sentence)


def test_the_sandboxed_recording_is_recognised_and_the_others_are_not(sandboxed, quiet, no_smap):
    assert "system calls are intercepted" in intercepted(sandboxed)
    assert intercepted(quiet) == ""
    assert intercepted(no_smap) == ""


def test_two_cold_fields_cost_two_latencies_where_a_window_waits_and_one_where_not(made_up):
    assert waits_for_loads(made_up(COLD)) is True
    assert waits_for_loads(made_up(COLD | {"two_fields 3": 420.0})) is False
    assert waits_for_loads(made_up(COLD | {"two_fields 0": 400.0})) is None  # a cold field costs nothing: no clflush
    assert waits_for_loads(made_up(CALLS)) is None


def test_zen5_does_not_wait(quiet):
    assert toggles(quiet).waits is False


def test_what_a_kernel_costs_besides(made_up):
    ticks = CALLS | {"sys_eventfd_write 0": 240.0, "wake_up 100": 4240.0, "pin_pages 1": 500.0, "pin_pages 16": 2000.0}
    costs = {entry.key: statistics.median(entry.repeats) for entry in kernel_entries(made_up(ticks))}
    assert costs == {
        "primitives.syscall": 140 * 2,  # cycles
        "primitives.eventfd_signal": (240 - 140) / 2,  # ns
        "primitives.worker_wakeup": (4240 - 240) / 2 / 1000,  # us
        "primitives.pin_page": (2000 - 500) / 15 / 2,  # ns
    }
