"""What vhost_net competes with: DPDK's vhost library and an AF_XDP socket, as the same kind of rows."""

from __future__ import annotations

import pytest

import sim
from sim.config import load_scenario
from sim.config.errors import ConfigError
from sim.datapath import build_plan
from sim.engine import simulate
from sim.study.questions.explain import count_primitives

SCENARIOS = ("vhost-user-tx", "af-xdp-tx", "vhost-user-rx", "af-xdp-rx")
USER_ACCESS = ("stac", "clac", "lfence", "access_ok", "mask", "object_size_check")
#: A driver that costs nothing, so that the device is the limit.
QUICK = ("driver.packet_cost=1",)

every_scenario = pytest.mark.parametrize("name", SCENARIOS)


def point(name: str, *overrides: str, packet_bytes: int = 64):
    settings = (f"traffic.packet_bytes={packet_bytes}", "run.packets=30000", *overrides)
    scenario = load_scenario(name, overrides=settings)
    return simulate(build_plan(scenario, "plain", packet_bytes), scenario.run)


@every_scenario
def test_there_is_no_user_access(name):
    counts = count_primitives(build_plan(load_scenario(name), "plain", 64, apart=True))
    for family in counts.values():
        for table in family.values():
            assert not any(table.get(primitive, 0) for primitive in USER_ACCESS)


@every_scenario
def test_it_is_faster_than_the_worker_with_and_without_mapped_metadata(name):
    worker = "virtio-user-xdp1-tap" if name.endswith("tx") else "virtio-user-receive-skb"
    points = sim.run(load_scenario(worker, overrides=["traffic.packet_bytes=64"])).points
    assert point(name).pps > max(one.pps for one in points)


@every_scenario
def test_switching_mitigations_changes_nothing(name):
    off = [f"mitigations.{switch}=false" for switch in ("smap", "spectre_v1", "retpoline")]
    assert point(name).ps_per_packet == point(name, *off).ps_per_packet


def test_vhost_user_returns_a_burst_with_one_index_write():
    busy = point("vhost-user-tx", *QUICK)
    assert busy.bound_by == "worker"
    assert busy.row_rates["worker.used_index"] == pytest.approx(1 / 32, rel=0.01)
    assert busy.row_rates["worker.dequeue"] == pytest.approx(1 / 32, rel=0.01)
    assert point("vhost-user-tx", "traffic.load=100000").row_rates["worker.used_index"] == pytest.approx(1, abs=0.01)


def test_a_polling_device_is_never_kicked():
    for load in ("saturate", "100000"):
        assert point("vhost-user-tx", f"traffic.load={load}").row_rates["driver.kick"] == 0


def test_vhost_user_pays_for_bytes_and_af_xdp_does_not_touch_them():
    for direction in ("tx", "rx"):
        copied = [point(f"vhost-user-{direction}", *QUICK, packet_bytes=n).ns_per_packet for n in (64, 1518)]
        shared = [point(f"af-xdp-{direction}", *QUICK, packet_bytes=n).ns_per_packet for n in (64, 1518)]
        assert copied[1] > 1.9 * copied[0]
        assert shared[1] == pytest.approx(shared[0])


def test_af_xdp_needs_a_system_call_per_packet_at_low_load_and_none_when_the_kernel_keeps_polling():
    assert point("af-xdp-tx", "traffic.load=100000").row_rates["driver.kick"] == pytest.approx(1, abs=0.01)
    busy = point("af-xdp-tx", *QUICK)
    assert busy.bound_by == "worker"
    assert busy.row_rates["driver.kick"] < 1e-3
    assert busy.row_rates["worker.complete_index"] == pytest.approx(1 / 64, rel=0.02)


def test_on_receive_a_poll_hands_over_its_packets_at_once():
    busy = point("af-xdp-rx", *QUICK)
    assert busy.bound_by == "worker"
    assert busy.row_rates["worker.rx_index"] == pytest.approx(1 / 64, rel=0.02)
    assert point("af-xdp-rx", "traffic.load=100000").row_rates["worker.rx_index"] == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("name", ["vhost-user-rx", "af-xdp-rx"])
def test_a_program_that_is_too_slow_makes_the_nic_drop(name):
    slow = point(name, "driver.packet_cost=1000", "traffic.load=2000000")
    assert slow.dropped > 0
    assert slow.bound_by == "driver"
    assert slow.row_rates["driver.kick"] == (0 if name == "vhost-user-rx" else pytest.approx(1 / 32, abs=1 / 32))


def test_vhost_user_gives_a_large_packet_several_buffers():
    large = point("vhost-user-rx", packet_bytes=9000)
    assert large.row_rates["worker.head"] == pytest.approx(-(-9012 // 2060), rel=0.01)


def test_lines_of_af_xdp_move_four_descriptors_at_a_time():
    assert point("af-xdp-tx", *QUICK).transfers["tx"] == pytest.approx(16 / 64, rel=0.01)


def test_scenarios_of_different_devices_can_be_compared():
    seed, other = (
        load_scenario(name, overrides=["traffic.packet_bytes=64"]) for name in ("virtio-user-xdp1-tap", "vhost-user-tx")
    )
    comparison = sim.compare(seed, other)
    assert comparison.after == "vhost-user-tx (plain)"
    assert comparison.differences[0].made_up_of["stac"] > 0


@pytest.mark.parametrize(
    ("name", "override", "sentence"),
    [
        ("vhost-user-rx", "receive={mergeable: false, buffer_bytes: 64}", "receive.mergeable: 64 bytes do not fit one"),
        ("vhost-user-tx", "driver.kind=lockstep", "driver.kind: lockstep does not go with device.kind vhost_user"),
        ("af-xdp-tx", "virtqueue.event_idx=true", "virtqueue.event_idx: af_xdp has direct"),
        ("af-xdp-tx", "virtqueue.indirect=true", "virtqueue.indirect: af_xdp has direct descriptors"),
        (
            "af-xdp-tx",
            "driver.scatter_bytes=300",
            "driver.scatter_bytes: af_xdp has direct descriptors, one per packet",
        ),
    ],
)
def test_what_is_not_modelled_is_refused(name, override, sentence):
    with pytest.raises(ConfigError, match=sentence):
        build_plan(load_scenario(name, overrides=[override]), "plain", 64)


@pytest.mark.parametrize(
    ("name", "override", "sentence"),
    [
        ("virtio-user-xdp1-tap", "kernel=dpdk-vhost", "kernel: 'dpdk-vhost' describes vhost_user, but device.kind is"),
        ("vhost-user-tx", "kernel=v5.0", "kernel: 'v5.0' describes vhost_net, but device.kind is vhost_user"),
        ("af-xdp-tx", "driver.kind=virtio-user", "driver.kind: xsk goes with device.kind af_xdp, and it needs it"),
        ("virtio-user-xdp1-tap", "driver.kind=xsk", "driver.kind: xsk goes with device.kind af_xdp, and it needs it"),
    ],
)
def test_tables_and_sides_that_do_not_go_together(name, override, sentence):
    with pytest.raises(ConfigError, match=sentence):
        load_scenario(name, overrides=[override])
