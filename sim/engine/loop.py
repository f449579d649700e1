"""The compiled loop: `machine` and `reference` once more, over arrays. They are the specification, this is the speed.

Only this module imports numba, and only `machine_code` imports it, to compile. Nothing here allocates or uses floats.
Records (`segment`, `me`) point into their tables; `number` and `actor` are their row numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from sim.datapath.plan.plan import Wait
from sim.datapath.plan.registers import Register
from sim.datapath.traffic import DRAW_BITS, FIRST_FACTOR, GAMMA, LAST_PS, SECOND_FACTOR, SHIFTS
from sim.engine import order
from sim.engine.arrays import (
    COMING_SHIFT,
    IN_SEGMENT,
    NEVER,
    OCCUPIED_SHIFT,
    PREFETCHED,
    Arrays,
    Integers,
    Mark,
    Noted,
    Phase,
    Snapshots,
    Stop,
    Until,
    signed,
)
from sim.engine.histogram import SUB_BITS, buckets
from sim.engine.machine import LINE_SHIFT, NOBODY, Count

_SUB = 1 << SUB_BITS
_LAST_BUCKET = buckets() - 1
_GAMMA, _FIRST_FACTOR, _SECOND_FACTOR = map(signed, (GAMMA, FIRST_FACTOR, SECOND_FACTOR))
_SHIFT_1, _SHIFT_2, _SHIFT_3 = SHIFTS
_SHIFT_4, _SHIFT_5 = order.PRIORITY_SHIFT, 64 - DRAW_BITS
_MASK_1, _MASK_2, _MASK_3, _MASK_4, _MASK_5 = ((1 << (64 - shift)) - 1 for shift in (*SHIFTS, _SHIFT_4, _SHIFT_5))

#: A row number for use between brackets: unsigned, which spares the code that would look for negative ones (a quarter
#: of all). Never to be added to anything: a signed and an unsigned 64-bit integer make a float.
_at = np.uint64

_ARRIVED, _TAKEN, _DROPPED, _BURST_LEFT = Register.ARRIVED, Register.TAKEN, Register.DROPPED, Register.BURST_LEFT
_RING_AVAIL_IDX, _RING_USED_IDX = Register.RING_AVAIL_IDX, Register.RING_USED_IDX
_LOW, _OWNER = (1 << OCCUPIED_SHIFT) - 1, (1 << COMING_SHIFT) - 1
_EXECUTIONS, _UNITS, _WAITS_PS, _WAIT_EVENTS, _CLASSES = (int(column) for column in Count)


def _inner(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a part of the loop into it, without counting references to arrays (13 x faster: nothing is allocated)."""
    return njit(error_model="numpy", forceinline=True, _nrt=False)(function)


def _entry(function: Callable[..., Any]) -> Any:
    """Compile a function that can be called from outside, by address: nothing of Python is needed to do so."""
    return njit(error_model="numpy", _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)


# -- events -----------------------------------------------------------------------------------------------------------


@_inner
def _mixed(word: int) -> int:
    """Return the hash of 64 bits: `traffic.splitmix64`."""
    word = (word ^ ((word >> _SHIFT_1) & _MASK_1)) * _FIRST_FACTOR
    word = (word ^ ((word >> _SHIFT_2) & _MASK_2)) * _SECOND_FACTOR
    return word ^ ((word >> _SHIFT_3) & _MASK_3)


@_inner
def _schedule(a: Arrays, me: Any, due_ps: int, phase: int) -> None:
    me.phase = phase
    me.due_ps = due_ps
    fixed = a.fixed[0]
    if fixed.fuzz:
        totals = a.totals[0]
        word = _mixed(fixed.fuzz_start + totals.scheduled * _GAMMA)
        me.priority = me.rank + 1 + ((word >> _SHIFT_4) & _MASK_4) * len(a.actors)
        totals.scheduled += 1


@_inner
def _next_actor(a: Arrays) -> tuple[int, int]:
    """Return the actor of the next event (the lowest time, then the lowest priority), and when another's is due."""
    first, due_ps, priority, second_ps = NOBODY, NEVER, NEVER, NEVER
    for actor in range(len(a.actors)):
        other = a.actors[_at(actor)]
        if other.due_ps < due_ps or (other.due_ps == due_ps and other.priority < priority and due_ps != NEVER):
            first, due_ps, priority, second_ps = actor, other.due_ps, other.priority, due_ps
        else:
            second_ps = min(second_ps, other.due_ps)
    return first, second_ps


@_inner
def _holds(a: Arrays, test: Any) -> bool:
    difference = a.registers[_at(test.left)] - a.registers[_at(test.right)]
    return bool(np.uint64(difference - test.low) <= np.uint64(test.span))


@_inner
def _ready(a: Arrays, segment: Any) -> bool:
    return segment.condition == NOBODY or _holds(a, a.tests[_at(segment.condition)])


@_inner
def _wake_others(a: Arrays, actor: int, now: int) -> None:
    for number in range(len(a.actors)):
        other = a.actors[_at(number)]
        if other.phase == Phase.ASLEEP and number != actor and _ready(a, a.segments[_at(other.segment)]):
            _schedule(a, other, now, Phase.ARRIVED)


@_inner
def _size_class(a: Arrays, packet: int) -> int:
    """Return the size class of a packet: how many bounds its draw has reached."""
    draw = (_mixed(a.fixed[0].sizes_start + packet * _GAMMA) >> _SHIFT_5) & _MASK_5
    low, high = 0, len(a.class_bounds)
    while low < high:
        middle = (low + high) >> 1
        if draw < a.class_bounds[_at(middle)]:
            high = middle
        else:
            low = middle + 1
    return low


@_inner
def _go_on(a: Arrays, me: Any, actor: int, number: int, now: int, phase: int) -> bool:
    """Bring an actor as far into its next row as it gets now; return whether the row runs."""
    segment = a.segments[_at(number)]
    if segment.asks_at_start and phase != Phase.EXPECTING:
        if phase == Phase.RUNNING:
            me.arrived_ps = now
        if not _ready(a, segment):
            me.phase = Phase.ASLEEP
            me.due_ps = NEVER
            return False
        if segment.takes_arrivals:
            due_ps = _due_at(a)
            if due_ps > now:
                _schedule(a, me, due_ps, Phase.EXPECTING)
                return False
    if phase != Phase.RUNNING:
        a.counts[_at(number), _WAITS_PS + Wait.BLOCKED] += now - me.arrived_ps
    _schedule(a, me, now + _begin(a, me, actor, segment, number, now), Phase.RUNNING)
    return True


# -- one row ----------------------------------------------------------------------------------------------------------


@_inner
def _begin(a: Arrays, me: Any, actor: int, segment: Any, number: int, now: int) -> int:
    """Start a row; return how long it takes."""
    duration = me.store_stall_ps
    if segment.drains_stores:
        duration += max(0, me.stores_done_ps - now)
    if duration:
        me.store_stall_ps = 0
        a.counts[_at(number), _WAITS_PS + Wait.STORES] += duration
        a.counts[_at(number), _WAIT_EVENTS + Wait.STORES] += 1
    duration += segment.cost_ps
    if segment.waits_before:
        me.overlap_paid_ps = 0
    if segment.sample_target != segment.sample_source:
        a.registers[_at(segment.sample_target)] = a.registers[_at(segment.sample_source)]
    if segment.asks_at_start:
        duration += _units_and_class_ps(a, segment, number)
    if segment.read != NOBODY:
        duration += _read(a, me, actor, segment, number)
    if segment.waits_after:
        me.overlap_paid_ps = 0
    a.counts[_at(number), _EXECUTIONS] += 1
    return duration


@_inner
def _units_and_class_ps(a: Arrays, segment: Any, number: int) -> int:
    """Count the units of a row and the size class of its packet; return what both cost."""
    units, class_ps = a.registers[_at(segment.unit)], 0
    a.counts[_at(number), _UNITS] += units
    if segment.classes_from != NOBODY:
        size_class = _size_class(a, a.registers[_at(a.fixed[0].handled)])
        class_ps = a.class_costs[_at(segment.classes_from + size_class)]
        a.counts[_at(number), _at(_CLASSES + size_class)] += 1
    return class_ps + units * segment.unit_ps


@_inner
def _finish(a: Arrays, me: Any, actor: int, segment: Any, now: int) -> int:
    """End a row; return the number of the segment that follows."""
    registers = a.registers
    if segment.write != NOBODY:
        _write(a, me, actor, segment, now)
    for row in range(segment.adds_from, segment.adds_to):
        registers[_at(a.additions[_at(row)].target)] += a.additions[_at(row)].constant
    if segment.more_at_end:
        _finish_more(a, segment, now)
    for row in range(segment.jumps_from, segment.jumps_to):
        jump = a.tests[_at(row)]
        if _holds(a, jump):
            return jump.target
    return segment.following


@_inner
def _finish_more(a: Arrays, segment: Any, now: int) -> None:
    """Do at the end of a row what few rows do."""
    registers = a.registers
    for row in range(segment.changes_from, segment.changes_to):
        change = a.changes[_at(row)]
        value = registers[_at(change.target)] * change.kept + registers[_at(change.source)] * change.factor
        registers[_at(change.target)] = value + (change.constant if value <= change.limit else 0)
    if segment.fills_ring:
        _note_ring(a, now)
    if segment.takes_arrivals:
        _take_arrived(a, now)
    if segment.marks == Mark.POSTED:
        _mark_posted(a, now)
    elif segment.marks == Mark.USED:
        _mark_used(a, now)


# -- cache lines ------------------------------------------------------------------------------------------------------


@_inner
def _span(a: Arrays, access: Any) -> tuple[int, int, int]:
    """Return first and last line of an access, up to the end of the ring, and the bytes that lie beyond."""
    index, length = a.registers[_at(access.index)], access.bytes
    if access.counted:
        count = a.registers[_at(access.count)]
        index -= count
        length *= count
    position, modulo = index * access.times + access.plus, access.modulo
    if modulo & (modulo - 1):
        position %= modulo
    else:
        position &= modulo - 1
    start = access.offset + position * access.stride
    beyond = start + length
    over = beyond - access.end
    if over > 0:
        beyond = access.end
    return access.first_line + (start >> LINE_SHIFT), access.first_line + ((beyond - 1) >> LINE_SHIFT), over


@_inner
def _front(access: Any, first: int, over: int) -> range:
    """Return the lines at the front of a ring that an access meets behind its end, but for those it has met."""
    front = access.first_line + (access.offset >> LINE_SHIFT)
    return range(front, min(first, access.first_line + ((access.offset + over - 1) >> LINE_SHIFT) + 1))


@_inner
def _read(a: Arrays, me: Any, actor: int, segment: Any, number: int) -> int:
    """Read the lines of a row; return the latency that nothing hides."""
    if segment.read == IN_SEGMENT:
        place = (a.registers[_at(segment.read_index)] * segment.read_scale + segment.read_plus) & segment.read_mask
        start, line = segment.read_offset + place, segment.read_line
        first, last = line + (start >> LINE_SHIFT), line + ((start + segment.read_last) >> LINE_SHIFT)
        total = _read_line(a, me, actor, segment, number, first)
        if first != last:
            total += _read_line(a, me, actor, segment, number, last)
        return total
    access, total = a.accesses[_at(segment.read)], 0
    first, last, over = _span(a, access)
    for line in range(first, last + 1):
        total += _read_line(a, me, actor, segment, number, line)
    if over > 0:
        for line in _front(access, first, over):
            total += _read_line(a, me, actor, segment, number, line)
    return total


@_inner
def _read_line(a: Arrays, me: Any, actor: int, segment: Any, number: int, line: int) -> int:
    """Read one line; return the latency that nothing hides.

    Kinds are told apart by where the code goes: a processor guesses that, and need not wait for the line's state.
    """
    state, mine = a.lines[_at(line)], 1 << actor
    before = a.last_lines[_at(number)]
    a.last_lines[_at(number)] = line
    if state.holders & mine:
        if before == line:
            return _waited(a, me, number, Wait.NEAR_HIT, Wait.NEAR_HIT)
        return _waited(a, me, number, Wait.FAR_HIT, Wait.FAR_HIT)
    state.holders |= mine
    if state.owner == NOBODY:
        return _waited(a, me, number, Wait.CLEAN, Wait.CLEAN)
    if segment.brings_next:
        if state.owner >> COMING_SHIFT == actor + 1:
            state.owner = NOBODY
            return _waited(a, me, number, Wait.TRANSFER, PREFETCHED)
        _bring(a, actor, line + 1)
    state.owner = NOBODY
    return _waited(a, me, number, Wait.TRANSFER, Wait.TRANSFER)


@_inner
def _bring(a: Arrays, actor: int, line: int) -> None:
    """Let a line that somebody has modified come to an actor, until it is written again."""
    state = a.lines[_at(line)]
    if state.owner != NOBODY:
        state.owner = (state.owner & _OWNER) | ((actor + 1) << COMING_SHIFT)


@_inner
def _waited(a: Arrays, me: Any, number: int, kind: int, price: int) -> int:
    """Count a wait for a line at the price of a column; return how long it is beside those that it overlaps."""
    exposed, paid = a.exposed_ps[_at(number), _at(price)], me.overlap_paid_ps
    wait = max(0, exposed - paid)
    if kind == Wait.TRANSFER and paid:
        wait = max(wait, a.fixed[0].stream_ps)
    me.overlap_paid_ps = max(paid, exposed)
    a.counts[_at(number), _at(_WAITS_PS + kind)] += wait
    a.counts[_at(number), _at(_WAIT_EVENTS + kind)] += 1
    return wait


@_inner
def _write(a: Arrays, me: Any, actor: int, segment: Any, now: int) -> None:
    """Write the lines of a row; let the next one wait where more are under way than the store buffer holds."""
    if segment.write == IN_SEGMENT:
        place = (a.registers[_at(segment.write_index)] * segment.write_scale + segment.write_plus) & segment.write_mask
        start, line = segment.write_offset + place, segment.write_line
        first, last = line + (start >> LINE_SHIFT), line + ((start + segment.write_last) >> LINE_SHIFT)
        _write_line(a, me, actor, first, now)
        if first != last:
            _write_line(a, me, actor, last, now)
    else:
        access = a.accesses[_at(segment.write)]
        first, last, over = _span(a, access)
        for line in range(first, last + 1):
            _write_line(a, me, actor, line, now)
        if over > 0:
            for line in _front(access, first, over):
                _write_line(a, me, actor, line, now)
    fixed = a.fixed[0]
    full_at = now + fixed.transfer_ps + (fixed.store_buffer - 1) * fixed.stream_ps
    me.store_stall_ps += max(0, me.stores_done_ps - full_at)


@_inner
def _write_line(a: Arrays, me: Any, actor: int, line: int, now: int) -> None:
    state, mine = a.lines[_at(line)], 1 << actor
    if state.owner != actor and state.holders & ~mine:
        done = me.stores_done_ps
        me.stores_done_ps = done + a.fixed[0].stream_ps if done > now else now + a.fixed[0].transfer_ps
    state.owner = actor
    state.holders = mine


# -- packets ----------------------------------------------------------------------------------------------------------


@_inner
def _due_at(a: Arrays) -> int:
    """Return when the next packet arrives, 0 where it has."""
    place = a.registers[_TAKEN] - a.totals[0].arrivals_from
    return a.arrivals[_at(place)] if place >= 0 else 0


@_inner
def _take_arrived(a: Arrays, now: int) -> None:
    """Drop what has arrived beyond the backlog; cut the burst to what waits, but at least one."""
    registers, before = a.registers, a.totals[0].arrivals_from
    arrived = max(registers[_ARRIVED], before)
    while a.arrivals[_at(arrived - before)] <= now:
        arrived += 1
    registers[_ARRIVED] = arrived
    waiting = arrived - registers[_TAKEN]
    over = max(0, waiting - a.fixed[0].backlog)
    registers[_DROPPED] += over
    registers[_TAKEN] += over
    registers[_BURST_LEFT] = max(1, min(registers[_BURST_LEFT], waiting - over))


@_inner
def _note_ring(a: Arrays, now: int) -> None:
    """Add up the ring's occupancy over time, and take what its indices say from now on."""
    totals, registers = a.totals[0], a.registers
    occupied, elapsed = totals.occupied, now - totals.occupied_since_ps
    low = totals.occupied_low + occupied * (elapsed & _LOW)
    totals.occupied_high += occupied * (elapsed >> OCCUPIED_SHIFT) + (low >> OCCUPIED_SHIFT)
    totals.occupied_low = low & _LOW
    totals.occupied_since_ps = now
    totals.occupied = registers[_RING_AVAIL_IDX] - registers[_RING_USED_IDX]
    totals.most_occupied = max(totals.most_occupied, totals.occupied)


@_inner
def _mark_posted(a: Arrays, now: int) -> None:
    totals, posted, mask = a.totals[0], a.registers[_at(a.fixed[0].posted)], len(a.posted_at_ps) - 1
    for packet in range(totals.marked_posted, posted):
        a.posted_at_ps[_at(packet & mask)] = now
    totals.marked_posted = posted
    totals.most_in_flight = max(totals.most_in_flight, posted - totals.marked_used)


@_inner
def _mark_used(a: Arrays, now: int) -> None:
    totals, used, mask = a.totals[0], a.registers[_at(a.fixed[0].used)], len(a.posted_at_ps) - 1
    before, place = -1, 0
    for packet in range(totals.marked_used, used):
        latency = now - a.posted_at_ps[_at(packet & mask)]
        if latency != before:  # packets of one burst were posted together
            before, place = latency, _bucket(latency)
            totals.first_bucket = min(totals.first_bucket, place)
            totals.last_bucket = max(totals.last_bucket, place)
        a.histogram[_at(place)] += 1
    totals.marked_used = used


@_inner
def _bucket(value: int) -> int:
    if value < _SUB:
        return max(0, value)
    octave = 0
    while (value >> octave) >= 2 * _SUB:
        octave += 1
    return min((octave + 1) * _SUB + (value >> octave) - _SUB, _LAST_BUCKET)


# -- the loop ---------------------------------------------------------------------------------------------------------


@_inner
def _record(a: Arrays, trace: Integers, priority: int, actor: int, number: int) -> None:
    totals = a.totals[0]
    row = totals.recorded
    trace[row, 0] = totals.now_ps
    trace[row, 1] = priority
    trace[row, 2] = totals.sequence
    trace[row, 3] = actor
    trace[row, 4] = number
    totals.recorded = row + 1


@_entry
def simulate_events(a: Arrays, trace: Integers, target: int, checkpoint_at: int, most_events: int) -> int:
    """Simulate until `target` packets are used or something else needs Python; return why as a `Stop`.

    `trace` takes time, priority, sequence, actor and segment of each row that ends, and nothing if it has no rows.
    """
    totals = a.totals[0]
    if not totals.started:
        totals.started = 1
        for actor in range(len(a.actors)):
            me = a.actors[_at(actor)]
            _go_on(a, me, actor, me.segment, 0, Phase.ARRIVED)
    recording, known_arrivals = len(trace) > 0, len(a.arrivals)
    too_late = a.arrivals[_at(known_arrivals - 1)] if known_arrivals else LAST_PS + 1
    if recording and totals.recorded == len(trace):
        return Stop.TRACE_FULL
    left = most_events
    while left > 0:
        actor, another_ps = _next_actor(a)
        if actor == NOBODY:
            return Stop.DEADLOCK
        me = a.actors[_at(actor)]
        now, phase, number = me.due_ps, me.phase, me.segment
        if now >= too_late:
            return Stop.LATE if now > LAST_PS else Stop.NO_ARRIVALS
        alone_until = min(another_ps, too_late)
        totals.now_ps = now
        runs = phase == Phase.RUNNING
        if not runs:  # a row begins: woken, with a packet, or behind a checkpoint
            if phase == Phase.ENDED:
                me.priority = me.rank + 1
                _wake_others(a, actor, now)
                alone_until = now
            runs = _go_on(a, me, actor, number, now, phase)
            if totals.marked_used >= target:
                return Stop.REACHED
            left -= 1
            now = me.due_ps
            runs = runs and now < alone_until and left > 0
        while runs:  # row by row, for as long as no other actor's event comes first
            totals.now_ps = now
            segment, ended = a.segments[_at(number)], number
            number = _finish(a, me, actor, segment, now)
            me.segment = number
            if recording:
                _record(a, trace, me.priority, actor, ended)
            totals.sequence += 1
            if segment.marks == Mark.USED and totals.marked_used >= checkpoint_at:
                me.arrived_ps, me.phase, me.priority = now, Phase.ENDED, 0  # goes on before anything else happens
                return Stop.CHECKPOINT
            if segment.wakes:
                _wake_others(a, actor, now)
                alone_until = now
            runs = _go_on(a, me, actor, number, now, Phase.RUNNING)
            if totals.marked_used >= target:
                return Stop.REACHED
            if recording and totals.recorded == len(trace):
                return Stop.TRACE_FULL
            left -= 1
            now = me.due_ps
            runs = runs and now < alone_until and left > 0
    return Stop.PAUSED


@_inner
def _copy_counts(a: Arrays, noted: Integers) -> None:
    for segment in range(len(a.counts)):
        for column in range(a.counts.shape[1]):
            noted[segment, column] = a.counts[segment, column]


@_inner
def _snap(a: Arrays, snapshots: Snapshots) -> None:
    """Note what is so at a checkpoint."""
    totals = a.totals[0]
    row = totals.snapshots
    snapshots.totals[row] = totals
    snapshots.dropped[row] = a.registers[_DROPPED]
    _copy_counts(a, snapshots.counts[row])
    for bucket in range(totals.first_bucket, totals.last_bucket + 1):
        snapshots.histograms[row, bucket] = a.histogram[bucket]
    totals.snapshots = row + 1


@_entry
def simulate_run(
    a: Arrays, trace: Integers, target: int, checkpoint_at: int, every: int, most_events: int, snapshots: Snapshots
) -> int:
    """Simulate as `simulate_events` does, and note a checkpoint after each `every` packets.

    It stops at one, with `Stop.CHECKPOINT`, where there is no room for more, and where `most_events` rows have ended.
    """
    totals = a.totals[0]
    begun = totals.sequence
    while True:
        stop = simulate_events(a, trace, target, checkpoint_at, most_events)
        if stop != Stop.CHECKPOINT:
            return stop
        _snap(a, snapshots)
        if totals.snapshots >= len(snapshots.totals) or totals.sequence - begun >= most_events:
            return stop
        checkpoint_at = (totals.marked_used // every + 1) * every


@_entry
def simulate_draws(
    a: Arrays,
    buffer: Integers,
    draws: Integers,
    start: Integers,
    places: Integers,
    prices: Integers,
    until: Until,
    noted: Noted,
) -> int:
    """Simulate some draws, one after the other, until enough packets are used; return 0.

    `a` is the buffer as arrays. A draw goes on from where it stopped. Where it has no checkpoint it begins with what is
    in `start`, and its row of `prices` (or the only one) in their places. Where one stops for another reason than that
    enough packets are used, no checkpoint of it is left.
    """
    for number in range(len(draws)):
        draw = draws[_at(number)]
        totals, due_at, checkpoint = a.totals[0], 0, noted.checkpoints[draw]
        if checkpoint:
            if noted.ends[draw].marked_used >= until.packets:
                continue  # the last flush has reached it
            due_at = (noted.packets[draw, checkpoint - 1] // until.every + 1) * until.every
            for place in range(noted.states.shape[1]):
                buffer[_at(place)] = noted.states[draw, place]
        else:
            for place in range(noted.states.shape[1]):
                buffer[_at(place)] = start[_at(place)]
            row = draw if len(prices) > 1 else 0
            for price in range(len(places)):
                buffer[_at(places[_at(price)])] = prices[row, _at(price)]
        stop = simulate_events(a, until.trace, until.packets, due_at, until.most_events)
        while stop == Stop.CHECKPOINT and checkpoint < noted.times_ps.shape[1]:
            noted.times_ps[draw, checkpoint] = totals.now_ps
            noted.packets[draw, checkpoint] = totals.marked_used
            _copy_counts(a, noted.counts[draw, checkpoint])
            checkpoint += 1
            due_at = (totals.marked_used // until.every + 1) * until.every
            stop = simulate_events(a, until.trace, until.packets, due_at, until.most_events)
        noted.checkpoints[draw] = checkpoint if stop == Stop.REACHED else 0
        noted.ends[draw] = a.totals[0]
        for place in range(noted.states.shape[1]):
            noted.states[draw, place] = buffer[_at(place)]
    return 0
