"""The receive path as a machine: what batching, wake-ups, drops and interrupts do to it."""

from __future__ import annotations

from itertools import pairwise

import pytest

from sim.config import load_scenario
from sim.config.errors import ConfigError
from sim.datapath import build_plan
from sim.engine import simulate
from sim.study.runs.case import executed

SCENARIO = "virtio-user-receive-skb"


def point(*overrides: str, access: str = "copy_user", packet_bytes: int = 64):
    settings = ("run.packets=20000", f"traffic.packet_bytes={packet_bytes}", *overrides)
    scenario = load_scenario(SCENARIO, overrides=settings)
    return simulate(build_plan(scenario, access, packet_bytes), scenario.run)


def per_packet(result, row: str) -> float:
    return result.row_rates[row]


def test_batching_disappears_at_low_load():
    """Instructions, avail-index reads and flushes per packet rise, one wake-up per packet in the end."""
    points = [point(f"traffic.load={rate}") for rate in (3_000_000, 1_000_000, 100_000)]
    for more, less in pairwise(points):
        assert less.instructions_per_packet > more.instructions_per_packet
        assert per_packet(less, "worker.used_index") > per_packet(more, "worker.used_index")
        assert less.transfers["avail"] > more.transfers["avail"]
    assert per_packet(points[-1], "worker.idle_socket") == pytest.approx(1, abs=0.01)
    assert per_packet(points[-1], "source.wake") == pytest.approx(1, abs=0.01)
    assert point().row_rates["worker.idle_socket"] == 0


def test_more_than_the_worker_carries_is_dropped_in_front_of_a_full_ptr_ring():
    carried, offered = point(), point("traffic.load=6000000", "run.packets=60000")
    assert offered.dropped > 0
    assert offered.bound_by == "worker"
    assert offered.pps == pytest.approx(carried.pps, rel=0.01)
    assert carried.dropped == 0


def test_a_longer_ptr_ring_waits_longer_and_carries_no_more():
    short, long = (point(f"receive.source.queue={queue}") for queue in (100, 1000))
    assert long.latency_us["p50"] > 5 * short.latency_us["p50"]
    assert long.pps == pytest.approx(short.pps, rel=0.01)


@pytest.mark.parametrize("kind", ["skb", "xdp_frame"])
def test_taking_packets_one_by_one_costs_a_lock_each(kind):
    together, single = (point(f"receive.source.kind={kind}", f"receive.ring_batch={n}") for n in (64, 1))
    cpu = load_scenario(SCENARIO).cpu  # a packet's work lies between two locks, and hides what can be hidden
    lock = cpu.primitives["spin_lock"].value - cpu.serialisation.lock_hidden.value
    locks = [one.breakdown_cycles["spin_lock"] for one in (together, single)]
    assert locks == pytest.approx([lock / 64, lock], rel=0.01)
    assert single.cycles_per_packet > together.cycles_per_packet + lock * 63 / 64


def test_slots_are_fetched_a_line_at_a_time_when_packets_wait_and_each_alone_when_they_do_not():
    assert point().transfers["ptr_ring"] == pytest.approx(8 / 64, rel=0.02)
    assert point("traffic.load=100000").transfers["ptr_ring"] >= 1


def test_a_frame_has_fewer_lines_than_an_skb():
    skb, frame = (point(f"receive.source.kind={kind}") for kind in ("skb", "xdp_frame"))
    assert skb.transfers["packet"] == pytest.approx(1 + 3, rel=0.02)  # the length; head, end and shared info
    assert frame.transfers["packet"] == pytest.approx(1, rel=0.02)
    assert frame.pps > skb.pps


@pytest.mark.parametrize("event_idx", ["false", "true"])
def test_napi_is_interrupted_once_per_packet_at_low_load_and_seldom_when_busy(event_idx):
    linux = ("driver.kind=virtio-net", f"virtqueue.event_idx={event_idx}")
    assert per_packet(point(*linux, "traffic.load=100000"), "worker.call") == pytest.approx(1, abs=0.01)
    # A guest that is slower than the worker stays in its poll.
    slow = point(*linux, "driver.packet_cost=1000")
    assert per_packet(slow, "worker.call") < 0.01
    assert slow.bound_by == "driver"


def test_a_kick_is_an_exit_only_where_the_driver_runs_in_a_virtual_machine():
    def primitives(*overrides: str) -> list[str]:
        scenario = load_scenario(SCENARIO, overrides=["driver.kind=virtio-net", *overrides])
        (kick,) = (row for row in build_plan(scenario, "copy_user", 64).rows if row.label == "kick")
        return [part.primitive for part in kick.components]

    assert primitives() == ["vm_exit_kick"]
    assert primitives("driver.in_vm=false") == ["syscall", "pti", "eventfd_signal"]


def test_a_polling_guest_is_never_interrupted():
    assert point("traffic.load=100000").row_rates["worker.call"] == 0


def test_a_guest_that_is_slower_than_the_worker_makes_it_run_out_of_buffers_and_kicks_it():
    slow = point("driver.packet_cost=2000")
    assert slow.bound_by == "driver"
    assert per_packet(slow, "worker.enable") > 0
    assert per_packet(slow, "driver.kick") > 0


@pytest.mark.parametrize("access", ["copy_user", "vmap"])
def test_large_packets_take_more_buffers_and_less_time_per_byte(access):
    small, large = point(access=access, packet_bytes=1518), point(access=access, packet_bytes=65000)
    assert per_packet(large, "worker.head") == pytest.approx(32, rel=0.01)
    assert large.ns_per_packet / 65000 < small.ns_per_packet / 1518 / 2


def test_mapping_the_metadata_saves_2_of_5_windows_and_leaves_the_copies():
    scenario = load_scenario(SCENARIO)
    before, after = (point(access=access) for access in ("copy_user", "vmap"))
    stac = [executed(build_plan(scenario, access, 64), scenario)["stac"] for access in ("copy_user", "vmap")]
    refills = before.row_rates["worker.refill"]
    assert stac[0] == pytest.approx(2 + 3 * 4 / 256 + refills + 3, rel=0.002)
    assert stac[1] == pytest.approx(3)
    assert after.breakdown_cycles["copy_loop"] == pytest.approx(before.breakdown_cycles["copy_loop"])


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (("device.schedule_out=true",), "device.schedule_out: is not modelled with device.direction rx"),
        (("device.sndbuf_limited=true",), "device.sndbuf_limited: is not modelled with device.direction rx"),
        (("virtqueue.layout=packed",), "virtqueue.layout: is not modelled with device.direction rx"),
        (
            ("driver.kind=lockstep", "receive.source.kind=xdp_frame"),
            "driver.kind: lockstep receives skbs of one buffer each",
        ),
        (("virtqueue.indirect=true",), "virtqueue.indirect: receive buffers are direct chains; only false"),
        (("receive.mergeable=false", "receive.buffer_bytes=75"), "receive.mergeable: 64 bytes do not fit one buffer"),
        (("virtqueue.size=4", "receive.buffer_bytes=64", "traffic.packet_bytes=200"), "takes 4 buffers, more than"),
        (("traffic.mix=imix", "receive.buffer_bytes=600"), "traffic.mix: its sizes take 1 to 3 buffers of 600 bytes"),
    ],
)  # fmt: skip
def test_what_the_receive_path_refuses(overrides, sentence):
    scenario = load_scenario(SCENARIO, overrides=["traffic.packet_bytes=64", *overrides])
    with pytest.raises(ConfigError) as refused:
        build_plan(scenario, "copy_user", scenario.traffic.sizes[0])
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)
