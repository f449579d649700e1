"""Fuse rows into segments, and look ahead from a load to the next row that waits for it."""

from __future__ import annotations

from sim.datapath.plan import ACTORS, Row, Segment


def _separate(row: Row) -> bool:
    """Tell whether a row must start a segment: something at its start can meet the other actor."""
    reads = row.access is not None and not row.access.write
    return reads or row.condition is not None or row.sample is not None or row.drains_stores or row.takes_arrivals


def _closed(row: Row) -> bool:
    """Tell whether a row must end a segment: its end is visible, or decides what comes next."""
    writes = row.access is not None and row.access.write
    return writes or bool(row.effects) or bool(row.jumps) or row.marks is not None


def fuse(rows: list[Row], apart: bool = False) -> list[Segment]:
    """Group rows into segments; `apart` keeps every row a segment of its own (for traces of single rows)."""
    targets = {jump.target for row in rows for jump in row.jumps}
    groups: list[list[int]] = []
    for number, row in enumerate(rows):
        previous = rows[groups[-1][-1]] if groups else None
        units = {rows[i].unit for i in groups[-1]} - {None} if groups else set()
        if (
            previous is None
            or apart
            or previous.actor != row.actor
            or row.label in targets
            or _closed(previous)
            or _separate(row)
            or (row.unit is not None and units not in (set(), {row.unit}))
        ):
            groups.append([number])
        else:
            groups[-1].append(number)
    home = {rows[group[0]].label: index for index, group in enumerate(groups)}
    return [
        _segment(index, [rows[i] for i in group], tuple(group), home, len(groups)) for index, group in enumerate(groups)
    ]


def _segment(index: int, rows: list[Row], numbers: tuple[int, ...], home: dict[str, int], total: int) -> Segment:
    first, last = rows[0], rows[-1]
    return Segment(
        index=index,
        actor=ACTORS.index(first.actor),
        rows=numbers,
        cost_ps=sum(row.cost_ps for row in rows),
        unit_ps=sum(row.unit_ps for row in rows),
        unit=next((row.unit for row in rows if row.unit is not None), None),
        read=first.access if first.access is not None and not first.access.write else None,
        write=last.access if last.access is not None and last.access.write else None,
        hidden_ps=first.hidden_ps,
        waits_before=first.waits_before,
        waits_after=first.waits_after or any(row.waits_before or row.waits_after for row in rows[1:]),
        drains_stores=first.drains_stores,
        sample=first.sample,
        effects=last.effects,
        condition=first.condition,
        takes_arrivals=first.takes_arrivals,
        marks=last.marks,
        jumps=tuple((jump, home[jump.target]) for jump in last.jumps),
        following=(index + 1) % total,
    )
