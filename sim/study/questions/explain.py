"""Explain one access variant at one size: the rows, what each executes, how often, and how the total comes about.

A step whose place is wrong costs what it should not, or nothing: one that says "per packet" and stands where only a
refill comes past adds a hundredth of its price. So what a step says is compared with how often it ran.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sim.config.answer import Answer, Record, flat
from sim.config.errors import ConfigError
from sim.config.scenario.scenario import Scenario
from sim.config.tables.quantity import Quantity
from sim.config.tables.vocabulary import PRICED_BY_CPI, PRIMITIVES
from sim.datapath import Plan, build_plan
from sim.datapath.host.interference import FALLBACK
from sim.datapath.plan.plan import BACKGROUND
from sim.datapath.plan.step import Anchor, Row, Scope
from sim.engine import Point, simulate
from sim.study.runs.functions import function_times

if TYPE_CHECKING:
    import pandas as pd

#: What the table of an explanation may hold.
_BY = ("row", "function", "input")
#: Where one of each scope begins, for those that begin at an anchor.
_BEGINS: dict[Scope, tuple[Anchor, ...]] = {
    "refill": (Anchor.REFILL, Anchor.LOOK_AHEAD),
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

    Where no anchor says where one begins, it is what most of the steps say that run once in each: of the actor, or of
    whoever begins it (a call). Steps of another ring of the same actor say nothing about this one.
    """
    if scope == "packet":
        return 1.0 / plan.queues
    others = [other for other in plan.rows if not other.unmapped and not other.per_unit and "#" not in other.label]
    mine = [other for other in others if other.actor == row.actor]
    entries = [other for anchor in _BEGINS.get(scope, ()) for other in mine if anchor in other.anchors]
    same = (
        (entries if scope == "refill" else entries[:1])
        or [other for other in mine if other.scopes[0] == scope and not other.sometimes]
        or [other for other in others if other.scopes[0] == scope and not other.sometimes]
        or [row]
    )
    rates = Counter(_executions(plan, point, other) for other in same)
    return max(rates) if entries else max(rates, key=lambda rate: (rates[rate], rate))


def _executions(plan: Plan, point: Point, row: Row) -> float:
    """Return how often a row ran, per packet, rounds without the mapping included."""
    name = f"{row.actor}.{row.label}"
    return point.row_rates[name] + point.row_rates.get(f"{name}{FALLBACK}", 0.0)


#: Always shown for an access, a count of 0 included: that nothing is executed is the point of some variants.
SHOWN = ("stac", "clac", "lfence", "access_ok", "mask", "call", "object_size_check", "load", "store", "lock_rmw")

_OF_THE_WORKER = (
    "packet flush refill window drain drain_found_work busy_poll poll round wakeup page_refill invalidation "
    "ring_batch socket_empty call answer answer_batch visit"
)
SCOPES = {scope: f"per_{scope}" for scope in _OF_THE_WORKER.split()}

Counts = dict[str, dict[str, dict[str, float]]]


def count_primitives(plan: Plan) -> Counts:
    """Count primitives of the worker's accesses: family -> `per_SCOPE` -> primitive -> times executed.

    Counts are of one packet, flush, refill and so on; a flush is one that neither wraps nor holds a single packet.
    """
    families = ("metadata", "payload", "work")
    counts: Counts = {family: {per: dict.fromkeys(SHOWN, 0.0) for per in SCOPES.values()} for family in families}
    for row in plan.rows:
        if row.actor != "worker" or row.instead_of or row.unmapped:
            continue
        for scope in row.scopes:
            table = counts[row.family][SCOPES[scope]]
            for part in (*row.components, *row.unit_components):
                known = PRIMITIVES.get(part.primitive)
                if known is not None and (known.instructions or part.primitive == "copy_bytes"):
                    table[part.primitive] = table.get(part.primitive, 0.0) + part.count
    return counts


@dataclass(frozen=True)
class Input:
    """One table entry that the answer depends on; what it adds per packet, where that is a sum of its own."""

    key: str
    quantity: Quantity
    cycles_per_packet: float | None


@dataclass(frozen=True, repr=False)
class Explanation(Answer):
    """The plan of one access variant at one size, and a run of it that says how often each row is executed.

    Attributes
    ----------
    scenario, plan, point
        The question; the rows with their prices; the run.

    Examples
    --------
    >>> import sim
    >>> short = ["traffic.packet_bytes=64", "run.packets=20000"]
    >>> explanation = sim.explain(sim.load_scenario("virtio-user-xdp1-tap", overrides=short), "copy_user")
    >>> list(explanation.by_function())[:2]
    ['vhost_get_vq_desc', 'copy_user_enhanced_fast_string']
    """

    scenario: Scenario
    plan: Plan
    point: Point

    def headline(self) -> str:
        """Return what is explained, and what a packet takes."""
        cycles = f"{self.point.cycles_per_packet:.1f} cycles per packet"
        return f"{self.scenario.name}, {self.plan.access}, {self.plan.packet_bytes} B: {cycles}"

    def records(self, by: str = "row", actor: str = "worker", skid: bool = False) -> list[Record]:
        """Return the rows of one actor, or the worker's cycles by kernel function, or every input with its source.

        `by` is "row", "function" (a stall counts where samples without precise events find it, with `skid`) or "input".
        """
        data = self.to_dict()
        if by not in _BY:
            raise ConfigError(f"unknown '{by}'", key="by", got=by, expected=_BY)
        if by == "input":
            return [flat(entry) for entry in data["inputs"]]
        if by == "function":
            times = data["by_function_skid_cycles" if skid else "by_function_cycles"].items()
            return [{"function": name, "cycles_per_packet": cycles, "basis": data["basis"]} for name, cycles in times]
        return [{**flat(row), "basis": data["basis"]} for row in data["rows"] if row["actor"] == actor]

    def to_frame(self, by: str = "row", actor: str = "worker") -> pd.DataFrame:
        """Return the same as a tidy table."""
        import pandas as pd

        return pd.DataFrame(self.records(by, actor))

    def counts(self) -> Counts:
        """Return the primitive counts of metadata, payload and other work."""
        return count_primitives(self.plan)

    def time_cycles(self, row: Row) -> float:
        """Cycles per packet that a row takes in the run, waiting included."""
        return self.point.row_times_ps[f"{row.actor}.{row.label}"] / self.plan.cycle_ps

    def wait_cycles(self, row: Row) -> float:
        """Cycles per packet that a row waits: for cache lines, for the store buffer, for the other actor."""
        return self.point.row_waits_ps[f"{row.actor}.{row.label}"] / self.plan.cycle_ps

    @property
    def misplaced(self) -> list[Misplaced]:
        """Steps that did not run as often in the run as they say."""
        return misplaced(self.plan, self.point)

    def inputs(self) -> list[Input]:
        """Return every table entry that the plan has read, largest contribution first, those without a sum last."""
        shares = self.point.breakdown_cycles
        sums = {f"cpu.primitives.{name}": cycles for name, cycles in shares.items()}
        sums["cpu.cpi"] = sum(cycles for name, cycles in shares.items() if name in PRICED_BY_CPI)
        inputs = [Input(key, quantity, sums.get(key)) for key, quantity in self.plan.inputs.items()]
        return sorted(inputs, key=lambda entry: -(entry.cycles_per_packet or 0.0))

    def rate(self, row: Row) -> float:
        """Executions of a row per packet in the run."""
        return self.point.row_rates[f"{row.actor}.{row.label}"]

    def by_function(self, skid: bool = False) -> dict[str, float]:
        """Return the worker's busy cycles per packet by kernel function, largest first.

        A stall is charged to the function that holds it; with `skid` to the one that runs next, where samples without
        precise events find it.
        """
        times = function_times(self.plan, self.point, skid)
        ordered = sorted(times.items(), key=lambda item: (-item[1], item[0]))
        return {function: ps / self.plan.cycle_ps for function, ps in ordered}

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form of `vhost-sim explain`."""
        return {
            "schema": 1,
            "scenario": self.scenario.name,
            "access": self.plan.access,
            "packet_bytes": self.plan.packet_bytes,
            "counts": self.counts(),
            "rows": [self._row(row) for row in self.plan.rows],
            "by_function_cycles": self.by_function(),
            "by_function_skid_cycles": self.by_function(skid=True),
            "inputs": [
                {"key": known.key, **known.quantity.model_dump(), "cycles_per_packet": known.cycles_per_packet}
                for known in self.inputs()
            ],
            "misplaced": [str(step) for step in self.misplaced],
            "setup_us": {part.primitive: part.cost_ps / 1e6 for part in self.plan.setup},
            "basis": self.point.basis,
            "total_cycles": self.point.cycles_per_packet,
            "pps": self.point.pps,
        }

    def _row(self, row: Row) -> dict[str, Any]:
        parts = (*row.components, *row.unit_components)
        return {
            "actor": row.actor,
            "label": row.label,
            "step": row.title,
            "function": row.function,
            "scope": list(row.scopes),
            "family": row.family,
            "accessor": row.accessor,
            "operation": row.operation,
            "bytes": row.access.bytes if row.access else row.bytes,
            "line": row.access.region if row.access else None,
            "primitives": {part.primitive: part.count for part in parts},
            "formulas": {part.primitive: part.formula for part in parts},
            "cost_cycles": row.cost_ps / self.plan.cycle_ps,
            "cost_cycles_per_unit": row.unit_ps / self.plan.cycle_ps,
            "hidden_ns": row.hidden_ps / 1e3,
            "instructions": row.instructions + row.unit_instructions,
            "executions_per_packet": self.rate(row),
            "cycles_per_packet": self.time_cycles(row),
        }


def explain(scenario: Scenario, access: str, packet_bytes: int | None = None) -> Explanation:
    """Explain one access variant at one packet size, with the frequencies of a run (`sim.explain`).

    ConfigError when the scenario does not list the variant, or the size does not fit the modelled path.
    """
    size = scenario.traffic.sizes[0] if packet_bytes is None else packet_bytes
    plan = build_plan(scenario, access, size, apart=True, functions=True)
    return Explanation(scenario, plan, simulate(plan, scenario.run))
