"""Laws over every driver, transmit function and backend."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sim.datapath import build_plan
from sim.engine import simulate
from sim.engine.fast import FastEngine
from sim.study.questions.explain import count_primitives

from .scenarios import ACCESS, flag, load, one, queues, quick

KINDS = (
    *("tap-xdp-drop", "tap-xdp-pass", "tap-xdp-redirect", "tap-skb"),
    *("tap-bridge", "tap-tc-drop", "tap-tc-redirect", "tap-ovs", "macvtap"),
)
TO_A_NIC = {f"backend.kind={kind}" for kind in ("tap-bridge", "tap-tc-redirect", "tap-ovs", "macvtap")}
PATHS = (
    one("kernel", ("v5.0", "v5.3", "v6.12", "v7.3")),
    one("backend.kind", KINDS),
    one("backend.line_gbps", (1, 10, 100)),
    one("backend.queue", (1, 64, 1024)),
    one("driver.kind", ("virtio-user", "virtio-net", "lockstep")),
    one("device.batch", (1, 16, 64)),
    flag("driver.napi_tx"),
    flag("device.zerocopy_tx"),
    flag("device.xdp_batching"),
    flag("device.sndbuf_limited"),
    one("traffic.packet_bytes", (64, 300, 1500, 3381, 65535)),
)


def is_modelled(path, queue):
    """Zero copy to a NIC gives buffers back out of order."""
    in_order = "virtqueue.in_order=true" in queue
    return not (in_order and "device.zerocopy_tx=true" in path and TO_A_NIC & set(path))


SATURATED = ("driver.packet_cost=1", "driver.stack_cost=1", "driver.burst=32", "traffic.packet_bytes=64")


@quick
@given(st.tuples(*PATHS), queues(), flag("mitigations.hardened_usercopy"))
def test_mapping_the_metadata_never_changes_what_the_payload_executes(path, queue, hardened):
    assume(is_modelled(path, queue))
    counts = []
    for access in ("copy_user", "vmap"):
        scenario = load(*path, *queue, hardened, f"access={access}", "driver.burst=1")
        plan = build_plan(scenario, access, scenario.traffic.packet_bytes[0], apart=True)
        counts.append(count_primitives(plan)["payload"])
    assert counts[0] == counts[1]


@quick
@given(
    st.tuples(*PATHS),
    queues(),
    one("run.seed", range(100)),
    st.sampled_from(("saturate", "100000", "3000000", "{kind: on-off, pps: 5000000, on_us: 5, off_us: 30}")),
)
def test_every_packet_is_used_and_no_kick_or_call_is_lost(path, queue, seed, offered):
    assume(is_modelled(path, queue))
    offered = "saturate" if "driver.kind=lockstep" in path else offered
    scenario = load(*path, *queue, seed, f"traffic.load={offered}", "driver.burst=1", "access=copy_user")
    engine = FastEngine(build_plan(scenario, "copy_user", scenario.traffic.packet_bytes[0]), 10**9)
    engine.run(3000)  # raises DeadlockError when nobody can go on
    assert 3000 <= engine.machine.marked_used <= engine.machine.marked_posted


@quick
@given(
    one("kernel", ("v5.0", "v6.12", "v7.3")),
    one("driver.kind", ("virtio-user", "virtio-net")),
    one("backend.kind", KINDS),
    one("virtqueue.size", (256, 512, 1024)),
    flag("device.xdp_batching"),
)
def test_event_idx_at_saturation_costs_no_calls_and_no_kicks(kernel, driver, backend, size, batching):
    options = (kernel, driver, backend, size, batching, *SATURATED, "virtqueue.event_idx=true", "access=copy_user")
    scenario = load(*options, "run.packets=20000", "run.precision=0")
    point = simulate(build_plan(scenario, "copy_user", 64), scenario.run)
    assert point.row_rates["driver.kick"] == 0
    # A polling driver none; one that sleeps when its ring is full, one for three quarters of the ring.
    ring = scenario.virtqueue.size
    wanted = 0 if scenario.driver.kind == "virtio-user" else 1 / (3 * (ring - 18) // 4)
    assert point.row_rates.get("worker.call", 0) <= wanted * 1.02


@quick
@given(
    one("backend.kind", ("tap-xdp-drop", "tap-xdp-pass", "tap-skb")),
    one("kernel", ("v4.20", "v5.0", "v6.1")),
    one("traffic.packet_bytes", (64, 200, 1500)),
)
def test_batching_is_never_slower_than_one_sendmsg_per_packet(backend, kernel, size):
    rates = []
    for device in ("device.xdp_batching=true", "device.xdp_batching=false", "device.zerocopy_tx=true"):
        scenario = load(backend, kernel, size, device, "access=copy_user", "driver.packet_cost=1", "run.packets=16000")
        rates.append(simulate(build_plan(scenario, "copy_user", scenario.traffic.packet_bytes[0]), scenario.run).pps)
    assert rates == sorted(rates, reverse=True)


WAYS = (
    (),
    ("device.xdp_batching=false",),
    ("device.zerocopy_tx=true",),
    ("device.zerocopy_tx=true", "backend.kind=tap-bridge", "traffic.packet_bytes=1500"),
    ("traffic.packet_bytes=9000",),
    ("virtqueue.in_order=true",),
    ("virtqueue.layout=packed",),
    ("virtqueue.iotlb=true", "driver.kind=virtio-net", "virtqueue.event_idx=true"),
    ("device.direction=rx", "driver.kind=virtio-net"),
)


@pytest.mark.parametrize("way", WAYS, ids=" ".join)
@pytest.mark.parametrize("access", [name for name in ACCESS if not name.startswith("ring_")])
def test_every_user_access_window_that_is_opened_is_closed(access, way):
    constant = ("cpu.serialisation.drain_tail=0", "cpu.serialisation.refill=0")
    short = ("run.packets=1500", "run.precision=0", "cpu.primitives.stac=10", "cpu.primitives.clac=10", *constant)
    scenario = load("traffic.packet_bytes=64", "driver.burst=3", *short, *way, f"access={access}")
    spent = simulate(build_plan(scenario, access, scenario.traffic.sizes[0]), scenario.run).breakdown_ps
    assert spent.get("stac", 0) == pytest.approx(spent.get("clac", 0), rel=0.01)
