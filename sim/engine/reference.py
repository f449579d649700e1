"""The reference engine: one SimPy process per actor, written to be read."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

import simpy
from simpy.events import Event

from sim.datapath.plan import ACTORS, Plan, Segment
from sim.engine.machine import Machine, Wait
from sim.engine.record import Checkpoints

Observer = Callable[["Step"], None]


@dataclass(frozen=True)
class Step:
    """One event of a trace: the end of a row (a fused segment) of one actor."""

    time_ps: int
    priority: int
    sequence: int
    actor: int
    segment: int


class ReferenceEngine:
    """Runs a Plan. Simultaneous events happen in the order of the actors: the worker first, then the driver.

    `run` continues where the last call stopped. The observer, if any, sees the machine before each row begins.
    """

    def __init__(
        self, plan: Plan, checkpoint_packets: int, before_row: Callable[[Machine, Segment], None] | None = None
    ) -> None:
        self.machine = Machine(plan)
        self.plan = plan
        self.checkpoints = Checkpoints(checkpoint_packets)
        self.trace: list[Step] | None = None
        self._env = simpy.Environment(initial_time=0)
        self._before_row = before_row
        self._asleep: dict[int, tuple[Segment, Event]] = {}
        self._sequence = 0
        self._target = 0
        self._reached = self._env.event()
        self.progress: list[tuple[int, int]] = [(0, 0)] * len(ACTORS)  # start of the running row, its segment
        for actor in range(len(ACTORS)):
            self._env.process(self._actor(actor))

    @property
    def now_ps(self) -> int:
        """Simulated time."""
        return int(self._env.now)

    def run(self, packets: int) -> None:
        """Simulate until that many packets have been used, counted from the start."""
        self._target = packets
        if self.machine.marked_used < packets:
            self._reached = self._env.event()
            self._env.run(until=self._reached)

    def _after(self, actor: int, delay: int) -> Event:
        """Return an event `delay` ahead that sorts behind simultaneous events of actors of lower number."""
        event = Event(self._env)
        event._ok, event._value = True, None
        self._env.schedule(event, priority=actor + 1, delay=delay)  # type: ignore[arg-type]
        return event

    def _actor(self, actor: int) -> Generator[Event, None, None]:
        machine, segments = self.machine, self.plan.segments
        segment = segments[self.plan.entry[actor]]
        while True:
            arrived = self.now_ps
            while not machine.ready(segment):
                woken = self._env.event()
                self._asleep[actor] = (segment, woken)
                yield woken
            due = machine.due_at(segment)
            if due > self.now_ps:
                yield self._after(actor, due - self.now_ps)
            machine.waits_ps[segment.index][Wait.BLOCKED] += self.now_ps - arrived
            if self._before_row is not None:
                self._before_row(machine, segment)
            self.progress[actor] = (self.now_ps, segment.index)
            yield self._after(actor, machine.begin(segment, self.now_ps))
            following = machine.finish(segment, self.now_ps)
            self._note(segment)
            segment = segments[following]
            self._wake_others(actor)

    def _wake_others(self, actor: int) -> None:
        for other, (segment, woken) in list(self._asleep.items()):
            if other != actor and self.machine.ready(segment):
                del self._asleep[other]
                woken._ok, woken._value = True, None
                self._env.schedule(woken, priority=other + 1, delay=0)  # type: ignore[arg-type]

    def _note(self, segment: Segment) -> None:
        if self.trace is not None:
            self.trace.append(Step(self.now_ps, segment.actor + 1, self._sequence, segment.actor, segment.index))
        self._sequence += 1
        if segment.marks == "used":
            self.checkpoints.reach(self.machine, self.now_ps)
            if self.machine.marked_used >= self._target and not self._reached.triggered:
                self._reached.succeed()
