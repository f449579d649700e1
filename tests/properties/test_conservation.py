"""Nothing is lost: packets, time, descriptors; and every run ends."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given

from sim.config.scenario.scenario import Run
from sim.datapath import build_plan
from sim.datapath.plan.registers import Register
from sim.engine import simulate
from sim.engine.reference import ReferenceEngine
from sim.engine.simulate import stopping
from sim.study.runs.functions import function_times, instructions_of, worker_rows

from .scenarios import KERNELS, any_scenario, load, quick

ENGINES = Run.model_fields["engine"].annotation.__args__


def plan_of(scenario):
    return build_plan(scenario, scenario.access[0].name, scenario.traffic.packet_bytes[0])


@quick
@given(any_scenario())
def test_every_picosecond_of_the_worker_is_accounted_for(scenario):
    plan = plan_of(scenario)
    point = simulate(plan, scenario.run)
    assert sum(point.breakdown_ps.values()) == point.elapsed_ps
    assert min(point.breakdown_ps.values()) > 0
    assert point.packets + point.warmup_packets > scenario.run.packets - stopping(plan, scenario.run).every


@quick
@given(any_scenario(packets=1000))
def test_functions_have_all_of_the_worker_s_busy_time_and_instructions_and_change_neither(scenario):
    plain = plan_of(scenario)
    plan = build_plan(scenario, scenario.access[0].name, scenario.traffic.packet_bytes[0], functions=True)
    assert [(row.cost_ps, row.unit_ps, row.hidden_ps) for row in plan.rows] == [
        (row.cost_ps, row.unit_ps, row.hidden_ps) for row in plain.rows
    ]
    point = simulate(plan, scenario.run)
    busy = sum(point.row_times_ps[f"worker.{row.label}"] for row in worker_rows(plan))
    for skid in (False, True):
        times = function_times(plan, point, skid)
        assert sum(times.values()) == pytest.approx(busy, rel=1e-9)
        assert min(times.values()) > 0
    for row in worker_rows(plan):
        parts = list(instructions_of(row))
        assert sum(once for _, once, _ in parts) == pytest.approx(row.instructions)
        assert sum(each for _, _, each in parts) == pytest.approx(row.unit_instructions)


@quick
@given(any_scenario(packets=1000))
def test_packets_posted_are_used_or_in_flight(scenario):
    plan = plan_of(scenario)
    engine = ReferenceEngine(plan, 64)
    chain = scenario.virtqueue.ring_entries_per_packet
    for packets in (1, 100, 1000):
        engine.run(packets)
        machine, register = engine.machine, engine.machine.registers
        in_flight = machine.marked_posted - machine.marked_used
        assert machine.marked_used >= packets
        assert 0 <= in_flight <= plan.ring_packets
        assert machine.most_in_flight <= plan.ring_packets
        assert machine.most_occupied == machine.most_in_flight
        assert sum(machine.histogram) == machine.marked_used
        # Each index follows the one that feeds it.
        order = (
            Register.LAST_USED_IDX,
            Register.RING_USED_IDX,
            Register.LAST_AVAIL_IDX,
            Register.AVAIL_IDX,
            Register.RING_AVAIL_IDX,
        )
        assert all(register[less] <= register[more] for less, more in pairwise(order))
        assert register[Register.RING_AVAIL_IDX] <= register[Register.AVAIL_IDX_SHADOW]
        # What the worker has fetched is used or in its batch.
        assert register[Register.LAST_AVAIL_IDX] == register[Register.RING_USED_IDX] + register[Register.DONE_IDX]
        if scenario.driver.kind == "virtio-user":
            held = register[Register.AVAIL_IDX_SHADOW] - register[Register.LAST_USED_IDX]
            assert register[Register.NUM_FREE] + held * chain == plan.ring_packets * chain


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("driver", ["virtio-user", "lockstep"])
@pytest.mark.parametrize("event_idx", ["false", "true"])
@pytest.mark.parametrize("indirect", [(), ("virtqueue.indirect=true", "virtqueue.descriptors_per_packet=2")])
def test_a_queue_of_one_descriptor_terminates(kernel, engine, driver, event_idx, indirect):
    scenario = load(
        f"kernel={kernel}",
        f"driver.kind={driver}",
        "driver.burst=1",
        f"virtqueue.event_idx={event_idx}",
        "virtqueue.size=1",
        *indirect,
        f"run.engine={engine}",
        "run.packets=200",
        "run.precision=0",
        "access=copy_user",
        "traffic.packet_bytes=64",
    )
    point = simulate(plan_of(scenario), scenario.run)
    assert point.packets + point.warmup_packets >= 200
    assert point.occupancy["max"] == 1
    assert point.row_rates["worker.head"] == pytest.approx(1)


@quick
@given(any_scenario("traffic.load=500000", "driver.kind=virtio-user", packets=2000))
def test_bound_by_the_load_means_that_the_load_is_carried(scenario):
    point = simulate(plan_of(scenario), scenario.run)
    if point.bound_by == "load":
        # A batch is flushed when the ring is found empty, so at most a ring and a batch lag behind the arrivals.
        lag = (scenario.virtqueue.size + scenario.device.batch + scenario.driver.burst) / point.packets
        assert point.pps == pytest.approx(500_000, rel=0.01 + lag)
