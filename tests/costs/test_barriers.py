"""Barriers depend on what is in flight before them, locked operations on what goes on beside them (docs/model.md)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sim
from sim.config import load_scenario
from sim.config.scenario.scenario import Placement
from sim.costs import CostTable
from sim.costs.recipes import Item
from sim.datapath import build_plan

SEED = "virtio-user-xdp1-tap"
#: 2 GHz: 500 ps per cycle; half a cycle per instruction; b = 4, t = 5, refill 1/4 of at most 60 instructions.
ROUND = {
    "calibration": None,
    "cpu.core_ghz": 2,
    "cpu.cpi": 0.5,
    "cpu.primitives.stac": 4,
    "cpu.primitives.clac": 4,
    "cpu.primitives.lfence": 4,
    "cpu.primitives.lock_rmw": 19,
    "cpu.serialisation.drain_tail": 5,
    "cpu.serialisation.refill": 0.25,
    "cpu.serialisation.scheduler_entries": 60,
    "cpu.serialisation.lock_hidden": 10,
}


def scenario(**settings):
    return load_scenario(SEED, settings={**ROUND, **settings})


def table(**settings):
    return CostTable(scenario(**settings).cpu, 1.0, Placement())


@pytest.mark.parametrize(
    ("behind", "cycles"),
    [(0, 4), (1, 4 + 1 + 0.25), (5, 4 + 5 + 1.25), (40, 4 + 5 + 10), (60, 4 + 5 + 15), (1000, 4 + 5 + 15)],
)
def test_a_barrier_waits_for_the_tail_and_refills_at_most_the_scheduler(behind, cycles):
    assert table().barrier_ps("lfence", behind) == pytest.approx(cycles * 500)


def test_back_to_back_a_barrier_costs_what_its_entry_says():
    alone = table().together("lfence", [Item("lfence", 1, 0.0)])
    assert (alone.cost_ps, alone.formula) == (4 * 500, "4 cycles")


def test_where_no_growth_was_seen_a_barrier_costs_the_same_behind_any_work():
    zen3 = CostTable(load_scenario(SEED, settings={"calibration": None, "cpu": "zen3"}).cpu, 1.0, Placement())
    behind = [zen3.barrier_ps("lfence", n) / zen3.cycle_ps for n in (14, 28, 56, 112)]
    assert behind == [pytest.approx(10 + 5)] * 4  # serialisation.md 1 (M): 15.9, 16.2, 17.2, 16.1


@pytest.mark.parametrize(("behind", "cycles"), [(0, 19), (4, 19 - 2), (20, 19 - 10), (1000, 19 - 10)])
def test_a_locked_operation_is_hidden_by_the_work_since_the_last_one(behind, cycles):
    assert table().locked_ps("lock_rmw", behind) == pytest.approx(cycles * 500)


def test_a_locked_operation_never_costs_less_than_nothing():
    assert table(**{"cpu.serialisation.lock_hidden": 40}).locked_ps("lock_rmw", 1000) == 0


@given(st.floats(0, 400), st.floats(0, 400))
def test_more_work_in_flight_never_makes_a_barrier_cheaper_or_a_lock_dearer(one, other):
    less, more = sorted((one, other))
    costs = table_of_rounds
    assert costs.barrier_ps("stac", less) <= costs.barrier_ps("stac", more)
    assert costs.locked_ps("lock_rmw", less) >= costs.locked_ps("lock_rmw", more)


table_of_rounds = table()


def barriers(access="copy_user", **settings):
    """Label of each of the worker's rows of a packet: primitive, instructions behind it."""
    rows = build_plan(scenario(**settings), access, 64).rows
    return {
        row.label: {part.primitive: part.behind for part in row.components if part.behind}
        for row in rows
        if row.actor == "worker" and "packet" in row.scopes
    }


def test_what_lies_behind_a_barrier_is_counted_along_the_packets_path():
    """v5.0, counts of its table: `head` executes 35 instructions, 8 of them its accessor."""
    head, descriptor = barriers()["head"], barriers()["descriptor"]
    # branch (2) comes before stac, 45 of `get_descriptor` and 51 of `packet_done` before it, behind the clac of the
    # packet's copy stand the 29 that its step has of its own.
    assert head["stac"] == (2 + 45 + 51 + 29,)
    assert head["lfence"] == (0,)  # right behind stac
    assert head["clac"] == (1,)  # the load
    # clac, then test (2) and the 27 that are left of `head`, then branch (2).
    assert descriptor["stac"] == (2 + 27 + 2,)


def test_without_smap_the_fence_pays_for_the_drain():
    on, off = barriers(), barriers(**{"mitigations.smap": False})
    assert on["head"]["lfence"] == (0,)
    assert off["head"]["lfence"][0] > 100
    prices = [table().barrier_ps("lfence", plan["head"]["lfence"][0]) / 500 for plan in (on, off)]
    assert prices == [4, 4 + 5 + 15]


def test_smap_and_fence_do_not_add():
    """Turning both off saves less than the sum of what turning each off saves by itself costs with the other on."""

    def ns(**settings):
        changed = {f"mitigations.{name}": value for name, value in settings.items()}
        return sim.run(scenario(**changed)).at("copy_user", 64).ns_per_packet

    both, no_smap, no_fence, neither = ns(), ns(smap=False), ns(spectre_v1=False), ns(smap=False, spectre_v1=False)
    assert no_smap - neither > both - no_fence + 5  # the fence is dearer without SMAP, by drains of two getters


def test_a_toggle_that_does_not_wait_is_a_constant():
    """Zen 5 renames AC: stac and clac neither wait nor end a stretch of work."""
    settings = {"calibration": None, "cpu": "zen5", "kernel": "v5.0", "access": ["copy_user"]}
    rows = {row.label: row for row in build_plan(load_scenario(SEED, settings=settings), "copy_user", 64).rows}
    parts = {part.primitive: part for part in rows["head"].components}
    assert parts["stac"].behind == ()
    assert parts["lfence"].behind[0] > 100


def test_explain_spells_the_price_of_a_barrier(capsys):
    from sim.report.tables.explained import barriers as spelled

    (row,) = (row for row in build_plan(scenario(), "copy_user", 64).rows if row.label == "head")
    assert spelled(row) == ["stac behind 127: 4 + 5 + 0.25 x 60 cycles; clac behind 1: 4 + 1 + 0.25 x 1 cycles"]
