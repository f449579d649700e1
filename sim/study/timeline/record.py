"""The simulated execution, moment by moment: what each actor did, by packet, by row and by primitive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sim.config.errors import ConfigError
from sim.config.scenario.scenario import Scenario
from sim.datapath import Plan, build_plan
from sim.datapath.plan.plan import Segment, Wait
from sim.datapath.plan.registers import BANK, Register
from sim.datapath.plan.step import Row
from sim.engine.machine import Machine
from sim.engine.reference import ReferenceEngine
from sim.study.timeline.model import CounterValue, Group, Journey, Notification, Part, Slice, Timeline, Track, after

#: A packet of the seed scenario is about 200 events of the file, so that this many are some 300 MB.
MOST_PACKETS = 10_000

#: Counters that go up by one with each packet: one that a group of rows raises says which packet the group is about.
_PACKET_COUNTERS = (
    Register.LAST_AVAIL_IDX,
    Register.AVAIL_IDX_SHADOW,
    Register.LAST_USED_IDX,
    Register.GRABBED,
    Register.RECEIVED,
    Register.PRODUCED,
    Register.SINK_DONE,
)
_NOTIFICATIONS = {Register.KICKS: "kick", Register.CALLS: "call", Register.WAKES: "wake-up"}
#: How the end of a timeline names what an actor does that waits for something that has not happened yet.
_STILL_WAITING = "waiting"


def timeline(
    scenario: Scenario, packets: int, access: str | None = None, packet_bytes: int | None = None, *, skip: int = 0
) -> Timeline:
    """Simulate one variant at one size (default: the first of each) and keep every moment behind `skip` packets.

    A timeline begins with empty caches and rings, or behind the flush that hands back packet number `skip`; it ends
    with a flush, so a few more may be used than `packets`. Raises ConfigError for fewer than 1 or more than
    `MOST_PACKETS` packets in all, for a negative `skip`, and for what cannot be simulated.
    """
    if not 0 <= skip < MOST_PACKETS:
        raise ConfigError(f"0 to {MOST_PACKETS - 1} packets can be skipped", key="skip", got=skip)
    if not 1 <= packets <= MOST_PACKETS - skip:
        behind = f" behind {skip} that are skipped" if skip else ""
        most = f"a timeline holds 1 to {MOST_PACKETS - skip} packets{behind}"
        raise ConfigError(most, key="packets", got=packets)
    name = scenario.access[0].name if access is None else access
    size = scenario.traffic.sizes[0] if packet_bytes is None else packet_bytes
    return watch(build_plan(scenario, name, size), packets, scenario.name, skip)


def watch(plan: Plan, packets: int, name: str = "", skip: int = 0) -> Timeline:
    """Run a plan on the reference engine and write down what its observer sees, the first `skip` packets left out."""
    recorder = _Recorder(plan)
    engine = ReferenceEngine(plan, packets, before_row=recorder.before_row)
    engine.trace = []
    recorder.engine = engine
    engine.run(skip)
    start_ps, used = engine.now_ps, engine.machine.marked_used
    engine.run(used + packets)
    return after(recorder.timeline(name), start_ps, used)


@dataclass(slots=True)
class _Begun:
    """A row in progress, and what had been counted of its segment before it began."""

    segment: Segment
    arrived_ps: int
    start_ps: int
    waits_ps: list[int]
    events: list[int]
    classes: list[int]
    units: int


@dataclass(slots=True)
class _Open:
    """A group that may go on: its scope, the rows that it has met, its slices, and the packet that it is about."""

    scope: str
    labels: set[str]
    slices: list[Slice]
    packet: int | None = None

    def closed(self) -> Group:
        """Return the group as it now is."""
        name = self.scope.replace("_", " ") + ("" if self.packet is None else f" {self.packet}")
        return Group(name, self.slices[0].start_ps, tuple(self.slices))


class _Recorder:
    """Watches an engine: what a row did is known when the next row of its actor begins, or when the run ends."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.engine: ReferenceEngine
        self._begun: dict[int, _Begun] = {}
        self._ended_ps = [0] * len(plan.actors)
        self._rows_begun = [0] * len(plan.actors)
        self._groups: list[list[Group]] = [[] for _ in plan.actors]
        self._open: dict[int, _Open] = {}
        self._posted: list[tuple[int, int, int, int]] = []  # packets so far, end, begin, actor
        self._used: list[tuple[int, int, int, int]] = []
        self._stores: list[list[tuple[int, int]]] = [[] for _ in plan.actors]  # end of a row, end of the last store
        self._loads: list[CounterValue] = []
        self._notifications: list[Notification] = []

    def before_row(self, machine: Machine, segment: Segment) -> None:
        """Note a row that begins now, and what the actor's last one did."""
        actor, number = segment.actor, segment.index
        self._settle(machine, actor)
        self._rows_begun[actor] += 1
        self._begun[actor] = _Begun(
            segment=segment,
            arrived_ps=self._ended_ps[actor],
            start_ps=self.engine.now_ps,
            waits_ps=list(machine.waits_ps[number]),
            events=list(machine.wait_events[number]),
            classes=list(machine.class_executions[number]),
            units=machine.units[number],
        )

    # -- one row ------------------------------------------------------------------------------------------------------

    def _settle(self, machine: Machine, actor: int) -> None:
        """Write down the actor's last row, which has ended."""
        begun = self._begun.pop(actor, None)
        if begun is None:
            return
        slices = list(self._slices(machine, begun))
        self._keep(actor, begun.segment, slices)
        end_ps = self._ended_ps[actor] = slices[-1].end_ps
        lasting = [executed.start_ps for executed in slices if executed.end_ps > executed.start_ps]
        last_ps = lasting[-1] if lasting else begun.start_ps
        segment = begun.segment
        if segment.last.marks == "posted":
            self._posted.append((machine.marked_posted, end_ps, last_ps, actor))
        elif segment.last.marks == "used":
            self._used.append((machine.marked_used, end_ps, last_ps, actor))
        if segment.write is not None:
            self._stores[actor].append((end_ps, machine.stores_done_ps[actor]))
        for effect in segment.effects:
            counted = effect.target % BANK
            if counted in _NOTIFICATIONS and effect.op == "add":
                self._notifications.append(Notification(_NOTIFICATIONS[Register(counted)], actor, end_ps))
            if counted in _PACKET_COUNTERS and effect.op == "add" and actor in self._open:
                group = self._open[actor]
                if group.packet is None and group.scope == "packet":
                    group.packet = machine.registers[effect.target] - effect.constant

    def _slices(self, machine: Machine, begun: _Begun) -> Iterator[Slice]:
        """Spread a segment over its rows: all waits stand in front of the first one's primitives."""
        segment, plan = begun.segment, self.plan
        waits = list(self._waits(machine, begun))
        units = machine.units[segment.index] - begun.units
        kinds = zip(machine.class_executions[segment.index], begun.classes, strict=True)
        kind = next((number for number, (now, before) in enumerate(kinds) if now > before), 0)
        start_ps = begun.arrived_ps
        for number in segment.rows:
            row = plan.class_rows[number][kind] if number in plan.class_rows else plan.rows[number]
            executed = Slice(row.title, row.label, row.function, start_ps, (*waits, *_parts(row, units)))
            yield executed
            start_ps, waits = executed.end_ps, []

    def _waits(self, machine: Machine, begun: _Begun) -> Iterator[Part]:
        """Return the waits of a row in the order in which it meets them; lines of one kind stand together."""
        if begun.start_ps > begun.arrived_ps:
            yield Part("idle", True, 1, begun.start_ps - begun.arrived_ps)
        number, at_ps = begun.segment.index, begun.start_ps
        for kind in (Wait.STORES, Wait.NEAR_HIT, Wait.FAR_HIT, Wait.TRANSFER, Wait.CLEAN):
            name = next(name for name, holds in self.plan.wait_names[kind].items() if holds)
            time_ps = machine.waits_ps[number][kind] - begun.waits_ps[kind]
            count = machine.wait_events[number][kind] - begun.events[kind]
            if time_ps:
                if kind in (Wait.TRANSFER, Wait.CLEAN):
                    counter = f"loads waited for: {self.plan.actors[begun.segment.actor]}"
                    self._loads += [CounterValue(counter, at_ps, count), CounterValue(counter, at_ps + time_ps, 0)]
                yield Part(name, True, count, time_ps)
                at_ps += time_ps

    def _keep(self, actor: int, segment: Segment, slices: Sequence[Slice]) -> None:
        """Put slices that took time into the actor's groups; a row met again, or another scope, begins a new group."""
        for number, executed in zip(segment.rows, slices, strict=True):
            scope = self.plan.rows[number].scopes[0]
            group = self._open.get(actor)
            if group is None or group.scope != scope or executed.label in group.labels:
                self._close(actor)
                group = self._open[actor] = _Open(scope, set(), [])
            group.labels.add(executed.label)
            parts = tuple(part for part in executed.parts if part.duration_ps)
            if parts:
                group.slices.append(Slice(executed.name, executed.label, executed.function, executed.start_ps, parts))

    def _close(self, actor: int) -> None:
        group = self._open.pop(actor, None)
        if group is not None and group.slices:
            self._groups[actor].append(group.closed())

    # -- the whole run ------------------------------------------------------------------------------------------------

    def timeline(self, name: str) -> Timeline:
        """Cut what is in progress off at the end of the run, and put everything together."""
        engine, machine, plan = self.engine, self.engine.machine, self.plan
        end_ps = engine.now_ps
        ended = [0] * len(plan.actors)
        for event in engine.trace or []:
            ended[event.actor] += 1
        for actor in range(len(plan.actors)):
            begun = self._begun.get(actor)
            if begun is not None and ended[actor] < self._rows_begun[actor]:
                begun_slices = self._slices(machine, begun)
                slices = [_cut(executed, end_ps) for executed in begun_slices if executed.start_ps <= end_ps]
                self._keep(actor, _shortened(begun.segment, len(slices)), slices)
                self._ended_ps[actor] = end_ps
            else:
                self._settle(machine, actor)
            self._close(actor)
            left_ps = end_ps - self._ended_ps[actor]
            if left_ps:
                idle = Part("idle", True, 1, left_ps)
                executed = Slice(_STILL_WAITING, _STILL_WAITING, "", self._ended_ps[actor], (idle,))
                self._groups[actor].append(Group(_STILL_WAITING, executed.start_ps, (executed,)))
        tracks = (Track(actor, tuple(groups)) for actor, groups in zip(plan.actors, self._groups, strict=True))
        self._notifications.sort(key=lambda notification: (notification.time_ps, notification.actor))
        return Timeline(
            scenario=name,
            access=plan.access,
            packet_bytes=plan.packet_bytes,
            packets=machine.marked_used,
            elapsed_ps=end_ps,
            tracks=tuple(tracks),
            levels=tuple(self._levels(end_ps)),
            notifications=tuple(self._notifications),
            journeys=tuple(self._journeys()),
            notes=plan.notes + _one_core(plan),
        )

    def _journeys(self) -> Iterator[Journey]:
        """Pair each packet that was used with its posting: both happen in the order of the packets."""
        for (packet, used), (_, posted) in zip(_each_packet(self._used), _each_packet(self._posted), strict=False):
            yield Journey(packet, posted[3], posted[2], posted[1], used[3], used[2], used[1])

    def _levels(self, end_ps: int) -> list[CounterValue]:
        """Return the counters in the order of time: packets in the ring, stores and loads of each actor."""
        values: dict[tuple[str, int], int] = {}
        changes = [(time_ps, count, 0) for count, time_ps, _, _ in self._posted]
        changes += [(time_ps, 0, count) for count, time_ps, _, _ in self._used]
        posted = used = 0
        for time_ps, to_posted, to_used in sorted(changes):
            posted, used = max(posted, to_posted), max(used, to_used)
            values["packets in the ring", time_ps] = posted - used
        for actor, written in enumerate(self._stores):
            for level in _store_levels(f"stores under way: {self.plan.actors[actor]}", written, self.plan):
                values[level.counter, level.time_ps] = level.value
        for level in self._loads:
            values[level.counter, level.time_ps] = level.value
        levels = [CounterValue(counter, time_ps, value) for (counter, time_ps), value in values.items()]
        within = (level for level in levels if level.time_ps <= end_ps)
        return sorted(within, key=lambda level: (level.time_ps, level.counter))


def _parts(row: Row, units: int) -> Iterator[Part]:
    for part in row.components:
        yield Part(part.primitive, False, part.count, part.cost_ps)
    if units:
        for part in row.unit_components:
            yield Part(part.primitive, False, part.count * units, part.cost_ps * units)


def _cut(executed: Slice, end_ps: int) -> Slice:
    """Return what of a step lies before the end of the run."""
    left_ps, kept = end_ps - executed.start_ps, []
    for part in executed.parts:
        time_ps = min(part.duration_ps, left_ps)
        kept.append(Part(part.name, part.waits, part.count, time_ps))
        left_ps -= time_ps
    return Slice(executed.name, executed.label, executed.function, executed.start_ps, tuple(kept))


def _shortened(segment: Segment, rows: int) -> Segment:
    return replace(segment, rows=segment.rows[:rows])


def _each_packet(marks: Sequence[tuple[int, int, int, int]]) -> Iterator[tuple[int, tuple[int, int, int, int]]]:
    packet = 0
    for mark in marks:
        while packet < mark[0]:
            yield packet, mark
            packet += 1


def _store_levels(counter: str, written: Sequence[tuple[int, int]], plan: Plan) -> Iterator[CounterValue]:
    """Count the lines that an actor has asked for ownership of (DESIGN 6b.6).

    One asked for alone takes a transfer; those asked for while others are under way arrive `stream_ps` after the last.
    """
    latencies, last_ps = plan.latencies, 0
    changes: dict[int, int] = {}
    for now_ps, done_ps in written:
        if done_ps == last_ps:
            continue
        first_ps = last_ps + latencies.stream_ps if last_ps > now_ps else now_ps + latencies.transfer_ps
        last_ps = done_ps
        for arrives_ps in range(first_ps, done_ps + 1, latencies.stream_ps) if latencies.stream_ps else (done_ps,):
            changes[now_ps] = changes.get(now_ps, 0) + 1
            changes[arrives_ps] = changes.get(arrives_ps, 0) - 1
    count = 0
    for time_ps in sorted(changes):
        count += changes[time_ps]
        yield CounterValue(counter, time_ps, count)


def _one_core(plan: Plan) -> tuple[str, ...]:
    return (f"one of {plan.lanes} cores side by side is shown",) if plan.lanes > 1 else ()
