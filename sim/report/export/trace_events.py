"""Write a timeline in the Chrome trace-event format, which the Perfetto viewer opens; and its summary in a terminal.

Times of that format are microseconds; here they are decimal numbers with six places, so that no picosecond is lost.
Slices are pairs of begin and end events: a viewer that rounds each time by itself cannot make one stick out of another.
The format needs no name at an end, but some viewers match by it. An arrow says what it is at its start only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from rich.console import Group as Lines
from rich.console import RenderableType
from rich.text import Text

from sim.report.tables.text import table
from sim.study.timeline.model import Group, Slice, Timeline

_PROCESS = 1
#: Kinds of waiting and work that the summary lists for each actor.
_SHOWN = 6

#: Time in ps, and the fields of an event in their order.
Event = tuple[int, dict[str, Any]]


def trace_text(timeline: Timeline) -> str:
    """Return the file: one event per line, sorted by time; the same timeline gives the same bytes."""
    lines = [json.dumps(event) for event in _names(timeline)]
    lines += [_line(time_ps, event) for time_ps, event in sorted(_events(timeline), key=lambda one: one[0])]
    about = {
        "scenario": timeline.scenario, "access": timeline.access, "packet_bytes": timeline.packet_bytes,
        "packets": timeline.packets, "start_ps": timeline.start_ps, "elapsed_ps": timeline.elapsed_ps,
        "notes": list(timeline.notes),
    }  # fmt: skip
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
    for one in timeline.journeys:
        arrow = {"cat": "packet", "name": "posted to used", "id": one.packet, "pid": _PROCESS}
        said = {"packet": one.packet, "posted_us": one.posted_ps / 1e6, "used_us": one.used_ps / 1e6}
        yield one.posting_ps, {"ph": "s", **arrow, "tid": one.posted_by + 1, "args": said}
        yield one.using_ps, {"ph": "f", "bp": "e", **arrow, "tid": one.used_by + 1}
    for told in timeline.notifications:
        yield told.time_ps, {
            "ph": "i", "s": "t", "cat": "notification", "name": told.name, "pid": _PROCESS, "tid": told.actor + 1,
        }  # fmt: skip
    for level in timeline.levels:
        yield level.time_ps, {"ph": "C", "name": level.counter, "pid": _PROCESS, "args": {"value": level.value}}


def _group(group: Group, track: int) -> Iterator[Event]:
    where = {"pid": _PROCESS, "tid": track}
    yield group.start_ps, {"ph": "B", "cat": "packet", "name": group.name, **where}
    for step in group.slices:
        said = {"row": step.label, "function": step.function, "ps": step.end_ps - step.start_ps}
        yield step.start_ps, {"ph": "B", "cat": "step", "name": step.name, **where, "args": said}
        yield from _parts(step, where)
        yield step.end_ps, {"ph": "E", "name": step.name, **where}
    yield group.end_ps, {"ph": "E", "name": group.name, **where}


def _parts(step: Slice, where: dict[str, int]) -> Iterator[Event]:
    time_ps = step.start_ps
    for part in step.parts:
        kind = "wait" if part.waits else "primitive"
        said = {"count": part.count, "ps": part.duration_ps}
        yield time_ps, {"ph": "B", "cat": kind, "name": part.name, **where, "args": said}
        time_ps += part.duration_ps
        yield time_ps, {"ph": "E", "name": part.name, **where}


def timeline_table(timeline: Timeline) -> RenderableType:
    """What each actor spent its time on; the total of each is the whole time."""
    title = (
        f"{timeline.scenario}, {timeline.access}, {timeline.packet_bytes} B: {timeline.packets} packets in "
        f"{timeline.elapsed_ps / 1e6:.3f} us"
        + (f", from {timeline.start_ps / 1e6:.3f} us on" if timeline.start_ps else "")
    )
    made = table("", ("actor", "", "us", "share"), left=2)
    for track in timeline.tracks:
        totals = track.totals_ps()
        shown = list(totals.items())[:_SHOWN]
        rest = sum(totals.values()) - sum(time_ps for _, time_ps in shown)
        lines = [*shown, *([("everything else", rest)] if rest else []), ("total", sum(totals.values()))]
        for place, (name, time_ps) in enumerate(lines):
            share = f"{time_ps / timeline.elapsed_ps:.1%}" if timeline.elapsed_ps else ""
            made.add_row(track.actor if place == 0 else "", name, f"{time_ps / 1e6:.3f}", share)
        made.add_section()
    return Lines(Text(title, style="bold"), made, *(Text(f"note: {note}") for note in timeline.notes))
