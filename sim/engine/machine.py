"""State and laws of the machine that both engines simulate: registers, cache lines, store buffers, clocks.

The machine knows actors, cache lines and registers; it does not know what a descriptor or a `stac` is. All times are
integer picoseconds. One row runs in two halves: `begin` (condition met, shared values sampled, line read, duration
known) and `finish` (line written, registers changed, next row chosen), so that a write is visible at the end of its
row and a read samples at the start of its row.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from sim.datapath.plan.plan import Plan, Segment, Wait
from sim.datapath.plan.registers import BANK, Condition, Register
from sim.datapath.plan.step import LineAccess
from sim.datapath.traffic import Arrivals
from sim.engine.histogram import bucket, buckets

LINE_SHIFT = 6
NOBODY = -1
RELATIONS: dict[str, Callable[[int, int], bool]] = dict(
    zip(("==", "!=", ">=", "<"), (operator.eq, operator.ne, operator.ge, operator.lt), strict=True)
)


class Count(IntEnum):
    """Columns of an array of counts, whose rows are segments; kinds of waiting and size classes begin at theirs."""

    EXECUTIONS = 0
    UNITS = 1
    WAITS_PS = 2
    WAIT_EVENTS = 2 + len(Wait)
    CLASSES = 2 + 2 * len(Wait)


class Occupancy:
    """What is posted on the ring and not yet used, in entries of its indices, and its integral over time."""

    def __init__(self, registers: Sequence[int]) -> None:
        self.now = self.most = registers[Register.RING_AVAIL_IDX] - registers[Register.RING_USED_IDX]
        self._since_ps = self._sum_ps = 0

    def note(self, registers: Sequence[int], now: int) -> None:
        """Take what the indices say from now on."""
        self._sum_ps = self.until(now)
        self._since_ps = now
        self.now = registers[Register.RING_AVAIL_IDX] - registers[Register.RING_USED_IDX]
        self.most = max(self.most, self.now)

    def until(self, now: int) -> int:
        """Return the integral from the start of time, in entries x ps."""
        return self._sum_ps + self.now * (now - self._since_ps)


class Machine:
    """The simulated machine; engines call `begin` and `finish` and keep the order of events."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.registers = [0] * (BANK * plan.banks)
        for register, value in plan.initial.items():
            self.registers[register] = value
        self.first_line = {region: plan.first_line(region) for region in plan.regions}
        self.owner = [plan.first_owner] * plan.lines
        self.holders = [1 << plan.first_owner] * plan.lines
        self.coming_to = [NOBODY] * (plan.lines + 1)  # one more, that comes with the last one
        self.last_line = [NOBODY] * len(plan.segments)
        self.overlap_paid_ps = [0] * len(plan.actors)
        self.stores_done_ps = [0] * len(plan.actors)
        self.store_stall_ps = [0] * len(plan.actors)
        self.posted_at_ps = [0] * (2 * plan.in_flight)
        self.marked_posted = 0
        self.marked_used = 0
        self.histogram = [0] * buckets()
        self.ring = Occupancy(self.registers)
        self.most_in_flight = 0
        self.executions = [0] * len(plan.segments)
        self.units = [0] * len(plan.segments)
        classes = len(plan.classes.sizes) if plan.classes else 0
        self.class_executions = [[0] * classes for _ in plan.segments]
        self.waits_ps = [[0] * len(Wait) for _ in plan.segments]
        self.wait_events = [[0] * len(Wait) for _ in plan.segments]

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """All that is counted per segment; columns are those of `Count`."""
        runs = zip(self.executions, self.units, strict=True)
        rows = zip(runs, self.waits_ps, self.wait_events, self.class_executions, strict=True)
        return np.array([[*runs, *waits, *events, *classes] for runs, waits, events, classes in rows], dtype=np.int64)

    @property
    def most_occupied(self) -> int:
        """Most entries of the ring that were ever posted and not yet used."""
        return self.ring.most

    def occupied_ps(self, now_ps: int) -> int:
        """Return the integral of the ring's occupancy up to now, in entries x ps."""
        return self.ring.until(now_ps)

    # -- one row ------------------------------------------------------------------------------------------------------

    def ready(self, segment: Segment) -> bool:
        """Return whether the condition at the start of a row holds."""
        condition = segment.first.condition
        return condition is None or self._holds(condition)

    def due_at(self, segment: Segment) -> int:
        """Return when the next packet arrives, for a row that waits for one (0 otherwise)."""
        if self.plan.arrivals is None or not segment.first.takes_arrivals:
            return 0
        return self.plan.arrivals.at(self.registers[Register.TAKEN])

    def begin(self, segment: Segment, now: int) -> int:
        """Start a row: drain stores, sample, read; return how long the row takes."""
        actor, first, waits = segment.actor, segment.first, self.waits_ps[segment.index]
        stall = self.store_stall_ps[actor]
        self.store_stall_ps[actor] = 0
        if first.drains_stores:
            stall += max(0, self.stores_done_ps[actor] - now)
        if stall:
            waits[Wait.STORES] += stall
            self.wait_events[segment.index][Wait.STORES] += 1
        if first.waits_before:
            self.overlap_paid_ps[actor] = 0
        if first.sample is not None:
            self.registers[first.sample[0]] = self.registers[first.sample[1]]
        exposed = self._read(segment) if segment.read is not None else 0
        if segment.waits_after:
            self.overlap_paid_ps[actor] = 0
        duration = stall + exposed + self._cost(segment)
        self.executions[segment.index] += 1
        if segment.unit is not None:
            count = self.registers[segment.unit]
            self.units[segment.index] += count
            duration += count * segment.unit_ps
        return duration

    def _cost(self, segment: Segment) -> int:
        """Return the fixed cost of a segment, under a mix of sizes that of the packet's size class."""
        if not segment.class_costs or self.plan.classes is None:
            return segment.cost_ps
        size_class = self.plan.classes.of(self.registers[self.plan.handled])
        self.class_executions[segment.index][size_class] += 1
        return segment.class_costs[size_class]

    def finish(self, segment: Segment, now: int) -> int:
        """End a row: write, change registers, note what was posted or used; return the next segment's number."""
        if segment.write is not None:
            self._write(segment, now)
        registers = self.registers
        for effect in segment.effects:
            source = 0 if effect.source is None else registers[effect.source]
            if effect.op == "add":
                registers[effect.target] += source + effect.constant
            elif effect.op == "countdown":
                left = registers[effect.target] - source
                registers[effect.target] = left if left > 0 else left + effect.constant
            else:  # set, copy
                registers[effect.target] = source + effect.constant
        if segment.fills_ring:
            self.ring.note(registers, now)
        if self.plan.arrivals is not None and segment.first.takes_arrivals:
            self._take_arrived(self.plan.arrivals, now)
        marks = segment.last.marks
        if marks == "posted":
            self._mark_posted(now)
        elif marks == "used":
            self._mark_used(now)
        return next((target for jump, target in segment.jumps if self._holds(jump)), segment.following)

    def _holds(self, test: Condition) -> bool:
        right = 0 if test.right is None else self.registers[test.right]
        return RELATIONS[test.relation](self.registers[test.left] - right, test.constant)

    # -- cache lines --------------------------------------------------------------------------------------------------

    def extent(self, access: LineAccess) -> tuple[int, int]:
        """Return offset in the region and length of an access, as the registers stand (without wrapping)."""
        length = access.bytes
        index = 0 if access.index is None else self.registers[access.index]
        if access.count is not None:
            count = self.registers[access.count]
            index, length = index - count, access.bytes * count
        position = (index * access.times + access.plus) % access.modulo
        return access.offset + position * access.stride, length

    def _lines(self, access: LineAccess) -> range | list[int]:
        offset, length = self.extent(access)
        base = self.first_line[access.region]
        end = access.offset + access.modulo * access.stride
        if access.stride and offset + length > end:  # wraps at the end of the ring
            over = offset + length - end
            tail = range(base + (offset >> LINE_SHIFT), base + ((end - 1) >> LINE_SHIFT) + 1)
            front = access.offset
            head = range(base + (front >> LINE_SHIFT), base + ((front + over - 1) >> LINE_SHIFT) + 1)
            return [*tail, *(line for line in head if line not in tail)]
        return range(base + (offset >> LINE_SHIFT), base + ((offset + length - 1) >> LINE_SHIFT) + 1)

    def _read(self, segment: Segment) -> int:
        """Read the lines of a row; return the latency that nothing hides (DESIGN 6b.3)."""
        assert segment.read is not None
        latencies, actor, hidden, total = self.plan.latencies, segment.actor, segment.first.hidden_ps, 0
        mine = 1 << actor
        for line in self._lines(segment.read):
            if self.holders[line] & mine:
                near = self.last_line[segment.index] == line
                kind = Wait.NEAR_HIT if near else Wait.FAR_HIT
                latency = latencies.near_hit_ps if near else latencies.far_hit_ps
            elif self.owner[line] != NOBODY:
                kind, latency = Wait.TRANSFER, latencies.transfer_ps
                self.owner[line] = NOBODY
                if segment.brings_next:
                    if self.coming_to[line] == actor:
                        latency = min(latencies.transfer_ps, latencies.prefetched_ps)
                    else:
                        self.coming_to[line + 1] = actor  # until somebody writes it again
            else:
                kind, latency = Wait.CLEAN, latencies.clean_ps
            self.holders[line] |= mine
            self.last_line[segment.index] = line
            exposed = max(0, latency - hidden)
            paid = self.overlap_paid_ps[actor]
            wait = max(0, exposed - paid)
            if paid and kind == Wait.TRANSFER:
                wait = max(wait, latencies.stream_ps)
            self.overlap_paid_ps[actor] = max(paid, exposed)
            self.waits_ps[segment.index][kind] += wait
            self.wait_events[segment.index][kind] += 1
            total += wait
        return total

    def _write(self, segment: Segment, now: int) -> None:
        """Write the lines of a row: requests for ownership are asynchronous, the store buffer bounds them (6b.6)."""
        assert segment.write is not None
        latencies, actor = self.plan.latencies, segment.actor
        mine = 1 << actor
        for line in self._lines(segment.write):
            if self.owner[line] != actor and self.holders[line] & ~mine:
                done = self.stores_done_ps[actor]
                self.stores_done_ps[actor] = done + latencies.stream_ps if done > now else now + latencies.transfer_ps
            self.owner[line] = actor
            self.holders[line] = mine
            self.coming_to[line] = NOBODY
        full_at = now + latencies.transfer_ps + (latencies.store_buffer - 1) * latencies.stream_ps
        self.store_stall_ps[actor] += max(0, self.stores_done_ps[actor] - full_at)

    def _take_arrived(self, arrivals: Arrivals, now: int) -> None:
        """Drop what has arrived beyond the backlog; cut the burst to what waits, but at least one."""
        registers = self.registers
        registers[Register.ARRIVED] = arrivals.until(now)
        waiting = registers[Register.ARRIVED] - registers[Register.TAKEN]
        over = max(0, waiting - self.plan.backlog)
        registers[Register.DROPPED] += over
        registers[Register.TAKEN] += over
        registers[Register.BURST_LEFT] = max(1, min(registers[Register.BURST_LEFT], waiting - over))

    # -- packets ------------------------------------------------------------------------------------------------------

    def _mark_posted(self, now: int) -> None:
        ring = len(self.posted_at_ps)
        for packet in range(self.marked_posted, self.registers[self.plan.posted]):
            self.posted_at_ps[packet % ring] = now
        self.marked_posted = self.registers[self.plan.posted]
        self.most_in_flight = max(self.most_in_flight, self.marked_posted - self.marked_used)

    def _mark_used(self, now: int) -> None:
        ring = len(self.posted_at_ps)
        for packet in range(self.marked_used, self.registers[self.plan.used]):
            self.histogram[bucket(now - self.posted_at_ps[packet % ring])] += 1
        self.marked_used = self.registers[self.plan.used]
