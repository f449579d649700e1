"""What bounds an answer, in sentences: who is full, links, a device IOTLB, and what is taken for granted of queues.

Where a guess of somebody other than the worker bounds it, that is the first sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sim.config.scenario.scenario import Scenario
from sim.config.tables.quantity import Quantity
from sim.costs.audit import quantities
from sim.datapath import build_plan
from sim.engine import Point
from sim.study.questions.limits import Limit
from sim.study.runs.case import gain_percent

#: Keys of what the pace of each actor but the worker comes from, by how they begin.
_PACES = {
    "driver": "driver.",
    "receiver": "backend.receiver",
    "source": "receive.source.",
    "uncore": "cpu.uncore_bandwidth",
}
_CALLED = {
    "worker": "the worker",
    "worker.rx": "the worker of the receive ring",
    "worker.tx": "the worker of the transmit ring",
    "driver": "the driver",
    "receiver": "the process that reads",
    "source": "who sends to the guest",
    "nic": "the NIC",
    "uncore": "what moves lines between the cores",
}
_GUESS = "guess"


@dataclass(frozen=True)
class Bound:
    """What bounds some variants at some sizes; `entries` are the table entries that its pace comes from, by key."""

    bound_by: str
    access: tuple[str, ...]
    packet_bytes: tuple[int, ...]
    entries: dict[str, Quantity]

    @property
    def guessed(self) -> tuple[str, ...]:
        """The keys whose values are guesses."""
        return tuple(key for key, entry in self.entries.items() if entry.grade == _GUESS)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "bound_by": self.bound_by,
            "access": list(self.access),
            "packet_bytes": list(self.packet_bytes),
            "entries": {key: entry.model_dump(exclude_none=True) for key, entry in self.entries.items()},
            "guessed": list(self.guessed),
        }


def bounds(scenario: Scenario, points: Iterable[Point]) -> tuple[Bound, ...]:
    """Return what bounds each variant at each size, the same together; those that a guess paces stand first."""
    by_size: dict[tuple[str, tuple[str, ...]], list[Point]] = {}
    ordered = sorted(points, key=lambda point: (point.packet_bytes, point.bound_by))
    for (_, bound_by), same in groupby(ordered, key=lambda point: (point.packet_bytes, point.bound_by)):
        together = list(same)
        names = tuple(dict.fromkeys(point.access for point in together))
        by_size.setdefault((bound_by, names), []).append(together[0])
    parts = [
        Bound(bound_by, names, tuple(point.packet_bytes for point in first), _paced_by(scenario, bound_by, first[0]))
        for (bound_by, names), first in by_size.items()
    ]
    return tuple(sorted(parts, key=lambda bound: (not bound.guessed, bound.bound_by == "worker", bound.packet_bytes)))


def _paced_by(scenario: Scenario, bound_by: str, point: Point) -> dict[str, Quantity]:
    """Return the entries that the actor's pace comes from, as far as the plan of a point has read them."""
    start = _PACES.get(bound_by)
    if start is None:
        return {}
    known = [variant.name for variant in scenario.access]
    access = point.access if point.access in known else known[0]
    read = build_plan(scenario, access, point.packet_bytes).inputs
    return {key: entry for key, entry in quantities(scenario) if key.startswith(start) and key in read}


def sentences(
    scenario: Scenario,
    points: Sequence[Point],
    limits: Sequence[Limit],
    parts: Sequence[Bound],
    second: Scenario | None = None,
) -> list[str]:
    """Say what bounds the answer, a guess first; then links, a device IOTLB, and what is assumed of several cores.

    `second` is another scenario that is compared with the first; limits are those of the first.
    """
    scenarios = [scenario, *([second] if second else [])]
    premises = [line for each in scenarios for line in (*_iotlb(each), *_linear(each))]
    said = [_sentence(scenario, bound, points, limits) for bound in sorted(parts, key=lambda bound: not bound.guessed)]
    return list(dict.fromkeys([*said, *_links(scenario, points, limits), *premises]))


def guess_first(parts: Sequence[Bound]) -> str | None:
    """Say that a guess of somebody other than the worker bounds the answer, None where none does."""
    if not parts or not parts[0].guessed:
        return None
    bound = parts[0]
    values = ", ".join(_entry(key, bound.entries[key]) for key in bound.guessed)
    return f"A guess bounds this answer: {_CALLED[bound.bound_by]} is full {_where(bound)}, and its pace is {values}"


def _entry(key: str, entry: Quantity) -> str:
    return f"{key} = {entry.value:g} {entry.unit} [{entry.low:g}, {entry.high:g}] ({entry.grade})"


def _where(bound: Bound) -> str:
    return f"with {_listed(bound.access)} at {_listed(bound.packet_bytes)} B"


def _listed(names: Sequence[object]) -> str:
    *most, last = map(str, names)
    return f"{', '.join(most)} and {last}" if most else last


def _sentence(scenario: Scenario, bound: Bound, points: Sequence[Point], limits: Sequence[Limit]) -> str:
    if bound.bound_by == "load":
        return f"The offered load bounds the rate {_where(bound)}: the worker carries more"
    if bound.bound_by == "latency":
        return f"Nobody is busy all the time {_where(bound)}: they wait for each other (latency bounds the rate)"
    guessed = guess_first([bound])
    if guessed is not None:
        return f"{guessed}. What the worker saves there does not show in the rate"
    said = f"{_CALLED.get(bound.bound_by, bound.bound_by)} bounds the rate {_where(bound)}"
    if bound.bound_by == "worker":
        return _capital(said + _copies(scenario, bound, points, limits))
    if bound.bound_by == "nic":
        said += f": {scenario.backend.line_gbps:g} Gbit/s are full"
    listed = ", ".join(_entry(key, entry) for key, entry in bound.entries.items())
    return _capital(f"{said}{f' ({listed})' if listed else ''}: what the worker saves there does not show in it")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _copies(scenario: Scenario, bound: Bound, points: Sequence[Point], limits: Sequence[Limit]) -> str:
    """Say how much of the worker's time the copies take at the largest size, which no variant changes."""
    size = bound.packet_bytes[-1]
    copying = next((limit.copy_pps for limit in limits if limit.packet_bytes == size), None)
    rate = next((p.pps for p in points if (p.access, p.packet_bytes) == (bound.access[0], size)), None)
    if copying is None or rate is None or bound.access[0] not in [variant.name for variant in scenario.access]:
        return ""
    return f"; copies are {rate / copying:.0%} of its time with {bound.access[0]} at {size} B"


def _links(scenario: Scenario, points: Sequence[Point], limits: Sequence[Limit]) -> list[str]:
    """Say which links would be full at which sizes, and what they leave of the first gain, where there is no NIC."""
    if scenario.leaves_by_nic or scenario.device.direction != "tx":
        return []
    full: dict[int, list[int]] = {}
    left: list[str] = []
    for limit in limits:
        rates = [point.pps for point in points if point.packet_bytes == limit.packet_bytes]
        for gbit, pps in limit.line_rates_pps.items():
            if pps <= min(rates):
                full.setdefault(gbit, []).append(limit.packet_bytes)
            elif pps < max(rates) and not left:
                most = gain_percent(min(rates), pps)
                left.append(f"; {gbit} GbE leaves at most {most:.1f} % of gain at {limit.packet_bytes} B")
    together: dict[tuple[int, ...], list[int]] = {}
    for gbit, sizes in full.items():
        together.setdefault(tuple(sizes), []).append(gbit)
    if not together:
        return []
    filled = ", ".join(f"{_listed(links)} GbE at {_listed(sizes)} B" for sizes, links in together.items())
    return [
        f"No NIC is part of the question: a link in its place would be full, and no variant gain, with {filled}"
        f"{''.join(left)}"
    ]


def _iotlb(scenario: Scenario) -> list[str]:
    mapped = [variant.name for variant in scenario.access if variant.mapping.maps]
    if not mapped:
        return []
    names = _listed(mapped)
    if scenario.virtqueue.iotlb:
        return [f"With the device IOTLB no ring is mapped, so that nothing is gained by {names}"]
    return [f"With a device IOTLB (virtqueue.iotlb) no ring would be mapped, and nothing gained by {names}"]


def _linear(scenario: Scenario) -> list[str]:
    lanes = scenario.queues.lanes
    if lanes == 1:
        return []
    return [
        f"That {lanes} cores carry exactly {lanes} times what one carries is an assumption: one is simulated, the "
        "others are taken to be like it, and they share nothing but cpu.uncore_bandwidth"
    ]
