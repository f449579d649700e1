"""The trace-event file: what the format asks of each phase, nesting, arrows, and the same bytes each time."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

import sim
from sim.report.export.trace_events import microseconds, trace_text
from sim.report.tables.results import timeline_table
from sim.study.timeline.record import timeline

SEED = "virtio-user-xdp1-tap"
NEEDED = {
    "M": {"name", "pid", "args"},
    "B": {"name", "cat", "ts", "pid", "tid"},
    "E": {"name", "ts", "pid", "tid"},
    "C": {"name", "ts", "pid", "args"},
    "i": {"name", "ts", "pid", "tid", "s"},
    "s": {"name", "cat", "id", "ts", "pid", "tid"},
    "f": {"name", "cat", "id", "ts", "pid", "tid", "bp"},
}
SCENARIOS = [SEED, "virtio-net-low-load", "virtio-user-receive-skb", "four-queues-one-worker", "af-xdp-tx"]


def made(name, packets=70):
    return timeline(sim.load_scenario(name, overrides=["access=copy_user"] if name == SEED else []), packets)


@pytest.fixture(scope="module", params=SCENARIOS)
def both(request):
    found = made(request.param)
    return found, json.loads(trace_text(found), parse_float=Decimal)["traceEvents"]


def test_every_event_has_the_fields_of_its_phase(both):
    _, events = both
    assert {event["ph"] for event in events} >= {"M", "B", "E", "C", "s", "f"}
    for event in events:
        assert NEEDED[event["ph"]] <= set(event), event
        assert isinstance(event["pid"], int)


def test_times_are_sorted_and_exact_picoseconds(both):
    _, events = both
    times = [event["ts"] for event in events if event["ph"] != "M"]
    assert times == sorted(times)
    assert all(time * 10**6 == int(time * 10**6) for time in times)


def test_slices_nest_as_packet_step_primitive_and_fill_each_track(both):
    found, events = both
    elapsed = Decimal(found.elapsed_ps) / 10**6
    for track in range(1, len(found.tracks) + 1):
        mine = [event for event in events if event.get("tid") == track and event["ph"] in "BE"]
        stack, spent, kinds = [], Decimal(0), (("packet",), ("step",), ("primitive", "wait"))
        for event in mine:
            if event["ph"] == "B":
                assert event["cat"] in kinds[len(stack)]
                stack.append(event)
            else:
                opened = stack.pop()
                assert event["name"] == opened["name"]
                if not stack:
                    spent += event["ts"] - opened["ts"]
                assert event["ts"] > opened["ts"]
        assert stack == []
        assert spent == elapsed


def test_each_arrow_begins_and_ends_once_inside_a_slice(both):
    found, events = both
    starts = {event["id"]: event for event in events if event["ph"] == "s"}
    ends = {event["id"]: event for event in events if event["ph"] == "f"}
    assert len(starts) == sum(event["ph"] == "s" for event in events)
    assert sorted(starts) == sorted(ends) == list(range(found.packets))
    open_on, inside = {}, 0
    for event in events:
        track = event.get("tid")
        open_on[track] = open_on.get(track, 0) + {"B": 1, "E": -1}.get(event["ph"], 0)
        if event["ph"] in "sf":
            assert open_on[track] == 3  # the primitive that begins there
            inside += 1
    assert inside == 2 * found.packets
    assert all(starts[packet]["ts"] <= ends[packet]["ts"] for packet in starts)


@pytest.mark.parametrize("name", SCENARIOS)
def test_behind_skipped_packets_arrows_begin_inside_a_slice_too(name):
    found = timeline(sim.load_scenario(name), 70, skip=300)
    events = json.loads(trace_text(found), parse_float=Decimal)["traceEvents"]
    depth, starts, ends = {}, {}, {}
    for event in events:
        track = event.get("tid")
        depth[track] = depth.get(track, 0) + {"B": 1, "E": -1}.get(event["ph"], 0)
        if event["ph"] in "sf":
            assert depth[track] == 3
            {"s": starts, "f": ends}[event["ph"]][event["id"]] = event["ts"]
    assert starts.keys() == ends.keys()
    assert len(ends) == found.packets >= 70
    assert min(starts.values()) >= Decimal(found.start_ps) / 10**6


def test_the_same_scenario_gives_the_same_bytes():
    assert trace_text(made(SEED)) == trace_text(made(SEED))


def test_microseconds_are_exact():
    written = [microseconds(time_ps) for time_ps in (0, 1, 999_999, 12_345_678)]
    assert written == ["0.000000", "0.000001", "0.999999", "12.345678"]


def test_the_summary_adds_up_to_the_whole_time(lines):
    found = made(SEED)
    shown = lines(timeline_table(found))
    totals = [line.split() for line in shown if "total" in line]
    assert [line[-2:] for line in totals] == [[f"{found.elapsed_ps / 1e6:.3f}", "100.0%"]] * len(found.tracks)


def test_a_hostile_name_is_text_in_the_file():
    name = '"}],<script>\u202e'
    scenario = sim.load_scenario(SEED, overrides=["access=vmap"]).model_copy(update={"name": name})
    data = json.loads(trace_text(timeline(scenario, 1)))
    assert data["otherData"]["scenario"] == name
