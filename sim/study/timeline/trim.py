"""Leave the beginning of a timeline out: what had ended by then is gone, what was in progress is cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from sim.study.timeline.model import Group, Level, Part, Step, Timeline, Track


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
        notifications=tuple(one for one in timeline.notifications if one.time_ps > start_ps),
        journeys=tuple(
            replace(one, posting_ps=max(one.posting_ps, start_ps))
            for one in timeline.journeys
            if one.used_ps > start_ps
        ),
    )


def _groups(groups: Sequence[Group], start_ps: int) -> Iterator[Group]:
    for group in groups:
        if group.start_ps >= start_ps:
            yield group
        elif group.end_ps > start_ps:
            steps = tuple(_step(step, start_ps) for step in group.steps if step.end_ps > start_ps)
            yield Group(group.name, steps[0].start_ps, steps)


def _step(step: Step, start_ps: int) -> Step:
    if step.start_ps >= start_ps:
        return step
    gone_ps, kept = start_ps - step.start_ps, []
    for part in step.parts:
        taken_ps = min(part.duration_ps, gone_ps)
        gone_ps -= taken_ps
        if part.duration_ps > taken_ps:
            kept.append(Part(part.name, part.waits, part.count, part.duration_ps - taken_ps))
    return Step(step.name, step.label, step.function, start_ps, tuple(kept))


def _levels(levels: Sequence[Level], start_ps: int) -> Iterator[Level]:
    """Give each counter's value at the start, then every later one."""
    then = {one.counter: one.value for one in levels if one.time_ps <= start_ps}
    yield from (Level(counter, start_ps, value) for counter, value in sorted(then.items()))
    yield from (one for one in levels if one.time_ps > start_ps)
