"""Build the Plan of one scenario, access variant and packet size."""

from __future__ import annotations

from dataclasses import replace

from sim.config.errors import ConfigError
from sim.config.scenario import Scenario
from sim.costs import CostTable, Recipes
from sim.datapath.driver import driver_rows
from sim.datapath.fuse import actors_of, fuse
from sim.datapath.page_frag import largest_xdp_packet
from sim.datapath.plan import Latencies, Plan, Register, Row, Segment
from sim.datapath.pricing import Pricer
from sim.datapath.rings import SplitRing
from sim.datapath.sink import WAKE_EVERY, sink_rows
from sim.datapath.traffic import SizeClasses, arrivals_of, size_classes
from sim.datapath.worker import worker_rows
from sim.datapath.worker.path import transmit_path
from sim.datapath.worker.poll import polls_per_timeout


def build_plan(scenario: Scenario, access: str, packet_bytes: int, *, apart: bool = False) -> Plan:
    """Return the Plan that engines run; `apart` keeps each row a segment of its own.

    Raises ConfigError for an access variant that the scenario does not list, sizes of a mix that take different paths,
    a ring too small for the driver, and a cost that a table lacks.
    """
    scenario = at_size(scenario, packet_bytes)
    variant = scenario.variant(access)
    mix = scenario.traffic.mix
    _check_fits(scenario)
    table = CostTable(scenario.cpu, scenario.kernel.work_scale.value, scenario.placement)
    recipes = Recipes(scenario.kernel, variant, scenario.cpu, scenario.mitigations)
    path = transmit_path(scenario, packet_bytes)
    drafts = worker_rows(scenario, packet_bytes) + driver_rows(scenario, packet_bytes)
    drafts += sink_rows(scenario, packet_bytes, pinned=path.zerocopy)
    rows = Pricer(scenario, recipes, table, packet_bytes).price(drafts)
    classes = size_classes(mix, scenario.run.seed)
    class_rows = {} if classes is None else _class_rows(scenario, recipes, table, rows, classes)
    segments = [_with_classes(segment, rows, class_rows) for segment in fuse(rows, apart)]
    ring = SplitRing(scenario.virtqueue)
    actors = actors_of(rows)
    fragment = path.fragment(scenario)
    plan = Plan(
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
            Register.FRAGS: fragment.buffers if fragment else 0,
            Register.NO_INTERRUPT: 1,
            Register.COPY_ONLY: 1,
            Register.UNPINNED_LEFT: WAKE_EVERY,
        },
        latencies=_latencies(scenario, table),
        cycle_ps=table.cycle_ps,
        ring_packets=ring.packets,
        arrivals=arrivals_of(scenario.traffic.load, scenario.run.seed),
        classes=classes,
        class_rows=class_rows,
        backlog=scenario.traffic.load.backlog,
    )
    polls = polls_per_timeout(plan, scenario.device.busyloop_timeout_us)
    return replace(plan, initial={**plan.initial, Register.POLL_LIMIT: polls})


def at_size(scenario: Scenario, packet_bytes: int) -> Scenario:
    """Return the scenario with the descriptors that packets of one size take.

    A large packet lies in further descriptors where the driver scatters it; virtio_net uses an indirect table only for
    more than one.
    """
    queue = scenario.virtqueue
    descriptors = queue.descriptors_per_packet + scenario.driver.further_descriptors(packet_bytes)
    indirect = queue.indirect and not (scenario.driver.kind == "virtio-net" and descriptors == 1)
    if not indirect and descriptors > queue.size:
        raise ConfigError(
            f"virtqueue.size: {packet_bytes} bytes scattered over pages take a chain of {descriptors} descriptors, "
            f"which does not fit a queue of {queue.size}"
        )
    changed = queue.model_copy(update={"descriptors_per_packet": descriptors, "indirect": indirect})
    return scenario.model_copy(update={"virtqueue": changed})


def _class_rows(
    scenario: Scenario, recipes: Recipes, table: CostTable, rows: list[Row], classes: SizeClasses
) -> dict[int, tuple[Row, ...]]:
    """Price the copies of each size class; everything else of a packet costs the same whatever its size."""
    copies = {row.label: number for number, row in enumerate(rows) if row.operation == "copy"}
    found: dict[int, list[Row]] = {number: [] for label, number in copies.items() if label != "page_split"}
    for size in classes.sizes:
        drafts = worker_rows(scenario, size)
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


def _check_fits(scenario: Scenario) -> None:
    mix = scenario.traffic.mix
    if mix is not None:
        paths = {replace(transmit_path(scenario, size), packet_bytes=0) for size in mix.bytes}
        if len(paths) > 1 or any(path.zerocopy or path.buffer == "alloc" for path in paths):
            raise ConfigError(
                f"traffic.mix: all sizes of a mix have to fit an XDP buffer (at most "
                f"{largest_xdp_packet(scenario.kernel.behaviour, scenario.backend.runs_xdp)} bytes on "
                f"{scenario.kernel.name}) and be copied; simulate the others one by one"
            )
        if scenario.driver.scatter_bytes is not None:
            raise ConfigError(
                "driver.scatter_bytes: not with traffic.mix; the sizes of a mix have chains of one length"
            )
    ring = SplitRing(scenario.virtqueue)
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
