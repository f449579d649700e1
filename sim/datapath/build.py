"""Build the Plan of one scenario, access variant and packet size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from sim.config.scenario.scenario import Scenario
from sim.config.tables.access import Access
from sim.config.tables.quantity import is_watched, noting_reads
from sim.costs import CostTable, Recipes
from sim.costs.audit import Itself, Ledger
from sim.costs.draws import most, whole
from sim.costs.table import Component
from sim.datapath.applications.messages import is_application
from sim.datapath.applications.placing import above_driver, around_handler, behind_worker, with_application
from sim.datapath.checks import OF_SIZE, at_size, check, remarks
from sim.datapath.devices import device_steps
from sim.datapath.devices.tap_write import without_ring
from sim.datapath.drivers import driver_steps
from sim.datapath.features import with_features
from sim.datapath.features.rounds import message_timers
from sim.datapath.forwarding import BANKS, Forwarding
from sim.datapath.host.interference import around_rounds, host_steps, period_ps
from sim.datapath.host.queues import regions_of_queues, serve_queues
from sim.datapath.host.sink import WAKE_EVERY, has_sink, sink_steps
from sim.datapath.host.source import source_steps
from sim.datapath.memory.receive_memory import ReceiveMemory, without_source
from sim.datapath.memory.ring_memory import KERNEL_OWN, RingMemory, effective_variant
from sim.datapath.memory.rings import PackedRing, SplitRing, ring_of
from sim.datapath.memory.xsk_rings import XskRings
from sim.datapath.plan.fuse import actors_of, fuse
from sim.datapath.plan.plan import Latencies, Plan, Segment, Wait
from sim.datapath.plan.program import link
from sim.datapath.plan.registers import BANK, Register
from sim.datapath.plan.step import LINE_BYTES, Anchor, Row, Step
from sim.datapath.pricing import Pricer
from sim.datapath.traffic import SizeClasses, arrivals_of, size_classes
from sim.datapath.vhost_net.path import transmit_path

#: Plans that are kept: one that was built to see which keys are read is asked for again by the run.
_KEPT = 16


def build_plan(
    scenario: Scenario, access: str, packet_bytes: int, *, apart: bool = False, functions: bool = False
) -> Plan:
    """Return the Plan that engines run; `apart` keeps each row a segment of its own. The last ones are kept.

    With `functions` each component also says which kernel functions spend its time; the Plan is the same otherwise.

    Raises ConfigError for an access variant that the scenario does not list, sizes of a mix that take different paths,
    a ring too small for the driver, and a cost that a table lacks.
    """
    if is_watched():
        return _plan_of(scenario, access, packet_bytes, apart, functions)
    return _kept_plan(Itself(scenario), access, packet_bytes, apart, functions)


@lru_cache(maxsize=_KEPT, typed=True)
def _kept_plan(same: Itself[Scenario], access: str, packet_bytes: int, apart: bool, functions: bool) -> Plan:
    return _plan_of(same.wrapped, access, packet_bytes, apart, functions)


def _plan_of(scenario: Scenario, access: str, packet_bytes: int, apart: bool, functions: bool) -> Plan:
    with noting_reads() as read:
        sized = at_size(scenario, packet_bytes)
    check(sized, packet_bytes)  # what it looks at and does not refuse may still move nothing
    with noting_reads() as read_for_plan:
        built = without_ring(sized) if sized.device.kind == "tap_write" else sized
        plan = _build(built, access, packet_bytes, apart, functions)
    with noting_reads() as read_for_setup:
        setup = _setup(built, effective_variant(built, access)[0])
    ledger = Ledger(scenario, sized, OF_SIZE, read | read_for_plan, read_for_setup)
    return replace(plan, setup=setup, ledger=ledger, notes=(*plan.notes, *remarks(sized), *ledger.far_outside()))


def _build(scenario: Scenario, access: str, packet_bytes: int, apart: bool, functions: bool) -> Plan:
    variant, notes = effective_variant(scenario, access)
    scenario = scenario.model_copy(update={"access": [variant]})  # steps see the one variant they are written for
    table = CostTable(scenario.cpu, scenario.kernel.work_scale.value, scenario.placement)
    forwarding = Forwarding.of(scenario) if scenario.driver.forwards else None
    if forwarding is None:
        rows = _rows(scenario, variant, table, packet_bytes, functions)
    else:
        rows = _forwarding_rows(forwarding, variant, table, packet_bytes, functions)
    classes = size_classes(scenario.traffic.mix, scenario.run.seed)
    class_rows = {} if classes is None else _class_rows(scenario, variant, table, rows, classes)
    segments = [_with_classes(segment, rows, class_rows) for segment in fuse(rows, apart)]
    arrivals = arrivals_of(scenario.queue_load, scenario.run.seed)
    ring, queues, actors = ring_of(scenario.virtqueue), scenario.queues, actors_of(rows)
    hits = table.reuse_hits(scenario.virtqueue.size * scenario.device.reuse_bytes_per_packet.value)
    plan = Plan(
        access=access,
        packet_bytes=packet_bytes,
        actors=actors,
        rows=tuple(rows),
        segments=tuple(segments),
        entry=tuple(next(s.index for s in segments if s.actor == number) for number in range(len(actors))),
        regions=regions_of_queues(ring.regions(), queues.per_core),
        initial=_initial(scenario, ring, packet_bytes),
        latencies=_latencies(scenario, variant, table, hits),
        wait_names=_wait_names(scenario, variant, table, hits),
        line_moves=(table.transfer_primitive, "line_stream", "clean_line"),
        first_owner=actors.index("driver"),  # it has just initialised the rings
        cycle_ps=table.cycle_ps,
        ring_packets=ring.packets,
        in_flight=ring.packets,
        arrivals=arrivals,
        backlog=1 if arrivals is None else scenario.traffic.load.backlog,
        classes=classes,
        class_rows=class_rows,
        period_ps=most(period_ps(scenario), 0 if arrivals is None else arrivals.period_ps),
        has_sink=has_sink(scenario),
        queues=queues.per_core,
        banks=max(queues.per_core, _senders(scenario)),
        lanes=queues.lanes,
        uncore_ps_per_line=LINE_BYTES * 1e3 / scenario.cpu.uncore_bandwidth.value,
        notes=notes,
        basis=queues.basis,
    )
    polls = _polls_per_timeout(plan, scenario.device.busyloop_timeout_us)
    limits = {Register.POLL_LIMIT + number * BANK: polls for number in range(queues.per_core)}
    plan = replace(plan, initial={**plan.initial, **limits})
    plan = with_application(scenario, plan)
    if forwarding is not None:
        plan = _forwarding(forwarding, plan)
        forwarding.note_reads()
    elif scenario.device.direction == "rx":
        plan = _receiving(scenario, plan)
    return _beside_vhost_net(scenario, plan) if scenario.device.kind in ("vhost_user", "af_xdp") else plan


def _rows(
    scenario: Scenario, variant: Access, table: CostTable, packet_bytes: int, functions: bool = False
) -> list[Row]:
    """Price every actor's steps for packets of one size; rounds without the mapping use the kernel's own accessors."""

    def priced(steps: list[Step], how: Access) -> list[Row]:
        return _pricer(scenario, how, table, packet_bytes, functions).price(steps)

    drivers = above_driver(scenario, packet_bytes, driver_steps(scenario, packet_bytes))
    steps = with_features(scenario, device_steps(scenario, packet_bytes) + drivers)
    worker_steps = around_handler(scenario, [step for step in steps if step.actor == "worker"])
    handler, unmapped = around_rounds(scenario, variant, worker_steps)
    others = link([step for step in steps if step.actor != "worker"])
    if is_application(scenario):
        others += link(behind_worker(scenario, packet_bytes))
    elif scenario.receives_from_tap:
        others += link(source_steps(scenario, packet_bytes))
    elif scenario.device.kind == "vhost_net":
        others += sink_steps(scenario, packet_bytes, pinned=transmit_path(scenario, packet_bytes).zerocopy)
    worker, drivers = serve_queues(scenario, handler, others)
    background = host_steps(scenario, variant) + message_timers(scenario)
    return priced(worker, variant) + priced(unmapped, KERNEL_OWN) + priced(drivers + background, variant)


def _pricer(scenario: Scenario, how: Access, table: CostTable, packet_bytes: int, functions: bool) -> Pricer:
    recipes = Recipes(scenario.kernel, how, scenario.cpu, scenario.mitigations, scenario.virtqueue)
    return Pricer(scenario, recipes, table, packet_bytes, functions)


def _forwarding_rows(
    forwarding: Forwarding, variant: Access, table: CostTable, packet_bytes: int, functions: bool
) -> list[Row]:
    """Price the steps of both rings of a guest that forwards, each as if it were alone, and put them together."""
    pricers = [_pricer(ring.scenario, variant, table, packet_bytes, functions) for ring in forwarding.rings]
    alone = [
        with_features(
            ring.scenario, device_steps(ring.scenario, packet_bytes) + driver_steps(ring.scenario, packet_bytes)
        )
        for ring in forwarding.rings
    ]
    handlers = [
        pricer.price(around_rounds(ring.scenario, variant, [step for step in steps if step.actor == "worker"])[0])
        for ring, pricer, steps in zip(forwarding.rings, pricers, alone, strict=True)
    ]
    guest = forwarding.link_guest(*([step for step in steps if step.actor != "worker"] for steps in alone))
    halves = [pricer.price(steps) for pricer, steps in zip(pricers, guest, strict=True)]
    receive, transmit = forwarding.rings
    pinned = transmit_path(transmit.scenario, packet_bytes).zerocopy
    beyond = [source_steps(receive.scenario, packet_bytes), sink_steps(transmit.scenario, packet_bytes, pinned=pinned)]
    ends = [pricer.price(link(steps)) for pricer, steps in zip(pricers, beyond, strict=True)]
    steps = forwarding.workers(*handlers)
    for of_rings in (halves, ends):
        for ring, rows in zip(forwarding.rings, of_rings, strict=True):
            steps += forwarding.others(ring, rows)
    between = iter(pricers[0].price([step for step in steps if not isinstance(step, Row)]))
    return [step if isinstance(step, Row) else next(between) for step in steps]


def _class_rows(
    scenario: Scenario, variant: Access, table: CostTable, rows: list[Row], classes: SizeClasses
) -> dict[int, tuple[Row, ...]]:
    """Price the copies of each size class; everything else of a packet costs the same whatever its size."""
    copies = [number for number, row in enumerate(rows) if row.operation == "copy" and "packet" in row.scopes]
    of_sizes = [
        {row.label: row for row in _rows(scenario, variant, table, size) if row.operation == "copy"}
        for size in classes.sizes
    ]
    return {number: tuple(of_size[rows[number].label] for of_size in of_sizes) for number in copies}


def _with_classes(segment: Segment, rows: list[Row], class_rows: dict[int, tuple[Row, ...]]) -> Segment:
    """Give a segment that holds copies its cost for each size class."""
    varying = [number for number in segment.rows if number in class_rows]
    if not varying:
        return segment
    same = segment.cost_ps - sum(rows[number].cost_ps for number in varying)
    per_class = zip(*(class_rows[number] for number in varying), strict=True)
    return replace(segment, class_costs=tuple(same + sum(row.cost_ps for row in of_class) for of_class in per_class))


def _senders(scenario: Scenario) -> int:
    """Return how many senders have registers of their own."""
    return scenario.receive.source.senders if scenario.receives_from_tap else 1


def _initial(scenario: Scenario, ring: SplitRing | PackedRing, packet_bytes: int) -> dict[int, int]:
    """Return the registers that do not start at 0, for every queue."""
    device = scenario.device
    transmits = device.kind == "vhost_net" and device.direction == "tx"
    fragment = transmit_path(scenario, packet_bytes).fragment(scenario) if transmits else None
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


def _receiving(scenario: Scenario, plan: Plan) -> Plan:
    """Count packets from the ptr_ring to the used ring; at the start the ring is full of empty buffers.

    A lockstep driver has posted none: as behind a batch, when the worker waits for frames and wants no kicks.
    """
    from_tap = scenario.receives_from_tap
    memory = ReceiveMemory(scenario if from_tap else without_source(scenario), plan.packet_bytes)
    quiet = 0 if scenario.driver.kind == "virtio-net" else 1
    waiting: dict[int, int] = {Register.SOCKET_WAIT: 1, Register.AVAIL_FLAGS_NO_INTERRUPT: quiet}
    full = (Register.AVAIL_IDX_SHADOW, Register.RING_AVAIL_IDX, Register.OLD_AVAIL_IDX)
    lockstep = scenario.driver.kind == "lockstep"
    posted = 0 if lockstep else plan.ring_packets
    if lockstep:
        waiting |= {Register.NOTIFY_OFF: 1, Register.USED_FLAGS_NO_NOTIFY: 1}
    buffers: dict[int, int] = dict.fromkeys(full, posted)
    return replace(
        plan,
        regions={**plan.regions, **memory.regions()},
        initial={**plan.initial, **buffers, **waiting},
        in_flight=memory.in_flight,
        posted=Register.PRODUCED,
        used=Register.RETURNED,
        handled=Register.RECEIVED,
    )


def _forwarding(forwarding: Forwarding, plan: Plan) -> Plan:
    """Give each ring of a guest that forwards its registers and regions; count packets at one of them."""
    receive, transmit = forwarding.rings
    ring = ring_of(forwarding.scenario.virtqueue)
    of_rings = [
        replace(plan, regions=ring.regions(), initial=_initial(each.scenario, ring, plan.packet_bytes))
        for each in forwarding.rings
    ]
    of_rings[0] = _receiving(receive.scenario, of_rings[0])
    places = [receive.place, transmit.place]
    counted, place = next(pair for pair in zip(of_rings, places, strict=True) if pair[1].counted)
    return replace(
        counted,
        regions={
            place.named(name): lines
            for place, each in zip(places, of_rings, strict=True)
            for name, lines in each.regions.items()
        },
        initial={
            place.register(register): value
            for place, each in zip(places, of_rings, strict=True)
            for register, value in each.initial.items()
        },
        banks=BANKS,
        bounding=forwarding.bounding,
        notes=(*plan.notes, forwarding.note),
        posted=place.register(counted.posted),
        used=place.register(counted.used),
        handled=place.register(counted.handled),
    )


def _beside_vhost_net(scenario: Scenario, plan: Plan) -> Plan:
    """A polling device never wants kicks; an AF_XDP socket has rings of its own, and its kernel side may sleep."""
    awake = int(scenario.device.kind == "vhost_user" or scenario.device.direction == "rx")
    starts: dict[int, int] = {Register.USED_FLAGS_NO_NOTIFY: awake, Register.NOTIFY_OFF: awake}
    plan = replace(plan, initial={**plan.initial, **starts})
    if scenario.device.kind == "vhost_user":
        return plan
    regions = XskRings(scenario.virtqueue).regions()
    return replace(plan, regions=regions, used=Register.RING_USED_IDX, handled=Register.LAST_AVAIL_IDX)


def _polls_per_timeout(plan: Plan, timeout_us: float) -> int:
    """Return how often the worker looks at an empty ring before time is up (0 where it does not poll)."""
    polls = [row for row in plan.rows if Anchor.POLL in row.anchors]
    if not polls or not timeout_us:
        return 0
    exposed = most(0, plan.latencies.near_hit_ps - polls[0].hidden_ps)
    limit: int = most(1, round(timeout_us * 1e6 / (polls[0].cost_ps + exposed)))
    return limit


def _latencies(scenario: Scenario, variant: Access, table: CostTable, hits: Mapping[str, bool]) -> Latencies:
    return Latencies(
        near_hit_ps=table.whole_ps("l1_hit"),
        far_hit_ps=table.reuse_hit_ps(hits),
        transfer_ps=table.whole_ps(table.transfer_primitive),
        prefetched_ps=table.prefetched_ps(),
        clean_ps=table.whole_ps(_clean_level(scenario, variant)),
        stream_ps=table.whole_ps("line_stream"),
        store_buffer=whole(scenario.cpu.store_buffer.value),
    )


def _clean_level(scenario: Scenario, variant: Access) -> str:
    """Name the level that a line comes from which its owner has not written; pinned pages stay on another node."""
    left_behind = variant.mapping.pinned and scenario.placement.numa_rebalancing
    return "memory_remote" if left_behind else "l3_hit"


def _wait_names(
    scenario: Scenario, variant: Access, table: CostTable, hits: Mapping[str, bool]
) -> dict[Wait, Mapping[str, bool]]:
    always = {
        Wait.NEAR_HIT: "l1_hit",
        Wait.TRANSFER: table.transfer_primitive,
        Wait.CLEAN: _clean_level(scenario, variant),
        Wait.STORES: "store_drain",
        Wait.BLOCKED: "idle",
    }
    return {**{kind: {name: True} for kind, name in always.items()}, Wait.FAR_HIT: hits}


def _setup(scenario: Scenario, variant: Access) -> tuple[Component, ...]:
    table = CostTable(scenario.cpu, scenario.kernel.work_scale.value, scenario.placement)
    return RingMemory(scenario, variant).setup(table)
