"""What lines cost in time, on both engines: requests for ownership, the store buffer, transfers that overlap.

Latencies are round numbers put into a real plan, so that each expected value is an arithmetic of them alone.
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.config import load_scenario
from sim.datapath import build_plan
from sim.datapath.plan.plan import Wait
from sim.datapath.plan.registers import Register
from sim.datapath.plan.step import LineAccess
from sim.engine.arrays import in_segment, is_masked
from sim.engine.machine import Machine
from tests.engine.scenarios import ENGINES, SEED

TRANSFER, STREAM = 1_000_000, 10_000
ENOUGH = 1000

both_engines = pytest.mark.parametrize("kind", ENGINES)


def plan_of(access, *overrides, **latencies):
    """Return a plan in which only transfers cost time; the driver takes 50 us per packet, so nobody meets anybody."""
    slow = ["calibration=null", f"access={access}", "virtqueue.event_idx=true", "driver.packet_cost=50000"]
    plan = build_plan(load_scenario(SEED, overrides=[*slow, *overrides]), access, 64)
    free = dict.fromkeys(("near_hit_ps", "far_hit_ps", "clean_ps"), 0)
    own = {"transfer_ps": TRANSFER, "prefetched_ps": TRANSFER, "stream_ps": STREAM, "store_buffer": ENOUGH, **latencies}
    return replace(plan, latencies=replace(plan.latencies, **free, **own))


def waits(kind, plan, packets):
    """Return what each row has waited after so many packets: by label of the row that waits, by kind of waiting."""
    engine = kind(plan, ENOUGH)
    engine.run(packets)
    of_segment = {plan.rows[segment.rows[0]].label: segment for segment in plan.segments if segment.actor == 0}
    return {label: engine.machine.waits_ps[segment.index] for label, segment in of_segment.items()}


def row(plan, label):
    (row,) = (row for row in plan.rows if row.label == label and row.actor == "worker")
    return row


def hidden(plan, label):
    return row(plan, label).hidden_ps


# -- stores -----------------------------------------------------------------------------------------------------------

#: 64 used elements of 8 bytes behind 4 bytes of flags and index: 516 bytes, 9 lines that the driver has initialised.
BATCH, LINES = 64, 9


def behind_elements(kind, label, batch=BATCH, **latencies):
    """Return how long after the first write of used elements a row ends, less what the rows up to there cost."""
    plan = plan_of("vmap", f"driver.burst={batch}", f"device.batch={batch}", **latencies)
    engine = kind(plan, ENOUGH)
    engine.trace = []
    engine.run(batch + 1)
    labels = [plan.rows[plan.segments[step.segment].rows[0]].label for step in engine.trace]
    written, ended = (labels.index(name) for name in ("used_elements", label))
    paid = sum(row(plan, name).cost_ps for name in ("used_index", "notify_barrier")[: 1 + (label != "used_index")])
    return engine.trace[ended].time_ps - engine.trace[written].time_ps - paid


@both_engines
@pytest.mark.parametrize("room", [1, 4, LINES - 1, LINES, LINES + 1])
def test_a_store_waits_for_each_request_beyond_the_store_buffer(kind, room):
    assert behind_elements(kind, "used_index", store_buffer=room) == max(0, LINES - room) * STREAM


@both_engines
@pytest.mark.parametrize(("batch", "lines"), [(7, 1), (8, 2), (15, 2), (16, 3), (63, 8), (64, 9)])
def test_a_full_barrier_waits_until_the_last_line_is_owned(kind, batch, lines):
    """The first line takes a transfer, each further one a step of the stream; 4 + 8 x 7 = 60 bytes, 4 + 8 x 8 = 68."""
    hidden_ps = row(plan_of("vmap"), "used_index").cost_ps  # the time that the row between has taken is over
    assert behind_elements(kind, "notify_barrier", batch) == TRANSFER + (lines - 1) * STREAM - hidden_ps


# -- loads ------------------------------------------------------------------------------------------------------------


@both_engines
@pytest.mark.parametrize("stream_ps", [0, STREAM, 3 * STREAM])
def test_a_transfer_behind_another_still_takes_its_turn_on_the_way(kind, stream_ps):
    """Nothing waits between the reads of index and descriptor: their latencies overlap, the lines do not."""
    plan = plan_of("vmap", "driver.burst=1", stream_ps=stream_ps)
    waited = waits(kind, plan, 1)
    assert waited["refill"][Wait.TRANSFER] == TRANSFER - hidden(plan, "refill")
    overlapped = hidden(plan, "refill") - hidden(plan, "descriptor")
    assert waited["descriptor"][Wait.TRANSFER] == max(stream_ps, overlapped)


@both_engines
def test_behind_a_fence_a_transfer_takes_its_whole_latency(kind):
    plan = plan_of("copy_user", "driver.burst=1")
    waited = waits(kind, plan, 1)
    for label in ("refill", "descriptor"):
        assert waited[label][Wait.TRANSFER] == TRANSFER - hidden(plan, label)


#: 4 descriptors to a line; a burst of 32 lies on 8.
BURST, BURST_LINES = 32, 8
PREFETCHED = 300_000


@both_engines
def test_every_second_line_comes_with_the_one_before(kind):
    """What comes brings nothing itself: lines 0, 2, 4 and 6 take a whole transfer, 1, 3, 5 and 7 less of one."""
    plan = plan_of("copy_user", f"driver.burst={BURST}", prefetched_ps=PREFETCHED)
    waited = waits(kind, plan, BURST)
    hidden_ps = hidden(plan, "descriptor")
    pairs = BURST_LINES // 2
    assert waited["descriptor"][Wait.TRANSFER] == pairs * (TRANSFER - hidden_ps) + pairs * (PREFETCHED - hidden_ps)
    assert waited["refill"][Wait.TRANSFER] == TRANSFER - hidden(plan, "refill")  # a single field, once


@both_engines
@pytest.mark.parametrize("prefetched_ps", [TRANSFER, PREFETCHED])
def test_a_line_that_is_written_after_it_has_come_takes_a_whole_transfer(kind, prefetched_ps):
    """One packet at a time: what came with the line before was as the last lap left it."""
    plan = plan_of("copy_user", "driver.burst=1", prefetched_ps=prefetched_ps)
    packets = 12
    assert waits(kind, plan, packets)["descriptor"][Wait.TRANSFER] == packets * (TRANSFER - hidden(plan, "descriptor"))


@both_engines
def test_lines_of_one_window_that_come_still_take_their_turn_on_the_way(kind):
    plan = plan_of("uaccess_batched", f"driver.burst={BURST}", prefetched_ps=PREFETCHED)
    waited = waits(kind, plan, BURST)["window_descriptors"]
    assert waited[Wait.TRANSFER] == TRANSFER - hidden(plan, "window_descriptors") + (BURST_LINES - 1) * STREAM


def test_entries_that_have_lines_of_their_own_bring_none():
    overrides = ["virtqueue.indirect=true", "virtqueue.descriptors_per_packet=8"]
    plan = build_plan(load_scenario(SEED, overrides=overrides), "copy_user", 64)
    brings = {(segment.read.region, segment.brings_next) for segment in plan.segments if segment.read is not None}
    assert {place for place in brings if place[0] in ("desc", "indirect")} == {("desc", True), ("indirect", False)}


def test_a_line_comes_to_who_missed_last_and_until_it_is_written():
    plan = plan_of("copy_user", prefetched_ps=PREFETCHED)
    (segment,) = (one for one in plan.segments if one.read and (one.read.region, one.actor) == ("desc", 0))
    machine, place = Machine(plan), plan.first_line("desc")
    whole, less = (latency - segment.first.hidden_ps for latency in (TRANSFER, PREFETCHED))

    def paid(actor, line):
        machine.overlap_paid_ps = [0] * 3
        access = LineAccess("desc", False, 16, 64 * line, stride=16)
        return machine._read(replace(segment, actor=actor, first=replace(segment.first, access=access)))

    def written(*lines):
        for line in lines:
            access = LineAccess("desc", True, 16, 64 * line)
            machine._write(replace(segment, actor=1, last=replace(segment.last, access=access)), 0)

    assert [paid(0, 0), paid(0, 1), paid(0, 2)] == [whole, less, whole]
    written(0, 1)
    assert [paid(0, 0), paid(2, 1)] == [whole, whole]  # it comes to the first reader
    written(0, 1)
    assert [paid(0, 0), written(0), paid(2, 0), paid(2, 1)] == [whole, None, whole, less]  # to the last one
    written(0, 1)
    assert [paid(0, 0), written(1), paid(0, 1)] == [whole, None, whole]
    assert machine.coming_to[place + 2] == 0


@pytest.mark.parametrize("ring", [64, 256, 4096])  # met again, a line comes from L1, L2 or L3
@pytest.mark.parametrize(("share", "saved_ns"), [(0, 0), (0.5, 50), (1, 100)])
def test_what_comes_is_up_to_a_hit_in_l2(share, saved_ns, ring):
    costs = {"line_transfer": 104, "l1_hit": 1, "l2_hit": 12, "l3_hit": 60}
    given = [f"cpu.primitives.{name}={value}" for name, value in costs.items()]
    case = [*given, "calibration=null", "cpu.core_ghz=3", f"cpu.next_line_prefetch={share}", f"virtqueue.size={ring}"]
    latencies = build_plan(load_scenario(SEED, overrides=case), "vmap", 64).latencies
    assert latencies.prefetched_ps == 1000 * (104 - saved_ns)  # 12 cycles at 3 GHz are 4 ns


def test_siblings_share_the_caches_that_a_line_would_come_into():
    case = ["calibration=null", "cpu.next_line_prefetch=1", "placement.smt_siblings=true"]
    latencies = build_plan(load_scenario(SEED, overrides=case), "vmap", 64).latencies
    assert latencies.prefetched_ps == latencies.transfer_ps


@both_engines
@pytest.mark.parametrize(("burst", "lines"), [(4, 1), (5, 2), (8, 2), (9, 3), (16, 4)])  # 4 descriptors to a line
def test_lines_of_one_window_stream_behind_the_first(kind, burst, lines):
    """The avail ring's own line has come with its index, and is paid for."""
    plan = plan_of("uaccess_batched", f"driver.burst={burst}")
    waited = waits(kind, plan, burst)["window_descriptors"]
    assert waited[Wait.TRANSFER] == TRANSFER - hidden(plan, "window_descriptors") + (lines - 1) * STREAM


# -- where an access lies ---------------------------------------------------------------------------------------------


POWERS = st.integers(0, 9).map(lambda bits: 1 << bits)


def accesses(stride):
    """Accesses with a stride to a ring of any power of two, not longer than the stride or a line."""
    return st.builds(
        LineAccess,
        region=st.just("avail_ring"),
        write=st.just(False),
        bytes=st.integers(1, min(stride or 64, 64)),
        offset=st.integers(0, 200),
        index=st.just(Register.TAKEN) | st.none(),
        times=st.integers(1, 17),
        plus=st.integers(-40, 40),
        modulo=POWERS,
        stride=st.just(stride),
    )


@settings(deadline=None)
@given(access=(POWERS | st.just(0)).flatmap(accesses), index=st.integers(0, 10**9))
def test_a_mask_finds_an_access_where_the_machine_does(access, index):
    """The formula is that of `SEGMENT`; that the loop has it too is what equal traces say."""
    assert is_masked(access)
    (low, length), place = extent(access, index), in_segment("read", access)
    of_register = 0 if access.index is None else index
    found = place["read_offset"] + ((of_register * place["read_scale"] + place["read_plus"]) & place["read_mask"])
    assert (found, found + place["read_last"]) == (low, low + length - 1)
    assert (low + length - 1) // 64 - low // 64 <= 1, "two lines at most"
    assert not access.stride or low + length <= access.offset + access.modulo * access.stride, "not round the end"


def extent(access, index):
    """Return offset and length of an access, as the machine has them."""
    machine = SimpleNamespace(registers={Register.TAKEN: index})
    return Machine.extent(machine, access)


@pytest.mark.parametrize(
    ("changed", "is_found"),
    [
        ({}, True),
        ({"modulo": 96}, False),  # a ring of odd size
        ({"stride": 12, "bytes": 8}, False),
        ({"bytes": 32}, False),  # longer than a stride: the last one goes round
        ({"bytes": 66, "stride": 128}, False),  # up to three lines
        ({"count": Register.TAKEN}, False),  # several at once
    ],
)
def test_other_accesses_are_left_to_the_general_way(changed, is_found):
    element = LineAccess("used_ring", write=False, bytes=8, offset=4, index=Register.TAKEN, modulo=256, stride=8)
    assert is_masked(replace(element, **changed)) == is_found
