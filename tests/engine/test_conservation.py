"""Nothing is lost: packets are used or in flight, and every picosecond of an actor is cost or waiting."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from tests.engine.scenarios import ENGINES, Case, cases


def fixed_ps(machine, segment):
    """Fixed costs of a segment: its own, or those of the size classes that it met."""
    if not segment.class_costs:
        return int(machine.executions[segment.index]) * segment.cost_ps
    met = machine.class_executions[segment.index]
    assert sum(int(count) for count in met) == machine.executions[segment.index]
    return sum(int(count) * cost for count, cost in zip(met, segment.class_costs, strict=True))


def spent_ps(engine, actor: int) -> int:
    machine = engine.machine
    return sum(
        fixed_ps(machine, segment)
        + int(machine.units[segment.index]) * segment.unit_ps
        + sum(int(wait) for wait in machine.waits_ps[segment.index])
        for segment in engine.plan.segments
        if segment.actor == actor
    )


@pytest.mark.parametrize("kind", ENGINES)
def test_packets_and_time_are_conserved(kind):
    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(cases())
    def check(case: Case) -> None:
        plan = case.plan
        engine = kind(plan, 50, ties=case.ties)
        engine.trace = []
        for packets in (1, case.scenario.run.packets):
            engine.run(packets)
            machine = engine.machine
            in_flight = machine.marked_posted - machine.marked_used
            assert 0 <= in_flight <= machine.most_in_flight <= plan.in_flight
            assert sum(int(count) for count in machine.histogram) == machine.marked_used >= packets
            # A row in progress has been paid up to its end, a wait in progress up to its start.
            assert [spent_ps(engine, actor) for actor in range(len(plan.actors))] == engine.accounted_ps
            assert all(step.time_ps <= engine.now_ps for step in engine.trace)
        running = [ended <= engine.now_ps for ended in engine.accounted_ps]
        executions = sum(int(count) for count in machine.executions)
        assert engine.events <= executions <= engine.events + len(running)

    check()
