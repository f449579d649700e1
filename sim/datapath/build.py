"""Build the Plan of one scenario, access variant and packet size."""

from __future__ import annotations

from dataclasses import replace

from sim.config.errors import ConfigError
from sim.config.scenario import Scenario
from sim.costs import CostTable, Recipes
from sim.datapath.driver import driver_rows
from sim.datapath.features import with_features
from sim.datapath.fuse import actors_of, fuse
from sim.datapath.page_frag import PageFragment, largest_xdp_packet
from sim.datapath.plan import Latencies, Plan, Register, Row, Segment
from sim.datapath.pricing import Pricer
from sim.datapath.rings import ring_of
from sim.datapath.rounds import iotlb_timers
from sim.datapath.traffic import SizeClasses, arrivals_of, size_classes
from sim.datapath.worker import worker_rows


def build_plan(scenario: Scenario, access: str, packet_bytes: int, *, apart: bool = False) -> Plan:
    """Return the Plan that engines run; `apart` keeps each row a segment of its own.

    Raises ConfigError for an access variant that the scenario does not list, a packet too large for the modelled path,
    a ring too small for the driver, and a cost that a table lacks.
    """
    variant = scenario.variant(access)
    scenario = scenario.model_copy(update={"access": [variant]})  # rows see the one variant that they are written for
    mix = scenario.traffic.mix
    for size in [packet_bytes] if mix is None else mix.bytes:
        _check_fits(scenario, size)
    table = CostTable(scenario.cpu, scenario.kernel.work_scale.value, scenario.placement)
    recipes = Recipes(scenario.kernel, variant, scenario.cpu, scenario.mitigations, scenario.virtqueue)
    drafts = with_features(scenario, worker_rows(scenario, packet_bytes) + driver_rows(scenario))
    drafts += iotlb_timers(scenario)
    rows = Pricer(scenario, recipes, table, packet_bytes).price(drafts)
    classes = size_classes(mix, scenario.run.seed)
    class_rows = {} if classes is None else _class_rows(scenario, recipes, table, rows, classes)
    segments = [_with_classes(segment, rows, class_rows) for segment in fuse(rows, apart)]
    ring = ring_of(scenario.virtqueue)
    actors = actors_of(rows)
    return Plan(
        access=access,
        packet_bytes=packet_bytes,
        actors=actors,
        rows=tuple(rows),
        segments=tuple(segments),
        entry=tuple(next(s.index for s in segments if s.actor == number) for number in range(len(actors))),
        regions=ring.regions(),
        initial={
            Register.FREE: ring.packets * ring.chain,
            Register.ROOM: scenario.virtqueue.size,
            Register.FRAGS: PageFragment(scenario.kernel.behaviour, packet_bytes).buffers,
        },
        latencies=_latencies(scenario, table),
        cycle_ps=table.cycle_ps,
        ring_packets=ring.packets,
        arrivals=arrivals_of(scenario.traffic.load, scenario.run.seed),
        classes=classes,
        class_rows=class_rows,
        backlog=scenario.traffic.load.backlog,
    )


def _class_rows(
    scenario: Scenario, recipes: Recipes, table: CostTable, rows: list[Row], classes: SizeClasses
) -> dict[int, tuple[Row, ...]]:
    """Price the copies of each size class; everything else of a packet costs the same whatever its size."""
    copies = {row.label: number for number, row in enumerate(rows) if row.operation == "copy"}
    found: dict[int, list[Row]] = {number: [] for label, number in copies.items() if label != "page_split"}
    for size in classes.sizes:
        drafts = with_features(scenario, worker_rows(scenario, size))
        for row in Pricer(scenario, recipes, table, size).price(drafts):
            if copies.get(row.label) in found:
                found[copies[row.label]].append(row)
    return {number: tuple(one) for number, one in found.items()}


def _with_classes(segment: Segment, rows: list[Row], class_rows: dict[int, tuple[Row, ...]]) -> Segment:
    """Give a segment that holds copies its cost for each size class."""
    varying = [number for number in segment.rows if number in class_rows]
    if not varying:
        return segment
    same = segment.cost_ps - sum(rows[number].cost_ps for number in varying)
    per_class = zip(*(class_rows[number] for number in varying), strict=True)
    return replace(segment, class_costs=tuple(same + sum(row.cost_ps for row in one) for one in per_class))


def _check_fits(scenario: Scenario, packet_bytes: int) -> None:
    largest = largest_xdp_packet(scenario.kernel.behaviour)
    if packet_bytes > largest:
        raise ConfigError(
            f"traffic.packet_bytes: {packet_bytes} leaves the XDP path (at most {largest} bytes on "
            f"{scenario.kernel.name}: buffer and skb_shared_info in one page); the skb path is not modelled yet"
        )
    ring = ring_of(scenario.virtqueue)
    if scenario.driver.kind == "lockstep" and scenario.driver.burst > ring.packets:
        raise ConfigError(f"driver.burst: {scenario.driver.burst} packets do not fit a ring that holds {ring.packets}")
    if scenario.driver.kind == "lockstep" and scenario.traffic.load.kind != "saturate":
        raise ConfigError("traffic.load: the lockstep driver sets its own pace; only saturate is accepted")


def _latencies(scenario: Scenario, table: CostTable) -> Latencies:
    footprint = scenario.virtqueue.size * scenario.device.reuse_bytes_per_packet.value
    level = table.reuse_hit(footprint)
    return Latencies(
        near_hit_ps=table.whole_ps("l1_hit"),
        far_hit_ps=table.whole_ps(level),
        far_hit_level=level,
        transfer_ps=table.whole_ps(table.transfer_primitive),
        transfer_name=table.transfer_primitive,
        clean_ps=table.whole_ps("l3_hit"),
        stream_ps=table.whole_ps("line_stream"),
        store_buffer=int(scenario.cpu.store_buffer.value),
    )
