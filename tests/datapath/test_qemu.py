"""QEMU's virtio-net without vhost: a system call for each packet, and what vhost=on brings."""

from __future__ import annotations

import pytest

from sim.config import load_scenario
from sim.config.tables.vocabulary import PRICED_BY_CPI
from sim.datapath import build_plan
from sim.engine import simulate
from sim.study.runs.case import executed

SIZES = (64, 1518)


def load(*overrides, name="qemu-tx"):
    return load_scenario(name, overrides=overrides)


def point(*overrides, size=64, name="qemu-tx", access="user_ring"):
    scenario = load("run.packets=20000", *overrides, name=name)
    return simulate(build_plan(scenario, access, size), scenario.run)


def rows(*overrides, size=64):
    plan = build_plan(load(*overrides), "user_ring", size, apart=True)
    return {row.label: row for row in plan.rows if row.actor == "worker"}


def primitives(row):
    return {part.primitive: part.count for part in row.components}


def test_each_packet_is_written_and_given_back_by_itself():
    rates = point().row_rates
    for label in ("head", "element", "writev", "program", "used_one", "used_index", "notify_check"):
        assert rates[f"worker.{label}"] == 1, label
    assert rates["worker.again"] == pytest.approx(1 / 256, rel=0.1)  # a turn of the loop per full burst
    assert rates["worker.idle"] == 0


def test_the_ring_is_read_without_user_accesses_and_without_instructions_that_were_counted_in_vhost():
    of_ring = ("refill", "head", "descriptor", "used_one", "used_index", "notify_check", "enable", "recheck")
    for label in of_ring:
        row = rows()[label]
        assert not row.function.startswith("vhost"), label
        assert set(primitives(row)) <= {"load", "store", "branch"}, label
        assert row.instructions <= 5, label


def test_a_write_executes_what_was_counted_of_one():
    """1035 instructions of a native write of 64 bytes (returns-and-functions.md), the program's own work apart."""
    off = ("mitigations.retpoline=false", "cpu.features.fsrm=true", "backend.program_instructions=0")
    frame = load_scenario("tap-write", overrides=(*off, "mitigations.spec_rstack_overflow=false"))
    counted = executed(build_plan(frame, "copy_user", 64), frame)["instructions"]
    assert counted == pytest.approx(1035)
    labels = ("writev", "write", "send", "header_copy", "build", "payload_copy", "program")
    of_write = rows(*off, "mitigations.hardened_usercopy=true")
    assert sum(of_write[label].instructions for label in labels) == pytest.approx(counted)


def test_its_own_work_is_an_entry_that_a_bound_loop_pays_in_full():
    base, more = point("device.element_instructions=800"), point("device.element_instructions=1800")
    cpu = load().cpu
    assert base.bound_by == more.bound_by == "worker"
    added_ns = 1000 * cpu.cpi.value / cpu.core_ghz.value
    assert 1e9 / more.pps - 1e9 / base.pps == pytest.approx(added_ns, rel=0.03)


def test_what_a_kernel_executes_more_is_none_of_its_own_work():
    cpu = load().cpu
    for label, key in (("element", "element_instructions"), ("again", "loop_instructions")):
        wanted = getattr(load().device, key).value
        for scale in ("0.8", "1.2"):
            (own,) = (
                part for part in rows(f"kernel.work_scale={scale}")[label].components if part.primitive in PRICED_BY_CPI
            )
            assert (own.primitive, own.count) == ("user_instruction", wanted)
            assert own.cost_ps == round(wanted * cpu.cpi.value * 1e3 / cpu.core_ghz.value)


def test_a_single_packet_costs_a_wake_up_and_two_system_calls_besides_its_write():
    low = point("traffic.load=20000")
    assert low.row_rates["worker.idle"] + low.row_rates["worker.kicked"] == pytest.approx(1, rel=0.02)
    assert primitives(rows()["idle"])["syscall"] == primitives(rows()["kicked"])["syscall"] == 2


@pytest.mark.parametrize("event_idx", ["true", "false"])
def test_what_the_driver_sends_is_what_comes_back(event_idx):
    done = point(f"virtqueue.event_idx={event_idx}", "virtqueue.size=64", "driver.packet_cost=1000")
    assert done.row_rates["worker.used_index"] == pytest.approx(1)
    assert done.pps > 1e5


@pytest.mark.parametrize("size", SIZES)
def test_vhost_is_faster_and_the_system_calls_are_most_of_it(size):
    without, with_vhost = point(size=size), point("kernel=v6.12", size=size, name="virtio-net-xdp1-tap", access="vmap")
    saved_ns = 1e9 / without.pps - 1e9 / with_vhost.pps
    border = ("syscall", "pti", "verw")
    calls_ns = sum(part.cost_ps for part in rows(size=size)["writev"].components if part.primitive in border) / 1e3
    assert saved_ns > calls_ns > 0.5 * saved_ns


@pytest.mark.parametrize("way", [(), ("device.sndbuf_limited=true",)])
def test_large_frames_and_limited_send_buffers_are_skbs(way):
    size = 64 if way else 4000
    labels = rows(*way, size=size)
    assert {"skb", "expand"} <= labels.keys()
    assert "build" not in labels
