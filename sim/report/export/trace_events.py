"""Write a timeline in the Chrome trace-event format, which the Perfetto viewer opens.

Times of that format are microseconds; here they are decimal numbers with six places, so that no picosecond is lost.
Slices are pairs of begin and end events: a viewer that rounds each time by itself cannot make one stick out of another.
The format needs no name at an end, but some viewers match by it. An arrow says what it is at its start only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sim.config.loading.provenance import made_by
from sim.study.timeline.model import Group, Slice, Timeline

_PROCESS = 1

#: Time in ps, and the fields of an event in their order.
Event = tuple[int, dict[str, Any]]


def trace_text(timeline: Timeline) -> str:
    """Return the file: one event per line, sorted by time; the same timeline gives the same bytes."""
    lines = [json.dumps(event) for event in _names(timeline)]
    lines += [_line(time_ps, event) for time_ps, event in sorted(_events(timeline), key=lambda event: event[0])]
    named = ("scenario", "access", "packet_bytes", "packets", "start_ps", "elapsed_ps")
    about = {**{name: getattr(timeline, name) for name in named}, "notes": list(timeline.notes), "made_by": made_by()}
    body = ",\n".join(lines)
    return f'{{"displayTimeUnit": "ns",\n"otherData": {json.dumps(about)},\n"traceEvents": [\n{body}\n]}}\n'


def microseconds(time_ps: int) -> str:
    """Write whole picoseconds as microseconds, exactly."""
    return f"{time_ps // 10**6}.{time_ps % 10**6:06d}"


def _line(time_ps: int, event: dict[str, Any]) -> str:
    return f'{{"ts": {microseconds(time_ps)}, {json.dumps(event)[1:]}'


def _names(timeline: Timeline) -> Iterator[dict[str, Any]]:
    """Name the process and the tracks, the worker's first."""
    title = f"{timeline.scenario}: {timeline.access}, {timeline.packet_bytes} B"
    yield {"ph": "M", "name": "process_name", "pid": _PROCESS, "args": {"name": title}}
    for number, track in enumerate(timeline.tracks, 1):
        where = {"pid": _PROCESS, "tid": number}
        yield {"ph": "M", "name": "thread_name", **where, "args": {"name": track.actor}}
        yield {"ph": "M", "name": "thread_sort_index", **where, "args": {"sort_index": number}}


def _events(timeline: Timeline) -> Iterator[Event]:
    """Give the events of each track in order: sorting by time alone keeps slices nested and arrows inside of them."""
    for number, track in enumerate(timeline.tracks, 1):
        for group in track.groups:
            yield from _group(group, number)
    for journey in timeline.journeys:
        arrow = {"cat": "packet", "name": "posted to used", "id": journey.packet, "pid": _PROCESS}
        times = {"posted_us": journey.posted_ps / 1e6, "used_us": journey.used_ps / 1e6}
        start = {"tid": journey.posted_by + 1, "args": {"packet": journey.packet, **times}}
        yield journey.posting_ps, {"ph": "s", **arrow, **start}
        yield journey.using_ps, {"ph": "f", "bp": "e", **arrow, "tid": journey.used_by + 1}
    for notification in timeline.notifications:
        mark = {"ph": "i", "s": "t", "cat": "notification", "name": notification.name}
        yield notification.time_ps, {**mark, "pid": _PROCESS, "tid": notification.actor + 1}
    for level in timeline.levels:
        yield level.time_ps, {"ph": "C", "name": level.counter, "pid": _PROCESS, "args": {"value": level.value}}


def _group(group: Group, track: int) -> Iterator[Event]:
    where = {"pid": _PROCESS, "tid": track}
    yield group.start_ps, {"ph": "B", "cat": "packet", "name": group.name, **where}
    for step in group.slices:
        shown = {"row": step.label, "function": step.function, "ps": step.end_ps - step.start_ps}
        yield step.start_ps, {"ph": "B", "cat": "step", "name": step.name, **where, "args": shown}
        yield from _parts(step, where)
        yield step.end_ps, {"ph": "E", "name": step.name, **where}
    yield group.end_ps, {"ph": "E", "name": group.name, **where}


def _parts(step: Slice, where: dict[str, int]) -> Iterator[Event]:
    time_ps = step.start_ps
    for part in step.parts:
        kind = "wait" if part.waits else "primitive"
        shown = {"count": part.count, "ps": part.duration_ps}
        yield time_ps, {"ph": "B", "cat": kind, "name": part.name, **where, "args": shown}
        time_ps += part.duration_ps
        yield time_ps, {"ph": "E", "name": part.name, **where}
