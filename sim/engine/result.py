"""What one run says: rate, interval, breakdown, latency, utilisation - all from the totals between two checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.costs.draws import total
from sim.datapath.host.queues import MARK
from sim.datapath.plan.plan import BACKGROUND, Plan, Segment, Wait
from sim.datapath.plan.registers import Register
from sim.datapath.plan.step import Row
from sim.engine.histogram import percentile
from sim.engine.machine import Count
from sim.engine.record import Checkpoint, Totals
from sim.engine.statistics import Estimate

#: Number of the worker: its rows stand first.
WORKER = 0
_BUSY = 0.95
_CARRIED = 0.99
#: A run over less of a period of its load than this is over a part of it.
_WHOLE = 0.9


@dataclass(frozen=True)
class Point:
    """Result of one access variant at one packet size, between the end of the warm-up and the end of the run.

    Attributes
    ----------
    access
        Name of the access variant.
    packet_bytes
        Frame size in bytes (of a mix: its mean).
    packets, elapsed_ps
        Packets and simulated time (ps) of one worker core that the numbers are taken over.
    warmup_packets, dropped
        Packets before them; packets dropped in front of the driver since the start. Both are those of one worker core.
    offered_pps, lost_pps
        Packets/s that arrived meanwhile and that are lost, at all queues together; None without an offered load.
    half_width_ps
        Half the 95 % interval of the simulated time per packet, in ps (batch means).
    cycle_ps
        Time of a core cycle, in ps.
    breakdown_ps
        Time of a worker core in ps by primitive and kind of waiting, over all `packets`; adds up to `elapsed_ps`.
    row_rates, row_times_ps, row_waits_ps
        Executions, time and waiting (ps) per packet, by `actor.row`.
    transfers
        Modified lines that the worker fetched per packet, by region.
    instructions_per_packet
        Instructions that the worker executed.
    latency_us
        Latency of a packet in us by percentile: `p50`, `p99`, `p999`.
    occupancy
        Entries posted and not yet used on the ring of one queue: `mean`, and `max` since the start (transmit: packets
        that wait or are in the worker's batch; receive: empty buffers).
    utilisation
        Share of time, 0 to 1, in which an actor was not waiting, by actor of one worker core.
    bound_by
        `worker`, `driver`, `nic`, `receiver`, `uncore`, `load` or `latency`.
    goodput_gbps
        Bytes of messages that all sessions carry, in Gbit/s; None where packets are no application's.
    transaction_us
        Mean time from one request of a session to its next, in us; None without requests.
    notes
        Where the variant is not what it is called.
    basis
        What rates, times and shares are those of, in words.
    lanes
        Worker cores that run this datapath side by side; `pps` is that of all of them, times are those of one.

    Examples
    --------
    >>> import sim
    >>> short = ["access=vmap", "traffic.packet_bytes=64", "run.packets=20000"]
    >>> point = sim.run(sim.load_scenario("virtio-user-xdp1-tap", overrides=short)).points[0]
    >>> f"{point.ns_per_packet:.1f} ns, {point.cycles_per_packet:.0f} cycles, bound by {point.bound_by}"
    '165.1 ns, 499 cycles, bound by worker'
    >>> sum(point.breakdown_ps.values()) == point.elapsed_ps
    True
    """

    access: str
    packet_bytes: int
    packets: int
    elapsed_ps: int
    warmup_packets: int
    dropped: int
    half_width_ps: float
    cycle_ps: float
    breakdown_ps: dict[str, int]
    row_rates: dict[str, float]
    row_times_ps: dict[str, float]
    row_waits_ps: dict[str, float]
    transfers: dict[str, float]
    instructions_per_packet: float
    latency_us: dict[str, float]
    occupancy: dict[str, float]
    utilisation: dict[str, float]
    bound_by: str
    notes: tuple[str, ...] = ()
    lanes: int = 1
    basis: str = ""
    offered_pps: float | None = None
    lost_pps: float | None = None
    payload_bytes: int = 0
    transactions: int = 0

    @property
    def ps_per_packet(self) -> float:
        """Time of one worker core per packet, in ps."""
        return self.elapsed_ps / self.packets

    @property
    def ns_per_packet(self) -> float:
        """Time of one worker core per packet, in ns."""
        return self.ps_per_packet / 1e3

    @property
    def cycles_per_packet(self) -> float:
        """Time of one worker core per packet, in its cycles."""
        return self.ps_per_packet / self.cycle_ps

    @property
    def pps(self) -> float:
        """Packets per second of all queues together."""
        return float(_pps(self.lanes, self.packets, self.elapsed_ps))

    @property
    def pps_ci(self) -> tuple[float, float]:
        """95 % interval of that rate, as simulated (how well the run is averaged, not how sure the tables are)."""
        low, high = self.ps_per_packet - self.half_width_ps, self.ps_per_packet + self.half_width_ps
        return self.lanes * 1e12 / high, (self.lanes * 1e12 / low if low > 0 else float("inf"))

    @property
    def lost_share(self) -> float | None:
        """Share of the offered packets that is lost; None without an offered load."""
        return None if self.lost_pps is None or not self.offered_pps else self.lost_pps / self.offered_pps

    @property
    def goodput_gbps(self) -> float | None:
        """Gbit/s of messages, headers apart; None where packets are no application's."""
        return self.pps * self.payload_bytes * 8 / 1e9 if self.payload_bytes else None

    @property
    def transaction_us(self) -> float | None:
        """Mean time of a transaction: as many as are outstanding, over their rate (Little's law); None without any."""
        return self.lanes * self.transactions * 1e6 / self.pps if self.transactions else None

    @property
    def breakdown_cycles(self) -> dict[str, float]:
        """Worker cycles per packet by primitive and kind of waiting; they add up to `cycles_per_packet`."""
        return {name: value / self.packets / self.cycle_ps for name, value in self.breakdown_ps.items()}

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form; infinite and undefined numbers become null."""

        def finite(value: float) -> float | None:
            return value if np.isfinite(value) else None

        return {
            "access": self.access,
            "packet_bytes": self.packet_bytes,
            "pps": self.pps,
            "pps_ci": [finite(bound) for bound in self.pps_ci],
            "offered_pps": self.offered_pps,
            "lost_pps": self.lost_pps,
            "lost_share": self.lost_share,
            "goodput_gbps": self.goodput_gbps,
            "transaction_us": self.transaction_us,
            "ns_per_packet": self.ns_per_packet,
            "cycles_per_packet": self.cycles_per_packet,
            "breakdown_cycles": self.breakdown_cycles,
            "latency_us": {name: finite(value) for name, value in self.latency_us.items()},
            "ring_occupancy": self.occupancy,
            "utilisation": self.utilisation,
            "bound_by": self.bound_by,
            "instructions_per_packet": self.instructions_per_packet,
            "line_transfers_per_packet": self.transfers,
            "events_per_packet": self.row_rates,
            "packets": self.packets,
            "warmup_packets": self.warmup_packets,
            "dropped_packets": self.dropped,
            "notes": list(self.notes),
            "basis": self.basis,
        }


@dataclass(frozen=True)
class Span:
    """What segments counted between two checkpoints: of one run, or of several draws of a Plan.

    Attributes
    ----------
    plan
        What ran.
    counts
        Differences of what is counted per segment, shape ([draws,] segments, columns of `Count`).
    price
        Returns what a price of the Plan is in the draws: itself, where the Plan was built for one run.
    """

    plan: Plan
    counts: npt.NDArray[np.int64]
    price: Callable[[Any], Any]

    def count(self, segment: int, column: int) -> Any:
        """Return what was counted of a segment, draw by draw."""
        return self.counts[..., segment, column]

    def executions(self, segment: int) -> Any:
        """Return how often a segment ran, draw by draw."""
        return self.count(segment, Count.EXECUTIONS)

    def units(self, segment: int) -> Any:
        """Return for how many units a segment ran, draw by draw."""
        return self.count(segment, Count.UNITS)

    def waits_ps(self, segment: int, kind: Wait) -> Any:
        """Return how long a segment waited, draw by draw."""
        return self.count(segment, Count.WAITS_PS + kind)

    def breakdown_ps(self, actor: int) -> dict[str, Any]:
        """Add up count x cost of every row, and the waits, by primitive, draw by draw."""
        totals: dict[str, Any] = {}
        for segment in self.plan.segments:
            if segment.actor != actor:
                continue
            count = self.units(segment.index)
            for row, times in self.executed_rows(segment):
                for parts, factor in ((row.components, times), (row.unit_components, count)):
                    for part in parts:
                        totals[part.primitive] = totals.get(part.primitive, 0) + self.price(part.cost_ps) * factor
            for kind, names in self.plan.wait_names.items():
                for name, holds in names.items():
                    totals[name] = totals.get(name, 0) + self.price(holds) * self.waits_ps(segment.index, kind)
        return totals

    def executed_rows(self, segment: Segment) -> Iterator[tuple[Row, Any]]:
        """Yield the rows of a segment and how often each ran."""
        for number in segment.rows:
            yield from self.executed(segment, number)

    def executed(self, segment: Segment, number: int) -> list[tuple[Row, Any]]:
        """Return the row of that number and how often it ran, or the rows of its size classes."""
        if number not in self.plan.class_rows:
            return [(self.plan.rows[number], self.executions(segment.index))]
        rows = self.plan.class_rows[number]
        return [(row, self.count(segment.index, Count.CLASSES + place)) for place, row in enumerate(rows)]

    def rows(self, packets: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], Any]:
        """Return executions, time and waiting in ps per packet, by `actor.row`, and worker instructions per packet."""
        rates: dict[str, Any] = {}
        times: dict[str, Any] = {}
        waits_of: dict[str, Any] = {}
        instructions: Any = 0.0
        for segment in self.plan.segments:
            run, count = self.executions(segment.index), self.units(segment.index)
            waited_ps = sum(self.waits_ps(segment.index, kind) for kind in Wait)
            for position, number in enumerate(segment.rows):
                row = self.plan.rows[number]
                name = f"{row.actor}.{row.label}"
                executed = count if row.per_unit else run
                rates[name] = rates.get(name, 0.0) + executed / packets
                waited = waited_ps if position == 0 else 0
                waits_of[name] = waits_of.get(name, 0.0) + waited / packets
                executed_rows = self.executed(segment, number)
                priced = sum(self.price(ran.cost_ps) * often for ran, often in executed_rows)
                spent = priced + count * self.price(row.unit_ps) + waited
                times[name] = times.get(name, 0.0) + spent / packets
                if segment.actor == WORKER:
                    own = total(self.price(ran.instructions) * often for ran, often in executed_rows)
                    instructions = instructions + own + count * self.price(row.unit_instructions)
        return rates, times, waits_of, instructions / packets

    def uncore_ps(self, elapsed_ps: Any) -> Any:
        """Return by how much all cores' lines, moved one after the other, take longer than the run did (DESIGN 6)."""
        moving = self.counts[..., [Count.WAIT_EVENTS + Wait.TRANSFER, Count.WAIT_EVENTS + Wait.CLEAN]]
        lines = moving.sum(axis=(-1, -2)).astype(np.float64)
        for segment, size_class, moved in self.plan.moved_lines:
            column = Count.EXECUTIONS if size_class is None else Count.CLASSES + size_class
            lines = lines + self.counts[..., segment, column] * self.price(moved)
        needed_ps = self.plan.lanes * lines * self.price(self.plan.uncore_ps_per_line)
        return np.maximum(0, np.rint(needed_ps).astype(np.int64) - elapsed_ps)

    def pps(self, packets: Any, elapsed_ps: Any) -> Any:
        """Return packets per second of all queues together, draw by draw, after packets of one queue in a time."""
        elapsed_ps = elapsed_ps + self.uncore_ps(elapsed_ps)
        return _pps(self.plan.lanes, packets * self.plan.queues, elapsed_ps)


@dataclass(frozen=True)
class _MeasuredSpan(Span):
    """Differences between two checkpoints of one run, spread over rows."""

    first: Checkpoint
    last: Checkpoint

    @cached_property
    def _counts(self) -> list[list[int]]:
        counts: list[list[int]] = self.counts.tolist()
        return counts

    def count(self, segment: int, column: int) -> int:
        """Return what was counted of a segment, as a plain number: those are added up in a fraction of the time."""
        return self._counts[segment][column]

    def transfers(self, packets: int) -> dict[str, float]:
        """Return modified lines that the worker fetched from the driver's cache, per packet, by region."""
        lines: dict[str, float] = {}
        for segment in self.plan.segments:
            if segment.actor == WORKER and segment.read is not None:
                moved = self.count(segment.index, Count.WAIT_EVENTS + Wait.TRANSFER) / packets
                region = segment.read.region.partition(MARK)[0]
                lines[region] = lines.get(region, 0.0) + moved
        return lines

    def offered_and_lost(self, packets: int, elapsed: int, uncore_ps: int) -> tuple[float, float] | None:
        """Return the packets/s that arrived and that are lost, at all queues together (None without arrivals).

        Of a load that is carried those that were dropped are lost; of another what arrived and was not carried, since
        the backlog, which has to fill before a packet is dropped, does so once.
        """
        arrivals = self.plan.arrivals
        if arrivals is None:
            return None
        per_second = self.plan.lanes * 1e12 / elapsed
        arrived = arrivals.until(self.last.time_ps) - arrivals.until(self.first.time_ps)
        offered = arrived * self.plan.queues * per_second
        if self.carries_the_load(elapsed) and not uncore_ps:
            return offered, (self.last.dropped - self.first.dropped) * self.plan.queues * per_second
        return offered, max(0.0, offered - self.plan.lanes * 1e12 * packets / (elapsed + uncore_ps))

    def carries_the_load(self, elapsed: int) -> bool:
        """Return whether packets are used as fast as they arrive, where none is dropped (False without arrivals)."""
        arrivals = self.plan.arrivals
        if arrivals is None:
            return False
        arriving = arrivals.at(self.last.packets - 1) - arrivals.at(max(self.first.packets - 1, 0))
        return arriving >= _CARRIED * elapsed

    def utilisation(self, elapsed: int) -> dict[str, float]:
        """Return the share of time in which each actor did not wait for another, nor to be woken or scheduled."""
        blocked = [0] * len(self.plan.actors)
        for segment in self.plan.segments:
            held = sum(self.price(self.plan.rows[number].cost_ps) for number in segment.rows if self._holds(number))
            times = int(self.executions(segment.index))
            blocked[segment.actor] += int(self.waits_ps(segment.index, Wait.BLOCKED)) + int(held) * times
        return {
            name: min(1.0, max(0.0, 1 - blocked[number] / elapsed))
            for number, name in enumerate(self.plan.actors)
            if name not in BACKGROUND
        }

    def _holds(self, number: int) -> bool:
        return self.plan.rows[number].operation == "hold"


def measured_from(plan: Plan, checkpoints: Sequence[Checkpoint], rate: Estimate) -> Checkpoint:
    """Return the checkpoint behind the warm-up from which on a run is measured, up to the last one.

    Of a load that comes in bursts that is over whole periods, as nearly as checkpoints allow: in part of one it is not
    what it is, and packets that wait at its end look lost.
    """
    measured, end_ps = checkpoints[rate.first : -1], checkpoints[-1].time_ps
    period_ps = plan.load_period_ps
    whole = [checkpoint for checkpoint in measured if period_ps and 2 * (end_ps - checkpoint.time_ps) > period_ps]

    def beyond(checkpoint: Checkpoint) -> float:
        periods = (end_ps - checkpoint.time_ps) / period_ps
        return abs(periods / max(1, round(periods)) - 1)

    return min(whole, key=beyond, default=checkpoints[rate.first])


def _part_of_period(plan: Plan, elapsed_ps: int) -> tuple[str, ...]:
    """Say that a run was too short for a period of its load."""
    period_ps = plan.load_period_ps
    if elapsed_ps >= _WHOLE * period_ps:
        return ()
    spans = f"{period_ps / 1e9:.3g} ms, and {elapsed_ps / 1e9:.3g} ms of it were run"
    return (f"the load has a period of {spans}: rates are those of a part of it; more run.packets reach further",)


def _pps(lanes: int, packets: Any, elapsed_ps: Any) -> Any:
    return lanes * 1e12 / (elapsed_ps / packets)


def itself(price: Any) -> Any:
    """Return a price of a Plan that was built for one run."""
    return price


def point(
    plan: Plan,
    checkpoints: list[Checkpoint],
    rate: Estimate,
    machine: Totals,
    price: Callable[[Any], Any] = itself,
) -> Point:
    """Summarise a run between the end of its warm-up and its last checkpoint; `price` is that of its draw."""
    first, last = measured_from(plan, checkpoints, rate), checkpoints[-1]
    span = _MeasuredSpan(plan, last.counts - first.counts, price, first, last)
    packets, elapsed = (last.packets - first.packets) * plan.queues, last.time_ps - first.time_ps
    uncore_ps = int(span.uncore_ps(elapsed))
    offered_pps, lost_pps = span.offered_and_lost(packets, elapsed, uncore_ps) or (None, None)
    histogram = last.histogram - first.histogram
    rates, times, waits, instructions = span.rows(packets)
    utilisation = span.utilisation(elapsed)
    dropped = int(machine.registers[Register.DROPPED])
    carried = dropped == 0 and span.carries_the_load(elapsed)
    return Point(
        access=plan.access,
        packet_bytes=int(price(plan.packet_bytes)),
        packets=packets,
        elapsed_ps=elapsed + uncore_ps,
        warmup_packets=first.packets,
        dropped=dropped,
        half_width_ps=rate.half_width_ps / plan.queues,
        cycle_ps=float(span.price(plan.cycle_ps)),
        breakdown_ps=_shown(span.breakdown_ps(WORKER), uncore_ps),
        row_rates=_floats(rates),
        row_times_ps=_floats(times),
        row_waits_ps=_floats(waits),
        transfers=span.transfers(packets),
        instructions_per_packet=float(instructions),
        latency_us={
            name: percentile(histogram, share) / 1e6 for name, share in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999))
        },
        occupancy={
            "mean": (last.occupied_ps - first.occupied_ps) / elapsed,
            "max": float(machine.most_occupied),
        },
        utilisation=utilisation,
        bound_by="uncore" if uncore_ps else _bound_by(plan, utilisation, carried, price),
        notes=_part_of_period(plan, elapsed) + plan.notes,
        lanes=plan.lanes,
        basis=plan.basis,
        offered_pps=offered_pps,
        lost_pps=lost_pps,
        payload_bytes=plan.payload_bytes,
        transactions=plan.transactions,
    )


def _floats(values: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}


def _shown(breakdown_ps: dict[str, Any], uncore_ps: int) -> dict[str, int]:
    """Return the parts that take time, and what the uncore adds."""
    parts = {**breakdown_ps, "uncore": uncore_ps}
    return {name: int(ps) for name, ps in parts.items() if ps}


def _bound_by(plan: Plan, utilisation: dict[str, float], carried: bool, price: Callable[[Any], Any]) -> str:
    """Name the load when it is carried (a worker that polls is busy all the same), else the busy actor.

    Where packets are lost on the way, whoever comes before may be busy for nothing: the last busy actor bounds. If none
    is busy, each waits for another in turn: `latency`. So it is where a worker polls between transactions.
    """
    if carried:
        return "load"
    idle = plan.actors[WORKER] if plan.transactions and price(plan.initial.get(Register.POLL_LIMIT)) else ""
    busy = {name: share for name, share in utilisation.items() if name != idle}
    on_the_way = [name for name in plan.bounding if name in busy]
    last = next((name for name in on_the_way if busy[name] >= _BUSY), None)
    if last is not None:
        return last.partition(".")[0]
    busiest = max(on_the_way or busy, key=lambda name: busy[name])
    return busiest.partition(".")[0] if busy[busiest] >= _BUSY else "latency"
