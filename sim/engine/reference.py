"""The reference engine: one SimPy process per actor, written to be read."""

from __future__ import annotations

from collections.abc import Callable, Generator

import simpy
from simpy.events import URGENT, Event

from sim.datapath.plan.plan import Plan, Segment, Wait
from sim.datapath.traffic import LAST_PS
from sim.engine.horizon import too_late
from sim.engine.machine import Machine
from sim.engine.order import TieOrder
from sim.engine.record import Checkpoints, DeadlockError, TraceEvent


class ReferenceEngine:
    """Runs a Plan. Simultaneous events happen in the order of the actors: the worker first, then the driver.

    `ties` states another order. `run` continues where the last one stopped. The observer, if any, sees the machine
    before each row begins.
    """

    def __init__(
        self,
        plan: Plan,
        checkpoint_packets: int,
        before_row: Callable[[Machine, Segment], None] | None = None,
        ties: TieOrder | None = None,
    ) -> None:
        self.machine = Machine(plan)
        self.plan = plan
        self.checkpoints = Checkpoints(checkpoint_packets)
        self.trace: list[TraceEvent] | None = None
        self._env = simpy.Environment(initial_time=0)
        self._before_row = before_row
        self._ties = ties or TieOrder.stated(len(plan.actors))
        self._priorities = [0] * len(plan.actors)
        self._scheduled = 0
        self._asleep: dict[int, tuple[Segment, Event]] = {}
        self._sequence = 0
        self._target = 0
        self._reached = self._env.event()
        #: By actor: when its row in progress ends, or when it began to wait.
        self.accounted_ps = [0] * len(plan.actors)
        for actor in range(len(plan.actors)):
            self._env.process(self._actor(actor))

    @property
    def now_ps(self) -> int:
        """Simulated time."""
        return int(self._env.now)

    @property
    def events(self) -> int:
        """Rows (fused segments) that have ended."""
        return self._sequence

    def run(self, packets: int) -> None:
        """Simulate until that many packets have been used, counted from the start.

        Raises DeadlockError when no actor can go on.
        """
        self._target = packets
        if self.machine.marked_used < packets:
            self._reached = self._env.event()
            try:
                self._env.run(until=self._reached)
            except RuntimeError:
                if len(self._asleep) < len(self.plan.actors):
                    raise
                raise DeadlockError(self.plan, [self._asleep[actor][0] for actor in sorted(self._asleep)]) from None

    def _schedule(self, actor: int, event: Event, delay: int) -> Event:
        """Let an event of an actor happen `delay` ahead, in its place among simultaneous ones; return it."""
        self._priorities[actor] = self._ties.priority(actor, self._scheduled)
        self._scheduled += 1
        event._ok, event._value = True, None
        self._env.schedule(event, self._priorities[actor], delay)  # type: ignore[arg-type]
        return event

    def _after(self, actor: int, delay: int) -> Event:
        return self._schedule(actor, Event(self._env), delay)

    def _actor(self, actor: int) -> Generator[Event, None, None]:
        machine, segments = self.machine, self.plan.segments
        segment = segments[self.plan.entry[actor]]
        while True:
            arrived = self.now_ps
            while not machine.ready(segment):
                woken = self._env.event()
                self._asleep[actor] = (segment, woken)
                yield woken
            now, due = self.now_ps, machine.due_at(segment)
            if due > now:
                yield self._after(actor, due - now)
                now = due
            machine.waits_ps[segment.index][Wait.BLOCKED] += now - arrived
            if self._before_row is not None:
                self._before_row(machine, segment)
            if now > LAST_PS:
                raise too_late(self.plan)
            duration = machine.begin(segment, now)
            self.accounted_ps[actor] = now + duration
            yield self._after(actor, duration)
            following = machine.finish(segment, self.now_ps)
            self._note(segment)
            segment = segments[following]
            self._wake_others(actor)

    def _wake_others(self, actor: int) -> None:
        for other in sorted(self._asleep):
            segment, woken = self._asleep[other]
            if other != actor and self.machine.ready(segment):
                del self._asleep[other]
                self._schedule(other, woken, 0)

    def _note(self, segment: Segment) -> None:
        if self.trace is not None:
            priority = self._priorities[segment.actor]
            self.trace.append(TraceEvent(self.now_ps, priority, self._sequence, segment.actor, segment.index))
        self._sequence += 1
        if segment.last.marks == "used":
            self.checkpoints.reach(self.machine, self.now_ps)
            if self.machine.marked_used >= self._target and not self._reached.triggered:
                self._reached._ok, self._reached._value = True, None
                self._env.schedule(self._reached, URGENT)  # before anything else that is due now
