"""Fuse rows into segments: what nothing can come between becomes one event of an engine."""

from __future__ import annotations

from sim.costs.draws import either
from sim.datapath.plan.plan import Segment
from sim.datapath.plan.registers import BANK, SHARED
from sim.datapath.plan.step import Row


def _separate(row: Row) -> bool:
    """Return whether a row must start a segment: something at its start can meet the other actor."""
    return row.reads or row.condition is not None or row.sample is not None or row.drains_stores or row.takes_arrivals


def _closed(row: Row) -> bool:
    """Return whether a row must end a segment: its end is visible to the other actor, or decides what comes next."""
    shared = any(effect.target % BANK in SHARED for effect in row.effects)
    return row.writes or shared or bool(row.jumps) or row.marks is not None or row.takes_arrivals


def _registers(row: Row) -> set[int]:
    """Registers that a row reads for itself: where its access lies, and how many units it runs for."""
    used = [row.unit] if row.access is None else [row.unit, row.access.index, row.access.count]
    return {register for register in used if register is not None}


def _group(rows: list[Row], first: int) -> list[int]:
    """Return the numbers of the rows that one segment from row `first` on may hold.

    Changes of private registers wait for the end of the segment, so no later row of it may look at them.
    """
    group = [first]
    changed = {effect.target for effect in rows[first].effects}
    unit = rows[first].unit
    for number in range(first + 1, len(rows)):
        before, row = rows[number - 1], rows[number]
        if before.actor != row.actor or _closed(before) or _separate(row) or changed & _registers(row):
            break
        if None not in (unit, row.unit) and row.unit != unit:
            break
        group.append(number)
        changed |= {effect.target for effect in row.effects}
        unit = row.unit if unit is None else unit
    return group


def actors_of(rows: list[Row]) -> tuple[str, ...]:
    """Return the actors in the order of their rows."""
    return tuple(dict.fromkeys(row.actor for row in rows))


def fuse(rows: list[Row], apart: bool = False) -> list[Segment]:
    """Group rows into segments; `apart` keeps every row a segment of its own (for traces of single rows).

    Labels are those of one actor. A row that others jump to starts a segment; it also ends the segments of those that
    fall through to it.
    """
    targets = {(row.actor, str(jump.target)) for row in rows for jump in row.jumps}
    starts = {number for number, row in enumerate(rows) if number == 0 or (row.actor, row.label) in targets}
    labels = [(row.actor, row.label) for row in rows]
    if twice := [label for label in sorted(targets) if labels.count(label) > 1]:
        raise ValueError(f"rows of the {twice[0][0]} jump to '{twice[0][1]}', which is the label of more than one row")
    groups: dict[int, list[int]] = {}
    while waiting := sorted(starts - set(groups)):
        first = waiting[0]
        groups[first] = [first] if apart else _group(rows, first)
        if groups[first][-1] + 1 < len(rows):
            starts.add(groups[first][-1] + 1)
    order, actors = sorted(groups), actors_of(rows)
    home = {(rows[first].actor, rows[first].label): index for index, first in enumerate(order)}
    segments = []
    for index, first in enumerate(order):
        group = groups[first]
        following = order.index(group[-1] + 1) if group[-1] + 1 in groups else 0
        members = [rows[number] for number in group]
        segments.append(_segment(index, actors.index(members[0].actor), members, tuple(group), home, following))
    return segments


def _segment(
    index: int, actor: int, rows: list[Row], numbers: tuple[int, ...], home: dict[tuple[str, str], int], following: int
) -> Segment:
    first, last = rows[0], rows[-1]
    jumps = [(jump.test, home[last.actor, str(jump.target)]) for jump in last.jumps]
    if jumps and jumps[-1][0] is None:
        following = jumps.pop()[1]
    return Segment(
        index=index,
        actor=actor,
        rows=numbers,
        first=first,
        last=last,
        cost_ps=sum(row.cost_ps for row in rows),
        unit_ps=sum(row.unit_ps for row in rows),
        unit=next((row.unit for row in rows if row.unit is not None), None),
        waits_after=either(
            [first.waits_after, *(wait for row in rows[1:] for wait in (row.waits_before, row.waits_after))]
        ),
        effects=tuple(effect for row in rows for effect in row.effects),
        jumps=tuple((test, target) for test, target in jumps if test is not None),
        following=following,
    )
