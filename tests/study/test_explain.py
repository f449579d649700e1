"""`explain`: rows that add up to the answer, and the source of everything that it depends on."""

from __future__ import annotations

import json
from typing import get_args

import pytest

import sim
from sim.config import load_scenario
from sim.config.tables.vocabulary import PRIMITIVES
from sim.costs.audit import quantities
from sim.datapath import build_plan
from sim.datapath.plan.step import Scope
from sim.report.tables import explained

SEED = "virtio-user-xdp1-tap"
WITHOUT_AN_ENTRY = {"instruction", "user_instruction", "copy_loop", "store_drain", "idle", "driver_work"}


@pytest.fixture(scope="module", params=["copy_user", "vmap", "ideal"])
def explanation(request):
    return sim.explain(sim.load_scenario(SEED), request.param)


def test_the_rows_of_the_worker_add_up_to_the_total(explanation):
    data = explanation.to_dict()
    rows = [row["cycles_per_packet"] for row in data["rows"] if row["actor"] == "worker"]
    assert sum(rows) == pytest.approx(data["total_cycles"], rel=1e-9)


def test_the_functions_add_up_to_the_total_largest_first(explanation):
    functions = explanation.by_function()
    assert sum(functions.values()) == pytest.approx(explanation.point.cycles_per_packet, rel=1e-9)
    assert list(functions.values()) == sorted(functions.values(), reverse=True)
    assert "" not in functions


def test_a_row_is_its_executions_times_its_cost_plus_what_it_waited(explanation):
    for row in explanation.plan.rows:
        if row.actor == "worker" and row.unit is None:
            cost = explanation.rate(row) * row.cost_ps / explanation.plan.cycle_ps
            assert explanation.time_cycles(row) == pytest.approx(cost + explanation.wait_cycles(row), abs=1e-9), row


def test_a_rows_parts_add_up_to_its_cost(explanation):
    for row in explanation.to_dict()["rows"]:
        assert set(row["primitives"]) == set(row["formulas"])
        assert all(count > 0 for count in row["primitives"].values())


def test_packet_rows_run_once_per_packet(explanation):
    for label in ("head", "descriptor", "header_copy", "payload_copy", "get_descriptor"):
        assert explanation.point.row_rates[f"worker.{label}"] == pytest.approx(1, rel=1e-2), label


def test_every_input_has_a_source_a_range_and_a_grade(explanation):
    for one in explanation.inputs():
        assert one.quantity.source.strip(), one.key
        assert one.quantity.low <= one.quantity.value <= one.quantity.high, one.key
        assert one.quantity.grade, one.key


def test_inputs_come_largest_first_and_their_sums_with_the_waits_are_the_total(explanation):
    sums = [one.cycles_per_packet for one in explanation.inputs() if one.cycles_per_packet is not None]
    assert sums == sorted(sums, reverse=True)
    point = explanation.point
    rest = sum(point.breakdown_cycles.get(name, 0.0) for name in ("store_drain", "idle", "driver_work"))
    assert sum(sums) + rest == pytest.approx(point.cycles_per_packet, rel=1e-9)


def test_every_primitive_that_costs_something_is_an_input(explanation):
    keys = {one.key for one in explanation.inputs()}
    for name in set(explanation.point.breakdown_ps) - WITHOUT_AN_ENTRY:
        assert f"cpu.primitives.{name}" in keys


def costs(plan, executed):
    """What the worker's executed rows cost."""
    rows = [row for row in plan.rows if f"{row.actor}.{row.label}" in executed]
    return [(row.cost_ps, row.unit_ps, row.hidden_ps) for row in rows]


def test_whatever_changes_the_cost_of_an_executed_row_is_an_input():
    shipped = ("access=copy_user", "traffic.packet_bytes=64")
    scenario = sim.load_scenario(SEED, overrides=shipped)
    explanation = sim.explain(scenario, "copy_user")
    listed = {one.key for one in explanation.inputs()}
    executed = {name for name, rate in explanation.point.row_rates.items() if rate and name.startswith("worker.")}
    before = costs(build_plan(scenario, "copy_user", 64, apart=True), executed)
    missing = []
    for key, entry in quantities(scenario):
        value = entry.value / 2 if entry.unit == "fraction" else entry.value * 2 + 1
        changed = load_scenario(SEED, overrides=[*shipped, f"{key}={value}"])  # entries that are not read, too
        if costs(build_plan(changed, "copy_user", 64, apart=True), executed) != before and key not in listed:
            missing.append(key)
    assert missing == []


def test_the_json_form_has_the_keys_of_the_contract(explanation):
    data = json.loads(json.dumps(explanation.to_dict(), allow_nan=False))
    assert {"schema", "access", "counts", "rows"} <= set(data)
    scopes = {"per_packet", "per_flush", "per_refill", "per_drain", "per_round", "per_wakeup"}
    assert scopes <= set(data["counts"]["metadata"])
    assert "per_packet" in data["counts"]["payload"]
    shown = {"stac", "clac", "lfence", "access_ok", "mask", "call", "object_size_check", "load", "store", "lock_rmw"}
    for family in ("metadata", "payload"):
        for scope, table in data["counts"][family].items():
            assert shown <= set(table), (family, scope)
            assert set(table) <= set(PRIMITIVES)


def test_size_and_variant_can_be_chosen_and_are_checked():
    scenario = sim.load_scenario(SEED)
    assert sim.explain(scenario, "vmap").point.packet_bytes == 64
    assert sim.explain(scenario, "vmap", 1518).point.packet_bytes == 1518
    with pytest.raises(sim.ConfigError, match=r"access variant 'vmpa' is not in scenario .*; did you mean 'vmap'"):
        sim.explain(scenario, "vmpa")


def test_keeping_rows_apart_does_not_change_the_answer():
    scenario = sim.load_scenario(SEED, overrides=["traffic.packet_bytes=64", "access=copy_user"])
    explained, point = sim.explain(scenario, "copy_user").point, sim.run(scenario).points[0]
    assert explained.breakdown_ps == point.breakdown_ps
    assert explained.elapsed_ps == point.elapsed_ps


def test_every_scope_has_a_title_so_that_no_row_is_left_out():
    assert set(explained.SCOPE_TITLES) == set(get_args(Scope))


def test_skid_moves_time_between_functions_and_keeps_its_sum(explanation):
    held, behind = explanation.by_function(), explanation.by_function(skid=True)
    assert sum(behind.values()) == pytest.approx(sum(held.values()), rel=1e-12)
    assert held != behind


def test_with_skid_the_close_of_a_window_is_its_caller_s():
    """v5.0: clac ends copy_user, and copyin runs next; the barriers in front of the bytes stay in the routine."""
    explanation = sim.explain(sim.load_scenario(SEED), "copy_user")
    held, behind = explanation.by_function(), explanation.by_function(skid=True)
    assert behind["copyin"] > held["copyin"]
    assert behind["copy_user_enhanced_fast_string"] < held["copy_user_enhanced_fast_string"]
    assert behind["translate_desc"] == pytest.approx(held["translate_desc"])  # no stall ends in front of it


def test_a_barrier_s_refill_is_time_of_what_runs_behind_it():
    """copy_page_from_iter runs behind the clac of both copies: 7 of copyin, then 104 of it, more than fit, and 22."""
    cycles, entries = {}, 0.0
    for refill in (0, 0.5):
        loaded = sim.load_scenario(SEED, settings={"cpu.serialisation.refill": refill, "calibration": None})
        cycles[refill] = sim.explain(loaded, "copy_user").by_function()["copy_page_from_iter"]
        entries = loaded.cpu.serialisation.scheduler_entries.value
    assert cycles[0.5] - cycles[0] == pytest.approx(0.5 * (entries - 7 + 22), rel=0.02)
