"""The timeline: every picosecond of every actor has one owner, and what it says is what the engine counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import integers

import sim
from sim.config import ConfigError
from sim.datapath import build_plan
from sim.datapath.plan.plan import Wait
from sim.datapath.plan.registers import Register
from sim.engine.histogram import bucket
from sim.engine.reference import ReferenceEngine
from sim.study.timeline.model import Track
from sim.study.timeline.record import timeline, watch
from tests.engine.scenarios import Case, cases

SEED = "virtio-user-xdp1-tap"


def assert_tiles(track: Track, elapsed_ps: int, start_ps: int = 0) -> None:
    """Each group begins where the last one ended, each step likewise, and no part is empty or lasts longer."""
    now_ps = start_ps
    for group in track.groups:
        assert group.start_ps == now_ps
        for step in group.slices:
            assert step.start_ps == now_ps
            assert all(part.duration_ps > 0 for part in step.parts)
            now_ps += sum(part.duration_ps for part in step.parts)
        assert group.end_ps == now_ps
    assert now_ps == start_ps + elapsed_ps
    assert sum(track.totals_ps().values()) == elapsed_ps


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(cases())
def test_the_slices_of_an_actor_tile_its_time(case: Case):
    found = watch(case.plan, min(case.scenario.run.packets, 100))
    assert [track.actor for track in found.tracks] == list(case.plan.actors)
    for track in found.tracks:
        assert_tiles(track, found.elapsed_ps)


def area(recording, counter: str) -> int:
    """The integral of a counter over the recording, from its values at the moments at which it changes."""
    levels = [level for level in recording.levels if level.counter == counter]
    ends = [level.time_ps for level in levels[1:]] + [recording.elapsed_ps]
    return sum(level.value * (end - level.time_ps) for level, end in zip(levels, ends, strict=True))


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(cases())
def test_watching_changes_nothing_and_agrees_with_the_counts(case: Case):
    plan, packets = case.plan, min(case.scenario.run.packets, 100)
    alone = ReferenceEngine(plan, packets)
    alone.run(packets)
    found = watch(plan, packets)
    machine = alone.machine
    assert (found.elapsed_ps, found.packets) == (alone.now_ps, machine.marked_used)
    journeys = found.journeys
    assert [one.packet for one in journeys] == list(range(machine.marked_used))
    latencies = Counter(bucket(one.used_ps - one.posted_ps) for one in journeys)
    assert latencies == {place: packets for place, packets in enumerate(machine.histogram) if packets}
    assert all(one.posting_ps <= one.posted_ps <= one.used_ps for one in journeys)
    assert all(one.posting_ps <= one.using_ps <= one.used_ps for one in journeys)
    in_ring = [level.value for level in found.levels if level.counter == "packets in the ring"]
    assert max(in_ring) == machine.most_in_flight
    if plan.posted == Register.RING_AVAIL_IDX:
        assert area(found, "packets in the ring") == machine.occupied_ps(alone.now_ps)
        assert max(in_ring) == machine.most_occupied
    assert min(level.value for level in found.levels) >= 0


def test_waits_are_those_that_the_engine_counted_for_rows_that_ended(seed):
    plan = build_plan(seed, "copy_user", 64)
    counted = {}

    def before_row(machine, segment):  # the row that begins here is not counted yet
        if segment.actor == 0:
            mine = [one.index for one in plan.segments if one.actor == 0]
            counted.update({kind: sum(machine.waits_ps[number][kind] for number in mine) for kind in Wait})

    ReferenceEngine(plan, 256, before_row).run(256)
    worker = watch(plan, 256).tracks[0].totals_ps()
    assert worker["l1_hit"] == counted[Wait.NEAR_HIT] > 0
    assert worker["idle"] == counted[Wait.BLOCKED] > 0
    assert worker["store_drain"] == counted[Wait.STORES] > 0


def test_a_packet_is_a_group_whose_steps_are_its_rows(seed):
    plan = build_plan(seed, "copy_user", 64)
    worker = timeline(seed, 64, "copy_user", 64).tracks[0]
    names = [group.name for group in worker.groups if group.name.startswith("packet")]
    assert names[:64] == [f"packet {number}" for number in range(64)]
    assert names[64:] in ([], ["packet"])  # the run ends before it is known that there is one more
    first = next(group for group in worker.groups if group.name == "packet 0")
    rows = [row for row in plan.rows if row.actor == "worker" and row.scopes[0] == "packet" and row.cost_ps]
    labels = [step.label for step in first.slices]
    assert labels == [row.label for row in rows if row.label in labels]
    assert {"stac", "clac", "lfence"} <= {part.name for step in first.slices for part in step.parts}
    for step in first.slices:
        row = next(row for row in rows if row.label == step.label)
        priced = [(part.name, part.count, part.duration_ps) for part in step.parts if not part.waits]
        assert priced == [(one.primitive, one.count, one.cost_ps) for one in row.components if one.cost_ps]


def test_kicks_and_calls_are_as_many_as_the_registers_say():
    scenario = sim.load_scenario("virtio-net-low-load")
    found = timeline(scenario, 20)
    kicks = [one for one in found.notifications if one.name == "kick"]
    assert kicks
    assert {found.tracks[one.actor].actor for one in kicks} == {"driver"}
    assert found.to_dict()["kicks"] == len(kicks)


def test_stores_under_way_come_back_one_by_one(seed):
    counters = {"driver": [], "worker": []}
    for level in timeline(seed, 256, "copy_user", 64).levels:
        name, _, actor = level.counter.partition(": ")
        if name == "stores under way":
            counters[actor].append(level.value)
    for values in counters.values():
        falls = [before - after for before, after in pairwise(values) if after < before]
        assert set(falls) == {1}
        assert values[-1] >= 0


@pytest.mark.parametrize("packets", [0, -1, 10_001])
def test_more_packets_than_a_viewer_opens_are_refused(seed, packets):
    with pytest.raises(ConfigError, match="a timeline holds 1 to 10000 packets"):
        timeline(seed, packets)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(cases(), integers(1, 90))
def test_what_follows_the_skipped_packets_is_what_the_whole_timeline_has_there(case: Case, skip: int):
    alone = ReferenceEngine(case.plan, skip)
    alone.run(skip)
    start_ps, used = alone.now_ps, alone.machine.marked_used
    whole, found = watch(case.plan, used + 50), watch(case.plan, 50, skip=skip)
    assert (found.start_ps, found.start_ps + found.elapsed_ps) == (start_ps, whole.elapsed_ps)
    assert found.packets == whole.packets - used
    for track, all_of_it in zip(found.tracks, whole.tracks, strict=True):
        assert_tiles(track, found.elapsed_ps, start_ps)
        later = [group for group in all_of_it.groups if group.start_ps >= start_ps]
        assert list(track.groups)[len(track.groups) - len(later) :] == later
        assert len(track.groups) <= len(later) + 1
    assert list(found.journeys) == [
        replace(one, posting_ps=max(one.posting_ps, start_ps)) for one in whole.journeys[used:]
    ]
    assert [one for one in found.levels if one.time_ps > start_ps] == [
        one for one in whole.levels if one.time_ps > start_ps
    ]


def test_behind_the_start_a_worker_no_longer_waits_for_its_first_kick(seed):
    warm = timeline(seed, 64, "copy_user", 64, skip=1024).to_dict()
    cold = timeline(seed, 64, "copy_user", 64).to_dict()
    assert "worker_wakeup" in cold["actors"]["worker"]
    assert "worker_wakeup" not in warm["actors"]["worker"]
    assert warm["start_us"] > 0
    assert sum(warm["actors"]["worker"].values()) == pytest.approx(warm["elapsed_us"])


@pytest.mark.parametrize(
    ("packets", "skip", "said"),
    [
        (1, -1, "skip: 0 to 9999 packets can be skipped (got -1)"),
        (9_000, 1_001, "packets: a timeline holds 1 to 8999 packets behind 1001 that are skipped (got 9000)"),
        (1, 10_000, "skip: 0 to 9999 packets can be skipped (got 10000)"),
    ],
)
def test_what_cannot_be_skipped_is_refused(seed, packets, skip, said):
    with pytest.raises(ConfigError) as error:
        timeline(seed, packets, skip=skip)
    assert str(error.value) == said
