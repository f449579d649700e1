"""The arithmetic from ticks to entries, on recordings made up at 4 GHz (1 tick = 2 cycles = 0.5 ns)."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.config.loading.load import load_table
from sim.host.derive import derive
from sim.host.entries import combine, line_fit
from sim.host.programs import LONG_COPIES, SHORT_COPIES, benchmarks, sizes

from .conftest import recording_of


@pytest.fixture(scope="module")
def nearest():
    return load_table("cpu", "sapphire-rapids")


def value(entries, key):
    (entry,) = [entry for entry in entries if entry.key == key]
    return statistics.median(entry.repeats), entry


@pytest.mark.parametrize(
    ("key", "timed"),
    [
        *((name, name) for name in ("mfence", "spin_lock", "call", "indirect_call", "retpoline")),
        ("lock_rmw", "lock_add"),
    ],
)
def test_an_instruction_costs_its_ticks_in_core_cycles(key, timed, made_up, nearest):
    assert value(derive(made_up({f"{timed} 0": 7.0}), nearest), f"primitives.{key}")[0] == 7 * 2


def test_cache_levels_in_cycles_and_memory_in_ns(made_up, nearest):
    size = sizes(made_up({}).machine)
    chases = {size.l1_kib: 2.5, size.l2_kib: 8.0, size.l3_kib: 70.0, size.memory_kib: 200.0}
    pages = {size.few_pages: 2.5, size.some_pages: 6.0, size.many_pages: 30.0}
    ticks = {f"chase_huge {kib}": v for kib, v in chases.items()} | {f"chase_pages {n}": v for n, v in pages.items()}
    entries = derive(made_up(ticks), nearest)
    levels = {name: value(entries, f"primitives.{name}")[0] for name in ("l1_hit", "l2_hit", "l3_hit", "memory_local")}
    assert levels == {"l1_hit": 5, "l2_hit": 16, "l3_hit": 35, "memory_local": 100}
    assert value(entries, "primitives.stlb_hit")[0] == (6 - 2.5) * 2
    assert value(entries, "primitives.page_walk")[0] == (30 - 8) * 2


def test_lines_travel_in_the_mean_of_both_directions_and_stream_by_the_slope(made_up, nearest):
    ticks = {"transfer 0": 100.0, "transfer 1": 120.0, "stream_loads 8": 150.0, "stream_loads 64": 150.0 + 56 * 12}
    entries = derive(made_up(ticks), nearest)
    transfer, entry = value(entries, "primitives.line_transfer")
    assert (transfer, entry.spans) == (55, (50, 60))
    assert value(entries, "primitives.line_stream")[0] == pytest.approx(12 / 2)


def test_a_further_line_of_a_copy_is_the_slope_of_modified_copies_beyond_the_same_warm(made_up, nearest):
    # 4096 bytes are 64 lines, 1500 are 24, and 64 are one, whose travel is not hidden.
    warm = {f"copy_warm_fenced {n}": float(lines) for n, lines in ((64, 1), (1500, 24), (4096, 64))}
    dirty = {"copy_dirty 4096": 64 + 500.0 + 64 * 8, "copy_dirty 1500": 24 + 500.0 + 24 * 8, "copy_dirty 64": 1 + 485.0}
    copied, entry = value(derive(made_up(warm | dirty), nearest), "primitives.line_stream_copy")
    assert copied == pytest.approx(8 / 2)  # ticks of half a ns
    assert entry.spans == (pytest.approx((500 + 24 * 8 - 485) / 23 / 2),)


#: 128 calls in the kernel take 128 x 35 cycles (17.5 ticks each); a plain call takes 5; Safe RET alone adds 20.
RETURNS = {
    **{f"tap_calls {calls}": 900 + 17.5 * calls for calls in (0, 16, 64, 128)},
    **{"call 0": 2.5, "user_access_body_safe_ret 0": 13.0, "user_access_body 0": 3.0},
}
SAFE = {"vulnerabilities": {"spec_rstack_overflow": "Vulnerable: Safe RET, no microcode"}}


def test_safe_ret_is_that_of_the_kernel_where_calls_in_it_can_be_timed(made_up, nearest):
    safe_ret, entry = value(derive(made_up(RETURNS, **SAFE), nearest), "primitives.safe_ret")
    assert safe_ret == pytest.approx(35 - 5)
    assert entry.spans == (20,)
    assert "XDP program" in entry.source


@pytest.mark.parametrize("where", ["an ordinary user", "plain returns"])
def test_safe_ret_is_its_sequence_alone_elsewhere(where, made_up, nearest):
    ticks, machine = (RETURNS | {"tap_calls 64": None}, SAFE) if where == "an ordinary user" else (RETURNS, {})
    safe_ret, entry = value(derive(made_up(ticks, **machine), nearest), "primitives.safe_ret")
    assert (safe_ret, entry.spans) == (20, ())
    assert "back to back" in entry.source


def test_cpus_of_two_sockets_give_the_cross_socket_entry(made_up, nearest, machine):
    apart = [machine.cpus[0], machine.cpus[1].model_copy(update={"package": 1})]
    keys = {entry.key for entry in derive(made_up({"transfer 0": 300.0, "transfer 1": 300.0}, cpus=apart), nearest)}
    assert "primitives.line_transfer_cross_socket" in keys
    assert "primitives.line_transfer" not in keys


def test_a_virtual_machine_may_be_moved_so_its_range_holds_that_of_the_nearest_table(made_up, nearest):
    ticks = {"transfer 0": 100.0, "transfer 1": 100.0}
    table = nearest.primitives["line_transfer"]
    assert value(derive(made_up(ticks), nearest), "primitives.line_transfer")[1].spans == (50, 50)
    moved = value(derive(made_up(ticks, flags=["hypervisor"]), nearest), "primitives.line_transfer")[1]
    assert moved.spans == (50, 50, pytest.approx(0.9 * table.low), pytest.approx(1.1 * table.high))
    assert "hypervisor" in moved.source


def test_startup_and_rate_of_copies_are_intercept_and_slope(made_up, nearest):
    ticks = {f"copy_warm {n}": (30 + n / 50) / 2 for n in LONG_COPIES}
    ticks |= {f"copy_warm {n}": (9 + n / 50) / 2 for n in SHORT_COPIES}
    ticks |= {"copy_warm_fenced 1500": (30 + 1500 / 50 + 20) / 2}
    entries = derive(made_up(ticks), nearest)
    startup, entry = value(entries, "primitives.copy_startup")
    assert startup == pytest.approx(30)
    assert entry.spans == (pytest.approx(30 + 20),)
    assert value(entries, "primitives.copy_startup_short")[0] == pytest.approx(9)
    assert value(entries, "primitives.copy_bytes")[0] == pytest.approx(50)


#: Ticks of a line's transfer and of warm copies, for the copies of a dirty line below.
DIRTY_LINE = {"transfer 0": 100.0, "transfer 1": 100.0, "copy_warm 64": 4.0, "copy_warm_fenced 64": 10.0}


def test_exposure_of_a_dirty_first_line_with_a_fence_and_without(made_up, nearest):
    # A line travels 50 ns; behind a fence 40 of them show, without one 15, so 50 - 15 / 0.8 hide.
    ticks = {**DIRTY_LINE, "copy_dirty_head 64": 10.0 + 80, "copy_dirty_head_open 64": 4.0 + 30}
    entries = derive(made_up(ticks), nearest)
    assert value(entries, "payload_exposed")[0] == pytest.approx(40 / 50)
    full_ns = nearest.reorder_buffer.value * nearest.cpi.value / 4
    overlap, entry = value(entries, "overlap")
    assert overlap == pytest.approx((50 - 15 / 0.8) / full_ns)
    assert entry.grade == "derived"


#: Ticks of lines 60 ns away from a held one (120 ticks), and of a hit in L2, 4 ns (8 ticks) behind one in L1.
PAIR = {"next_line 0": 150.0, "next_line 2": 30.0, "next_line 3": 150.0, "transfer 0": 120.0, "transfer 1": 120.0}


def pair(machine, second, **changed):
    size = sizes(machine)
    hits = {f"chase_huge {size.l1_kib}": 2.0, f"chase_huge {size.l2_kib}": 10.0}
    return PAIR | hits | {"next_line 1": second} | changed


@pytest.mark.parametrize(("second", "saved"), [(150.0, 0), (155.0, 0), (94.0, 0.5), (38.0, 1), (30.0, 1)])
def test_a_line_that_comes_with_the_one_before_is_a_hit_in_l2(second, saved, made_up, machine, nearest):
    # A whole hit would take 120 - 8 = 112 ticks less.
    assert value(derive(made_up(pair(machine, second)), nearest), "next_line_prefetch")[0] == pytest.approx(saved)


@pytest.mark.parametrize(
    "changed",
    [
        {"next_line 0": 60.0},
        {"next_line 0": 310.0, "transfer 0": 280.0, "transfer 1": 280.0},  # far, then near: it looks as if it came
        {"transfer 0": 12.0, "transfer 1": 12.0, "next_line 0": 42.0, "next_line 3": 42.0},
    ],
)
def test_rounds_in_which_the_cpus_are_moved_or_siblings_say_nothing_of_the_next_line(
    changed, made_up, machine, nearest
):
    (entry,) = [
        entry for entry in derive(made_up(pair(machine, 40.0) | changed), nearest) if entry.key == "next_line_prefetch"
    ]
    assert entry.repeats == []


#: Copies with a first line that is 50 ns away: short ones start in 9 cycles, long ones in 30; 50 bytes a cycle.
TAILS = {
    **{f"copy_warm {n}": (30 + n / 50) / 2 for n in LONG_COPIES},
    **{f"copy_warm {n}": (9 + n / 50) / 2 for n in SHORT_COPIES},
    **{"transfer 0": 100.0, "transfer 1": 100.0, "copy_warm_fenced 64": 10.0, "copy_warm_fenced 1500": 60.0},
    **{"copy_dirty_head 64": 110.0, "copy_dirty_head 512": 123.0, "copy_dirty_head 1500": 127.0},
}


def test_the_tail_of_a_copy_is_what_runs_behind_its_first_line(made_up, nearest):
    # 13 and 17 ticks more than a copy of that line are 26 and 34 cycles, 21 of them for the start of a long copy.
    tail, entry = value(derive(made_up(TAILS), nearest), "copy_tail")
    assert entry.spans == (pytest.approx(26 - 21 + 64 / 50), pytest.approx(34 - 21 + 64 / 50))
    assert tail == pytest.approx((5 + 13) / 2 + 64 / 50)


@pytest.mark.parametrize(
    "changed",
    [
        {"copy_warm_fenced 1500": 112.0},  # the line is there before the rest of a copy is done
        {"copy_dirty_head 64": 140.0},  # the CPUs were moved between lines and copies
        {"copy_dirty_head 512": None},  # not possible there
    ],
)
def test_rounds_that_show_no_tail_are_left_out(made_up, nearest, changed):
    assert "copy_tail" not in {entry.key for entry in derive(made_up(TAILS | changed), nearest)}


@pytest.mark.parametrize(
    ("name", "cpu"),
    [("zen3-vm", "zen3"), ("zen3-vm-tap", "zen3"), ("zen4-vm", "zen4"), ("zen5-vm", "zen5"), ("zen5-vm-far", "zen5")],
)
def test_tables_hold_the_tails_that_were_measured(name, cpu):
    table = load_table("cpu", cpu)
    tail, entry = value(derive(recording_of(name), table), "copy_tail")
    assert table.copy_tail.low <= max(0, min(entry.spans)) < max(entry.spans) <= table.copy_tail.high
    assert table.copy_tail.low <= max(0, tail) <= table.copy_tail.high


def test_the_table_holds_what_next_lines_saved():
    table = load_table("cpu", "zen4")
    saved, entry = value(derive(recording_of("zen4-vm-lines"), table), "next_line_prefetch")
    assert len(entry.repeats) == 10  # of 11 rounds; siblings of one core, or moved, in the other
    assert table.next_line_prefetch.low == pytest.approx(min(entry.repeats), abs=0.01)
    assert table.next_line_prefetch.value == pytest.approx(saved, abs=0.01)


def test_fractions_stay_fractions(made_up, nearest):
    ticks = {**DIRTY_LINE, "copy_dirty_head 64": 10.0 + 130, "copy_dirty_head_open 64": 3.0}
    entries = derive(made_up(ticks), nearest)
    assert value(entries, "payload_exposed")[0] == 1.0
    assert 0 <= value(entries, "overlap")[0] <= 1.0


def test_clean_lines_are_what_a_pool_adds_to_a_warm_copy(made_up, nearest):
    entries = derive(made_up({"copy_pool 1500": 58.0, "copy_warm_fenced 1500": 34.0}), nearest)
    assert value(entries, "primitives.clean_line")[0] == pytest.approx((58 - 34) / 2 / 24)  # 1500 bytes: 24 lines


def test_the_clock_ranges_over_everything_that_was_seen(made_up, nearest):
    recording = made_up({"load 0": 1.0, "lfence 0": 1.0})
    faster = recording.series["load 0"].model_copy(update={"ratio": [2.0, 2.2, 2.0, 2.0, 1.9, 2.0]})
    entries = derive(recording.model_copy(update={"series": {**recording.series, "load 0": faster}}), nearest)
    clock, entry = value(entries, "core_ghz")
    assert clock == 4.0
    assert entry.spans == (pytest.approx(1.9 * 2), pytest.approx(2.2 * 2))


def test_nothing_recorded_gives_no_repeats_and_no_error(made_up, nearest):
    assert all(not entry.repeats for entry in derive(made_up({"load 0": 1.0}), nearest) if entry.key != "core_ghz")


def test_rounds_in_which_an_input_is_missing_are_left_out():
    assert combine(lambda a, b: a - b, [5.0, None, 7.0], [1.0, 1.0, None]) == [4.0]


@given(st.floats(0, 100), st.floats(0.01, 10))
def test_a_line_is_recovered_from_points_on_it(intercept, slope):
    fit = line_fit([(x, intercept + slope * x) for x in (256, 512, 4096)])
    assert fit == (pytest.approx(intercept, abs=1e-6), pytest.approx(slope))


def test_footprints_follow_the_caches_and_have_usual_sizes_where_none_are_shown(machine):
    footprints = sizes(machine)
    assert (footprints.l1_kib, footprints.l2_kib) == (24, 1024)
    assert footprints.l3_kib < machine.l3_bytes // 1024 < footprints.memory_kib
    unknown = sizes(machine.model_copy(update={"l1_bytes": 0, "l2_bytes": 0, "l3_bytes": 0}))
    assert 0 < unknown.l1_kib < unknown.l2_kib < unknown.l3_kib < unknown.memory_kib


def test_no_benchmark_is_listed_twice(machine):
    names = benchmarks(machine)
    assert len(set(names)) == len(names)


def test_every_recorded_series_is_still_a_benchmark_of_its_machine(quiet):
    assert set(quiet.series) <= set(benchmarks(quiet.machine))
