"""A Plan as arrays of 64-bit integers: the program that the compiled loop reads, and the state that it changes.

The dtype of an array of records names its columns. Row numbers are those of the Plan's segments,
registers and cache lines. Where a row has nothing to name, the number is `NOBODY` or that of a register of zeros.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sim.datapath import traffic
from sim.datapath.plan.plan import Plan, Segment, Wait
from sim.datapath.plan.registers import BANK, Condition, Effect, Register
from sim.datapath.plan.step import LineAccess
from sim.engine import histogram, order
from sim.engine.machine import LINE_SHIFT, NOBODY, Count
from sim.engine.order import TieOrder

Integers = npt.NDArray[np.int64]
Records = npt.NDArray[Any]

#: A register that is always 0, for what a row leaves out.
ZERO = BANK - 1
#: The number of an access that stands in its segment.
IN_SEGMENT = -2
NEVER = int(np.iinfo(np.int64).max)
#: What taking arrived packets changes.
TAKING = (Register.ARRIVED, Register.TAKEN, Register.DROPPED, Register.BURST_LEFT)
LOWEST = int(np.iinfo(np.int64).min)


def _columns(names: str) -> np.dtype[Any]:
    return np.dtype([(name, np.int64) for name in names.split()])


#: One row per segment; `*_from` to `*_to` are rows of another array, `condition`, `read` and `write` can be one.
#: `wakes` is 1 where the end of the row can make true what another actor waits for. A row whose cost is that of a size
#: class has a `cost_ps` of 0. Most rows are plain: `asks_at_start` is 1 where the start looks at a condition, arrivals,
#: units or size classes, `more_at_end` where the end does more than write, add and jump. An access whose place a mask
#: finds (`IN_SEGMENT`) stands here, in bytes of its region, which begins with the line `read_line`: from `read_offset +
#: ((register read_index x read_scale + read_plus) & read_mask)` to `read_last` bytes behind that.
SEGMENT = _columns(
    "cost_ps unit unit_ps waits_before waits_after drains_stores sample_target sample_source takes_arrivals "
    "marks fills_ring wakes condition read write adds_from adds_to changes_from changes_to jumps_from jumps_to "
    "following classes_from asks_at_start more_at_end "
    "brings_next read_line read_offset read_index read_scale read_plus read_mask read_last "
    "write_line write_offset write_index write_scale write_plus write_mask write_last"
)
#: One row per access to ring memory that a mask does not find: see `LineAccess`; `end` is the offset behind the last
#: stride.
ACCESS = _columns("first_line offset bytes index counted count times plus modulo stride end")
#: `left - right` is one of the `span + 1` values from `low` on, which go on behind the highest one with the lowest.
TEST = _columns("left right low span target")
#: A register has a constant added.
ADDITION = _columns("target constant")
#: A register becomes `kept x itself + factor x source`, plus `constant` where that is not above `limit`.
CHANGE = _columns("target kept source factor constant limit")
#: One row: what holds for the whole machine.
FIXED = _columns("transfer_ps stream_ps store_buffer backlog posted used handled fuzz fuzz_start sizes_start")
#: One row per cache line.
LINE = _columns("owner holders")
#: Who owns a line is the number of an actor; of one that comes to another actor, that one's number plus 1 stands above
#: so many bits. Nobody but its owner holds such a line.
COMING_SHIFT = 16
#: One row per actor.
ACTOR = _columns("segment phase due_ps priority rank arrived_ps overlap_paid_ps stores_done_ps store_stall_ps")


#: Column of `exposed_ps` for a transfer whose line comes with the one before it; no load waits for stores.
PREFETCHED = Wait.STORES


class TotalsRow(NamedTuple):
    """What is so of the whole simulation; buckets of the histogram that are not empty are from first to last.

    `recorded` and `snapshots` are rows that wait for Python to take them; `scheduled` goes on under fuzz only.
    """

    now_ps: int
    started: int
    scheduled: int
    sequence: int
    recorded: int
    snapshots: int
    marked_posted: int
    marked_used: int
    most_in_flight: int
    occupied: int
    occupied_since_ps: int
    occupied_high: int
    occupied_low: int
    most_occupied: int
    arrivals_from: int
    first_bucket: int
    last_bucket: int


#: One row.
TOTAL = _columns(" ".join(TotalsRow._fields))
#: The integral of the ring's occupancy over time is `high << OCCUPIED_SHIFT` plus `low`: too large for one 64-bit
#: integer in long runs.
OCCUPIED_SHIFT = 32


class Mark(IntEnum):
    """Values of `SEGMENT.marks`."""

    NOTHING = 0
    POSTED = 1
    USED = 2


class Phase(IntEnum):
    """What the next event of an actor means; values of `ACTOR.phase`."""

    ARRIVED = 0  # at a row whose condition must be looked at: at the start of time, or woken
    ASLEEP = 1  # no event until another actor makes the condition true
    EXPECTING = 2  # a packet arrives
    RUNNING = 3  # the row ends
    ENDED = 4  # the row has ended; the next one is yet to be met


class Arrays(NamedTuple):
    """Program (down to `class_costs`) and state of one simulation.

    `arrivals` are the times of the packets from `arrivals_from` on; those before have arrived.
    Rows of `exposed_ps` (latency that nothing hides, by `Wait`, and `PREFETCHED`), `counts`, `last_lines` are segments.
    The histogram is the last: nothing that happens depends on it.
    """

    segments: Records
    accesses: Records
    tests: Records
    additions: Records
    changes: Records
    fixed: Records
    exposed_ps: Integers
    arrivals: Integers
    class_bounds: Integers
    class_costs: Integers
    registers: Integers
    lines: Records
    actors: Records
    counts: Integers
    last_lines: Integers
    totals: Records
    posted_at_ps: Integers
    histogram: Integers


class Stop(IntEnum):
    """Why the loop came back."""

    REACHED = 0  # enough packets are used
    CHECKPOINT = 1  # at a checkpoint, before anything else happens
    TRACE_FULL = 2
    PAUSED = 3  # so that Python sees signals
    DEADLOCK = 4
    NO_ARRIVALS = 5  # later than all arrival times that are known: more are needed, nothing has happened
    LATE = 6  # simulated time is over, nothing has happened


class Snapshots(NamedTuple):
    """What is noted at checkpoints of one run; the first axis is theirs, the run's totals say how many there are.

    Axes of `counts` are checkpoints, segments, columns of `Count`; in `histograms` the buckets from first to last hold.
    """

    totals: Records
    dropped: Integers
    counts: Integers
    histograms: Integers


class Until(NamedTuple):
    """When draws are done, and when checkpoints are due; `trace` has no rows."""

    trace: Integers
    packets: int
    every: int
    most_events: int


class Noted(NamedTuple):
    """What is noted of draws: how many checkpoints, what at each, totals in the end; the first axis is that of draws.

    Axes of `counts` are draws, checkpoints, segments, columns of `Count`. Rows of `states` are what draws go on from.
    """

    checkpoints: Integers
    times_ps: Integers
    packets: Integers
    counts: Integers
    ends: Records
    states: Integers


#: The columns of the arrays of records.
RECORDS = {
    "segments": SEGMENT,
    "accesses": ACCESS,
    "tests": TEST,
    "additions": ADDITION,
    "changes": CHANGE,
    "fixed": FIXED,
    "lines": LINE,
    "actors": ACTOR,
    "totals": TOTAL,
}

#: Digest of every number that is compiled in: machine code from the disk that was made with others must not run.
LAYOUT = int.from_bytes(
    hashlib.sha256(
        repr(
            [
                [(names.__name__, name, int(value)) for name, value in names.__members__.items()]
                for names in (Mark, Phase, Stop, Count, Wait, Register)
            ]
            + [ZERO, NEVER, NOBODY, IN_SEGMENT, LINE_SHIFT, histogram.SUB_BITS, histogram.buckets()]
            + [traffic.GAMMA, traffic.FIRST_FACTOR, traffic.SECOND_FACTOR, traffic.SHIFTS, traffic.DRAW_BITS]
            + [order.PRIORITY_SHIFT, OCCUPIED_SHIFT, COMING_SHIFT, int(PREFETCHED), traffic.LAST_PS]
        ).encode()
    ).digest()[:7]
)


class _Program:
    """Collects the records that segments point into."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.accesses: list[dict[str, int]] = []
        self.tests: list[dict[str, int]] = []
        self.additions: list[dict[str, int]] = []
        self.changes: list[dict[str, int]] = []
        self.classes = 0
        starts = [(segment.actor, segment.first.condition, segment.first.sample) for segment in plan.segments]
        self._watched = [(actor, {test.left, test.right}) for actor, test, _ in starts if test is not None]
        self._sampled = {(actor, sample[0]) for actor, _, sample in starts if sample is not None}
        self.segments = [self._segment(segment) for segment in plan.segments]

    def _segment(self, segment: Segment) -> dict[str, int]:
        first, last = segment.first, segment.last
        sample_target, sample_source = first.sample or (ZERO, ZERO)
        adds_from, changes_from, jumps_from = len(self.additions), len(self.changes), len(self.tests)
        self._effects(segment.effects)
        self.tests += [_test(jump, target) for jump, target in segment.jumps]
        jumps_to = len(self.tests)
        takes_arrivals = first.takes_arrivals and self.plan.arrivals is not None
        is_asked = first.condition is not None or takes_arrivals
        has_changes = len(self.changes) > changes_from
        return {
            "unit": _register(segment.unit),
            "drains_stores": first.drains_stores,
            "sample_target": sample_target,
            "sample_source": sample_source,
            "takes_arrivals": takes_arrivals,
            "marks": Mark[last.marks.upper()] if last.marks else Mark.NOTHING,
            "fills_ring": segment.fills_ring,
            "wakes": self._wakes(segment),
            "condition": self._condition(first.condition),
            "adds_from": adds_from,
            "adds_to": len(self.additions),
            "changes_from": changes_from,
            "changes_to": len(self.changes),
            "jumps_from": jumps_from,
            "jumps_to": jumps_to,
            "following": segment.following,
            "classes_from": self._classes(segment),
            "asks_at_start": is_asked or segment.unit is not None or bool(segment.class_costs),
            "more_at_end": has_changes or segment.fills_ring or takes_arrivals or bool(last.marks),
            **self._access("read", segment.read),
            **self._access("write", segment.write),
        }

    def _effects(self, effects: tuple[Effect, ...]) -> None:
        """Part the additions of constants that come first, one per register, from the rest."""
        sums: dict[int, int] = {}
        later = changed(effects)
        for effect in effects[: len(effects) - len(later)]:
            sums[effect.target] = sums.get(effect.target, 0) + effect.constant
        self.changes += [_change(effect) for effect in later]
        self.additions += [{"target": int(register), "constant": sums[register]} for register in sums if sums[register]]

    def _wakes(self, segment: Segment) -> bool:
        """Return whether the end of a row can make true what another actor waits for."""
        changed = {effect.target for effect in segment.effects} | set(TAKING if segment.first.takes_arrivals else ())
        return any(
            actor != segment.actor and not (changed | self._sampled_by_others(actor)).isdisjoint(watched)
            for actor, watched in self._watched
        )

    def _sampled_by_others(self, actor: int) -> set[int]:
        """Return what other actors may change at the start of a row, for the next end of any row to notice."""
        return {register for sampler, register in self._sampled if sampler != actor}

    def _classes(self, segment: Segment) -> int:
        if not segment.class_costs:
            return NOBODY
        self.classes += len(segment.class_costs)
        return self.classes - len(segment.class_costs)

    def _condition(self, condition: Condition | None) -> int:
        if condition is None:
            return NOBODY
        self.tests.append(_test(condition, NOBODY))
        return len(self.tests) - 1

    def _access(self, name: str, access: LineAccess | None) -> dict[str, int]:
        """Return the columns of an access; one that a mask does not find goes into the table of those."""
        if access is None:
            return {name: NOBODY}
        first_line, index = self.plan.first_line(access.region), _register(access.index)
        if is_masked(access):
            return {name: IN_SEGMENT, **in_segment(name, access, first_line)}
        self.accesses.append(
            {
                "first_line": first_line,
                "offset": access.offset,
                "bytes": access.bytes,
                "index": index,
                "counted": access.count is not None,
                "count": _register(access.count),
                "times": access.times,
                "plus": access.plus,
                "modulo": access.modulo,
                "stride": access.stride,
                "end": access.offset + access.modulo * access.stride if access.stride else NEVER,
            }
        )
        return {name: len(self.accesses) - 1}


def is_masked(access: LineAccess) -> bool:
    """Return whether a mask of bits finds an access: to two lines at most, never round the end of its ring."""
    is_round = not access.modulo & (access.modulo - 1) and not access.stride & (access.stride - 1)
    line = 1 << LINE_SHIFT
    return is_round and access.count is None and access.bytes <= (min(access.stride, line) if access.stride else line)


def in_segment(name: str, access: LineAccess, first_line: int = 0) -> dict[str, int]:
    """Return an access that a mask finds as columns of its segment."""
    return {
        f"{name}_line": first_line,
        f"{name}_offset": access.offset,
        f"{name}_index": _register(access.index),
        f"{name}_scale": access.times * access.stride,
        f"{name}_plus": access.plus * access.stride,
        f"{name}_mask": max(0, access.modulo * access.stride - 1),
        f"{name}_last": access.bytes - 1,
    }


def _register(register: int | None) -> int:
    return ZERO if register is None else int(register)


def _test(test: Condition, target: int) -> dict[str, int]:
    value = test.constant
    low, high = {
        "==": (value, value),
        "!=": (value + 1, value - 1),  # round the end of the numbers
        ">=": (value, NEVER),
        "<": (LOWEST, value - 1),
    }[test.relation]
    span = signed((high - low) & traffic.WORD)
    return {"left": int(test.left), "right": _register(test.right), "low": low, "span": span, "target": target}


def changed(effects: Sequence[Effect]) -> list[Effect]:
    """Return the effects that are more than additions of constants that come first."""
    first = next((n for n, effect in enumerate(effects) if effect.op != "add" or effect.source is not None), None)
    return [] if first is None else list(effects[first:])


def _change(effect: Effect) -> dict[str, int]:
    kept, factor = {"set": (0, 1), "copy": (0, 1), "add": (1, 1), "countdown": (1, -1)}[effect.op]
    return {
        "target": int(effect.target),
        "kept": kept,
        "source": _register(effect.source),
        "factor": factor,
        "constant": 0,
        "limit": 0 if effect.op == "countdown" else NEVER,
    }


def _records(rows: list[dict[str, int]], columns: np.dtype[Any]) -> Records:
    """Return rows as records; columns that a row says nothing of are 0, those that there are not are an error."""
    names = columns.names or ()
    assert all(row.keys() <= set(names) for row in rows), "a row has a column that records have not"
    return np.array([tuple(row.get(name, 0) for name in names) for row in rows], dtype=columns)


def pack_structure(plan: Plan, ties: TieOrder) -> Arrays:
    """Return the arrays of a Plan at the start of time but for its prices, which are 0."""
    program = _Program(plan)
    fixed = {
        "backlog": plan.backlog,
        "posted": int(plan.posted),
        "used": int(plan.used),
        "handled": int(plan.handled),
        "fuzz": ties.fuzz,
        "fuzz_start": signed(ties.start),
        "sizes_start": signed(plan.classes.start) if plan.classes else 0,
    }
    actors = np.zeros(len(plan.actors), dtype=ACTOR)
    actors["segment"], actors["rank"], actors["due_ps"] = plan.entry, ties.ranks, NEVER
    actors["priority"] = actors["rank"] + 1
    rows, classes = len(plan.segments), len(plan.classes.sizes) if plan.classes else 0
    lines = np.zeros(plan.lines + 1, dtype=LINE)  # one more, that comes with the last one
    lines["owner"], lines["holders"] = plan.first_owner, 1 << plan.first_owner
    arrivals = np.zeros(0, dtype=np.int64) if plan.arrivals is None else plan.arrivals.block(0)
    totals = np.zeros(1, dtype=TOTAL)
    totals["first_bucket"], totals["last_bucket"] = histogram.buckets(), -1
    return Arrays(
        segments=_records(program.segments, SEGMENT),
        accesses=_records(program.accesses, ACCESS),
        tests=_records(program.tests, TEST),
        additions=_records(program.additions, ADDITION),
        changes=_records(program.changes, CHANGE),
        fixed=_records([fixed], FIXED),
        exposed_ps=np.zeros((rows, len(Wait)), dtype=np.int64),
        arrivals=np.require(arrivals, dtype=np.int64, requirements=["C", "W"]),
        class_bounds=np.array(plan.classes.bounds if plan.classes else (), dtype=np.int64),
        class_costs=np.zeros(program.classes, dtype=np.int64),
        registers=np.zeros(BANK * plan.banks, dtype=np.int64),
        lines=lines,
        actors=actors,
        counts=np.zeros((rows, Count.CLASSES + classes), dtype=np.int64),
        last_lines=np.full(rows, NOBODY),
        totals=totals,
        histogram=np.zeros(histogram.buckets(), dtype=np.int64),
        posted_at_ps=np.zeros(1 << (2 * plan.in_flight - 1).bit_length(), dtype=np.int64),
    )


def signed(word: int) -> int:
    """Return the 64-bit word as a signed integer."""
    return word - (1 << 64) if word >> 63 else word
