"""Physical limits beside a prediction: no checks at all (`ideal`), nothing but the copies, and full links."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sim.config.loading.load import load_of
from sim.config.scenario.scenario import Scenario
from sim.config.scenario.traffic import Load
from sim.config.tables.access import Access
from sim.config.tables.vocabulary import PRIMITIVES
from sim.datapath import Plan, build_plan
from sim.datapath.host.sink import WIRE_OVERHEAD_BYTES
from sim.datapath.plan.step import Row
from sim.engine import Point
from sim.study.questions.run import run

IDEAL = "ideal"

LINK_GBIT = (10, 25, 40, 100)

_MOVING = ("copy", "cache")  # groups of primitives that move bytes


def line_rate_pps(packet_bytes: float, gbit: float) -> float:
    """Packets per second that a link of `gbit` carries, for frames of `packet_bytes` without FCS."""
    return gbit * 1e9 / 8 / (packet_bytes + WIRE_OVERHEAD_BYTES)


@dataclass(frozen=True)
class Limit:
    """What bounds the rate at one packet size, in packets/s: of all queues together, and of links of one line."""

    packet_bytes: int
    ideal_pps: float
    copy_pps: float | None  # None where the device copies nothing
    basis: str
    beaten_by: str = ""  # the variant that carries more than no checks do

    @property
    def line_rates_pps(self) -> dict[int, float]:
        """Rate at which links of so many Gbit/s are full."""
        return {gbit: line_rate_pps(self.packet_bytes, gbit) for gbit in LINK_GBIT}

    @property
    def note(self) -> str | None:
        """What to know of a bound that is none."""
        if not self.beaten_by:
            return None
        return (
            f"no checks is no bound at {self.packet_bytes} B: {self.beaten_by} carries more, as waits of several "
            "actors for each other fall in other phases"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        lines = {f"{gbit}GbE": pps for gbit, pps in self.line_rates_pps.items()}
        rates = {"ideal_pps": self.ideal_pps, "copy_pps": self.copy_pps}
        beaten = {"beaten_by": self.beaten_by} if self.beaten_by else {}
        return {"packet_bytes": self.packet_bytes, **rates, "line_rate_pps": lines, "basis": self.basis, **beaten}


def limits(scenario: Scenario, known: Iterable[Point] = ()) -> tuple[Limit, ...]:
    """Return the limits at each packet size of a scenario; points of `ideal` that are known are not simulated again.

    Whatever load a scenario offers, limits are those of drivers that always have packets. `copy_pps` is the rate of
    workers that do nothing but copy the packet, everything else taking no time.
    """
    traffic = scenario.traffic.model_copy(update={"load": Load(kind="saturate", pps=0.0)})
    bare = scenario.model_copy(update={"access": [load_of(Access, IDEAL)], "traffic": traffic})
    saturated = scenario.traffic.load.kind == "saturate"
    known = list(known)
    points = {point.packet_bytes: point for point in known if point.access == IDEAL and saturated}
    if set(points) != set(scenario.traffic.sizes):
        points = {point.packet_bytes: point for point in run(bare).points}
    cores = scenario.queues.lanes
    return tuple(
        Limit(
            size,
            points[size].pps,
            cores * 1e12 / copying if copying else None,
            f"{points[size].basis}; GbE: one link",
            _beaten_by(points[size], known, scenario.run.precision),
        )
        for size, copying in ((size, copy_ps(build_plan(bare, IDEAL, size))) for size in scenario.traffic.sizes)
    )


def _beaten_by(ideal: Point, known: Iterable[Point], precision: float) -> str:
    """Return the variant that carries most at a size, if that is more than no checks do and both rates are known."""
    others = (point for point in known if point.packet_bytes == ideal.packet_bytes and point.access != IDEAL)
    best = max(others, key=lambda point: point.pps, default=ideal)
    return best.access if best.pps > ideal.pps * (1 + 2 * precision) else ""


def copy_ps(plan: Plan) -> float:
    """Return the picoseconds per packet in which the worker moves its bytes; under a mix the mean of its packets.

    A worker that serves several queues has its rows once for each of them.
    """
    of_all_queues = sum(
        _mean([_moving_ps(class_row) for class_row in plan.class_rows.get(number, (row,))], plan)
        for number, row in enumerate(plan.rows)
        if row.actor == "worker" and row.operation == "copy" and "packet" in row.scopes
    )
    return of_all_queues / plan.queues


def _moving_ps(row: Row) -> int:
    return sum(part.cost_ps for part in row.components if PRIMITIVES[part.primitive].group in _MOVING)


def _mean(costs_ps: list[int], plan: Plan) -> float:
    if plan.classes is None or len(costs_ps) == 1:
        return float(costs_ps[0])
    return sum(cost_ps * share for cost_ps, share in zip(costs_ps, plan.classes.shares, strict=True))
