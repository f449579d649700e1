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


# -- receive ----------------------------------------------------------------------------------------------------------

RX = "qemu-rx"


def received(*overrides, size=64, **others):
    return point(*overrides, size=size, **{"name": RX, **others})


def rows_of(name, access, *overrides, size=64):
    plan = build_plan(load(*overrides, name=name), access, size, apart=True)
    return {row.label: row for row in plan.rows if row.actor == "worker"}


def test_each_packet_is_read_copied_twice_and_given_back_by_itself():
    rates = received().row_rates
    for label in ("read", "tun", "read_copy", "free", "head", "element", "payload_out", "used_one", "used_index"):
        assert rates[f"worker.{label}"] == pytest.approx(1), label
    assert rates["worker.again"] == pytest.approx(1 / 50, rel=0.02)  # a turn of the loop per full visit
    assert rates["worker.idle_socket"] == rates["worker.idle"] == 0


def test_what_is_behind_the_read_is_what_vhost_has_behind_its_recvmsg():
    mine, of_vhost = rows_of(RX, "user_ring"), rows_of("qemu-rx-vhost", "copy_user")
    for own, counted in (("header_copy", "header_copy"), ("read_copy", "payload_copy"), ("free", "free")):
        assert mine[own].instructions == of_vhost[counted].instructions, own
    assert mine["tun"].instructions == of_vhost["tun"].instructions
    assert primitives(mine["read_copy"])["copy_bytes"] == primitives(mine["payload_out"])["copy_bytes"] == 64
    assert "stac" in primitives(mine["read_copy"])
    assert primitives(mine["payload_out"]).keys() == {"user_instruction", "copy_bytes"}


def test_a_large_packet_takes_several_buffers_each_with_its_element():
    size = 9000
    buffers = -(-(size + 12) // 1536)
    rates = received(size=size).row_rates
    assert rates["worker.element"] == rates["worker.descriptor"] == pytest.approx(buffers)
    assert rates["worker.used_index"] == pytest.approx(1)


def test_a_packet_now_and_then_costs_a_wake_up_two_reads_and_a_call():
    low = received("traffic.load=20000").row_rates
    assert low["worker.read"] == pytest.approx(2, abs=0.01)  # the second finds nothing
    assert low["worker.poll_socket"] == low["worker.idle_socket"] == pytest.approx(1, abs=0.01)
    assert low["worker.call"] == pytest.approx(1, abs=0.01)


def test_without_buffers_a_packet_waits_in_qemu_until_the_guest_kicks():
    slow = received("driver.packet_cost=5000", "virtqueue.size=16")
    assert slow.bound_by == "driver"
    rates = slow.row_rates
    assert rates["driver.kick"] == pytest.approx(rates["worker.idle"] + rates["worker.kicked"], rel=0.05)
    assert rates["worker.read"] == pytest.approx(1, abs=0.1)  # what waited is not read again
    assert rates["worker.deliver"] == pytest.approx(1 + rates["worker.end_sleep"] + rates["worker.found"], rel=0.02)


@pytest.mark.parametrize(("when_full", "kind"), [("drop", "skb"), ("wait", "skb"), ("drop", "xdp_frame")])
def test_what_it_cannot_carry_is_lost_in_front_of_it(when_full, kind):
    source = (f"receive.source.when_full={when_full}", f"receive.source.kind={kind}")
    busy = received("traffic.load={kind: constant, pps: 4000000, backlog: 64}", *source)
    assert busy.bound_by == "worker"
    assert busy.dropped > 0
    assert busy.pps == pytest.approx(received(*source).pps, rel=0.05)


@pytest.mark.parametrize("size", SIZES)
def test_vhost_receives_faster_and_the_reads_and_calls_are_most_of_it(size):
    without, with_vhost = received(size=size), point(size=size, name="qemu-rx-vhost", access="copy_user")
    saved_ns = 1e9 / without.pps - 1e9 / with_vhost.pps
    border = ("syscall", "pti", "verw")
    read = rows_of(RX, "user_ring", size=size)["read"]
    reads_ns = sum(part.cost_ps for part in read.components if part.primitive in border) / 1e3
    assert saved_ns > reads_ns > 0.4 * saved_ns


def test_several_senders_share_the_queue_that_it_reads():
    two = received("receive.source.senders=2")
    assert two.bound_by == "worker"
    assert two.pps == pytest.approx(received().pps, rel=0.05)


# -- packed rings and IN_ORDER ----------------------------------------------------------------------------------------

PACKED, IN_ORDER = "virtqueue.layout=packed", "virtqueue.in_order=true"

both_directions = pytest.mark.parametrize("name", ["qemu-tx", RX])


@both_directions
def test_a_packed_ring_is_reached_by_loads_and_stores_too(name):
    ring = [row for row in rows_of(name, "user_ring", PACKED).values() if (row.accessor or "").startswith("packed_")]
    assert len(ring) >= 5
    for row in ring:
        assert {part.primitive for part in (*row.components, *row.unit_components)} <= {"load", "store", "branch"}
        assert not row.function.startswith("vhost"), row.label
        assert "_split_" not in row.function


@both_directions
@pytest.mark.parametrize("size", SIZES)
def test_in_order_reads_no_avail_ring(name, size):
    plain, ordered = (rows_of(name, "user_ring", *more, size=size) for more in ((), (IN_ORDER,)))
    assert plain["head"].access is not None
    assert ordered["head"].access is None


def test_in_order_writes_one_used_element_for_all_buffers_of_a_packet():
    plain, ordered = (rows_of(RX, "user_ring", *more, size=9000)["used_one"] for more in ((), (IN_ORDER,)))
    assert primitives(plain)["store"] == 6 * primitives(ordered)["store"]


@both_directions
@pytest.mark.parametrize("ring", [(PACKED,), (IN_ORDER,), (PACKED, IN_ORDER)])
@pytest.mark.parametrize("event_idx", ["true", "false"])
def test_whatever_the_ring_all_that_is_sent_comes_back(name, ring, event_idx):
    low = point(*ring, f"virtqueue.event_idx={event_idx}", "traffic.load=100000", "virtqueue.size=32", name=name)
    assert low.pps == pytest.approx(100_000, rel=0.01)
    assert low.dropped == 0
    full = point(*ring, f"virtqueue.event_idx={event_idx}", name=name)
    assert full.bound_by == "worker"
    assert full.pps == pytest.approx(point(f"virtqueue.event_idx={event_idx}", name=name).pps, rel=0.1)
