"""What a timeline is made of: tracks of groups of slices of parts, levels of counters, notifications, journeys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sim.config.answer import Answer, Record


@dataclass(frozen=True, slots=True)
class Part:
    """A primitive, `count` times, or a wait (then `count` is that of the lines or stalls waited for)."""

    name: str
    waits: bool
    count: float
    duration_ps: int


@dataclass(frozen=True, slots=True)
class Slice:
    """One execution of one row: its waits, then its primitives in the order in which its recipe first meets them."""

    name: str
    label: str
    function: str
    start_ps: int
    parts: tuple[Part, ...]

    @property
    def end_ps(self) -> int:
        """When the row ends."""
        return self.start_ps + sum(part.duration_ps for part in self.parts)


@dataclass(frozen=True, slots=True)
class Group:
    """Steps that belong together: those of one packet, or of one flush, refill, burst and so on."""

    name: str
    start_ps: int
    slices: tuple[Slice, ...]

    @property
    def end_ps(self) -> int:
        """When the last step ends."""
        return self.slices[-1].end_ps


@dataclass(frozen=True, slots=True)
class Track:
    """All that one actor did; the groups, their slices and the parts of those follow each other without a gap."""

    actor: str
    groups: tuple[Group, ...]

    def totals_ps(self) -> dict[str, int]:
        """Add up the time of the actor by primitive and kind of waiting, largest first."""
        totals: dict[str, int] = {}
        for part in (part for group in self.groups for executed in group.slices for part in executed.parts):
            totals[part.name] = totals.get(part.name, 0) + part.duration_ps
        return dict(sorted(totals.items(), key=lambda item: (-item[1], item[0])))


@dataclass(frozen=True, slots=True)
class CounterValue:
    """A counter takes a value."""

    counter: str
    time_ps: int
    value: int


@dataclass(frozen=True, slots=True)
class Notification:
    """A kick, a call or a wake-up, at the end of the row that gives it."""

    name: str
    actor: int
    time_ps: int


@dataclass(frozen=True, slots=True)
class Journey:
    """One packet from the row that posts it to the row that hands it back: where those begin, and when they end."""

    packet: int
    posted_by: int
    posting_ps: int
    posted_ps: int
    used_by: int
    using_ps: int
    used_ps: int


@dataclass(frozen=True, repr=False)
class Timeline(Answer):
    """Everything that happened for `elapsed_ps` from `start_ps` on (0: the start of time); `packets` were used."""

    scenario: str
    access: str
    packet_bytes: int
    packets: int
    elapsed_ps: int
    tracks: tuple[Track, ...]
    levels: tuple[CounterValue, ...]
    notifications: tuple[Notification, ...]
    journeys: tuple[Journey, ...]
    notes: tuple[str, ...]
    start_ps: int = 0

    def headline(self) -> str:
        """Return what was recorded, and how long that took."""
        point = f"{self.scenario}, {self.access}, {self.packet_bytes} B"
        return f"{point}: {self.packets} packets in {self.elapsed_ps / 1e6:.3f} us"

    def records(self) -> list[Record]:
        """Return what each actor spent its time on."""
        return [
            {"actor": track.actor, "name": name, "us": time_ps / 1e6}
            for track in self.tracks
            for name, time_ps in track.totals_ps().items()
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return a summary: per actor its time by primitive and kind of waiting, in us, which adds up to the whole."""
        return {
            "schema": 1,
            "scenario": self.scenario,
            "access": self.access,
            "packet_bytes": self.packet_bytes,
            "packets": self.packets,
            "start_us": self.start_ps / 1e6,
            "elapsed_us": self.elapsed_ps / 1e6,
            "actors": {
                track.actor: {name: time_ps / 1e6 for name, time_ps in track.totals_ps().items()}
                for track in self.tracks
            },
            "kicks": sum(notification.name == "kick" for notification in self.notifications),
            "calls": sum(notification.name == "call" for notification in self.notifications),
            "notes": list(self.notes),
        }


def after(timeline: Timeline, start_ps: int, packets: int) -> Timeline:
    """Return what happened after `start_ps`, when `packets` packets had been used; times stay those of the whole run.

    The journey of a packet that was posted before begins there. Counters begin with the value that they had.
    """
    if start_ps == 0:
        return timeline
    return replace(
        timeline,
        packets=timeline.packets - packets,
        start_ps=start_ps,
        elapsed_ps=timeline.elapsed_ps - start_ps,
        tracks=tuple(Track(track.actor, tuple(_groups(track.groups, start_ps))) for track in timeline.tracks),
        levels=tuple(_levels(timeline.levels, start_ps)),
        notifications=tuple(sent for sent in timeline.notifications if sent.time_ps > start_ps),
        journeys=tuple(
            replace(journey, posting_ps=max(journey.posting_ps, start_ps))
            for journey in timeline.journeys
            if journey.used_ps > start_ps
        ),
    )


def _groups(groups: Sequence[Group], start_ps: int) -> Iterator[Group]:
    for group in groups:
        if group.start_ps >= start_ps:
            yield group
        elif group.end_ps > start_ps:
            slices = tuple(
                _without_start(executed, start_ps) for executed in group.slices if executed.end_ps > start_ps
            )
            yield Group(group.name, slices[0].start_ps, slices)


def _without_start(executed: Slice, start_ps: int) -> Slice:
    if executed.start_ps >= start_ps:
        return executed
    gone_ps, kept = start_ps - executed.start_ps, []
    for part in executed.parts:
        taken_ps = min(part.duration_ps, gone_ps)
        gone_ps -= taken_ps
        if part.duration_ps > taken_ps:
            kept.append(Part(part.name, part.waits, part.count, part.duration_ps - taken_ps))
    return Slice(executed.name, executed.label, executed.function, start_ps, tuple(kept))


def _levels(levels: Sequence[CounterValue], start_ps: int) -> Iterator[CounterValue]:
    """Give each counter's value at the start, then every later one."""
    then = {level.counter: level.value for level in levels if level.time_ps <= start_ps}
    yield from (CounterValue(counter, start_ps, value) for counter, value in sorted(then.items()))
    yield from (level for level in levels if level.time_ps > start_ps)
