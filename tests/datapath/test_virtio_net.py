"""The Linux driver (kernel-accesses.md D.2), and calls to it (B.1: notification check, eventfd)."""

from __future__ import annotations

from collections import Counter

import pytest

from sim.config import load_scenario
from sim.datapath import build_plan
from sim.engine import simulate
from sim.engine.reference import ReferenceEngine

SEED = "virtio-user-xdp1-tap"


def load(*overrides):
    return load_scenario(SEED, overrides=["access=copy_user", "driver.kind=virtio-net", *overrides])


def point(*overrides, packets=30_000):
    scenario = load(*overrides, f"run.packets={packets}")
    return simulate(build_plan(scenario, "copy_user", 64), scenario.run)


def driver_steps(*overrides, packets=400):
    """Labels of the rows that the driver ends, in order."""
    plan = build_plan(load(*overrides), "copy_user", 64, apart=True)
    engine = ReferenceEngine(plan, 10**9)
    engine.trace = []
    engine.run(packets)
    driver = plan.actors.index("driver")
    return [plan.rows[plan.segments[step.segment].rows[0]].label for step in engine.trace if step.actor == driver]


@pytest.mark.parametrize("event_idx", ["true", "false"])
def test_each_packet_writes_its_descriptor_its_slot_and_the_index_and_reads_the_used_index(event_idx):
    steps = driver_steps(f"virtqueue.event_idx={event_idx}", "driver.burst=8")
    counts = Counter(steps)
    for label in ("fill", "write_chain", "write_slot", "publish"):
        assert abs(counts[label] - counts["xmit"]) <= 1, label
    place = steps.index("fill")
    assert steps[place : place + 4] == ["fill", "write_chain", "write_slot", "publish"]


def test_the_device_is_asked_once_in_an_xmit_more_batch():
    counts = Counter(driver_steps("virtqueue.event_idx=true", "driver.burst=8", "driver.stack_cost=2000"))
    assert counts["kick_barrier"] == counts["kick_check"]
    assert counts["kick_check"] == pytest.approx(counts["publish"] / 8, abs=1)


@pytest.mark.parametrize(("descriptors", "regions"), [(1, {"desc"}), (2, {"desc", "indirect"})])
def test_an_indirect_table_only_for_more_than_one_descriptor(descriptors, regions):
    plan = build_plan(
        load("virtqueue.indirect=true", f"virtqueue.descriptors_per_packet={descriptors}"), "copy_user", 64
    )
    assert set(plan.regions) - {"avail", "used"} == regions


def test_a_kick_is_an_exit_in_a_virtual_machine_and_a_system_call_outside():
    def primitives(*overrides):
        rows = build_plan(load_scenario(SEED, overrides=overrides), "copy_user", 64, apart=True).rows
        (kick,) = [row for row in rows if row.label == "kick"]
        return [part.primitive for part in kick.components]

    assert primitives("driver.kind=virtio-net") == primitives("driver.in_vm=true") == ["vm_exit_kick"]
    assert primitives() == primitives("driver.kind=virtio-net", "driver.in_vm=false") == [
        "syscall",
        "pti",
        "eventfd_signal",
    ]  # fmt: skip


def test_a_driver_slower_than_the_worker_gives_it_single_packets():
    """D.2: r for vhost can be 1 when vhost is faster than the guest."""
    slow = point("driver.stack_cost=1000", "virtqueue.event_idx=true", "device.busyloop_timeout_us=50").row_rates
    assert slow["worker.poll_over"] == 0  # never asleep
    assert slow["worker.flush"] == pytest.approx(1, rel=0.05)


FAST = ("driver.stack_cost=1", "driver.burst=32")


def test_with_a_full_ring_a_call_comes_after_three_quarters_of_it():
    rates = point(*FAST, "virtqueue.event_idx=true").row_rates
    # Stopped below 19 free of 256: 238 posted; a call at the flush that passes 3/4 of them.
    posted = 256 - 19 + 1
    assert 1 / posted <= rates["worker.call"] <= 1 / (posted * 3 // 4) * 1.02
    assert rates["driver.wait_call"] == pytest.approx(rates["worker.call"], rel=0.05)


def test_without_event_idx_a_stopped_queue_is_called_by_the_next_flush():
    rates = point(*FAST, "virtqueue.event_idx=false").row_rates
    assert rates["driver.wait_call"] > 1 / 100  # a flush is 64 packets
    assert rates["worker.call"] >= rates["driver.wait_call"] * 0.98
    assert rates["driver.wait_off"] == pytest.approx(rates["driver.wait_call"], rel=0.01)


def test_a_driver_that_polls_is_never_called():
    plan = build_plan(load_scenario(SEED, overrides=["virtqueue.event_idx=true"]), "copy_user", 64)
    assert "call" not in {row.label for row in plan.rows}


def busy_ns(found):
    """Time of the worker per packet that is not waiting for others."""
    return sum(time for name, time in found.breakdown_ps.items() if name != "idle") / found.packets / 1e3


@pytest.mark.parametrize("event_idx", ["true", "false"])
@pytest.mark.parametrize("driver", ["virtio-user", "virtio-net"])
def test_at_low_load_a_packet_costs_more_because_nothing_is_batched(driver, event_idx):
    loads = ("20000", "1000000", "saturate")
    overrides = (f"driver.kind={driver}", f"virtqueue.event_idx={event_idx}", "driver.stack_cost=60")
    low, middle, full = (point(*overrides, f"traffic.load={pps}", packets=8000) for pps in loads)
    assert busy_ns(low) > 2 * busy_ns(middle) > 2 * busy_ns(full)
    # Each packet on its own: a kick, a wake-up, a flush, a drain.
    for label in ("driver.kick", "worker.idle", "worker.flush", "worker.enable"):
        assert low.row_rates[label] == pytest.approx(1, abs=0.05), label
        assert full.row_rates[label] < 0.05, label


def test_a_polling_worker_is_not_kicked_and_answers_sooner():
    low = ("virtqueue.event_idx=true", "traffic.load=50000")
    asleep, polling = point(*low, packets=4000), point(*low, "device.busyloop_timeout_us=50", packets=4000)
    assert asleep.row_rates["driver.kick"] == pytest.approx(1, abs=0.01)
    assert polling.row_rates["driver.kick"] == pytest.approx(0, abs=0.01)
    assert asleep.latency_us["p50"] - polling.latency_us["p50"] > 1.5  # the wake-up
    assert polling.utilisation["worker"] == pytest.approx(1, abs=0.01)
    assert polling.bound_by == "load"


def test_a_poll_ends_when_its_time_is_over():
    found = point("traffic.load=10000", "device.busyloop_timeout_us=20", packets=1000)
    # 100 us between packets, of which 20 are polled
    assert found.row_times_ps["worker.poll"] == pytest.approx(20e6, rel=0.01)
    assert found.row_rates["worker.idle"] == pytest.approx(1, abs=0.01)


def test_being_switched_out_delays_what_comes_meanwhile():
    low = ("traffic.load={kind: poisson, pps: 100000}", "run.seed=3")
    at_once, later = point(*low), point(*low, "device.schedule_out=true")
    assert later.row_rates["worker.schedule_out"] == pytest.approx(later.row_rates["worker.idle"], rel=0.01)
    assert later.latency_us["p99"] > at_once.latency_us["p99"]
