"""How often steps run: what each says of itself (per packet, per flush, ...), compared with a run.

A step whose place is wrong costs what it should not, or nothing: one that says "per packet" and stands where only a
refill comes past adds a hundredth of its price. So what a step says is compared with how often it ran.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from sim.datapath import Plan
from sim.datapath.host.interference import FALLBACK
from sim.datapath.plan.plan import BACKGROUND
from sim.datapath.plan.step import Anchor, Row, Scope
from sim.engine import Point

#: Where one of each scope begins, for those that begin at an anchor.
_BEGINS: dict[Scope, tuple[Anchor, ...]] = {
    "refill": (Anchor.REFILL,),
    "flush": (Anchor.FLUSH,),
    "round": (Anchor.ROUND,),
    "drain": (Anchor.ENABLE, Anchor.RING_EMPTY),
    "busy_poll": (Anchor.RING_EMPTY,),
    "poll": (Anchor.POLL,),
    "burst": (Anchor.BURST,),
    "socket_empty": (Anchor.POLL_SOCKET,),
}
#: Relative difference that is no finding, and the one in executions at the ends of a run: of scopes, and of packets.
_TOLERANCE, _SCOPES_AT_ENDS, _RINGS_AT_ENDS = 0.02, 4, 2


@dataclass(frozen=True)
class Misplaced:
    """A step that does not run as often as it says; both numbers are executions per packet."""

    actor: str
    label: str
    scope: Scope
    expected: float
    measured: float

    def __str__(self) -> str:
        times = f"{self.measured:.4g} times per packet, {self.expected:.4g} were expected"
        return f"step '{self.label}' of the {self.actor} says that it runs once per {self.scope}: it ran {times}"


def misplaced(plan: Plan, point: Point) -> list[Misplaced]:
    """Return the steps that ran more or less often in a run than they say, in the order of the plan.

    The run has to be long: a scope that came past fewer than four times says nothing.
    """
    findings = []
    packets = point.packets
    for row in plan.rows:
        if row.actor.partition(".")[0] in BACKGROUND or row.unmapped or "#" in row.label:
            continue
        measured = _executions(plan, point, row)
        rates = [_rate(plan, point, row, scope) * row.repeats for scope in row.scopes]
        edge = _SCOPES_AT_ENDS / packets
        if row.scopes[0] == "packet":
            edge += _RINGS_AT_ENDS * plan.in_flight * row.repeats / packets
        low = 0.0 if row.sometimes else max(rates) * (1 - _TOLERANCE) - edge
        high = sum(rates) * (1 + _TOLERANCE) + edge
        if not low <= measured <= high and max(measured, *rates) * packets >= _SCOPES_AT_ENDS:
            findings.append(Misplaced(row.actor, row.label, row.scopes[0], rates[0], measured))
    return findings


def _rate(plan: Plan, point: Point, row: Row, scope: Scope) -> float:
    """Return how often a scope of a row's actor comes past, per packet.

    Where no anchor says where one begins, it is what most of the steps say that run once in each.
    """
    if scope == "packet":
        return 1.0 / plan.queues
    mine = [other for other in plan.rows if other.actor == row.actor and not other.unmapped and not other.per_unit]
    entries = [other for anchor in _BEGINS.get(scope, ()) for other in mine if anchor in other.anchors]
    same = entries[:1] or [other for other in mine if other.scopes[0] == scope and not other.sometimes] or [row]
    rates = Counter(_executions(plan, point, other) for other in same)
    return max(rates, key=lambda rate: (rates[rate], rate))


def _executions(plan: Plan, point: Point, row: Row) -> float:
    """Return how often a row ran, per packet, rounds without the mapping included."""
    name = f"{row.actor}.{row.label}"
    return point.row_rates[name] + point.row_rates.get(f"{name}{FALLBACK}", 0.0)
