"""The two engines are one: the same trace event for event, the same totals, the same Point."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from sim.config import load_scenario
from sim.datapath import build_plan
from sim.engine import fast
from sim.engine.fast import FastEngine
from sim.engine.order import TieOrder
from sim.engine.record import TraceEvent
from sim.engine.reference import ReferenceEngine
from sim.engine.simulate import simulate
from tests.engine.combined import combined, main, run_numbers
from tests.engine.scenarios import ENGINES, SEED, Case, base, cases, competitors

EVERY = 50
TOTALS = ("executions", "units", "class_executions", "waits_ps", "wait_events", "histogram")
COUNTS = ("marked_posted", "marked_used", "most_in_flight", "most_occupied")
DIGESTS = Path(__file__).with_name("trace-digests.txt")


def examples(count: int) -> settings:
    return settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)


def run(kind, plan, packets, ties=None, every=EVERY):
    engine = kind(plan, every, ties=ties)
    engine.trace = []
    engine.run(packets)
    return engine


def assert_same(case: Case) -> None:
    plan, packets = case.plan, case.scenario.run.packets
    slow, fast = (run(kind, plan, packets, case.ties) for kind in ENGINES)
    assert slow.trace == fast.trace
    assert (slow.now_ps, slow.events, slow.accounted_ps) == (fast.now_ps, fast.events, fast.accounted_ps)
    assert slow.machine.registers == fast.machine.registers.tolist()
    for name in COUNTS:
        assert getattr(slow.machine, name) == getattr(fast.machine, name), name
    assert slow.machine.occupied_ps(slow.now_ps) == fast.machine.occupied_ps(fast.now_ps)
    for name in TOTALS:
        assert np.array_equal(getattr(slow.machine, name), getattr(fast.machine, name)), name
    assert_same_checkpoints(slow.checkpoints, fast.checkpoints)
    points = [
        simulate(plan, case.scenario.run.model_copy(update={"engine": name}), tie_fuzz=case.ties.fuzz)
        for name in ("reference", "fast")
    ]
    assert repr(points[0]) == repr(points[1])  # repr, because a latency may be nan


def assert_same_state(one, other):
    """Two runs on the fast engine: everything that it keeps is equal, array by array."""
    assert one.trace == other.trace
    assert (one.now_ps, one.events, one.accounted_ps) == (other.now_ps, other.events, other.accounted_ps)
    for name, ours, theirs in zip(one._arrays._fields, one._arrays, other._arrays, strict=True):
        assert np.array_equal(ours, theirs), name
    assert_same_checkpoints(one.checkpoints, other.checkpoints)


def assert_same_checkpoints(slow, fast):
    assert (len(slow.taken), slow.every, slow.due_at) == (len(fast.taken), fast.every, fast.due_at)
    for expected, actual in zip(slow.taken, fast.taken, strict=True):
        for name in expected._fields:
            assert np.array_equal(getattr(expected, name), getattr(actual, name)), name


# Parts, so that two workers share them.
@pytest.mark.long
@pytest.mark.parametrize("part", range(2))
def test_generated_scenarios_give_the_same_trace(part):
    @examples(10)
    @given(cases())
    def check(case: Case) -> None:
        assert_same(case)

    check()


def test_generated_devices_beside_vhost_net_give_the_same_trace():
    @examples(15)
    @given(competitors())
    def check(case: Case) -> None:
        assert_same(case)

    check()


@pytest.mark.parametrize("part", range(3))
def test_features_combined_across_kinds_give_the_same_trace(part):
    outcome = run_numbers(range(10 * part, 10 * part + 10))
    assert outcome["failures"] == {}
    assert outcome["ran"] == 10
    assert outcome["features"] > 5 * outcome["ran"]  # most keys that are drawn are accepted beside each other


@pytest.mark.deep
@pytest.mark.parametrize("part", range(20))
def test_ten_thousand_combinations_of_features_give_the_same_trace(part):
    outcome = run_numbers(range(500 * part, 500 * part + 500))
    assert outcome["failures"] == {}
    assert outcome["ran"] > 490


def test_a_combined_scenario_is_its_number():
    first, again = combined(7), combined(7)
    assert (first.base, first.overrides, first.case.apart) == (again.base, again.overrides, again.case.apart)
    assert first.case.scenario == again.case.scenario


def test_a_run_of_many_goes_on_where_it_was_and_says_what_differed(tmp_path, monkeypatch, capsys):
    record, asked = tmp_path / "record.jsonl", []

    def outcome(numbers: range) -> dict:
        asked.append(numbers)
        failures = {} if len(asked) > 1 else {3: "why"}
        return {
            "first": numbers.start,
            "behind": numbers.stop,
            "ran": 50,
            "features": 500,
            "seconds": 2,
            "failures": failures,
        }

    monkeypatch.setattr("tests.engine.combined.run_numbers", outcome)
    assert main(["--count", "50", "--record", str(record)]) == 1
    assert main(["--count", "110", "--record", str(record)]) == 1
    assert asked == [range(0, 50), range(50, 100), range(100, 110)]
    told = capsys.readouterr().out
    assert "150 scenarios with 10.0 keys each, 6 s" in told
    assert told.endswith("--- 3\nwhy\n")


@pytest.mark.deep
@pytest.mark.parametrize("part", range(20))
def test_ten_thousand_generated_scenarios_give_the_same_trace(part):
    @examples(500)
    @given(cases())
    def check(case: Case) -> None:
        assert_same(case)

    check()


@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize("access", ["copy_user", "vmap"])
def test_seed_scenario_has_the_committed_trace(kind, access):
    """Digests change when a table or a row of the model changes: then the new line belongs in trace-digests.txt."""
    engine = run(kind, build_plan(base("v5.0"), access, 64), 5000, every=1024)
    columns = [field.name for field in fields(TraceEvent)]
    events = np.array([[getattr(event, column) for column in columns] for event in engine.trace], dtype="<i8")
    line = f"{access} 64 B, 5000 packets, {len(events)} events: {hashlib.sha256(events.tobytes()).hexdigest()}"
    assert line in DIGESTS.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("kind", ENGINES)
def test_same_plan_twice_gives_the_same_trace(kind):
    plan = build_plan(base("v6.12"), "vmap", 64)
    assert run(kind, plan, 700).trace == run(kind, plan, 700).trace


@pytest.mark.parametrize("kind", ENGINES)
def test_a_run_in_pieces_is_the_run_in_one_piece(kind):
    plan = build_plan(base("v5.0"), "copy_user", 64)
    whole, pieces = run(kind, plan, 900), run(kind, plan, 1)
    for packets in (1, 2, 300, 300, 650, 900):
        pieces.run(packets)
    assert whole.trace == pieces.trace
    assert_same_checkpoints(whole.checkpoints, pieces.checkpoints)


STOPPED = {
    "saturated": ((), 0),
    "shuffled": ((), 3),
    "poisson": (("traffic.load={kind: poisson, pps: 3000000}",), 0),
    "four queues": (("queues.pairs=4",), 1),
    "an odd ring": (("virtqueue.layout=packed", "virtqueue.size=96"), 0),
}


@pytest.mark.parametrize("events", [1, 7])
@pytest.mark.parametrize(("rows", "snapshots"), [(3, 1), (5, 3)])
@pytest.mark.parametrize("name", STOPPED)
def test_returning_to_python_again_and_again_changes_nothing(name, events, rows, snapshots, monkeypatch):
    overrides, fuzz = STOPPED[name]
    plan = build_plan(load_scenario(SEED, overrides=("access=copy_user", *overrides)), "copy_user", 64)
    ties = TieOrder.stated(len(plan.actors), fuzz)
    whole = run(FastEngine, plan, 700, ties, every=1)
    monkeypatch.setattr("sim.engine.fast._EVENTS_BETWEEN_SIGNALS", events)
    monkeypatch.setattr("sim.engine.fast._TRACE_ROWS", rows)
    monkeypatch.setattr("sim.engine.fast._SNAPSHOTS", snapshots)
    pieces = run(FastEngine, plan, 700, ties, every=1)
    assert_same_state(pieces, whole)
    assert len(whole.checkpoints.taken) > 3 * snapshots


def test_a_run_that_is_interrupted_goes_on_as_if_it_was_not(monkeypatch):
    plan = build_plan(base("v5.0"), "copy_user", 64)
    whole = run(FastEngine, plan, 3000, every=1)
    calls, loop = [], fast._loop

    def interrupted(*arguments):
        stop = loop(*arguments)
        calls.append(stop)
        if len(calls) in (1, 4):
            raise KeyboardInterrupt
        return stop

    monkeypatch.setattr("sim.engine.fast._loop", interrupted)
    monkeypatch.setattr("sim.engine.fast._SNAPSHOTS", 7)
    engine = FastEngine(plan, 1)
    engine.trace = []
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            engine.run(3000)
    engine.run(3000)
    assert_same_state(engine, whole)
    assert len(calls) > 4


def test_a_run_without_trace_has_the_same_totals():
    plan = build_plan(base("v5.0"), "vmap", 64)
    traced, plain = run(FastEngine, plan, 2000), FastEngine(plan, EVERY)
    plain.run(2000)
    assert plain.trace is None
    assert_same_checkpoints(traced.checkpoints, plain.checkpoints)


@pytest.mark.parametrize("fuzz", [0, 1, 2])
def test_shuffles_of_the_seed_scenario_agree(fuzz):
    plan = build_plan(base("v5.0"), "ideal", 64)
    packets = base("v5.0").run.model_copy(update={"packets": 3000, "precision": 0})
    slow, fast = (
        simulate(plan, packets.model_copy(update={"engine": name}), tie_fuzz=fuzz) for name in ("reference", "fast")
    )
    assert slow == fast


def test_reference_observer_sees_each_row_before_it_begins():
    plan, seen = build_plan(base("v5.0"), "vmap", 64), []
    engine = ReferenceEngine(plan, EVERY, before_row=lambda machine, segment: seen.append(segment.index))
    engine.run(100)
    assert len(seen) == sum(engine.machine.executions)
