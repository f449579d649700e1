"""Laws of receive over generated scenarios: nothing is lost, nothing hangs, mapping leaves the payload alone."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.config import Scenario, load_scenario
from sim.config.errors import ConfigError
from sim.datapath import build_plan
from sim.datapath.memory.receive_memory import ReceiveMemory
from sim.datapath.plan.registers import Register
from sim.engine import simulate
from sim.engine.reference import ReferenceEngine
from sim.study.questions.explain import count_primitives

from .scenarios import KERNELS, MACHINE, flag, one, quick

R = Register
SCENARIO = "virtio-user-receive-skb"
LOADS = (
    "saturate",
    "100000",
    "3000000",
    "{kind: poisson, pps: 2000000}",
    "{kind: on-off, pps: 4e6, on_us: 20, off_us: 50}",
)


@st.composite
def receiving(draw: st.DrawFn, *fixed: str, packets: int = 2000) -> Scenario:
    """Any receive scenario of one variant and one size."""
    size = 2 ** draw(st.integers(0, 10))
    descriptors = draw(st.integers(1, min(2, size)))
    packet_bytes = draw(st.integers(14, 9000))
    heads = draw(st.integers(1, max(1, min(5, size // descriptors // 2))))
    return load_scenario(
        SCENARIO,
        overrides=[
            *draw(st.tuples(*MACHINE)),
            draw(flag("mitigations.smap")),
            draw(flag("virtqueue.event_idx")),
            draw(one("driver.kind", ("virtio-user", "virtio-net"))),
            draw(one("driver.packet_cost", (1, 45, 400, 3000))),
            f"driver.burst={draw(st.integers(1, 64))}",
            f"virtqueue.size={size}",
            f"virtqueue.descriptors_per_packet={descriptors}",
            f"device.batch={draw(st.integers(1, 128))}",
            f"receive.mergeable={'true' if heads > 1 else draw(st.sampled_from(['true', 'false']))}",
            f"receive.buffer_bytes={max(64, -(-(packet_bytes + 12) // heads))}",
            f"receive.ring_batch={draw(st.sampled_from([1, 3, 64]))}",
            draw(one("receive.source.kind", ("skb", "xdp_frame"))),
            f"receive.source.queue={draw(st.sampled_from([2, 7, 33, 500]))}",
            f"receive.source.burst={draw(st.sampled_from([1, 16, 64]))}",
            draw(one("receive.source.packet_cost", (1, 100, 2000))),
            f"traffic.load={draw(st.sampled_from(LOADS))}",
            f"traffic.packet_bytes={packet_bytes}",
            f"access={draw(st.sampled_from(('copy_user', 'vmap', 'ideal')))}",
            f"run.packets={packets}",
            "run.precision=0",
            *fixed,
        ],
    )


def plan_of(scenario: Scenario):
    return build_plan(scenario, scenario.access[0].name, scenario.traffic.packet_bytes[0])


@quick
@given(receiving())
def test_every_receive_scenario_ends_and_accounts_for_every_picosecond(scenario):
    """A lost kick, call or wake-up would be a deadlock."""
    point = simulate(plan_of(scenario), scenario.run)
    assert sum(point.breakdown_ps.values()) == point.elapsed_ps
    assert point.packets + point.warmup_packets >= scenario.run.packets
    if scenario.traffic.load.kind == "saturate":
        assert point.dropped == 0


@quick
@given(receiving(packets=600))
def test_packets_and_buffers_are_where_they_should_be(scenario):
    plan = plan_of(scenario)
    engine = ReferenceEngine(plan, 64)
    memory = ReceiveMemory(scenario, scenario.traffic.packet_bytes[0])
    for packets in (1, 100, 600):
        engine.run(packets)
        machine, register = engine.machine, engine.machine.registers
        order = (R.RETURNED, R.RECEIVED, R.GRABBED, R.PRODUCED)
        assert all(register[less] <= register[more] for less, more in pairwise(order))
        assert register[R.GRABBED] == register[R.RECEIVED] + register[R.BUFFERED]
        assert register[R.GRABBED] == register[R.CONSUMED] + register[R.UNCLEARED]
        assert register[R.PRODUCED] - register[R.CONSUMED] <= scenario.receive.source.queue
        assert machine.most_in_flight <= plan.in_flight
        assert 0 <= machine.ring.now <= machine.most_occupied <= plan.ring_packets
        # Buffers: k per packet returned; what the driver has not taken back and posted again is on the device's side.
        assert register[R.RING_USED_IDX] == memory.heads * register[R.RETURNED]
        assert (
            register[R.LAST_USED_IDX]
            <= register[R.RING_USED_IDX]
            <= register[R.LAST_AVAIL_IDX]
            <= register[R.RING_AVAIL_IDX]
        )
        assert (
            register[R.RING_AVAIL_IDX] <= register[R.AVAIL_IDX_SHADOW] <= register[R.LAST_USED_IDX] + plan.ring_packets
        )
        if plan.arrivals is not None:  # what has arrived is in the ptr_ring, was dropped, or is in the source's hands
            assert 0 <= register[R.TAKEN] - register[R.PRODUCED] - register[R.DROPPED] <= 1


@quick
@given(receiving())
def test_mapping_the_metadata_never_changes_what_the_payload_executes(scenario):
    """2 of 5 windows go on the shipped kernels, the other 3 stay."""
    size = scenario.traffic.packet_bytes[0]
    variants = [load_scenario(SCENARIO).variant(name) for name in ("copy_user", "vmap")]
    both = scenario.model_copy(update={"access": variants})
    before, after = (count_primitives(build_plan(both, variant.name, size, apart=True)) for variant in variants)
    assert before["payload"] == after["payload"]
    assert before["work"] == after["work"]
    if scenario.mitigations.smap and scenario.cpu.features.smap.value:
        assert all(table["stac"] == 0 for table in after["metadata"].values())
        assert before["metadata"]["per_packet"]["stac"] == 1 + scenario.virtqueue.descriptors_per_packet


@quick
@given(receiving("virtqueue.size=256", "virtqueue.descriptors_per_packet=1", "receive.buffer_bytes=16384"), st.data())
def test_a_polling_guest_is_not_interrupted_and_a_slow_one_with_napi_hardly(scenario, data):
    kind = data.draw(st.sampled_from(["virtio-user", "virtio-net"]))
    cost = scenario.driver.packet_cost.model_copy(update={"value": 10_000.0, "high": 10_000.0})
    driver = scenario.driver.model_copy(update={"kind": kind, "packet_cost": cost})
    traffic = scenario.traffic.model_copy(update={"load": load_scenario(SCENARIO).traffic.load})
    point = simulate(plan_of(scenario.model_copy(update={"driver": driver, "traffic": traffic})), scenario.run)
    assert point.row_rates["worker.call"] <= (0 if kind == "virtio-user" else 1 / 32)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("driver", ["virtio-user", "virtio-net"])
@pytest.mark.parametrize("event_idx", ["false", "true"])
@pytest.mark.parametrize("load", ["saturate", "700000"])
def test_a_ring_of_one_buffer_terminates(kernel, driver, event_idx, load):
    varied = [f"kernel={kernel}", f"driver.kind={driver}", f"virtqueue.event_idx={event_idx}", f"traffic.load={load}"]
    fixed = ["virtqueue.size=1", "traffic.packet_bytes=64", "run.packets=200", "run.precision=0", "access=copy_user"]
    scenario = load_scenario(SCENARIO, overrides=[*varied, *fixed])
    point = simulate(plan_of(scenario), scenario.run)
    assert point.packets + point.warmup_packets >= 200
    assert point.row_rates["worker.packet_done"] == pytest.approx(1)


@quick
@given(st.integers(14, 1 << 20), st.integers(64, 9000), st.integers(0, 8))
def test_packets_take_the_fewest_buffers_that_hold_them_or_are_refused(packet_bytes, buffer_bytes, log_size):
    scenario = load_scenario(
        SCENARIO, overrides=[f"receive.buffer_bytes={buffer_bytes}", f"virtqueue.size={2**log_size}"]
    )
    memory = ReceiveMemory(scenario, packet_bytes)
    assert (memory.heads - 1) * buffer_bytes < packet_bytes + 12 <= memory.heads * buffer_bytes
    if memory.heads > max(1, 2**log_size // 2):
        with pytest.raises(ConfigError, match="more than half of a ring"):
            build_plan(scenario, "vmap", packet_bytes)
