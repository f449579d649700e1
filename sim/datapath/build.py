"""Build the Plan of one scenario, access variant and packet size."""

from __future__ import annotations

from dataclasses import replace

from sim.config.errors import ConfigError
from sim.config.scenario.scenario import Scenario
from sim.config.tables.access import Access
from sim.costs import CostTable, Recipes
from sim.costs.table import Component
from sim.datapath.checks import at_size, check
from sim.datapath.drivers import driver_rows
from sim.datapath.features.iotlb import iotlb_timers
from sim.datapath.features.variants import with_features
from sim.datapath.host.interference import around_rounds, host_rows, period_ps
from sim.datapath.host.queues import regions_of_queues, serve_queues
from sim.datapath.host.sink import WAKE_EVERY, sink_rows
from sim.datapath.host.source import source_rows
from sim.datapath.memory.ring_memory import KERNEL_OWN, RingMemory, effective_variant
from sim.datapath.memory.rings import LINE_BYTES, PackedRing, SplitRing, ring_of
from sim.datapath.placed import competing, receiving
from sim.datapath.plan.fuse import actors_of, fuse
from sim.datapath.plan.plan import BANK, Latencies, Plan, Register, Row, Segment
from sim.datapath.plan.step import Draft
from sim.datapath.pricing import Pricer
from sim.datapath.traffic import SizeClasses, arrivals_of, size_classes
from sim.datapath.vhost_net import worker_rows
from sim.datapath.vhost_net.path import transmit_path
from sim.datapath.vhost_net.poll import polls_per_timeout


def build_plan(scenario: Scenario, access: str, packet_bytes: int, *, apart: bool = False) -> Plan:
    """Return the Plan that engines run; `apart` keeps each row a segment of its own.

    Raises ConfigError for an access variant that the scenario does not list, sizes of a mix that take different paths,
    a ring too small for the driver, and a cost that a table lacks.
    """
    scenario = at_size(scenario, packet_bytes)
    mix = scenario.traffic.mix
    check(scenario, packet_bytes)
    variant, notes = effective_variant(scenario, access)
    scenario = scenario.model_copy(update={"access": [variant]})  # rows see the one variant that they are written for
    table = CostTable(scenario.cpu, scenario.kernel.work_scale.value, scenario.placement)
    rows = _rows(scenario, variant, table, packet_bytes)
    classes = size_classes(mix, scenario.run.seed)
    class_rows = {} if classes is None else _class_rows(scenario, variant, table, rows, classes)
    segments = [_with_classes(segment, rows, class_rows) for segment in fuse(rows, apart)]
    ring, queues = ring_of(scenario.virtqueue), scenario.queues
    actors = actors_of(rows)
    plan = Plan(
        access=access,
        packet_bytes=packet_bytes,
        actors=actors,
        rows=tuple(rows),
        segments=tuple(segments),
        entry=tuple(next(s.index for s in segments if s.actor == number) for number in range(len(actors))),
        regions=regions_of_queues(ring.regions(), queues.per_core),
        initial=_initial(scenario, ring, packet_bytes),
        latencies=_latencies(scenario, variant, table),
        cycle_ps=table.cycle_ps,
        ring_packets=ring.packets,
        in_flight=ring.packets,
        arrivals=arrivals_of(scenario.traffic.load, scenario.run.seed),
        classes=classes,
        class_rows=class_rows,
        backlog=scenario.traffic.load.backlog,
        period_ps=period_ps(scenario),
        queues=queues.per_core,
        lanes=queues.lanes,
        uncore_ps_per_line=LINE_BYTES * 1e3 / scenario.cpu.uncore_bandwidth.value,
        setup=_setup(scenario, variant, table),
        notes=notes,
    )
    polls = polls_per_timeout(plan, scenario.device.busyloop_timeout_us)
    limits = {Register.POLL_LIMIT + number * BANK: polls for number in range(queues.per_core)}
    plan = replace(plan, initial={**plan.initial, **limits})
    if scenario.device.direction == "rx":
        plan = receiving(scenario, plan)
    return plan if scenario.device.kind == "vhost_net" else competing(scenario, plan)


def _rows(scenario: Scenario, variant: Access, table: CostTable, packet_bytes: int) -> list[Row]:
    """Price every actor's rows for packets of one size; rounds without the mapping use the kernel's own accessors."""

    def priced(drafts: list[Draft], how: Access) -> list[Row]:
        recipes = Recipes(scenario.kernel, how, scenario.cpu, scenario.mitigations, scenario.virtqueue)
        return Pricer(scenario, recipes, table, packet_bytes).price(drafts)

    drafts = with_features(scenario, worker_rows(scenario, packet_bytes) + driver_rows(scenario, packet_bytes))
    if scenario.device.kind == "vhost_net" and scenario.device.direction == "rx":
        drafts += source_rows(scenario, packet_bytes)
    elif scenario.device.kind == "vhost_net":
        drafts += sink_rows(scenario, packet_bytes, pinned=transmit_path(scenario, packet_bytes).zerocopy)
    handler, unmapped = around_rounds(scenario, variant, [draft for draft in drafts if draft.actor == "worker"])
    worker, drivers = serve_queues(scenario, handler, [draft for draft in drafts if draft.actor != "worker"])
    others = drivers + host_rows(scenario, variant) + iotlb_timers(scenario)
    return priced(worker, variant) + priced(unmapped, KERNEL_OWN) + priced(others, variant)


def _class_rows(
    scenario: Scenario, variant: Access, table: CostTable, rows: list[Row], classes: SizeClasses
) -> dict[int, tuple[Row, ...]]:
    """Price the copies of each size class; everything else of a packet costs the same whatever its size."""
    copies = {row.label: number for number, row in enumerate(rows) if row.operation == "copy"}
    found: dict[int, list[Row]] = {number: [] for label, number in copies.items() if not label.startswith("page_split")}
    for size in classes.sizes:
        for row in _rows(scenario, variant, table, size):
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


def _initial(scenario: Scenario, ring: SplitRing | PackedRing, packet_bytes: int) -> dict[int, int]:
    """Return the registers that do not start at 0, for every queue."""
    fragment = transmit_path(scenario, packet_bytes).fragment(scenario)
    values = {
        Register.NUM_FREE: ring.packets * ring.chain,
        Register.MAPPED: 1,
        Register.USED_ROOM: scenario.virtqueue.size,
        Register.PAGE_FRAG_LEFT: fragment.buffers if fragment else 0,
        Register.AVAIL_FLAGS_NO_INTERRUPT: 1,
        Register.COPY_ONLY: 1,
        Register.ZEROCOPY_COMPLETIONS_LEFT: WAKE_EVERY,
    }
    queues = range(scenario.queues.per_core)
    return {register + number * BANK: value for number in queues for register, value in values.items()}


def _latencies(scenario: Scenario, variant: Access, table: CostTable) -> Latencies:
    footprint = scenario.virtqueue.size * scenario.device.reuse_bytes_per_packet.value
    level = table.reuse_hit(footprint)
    left_behind = scenario.placement.numa_rebalancing and variant.mapping.pinned
    return Latencies(
        near_hit_ps=table.whole_ps("l1_hit"),
        far_hit_ps=table.whole_ps(level),
        far_hit_level=level,
        transfer_ps=table.whole_ps(table.transfer_primitive),
        transfer_name=table.transfer_primitive,
        clean_ps=table.whole_ps("memory_remote" if left_behind else "l3_hit"),
        stream_ps=table.whole_ps("line_stream"),
        store_buffer=int(scenario.cpu.store_buffer.value),
    )


def _setup(scenario: Scenario, variant: Access, table: CostTable) -> tuple[Component, ...]:
    try:
        return RingMemory(scenario, variant).setup(table)
    except KeyError as error:
        raise ConfigError(str(error.args[0])) from None
