"""Which way a packet takes (kernel-accesses.md B.0), and what is behind the worker."""

from __future__ import annotations

import pytest

import sim
from sim.config import ConfigError, load_scenario
from sim.datapath import build_plan
from sim.datapath.host.sink import sink_ns
from sim.datapath.plan.registers import Register
from sim.datapath.vhost_net.path import round_packets, transmit_path
from sim.engine import simulate
from sim.engine.fast import FastEngine
from sim.engine.reference import ReferenceEngine

SEED = "virtio-user-xdp1-tap"
WIRE = 24


def load(*overrides):
    return load_scenario(SEED, overrides=["access=copy_user", *overrides])


def point(*overrides, packet_bytes=64, packets=20_000):
    scenario = load(*overrides, f"run.packets={packets}")
    return simulate(build_plan(scenario, "copy_user", packet_bytes), scenario.run)


@pytest.mark.parametrize(
    ("overrides", "largest"),
    [((), 3392 - 12), (("backend.kind=tap-skb",), 3648 - 12)],  # B.0: vnet header included there
)
def test_the_largest_packet_of_the_xdp_path(overrides, largest):
    scenario = load(*overrides)
    assert transmit_path(scenario, largest).batched
    assert not transmit_path(scenario, largest + 1).batched
    assert transmit_path(scenario, largest + 1).gives_back == "before-send"


@pytest.mark.parametrize(
    ("overrides", "size", "expected"),
    [
        ((), 64, (True, "build", "batch", False)),
        (("device.xdp_batching=false",), 64, (False, "build", "batch", False)),
        (("device.sndbuf_limited=true",), 64, (False, "alloc", "batch", False)),
        (("device.sndbuf_limited=true",), 9000, (False, "alloc", "batch", False)),
        (("device.xdp_batching=false", "backend.kind=macvtap"), 64, (False, "alloc", "batch", False)),
        (("backend.kind=macvtap",), 64, (True, "build", "batch", False)),
        (("device.zerocopy_tx=true",), 243, (False, "build", "each", False)),  # with the vnet header, 255 bytes
        (("device.zerocopy_tx=true",), 244, (False, "build", "each", True)),
        (("device.zerocopy_tx=true",), 9000, (False, "alloc", "each", True)),
    ],
)
def test_the_path_of_a_packet(overrides, size, expected):
    path = transmit_path(load(*overrides), size)
    assert (path.batched, path.buffer, path.gives_back, path.zerocopy) == expected


@pytest.mark.parametrize(("size", "packets"), [(64, 256), (2036, 256), (2037, 256), (4084, 128), (65535, 8)])
def test_a_round_ends_after_256_packets_or_half_a_mebibyte(size, packets):
    assert round_packets(load(), size) == packets == min(256, -(-0x80000 // (12 + size)))


def test_where_pages_cannot_be_kept_one_packet_in_64_tries():
    rates = point("device.zerocopy_tx=true", packet_bytes=1500).row_rates
    assert rates["worker.pin_send"] == pytest.approx(1 / 64, rel=0.02)
    assert rates["worker.pin_orphan"] == rates["worker.pin_send"]
    assert rates["worker.copy_it"] == pytest.approx(63 / 64, rel=0.02)


def bridged(*overrides):
    return ("device.zerocopy_tx=true", "backend.kind=tap-bridge", *overrides)


def test_with_a_fast_nic_every_packet_goes_by_zero_copy():
    rates = point(*bridged("backend.line_gbps=400"), packet_bytes=1500).row_rates
    assert rates["worker.pin_send"] == pytest.approx(1, rel=0.01)
    assert rates.get("worker.copy_it", 0) == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("limit", [1, 16, 128])
def test_no_more_than_the_limit_and_one_are_under_way(limit):
    scenario = load(*bridged("backend.line_gbps=1", f"device.max_pending={limit}"))
    most = []

    def look(machine, segment):
        most.append(machine.registers[Register.UPEND_IDX] - machine.registers[Register.ZEROCOPY_DONE_IDX])

    ReferenceEngine(build_plan(scenario, "copy_user", 1500), 10**9, before_row=look).run(3000)
    # vhost_exceeds_maxpend tells more than the limit, which is at most a quarter of the ring
    assert max(most) == min(limit, 256 // 4) + 1


def test_in_order_buffers_that_come_back_out_of_order_are_refused():
    in_order = ("virtqueue.in_order=true", "device.zerocopy_tx=true")
    with pytest.raises(ConfigError, match=r"virtqueue\.in_order: zero copy and tap-bridge give buffers back"):
        point(*in_order, "backend.kind=tap-bridge", packet_bytes=1500)
    assert point(*in_order, packet_bytes=1500).pps > 0  # copied after all: nothing is overtaken


def test_above_the_limit_packets_are_copied_and_the_line_stays_full():
    point_ = point(*bridged("backend.line_gbps=10", "device.max_pending=4"), packet_bytes=1500)
    assert point_.row_rates["worker.copy_it"] > 0.9  # five of the 1024 frames in the queue are pinned
    assert point_.bound_by == "nic"


def test_every_pinned_frame_comes_back():
    plan = build_plan(load(*bridged("backend.line_gbps=10"), "driver.kind=lockstep"), "copy_user", 1500)
    engine = FastEngine(plan, 10**9)
    engine.run(32 * 500)
    registers = engine.machine.registers
    assert registers[Register.UPEND_IDX] == registers[Register.ZEROCOPY_COMPLETED] > 0
    assert registers[Register.RING_USED_IDX] == registers[Register.RING_AVAIL_IDX]


@pytest.mark.parametrize("kind", ["tap-xdp-redirect", "tap-bridge"])
@pytest.mark.parametrize(
    ("size", "on_the_wire"),
    [
        (14, 60 + WIRE),
        (64, 64 + WIRE),
        (1518, 1518 + WIRE),
        (1519, 1519 + 54 + 2 * WIRE),
        (65535, 65535 + 44 * 54 + 45 * WIRE),  # 65481 bytes behind the headers, 1464 in a frame
    ],
)
def test_a_slow_line_gives_the_line_rate(kind, size, on_the_wire):
    found = point(f"backend.kind={kind}", "backend.line_gbps=0.5", packet_bytes=size)
    assert found.pps == pytest.approx(0.5e9 / (8 * on_the_wire), rel=2e-3)
    assert found.bound_by == "nic"


def test_each_size_of_a_mix_takes_its_own_time_on_the_line():
    """A frame of 14 bytes is padded to 60, one of 2000 is cut into two."""
    mix = "traffic.mix={bytes: [14, 100, 2000], weights: [2, 1, 1]}"
    on_the_wire = (2 * (60 + WIRE) + 100 + WIRE + 2000 + 54 + 2 * WIRE) / 4
    found = sink_ns(load("backend.kind=tap-bridge", "backend.line_gbps=10", mix), (2 * 14 + 100 + 2000) // 4)
    assert found == pytest.approx(8 * on_the_wire / 10)


def test_a_line_of_10_gbit_carries_14_2_million_frames_of_64_bytes():
    found = sink_ns(load("backend.kind=tap-bridge", "backend.line_gbps=10"), 64)
    assert 1e9 / found == pytest.approx(14.2e6, rel=1e-3)  # DESIGN 6b.12


def test_a_slow_reader_gives_its_rate():
    found = point("backend.kind=tap-skb", "backend.receiver_cost=1000", "backend.receiver_byte_cost=0.5")
    assert found.ns_per_packet == pytest.approx(1000 + 64 * 0.5, rel=2e-3)
    assert found.bound_by == "receiver"


def test_the_host_stack_is_work_of_the_worker():
    without, with_it = (point("backend.kind=tap-skb", f"backend.stack_cost={ns}") for ns in (0, 300))
    assert with_it.ns_per_packet - without.ns_per_packet == pytest.approx(300, rel=5e-3)
    assert with_it.breakdown_ps["given_time"] / with_it.packets == pytest.approx(300_000, rel=5e-3)


def test_a_size_sweep_goes_through_to_the_largest_segment():
    scenario = load_scenario("virtio-user-large-packets", overrides=["run.packets=4000"])
    rates = [one.pps for one in sim.run(scenario).points if one.access == "copy_user"]
    assert len(rates) == 10
    assert rates == sorted(rates, reverse=True)


def test_a_scattered_packet_takes_a_descriptor_for_each_page():
    scenario = load("driver.scatter_bytes=4096", "virtqueue.descriptors_per_packet=2")
    for size, descriptors in ((64, 2), (4096, 2), (4097, 3), (65535, 17)):
        rows = [row for row in build_plan(scenario, "copy_user", size, apart=True).rows if row.access is not None]
        assert sum(row.accessor == "descriptor_read" for row in rows) == descriptors
