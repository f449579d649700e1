"""Runs that would not end, or whose numbers would not fit: what can get there is refused before anything runs.

Time is a 64-bit number of picoseconds and ends at `LAST_PS`, 53 days. How long a run can last is bounded from above:
each packet pays for every row of every actor, one after the other, and for the gap to the next packet.
"""

from __future__ import annotations

from functools import reduce

from sim.config.errors import ConfigError
from sim.costs.draws import least, most, total
from sim.costs.table import Component
from sim.datapath.plan.plan import BACKGROUND, Plan, Segment
from sim.datapath.plan.registers import Register
from sim.datapath.plan.step import Anchor
from sim.datapath.traffic import LAST_PS

#: Packets that can arrive in one run: minutes of computing when nearly all are dropped.
MOST_ARRIVALS = 10**10
#: Looks at an empty ring and ticks of timers in one run: an hour of computing.
MOST_IDLE_EVENTS = 2 * 10**10
_SECOND_PS = 1e12
_PS = {"ns": 1e3, "us": 1e6}
_HAS = f"and a run has {LAST_PS / _SECOND_PS:.3g} s"


def too_late(plan: Plan) -> ConfigError:
    """Return the error of a run that has reached the end of simulated time."""
    key, slowest = _slowest(plan)
    return ConfigError(f"simulated time is over, {_HAS}; the longest part is {slowest}", key=key)


def check_horizon(plan: Plan, packets: int) -> None:
    """Raise ConfigError for a run that may need more simulated time, idle events or arrivals than there can be."""
    line_ps = _slowest_line_ps(plan)
    serial_ps = total(_longest_ps(segment, line_ps) for segment in plan.segments if not _background(plan, segment))
    gap_ps = 0.0 if plan.arrivals is None else _SECOND_PS / plan.arrivals.load.mean_pps
    each_ps = serial_ps + gap_ps
    if packets * each_ps > LAST_PS:
        key, slowest = ("traffic.load", "the gap between packets") if gap_ps > serial_ps else _slowest(plan)
        needed = f"{packets} packets can take {packets * each_ps / _SECOND_PS:.3g} s of simulated time"
        raise ConfigError(f"{needed}, mostly {slowest}, {_HAS}: fewer run.packets fit", key=key)
    _check_idle(plan, packets, each_ps, gap_ps)
    arriving = packets * each_ps / gap_ps if gap_ps else 0.0
    if arriving > MOST_ARRIVALS:
        raise ConfigError(
            f"up to {arriving:.3g} packets arrive while {packets} are carried, and a run takes {MOST_ARRIVALS:.3g}: "
            "a lower load or fewer run.packets fit",
            key="traffic.load",
        )


def _check_idle(plan: Plan, packets: int, each_ps: float, gap_ps: float) -> None:
    """Raise ConfigError where looks at an empty ring, or a timer's ticks, would outnumber everything else."""
    looks = total(_looks(plan, segment, gap_ps) for segment in plan.segments)
    ticks = total(
        each_ps / most(1, segment.cost_ps)
        for segment in plan.segments
        if _background(plan, segment) and segment.following == segment.index
    )
    if packets * (looks + ticks) > MOST_IDLE_EVENTS:
        where = "looks at an empty ring" if looks > ticks else "ticks of timers"
        raise ConfigError(
            f"{packets} packets can take {packets * max(looks, ticks):.3g} {where}, and a run {MOST_IDLE_EVENTS:.3g}: "
            "fewer run.packets fit",
            key="traffic.load" if plan.arrivals is not None else "run.packets",
        )


def _looks(plan: Plan, segment: Segment, gap_ps: float) -> float:
    """Return how often a worker that polls may look between two packets."""
    if Anchor.POLL not in segment.first.anchors or not gap_ps:
        return 0.0
    return least(gap_ps / most(1, segment.cost_ps), plan.initial.get(Register.POLL_LIMIT, 0))


def _background(plan: Plan, segment: Segment) -> bool:
    return plan.actors[segment.actor] in BACKGROUND


def _slowest_line_ps(plan: Plan) -> int:
    """Return the longest that an access can wait for a line."""
    latencies = plan.latencies
    return most(most(latencies.transfer_ps, latencies.clean_ps), most(latencies.far_hit_ps, latencies.near_hit_ps))


def _longest_ps(segment: Segment, line_ps: int) -> float:
    """Return the longest that a segment can take, lines and units of a whole batch included."""
    lines = max((access.bytes for access in (segment.read, segment.write) if access is not None), default=0) // 64 + 2
    fixed = reduce(most, segment.class_costs, segment.cost_ps)
    return 1.0 * (fixed + segment.unit_ps + lines * line_ps) * segment.first.repeats


def _slowest(plan: Plan) -> tuple[str | None, str]:
    """Return the table entry whose price is the largest part of any row, and what to call it."""
    rows = [row for row in plan.rows if row.actor not in BACKGROUND]
    parts = [(part, row.label) for row in rows for part in (*row.components, *row.unit_components)]
    if not parts:
        return None, "lines that move"
    part, label = max(parts, key=lambda priced: priced[0].cost_ps)
    return _entry(plan, part), f"{part.primitive} of '{label}'"


def _entry(plan: Plan, part: Component) -> str | None:
    """Return the key of the entry that a price comes from: the primitive, else the given time that makes most of it."""
    for key, entry in plan.inputs.items():
        given_ps = entry.value * _PS.get(entry.unit, 0.0)
        if key.rpartition(".")[2] == part.primitive or part.cost_ps / 2 < given_ps <= part.cost_ps:
            return key
    return None
