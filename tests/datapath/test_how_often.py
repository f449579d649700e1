"""How often something happens once: areas walked, pages mapped, context switches, levels, descriptors of a chain.

Values of the tables are those of Broadwell and of the kernels, times a count that stands in each test.
"""

from __future__ import annotations

import pytest

from sim.config import load_scenario
from sim.datapath import build_plan
from sim.datapath.plan.registers import Register

SEED = "virtio-user-xdp1-tap"
CONTEXT_SWITCH = 1_300_000
IOTLB = ("virtqueue.iotlb=true", "virtqueue.iotlb_entries=1", "virtqueue.iotlb_updates_per_second=1000")


def plan_of(access, *overrides, name=SEED):
    bare = ["calibration=null", f"access={access}", "traffic.packet_bytes=64"]
    return build_plan(load_scenario(name, overrides=[*bare, *overrides]), access, 64)


def row(plan, label, actor="worker"):
    (row,) = (row for row in plan.rows if row.label == label and row.actor == actor)
    return row


def part(row, primitive):
    """Return how many of a primitive a row pays for, and what they cost."""
    parts = [part for part in row.components + row.unit_components if part.primitive == primitive]
    return sum(part.count for part in parts), sum(part.cost_ps for part in parts)


def step(kernel, name):
    return load_scenario(SEED, overrides=[f"kernel={kernel}"]).kernel.steps[name].instructions.value


# -- context switches -------------------------------------------------------------------------------------------------


def test_a_preemption_switches_to_the_other_task_and_back():
    preempted = row(plan_of("vmap", "placement={preempted_us: 300, preempted_every_us: 3000}"), "preempted")
    assert part(preempted, "context_switch") == (2, 2 * CONTEXT_SWITCH)
    assert preempted.cost_ps == 300 * 1_000_000 + 2 * CONTEXT_SWITCH


def test_a_worker_that_is_scheduled_out_switches_once():
    out = row(plan_of("vmap", "device.schedule_out=true"), "schedule_out")
    assert part(out, "context_switch") == (1, CONTEXT_SWITCH)
    assert out.cost_ps == CONTEXT_SWITCH


def test_a_core_that_serves_several_workers_switches_once_for_each_visit():
    plan = plan_of("vmap", "queues={pairs: 2, workers: each, cores: 1}")
    for label in ("take_work", "take_work#1"):
        assert row(plan, label).cost_ps == CONTEXT_SWITCH
    shared = plan_of("vmap", "queues={pairs: 2, workers: shared}")
    assert row(shared, "take_work").cost_ps == row(shared, "take_work#1").cost_ps == 0


# -- areas and pages --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["split", "packed"])
def test_the_prefetch_walks_three_areas(layout):
    """Descriptor area, driver area, device area."""
    prefetch = row(plan_of("copy_user", *IOTLB, f"virtqueue.layout={layout}"), "iotlb_prefetch")
    assert prefetch.instructions == pytest.approx(3 * step("v5.0", "iotlb_prefetch"))


@pytest.mark.parametrize(("in_order", "areas"), [("", 2), ("avail", 1), ("full", 1), ("used", 2)])
def test_a_window_translates_the_areas_that_it_reads(in_order, areas):
    """Avail ring and descriptors; a device that knows the order reads no avail ring."""
    order = ["virtqueue.in_order=true", f"virtqueue.in_order_device={in_order}"] if in_order else []
    translate = row(plan_of("uaccess_batched", *IOTLB, *order), "window_translate")
    assert translate.instructions == pytest.approx(areas * step("v5.0", "iotlb_cache_hit"))


@pytest.mark.parametrize(("size", "pages"), [(256, 1), (512, 2), (1024, 3)])
def test_a_round_marks_each_page_of_the_used_ring_dirty(size, pages):
    """4 + 8 n + 2 bytes: 2054, 4102 and 8198. Two locked operations per page."""
    rows = plan_of("vmap_notifier", f"virtqueue.size={size}").rows
    (once,) = (row for row in rows if row.title == "vmap_notifier: once per round")
    assert part(once, "lock_rmw")[0] == 2 * pages
    assert part(once, "call")[0] == 3 * pages


@pytest.mark.parametrize(("layout", "pages"), [("split", 8), ("packed", 6)])
def test_a_mapping_is_torn_down_by_area_and_made_again_by_area_and_page(layout, pages):
    """Of 1024: 16 n, 4 + 2 n + 2 and 4 + 8 n + 2 bytes are 4, 1 and 3 pages; packed 16 n bytes and two structures."""
    storm = ("memory.invalidations_per_second=1000", "virtqueue.size=1024", f"virtqueue.layout={layout}")
    plan = plan_of("vmap_notifier", *storm)
    assert part(row(plan, "teardown", actor="notifier"), "vunmap")[0] == 3
    assert part(row(plan, "map_again"), "vmap_fixed") == (3, 3 * 1_200_000)
    assert part(row(plan, "map_again"), "vmap_page")[0] == pages


# -- lookups and descriptors ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("descriptors", [1, 2, 3])
def test_a_chain_reads_each_of_its_descriptors_once(descriptors):
    chain = f"virtqueue.descriptors_per_packet={descriptors}"
    plan = plan_of("copy_user", chain, "virtqueue.indirect=false")
    read = [row for row in plan.rows if row.accessor == "descriptor_read"]
    assert [row.access.plus for row in read] == list(range(descriptors))
    table = plan_of("copy_user", chain, "virtqueue.indirect=true")
    entries = [row for row in table.rows if row.accessor == "indirect_descriptor_read"]
    assert [row.access.offset for row in entries] == [16 * number for number in range(descriptors)]


def test_used_elements_that_wrap_are_written_in_two_parts():
    plan = plan_of("copy_user")
    once, twice = (part(row(plan, label), "stac")[0] for label in ("used_elements", "used_wrapped"))
    assert (once, twice) == (1, 2)


@pytest.mark.parametrize(("interval_us", "looks"), [(1, 1e6), (50, 50e6)])
def test_polling_looks_as_often_as_its_time_allows(interval_us, looks):
    plan = plan_of("copy_user", f"device.busyloop_timeout_us={interval_us}")
    poll = row(plan, "poll")
    each_ps = poll.cost_ps + max(0, plan.latencies.near_hit_ps - poll.hidden_ps)
    assert looks / each_ps == pytest.approx(plan.initial[Register.POLL_LIMIT], abs=0.5)


@pytest.mark.parametrize(("frame", "packets"), [(64, 256), (2036, 256), (2037, 256), (2048, 255), (9000, 59)])
def test_a_round_ends_after_256_packets_or_512_kib(frame, packets):
    """VHOST_NET_PKT_WEIGHT and VHOST_NET_WEIGHT: 524288 / (12 + frame), and the packet that reaches it is the last."""
    bare = ["calibration=null", "access=copy_user", f"traffic.packet_bytes={frame}"]
    rows = build_plan(load_scenario(SEED, overrides=bare), "copy_user", frame).rows
    tests = [jump.test for row in rows for jump in row.jumps if jump.test and jump.test.left == Register.SENT_PKTS]
    assert {(test.relation, test.constant, test.right) for test in tests} == {(">=", packets, None)}
