"""Scenarios that hypothesis draws: every knob that changes which rows run or who waits for whom."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

from hypothesis import strategies as st

from sim.config import Scenario, load_scenario
from sim.config.loading import paths
from sim.config.scenario.endpoints import Backend, Device, Driver, Receive, Source
from sim.config.scenario.scenario import Memory, Placement, Run
from sim.config.scenario.traffic import Load, Mix, Traffic
from sim.config.scenario.virtqueue import Queues, Virtqueue
from sim.datapath import build_plan
from sim.datapath.plan.plan import Plan
from sim.engine.fast import FastEngine
from sim.engine.order import TieOrder
from sim.engine.reference import ReferenceEngine

SEED = "virtio-user-xdp1-tap"
KERNELS = ("v5.0", "v5.3", "v6.1", "v6.12", "v7.3")
ACCESS = tuple(sorted(paths.names("access")))
ENGINES = (ReferenceEngine, FastEngine)


@dataclass(frozen=True)
class Case:
    """One thing to run: a scenario, how it is fused, and who goes first among simultaneous events."""

    scenario: Scenario
    access: str
    apart: bool
    order: tuple[int, ...]
    fuzz: int
    latencies: dict[str, int]

    @property
    def ties(self) -> TieOrder:
        actors = len(self.plan.actors)
        ranks = (*self.order, *range(len(self.order), actors))
        return TieOrder(tuple(rank for rank in ranks if rank < actors), self.fuzz)

    @cached_property
    def plan(self) -> Plan:
        plan = build_plan(self.scenario, self.access, self.scenario.traffic.sizes[0], apart=self.apart)
        return replace(plan, latencies=replace(plan.latencies, **self.latencies))


#: Latencies around the hidden times and row costs of the seed's CPU, in an order that no CPU has.
latencies = st.fixed_dictionaries(
    {
        "near_hit_ps": st.integers(0, 20_000),
        "far_hit_ps": st.integers(0, 20_000),
        "transfer_ps": st.integers(0, 100_000),
        "prefetched_ps": st.integers(0, 120_000),
        "clean_ps": st.integers(0, 50_000),
        "stream_ps": st.integers(0, 30_000),
        "store_buffer": st.integers(1, 60),
    }
)


#: Sizes on both sides of the copy routine's switch to `rep movsb`, and of a cache line.
mixes = st.sampled_from(
    [
        Mix(bytes=[64, 594, 1518], weights=[7, 4, 1]),
        Mix(bytes=[14, 3000], weights=[1, 1]),
        Mix(bytes=[700], weights=[0.5]),
    ]
)


#: More than any plan has.
MOST_ACTORS = 40

who_goes_first = st.fixed_dictionaries(
    {"order": st.permutations(range(MOST_ACTORS)).map(tuple), "fuzz": st.integers(0, 5)}
)

PLACEMENTS = [
    Placement(),
    Placement(smt_siblings=True),
    Placement(same_socket=False, idle_state="c1"),
    Placement(preempted_us=3, preempted_every_us=20),
]


QUEUES = [Queues(), Queues(), Queues(pairs=3), Queues(pairs=4, workers="each", cores=2)]


@cache
def base(kernel: str) -> Scenario:
    return load_scenario(SEED, overrides=[f"kernel={kernel}", f"access={','.join(ACCESS)}"])


def quick(driver_ns: float) -> dict[str, Any]:
    return {"value": driver_ns, "unit": "ns", "low": 0, "high": 1e6, "source": "test", "grade": "guess"}


@st.composite
def queues(draw: st.DrawFn) -> Virtqueue:
    """Any ring: split or packed, in order or not, with or without a device IOTLB and its messages."""
    packed = draw(st.booleans())
    size = draw(st.integers(1, 700)) if packed else 1 << draw(st.integers(0, 10))
    iotlb = draw(st.booleans())
    rates = st.sampled_from([0, 0, 3e4, 1e6]) if iotlb else st.just(0)
    return Virtqueue(
        layout="packed" if packed else "split",
        size=size,
        event_idx=draw(st.booleans()),
        indirect=draw(st.booleans()),
        descriptors_per_packet=draw(st.integers(1, min(2, size))),
        packed_access=draw(st.sampled_from(["rfc", "ideal"])),
        in_order=draw(st.booleans()),
        in_order_device=draw(st.sampled_from(["full", "avail", "used"])),
        iotlb=iotlb,
        iotlb_cache=draw(st.booleans()),
        iotlb_entries=draw(st.sampled_from([1, 64, 2048])),
        iotlb_updates_per_second=draw(rates),
        iotlb_misses_per_second=draw(rates),
    )


@st.composite
def devices(draw: st.DrawFn) -> Device:
    zerocopy = draw(st.booleans())
    return Device(
        batch=draw(st.sampled_from([1, 2, 7, 64, 256])),
        zerocopy_tx=zerocopy,
        max_pending=draw(st.sampled_from([1, 5, 128])),
        xdp_batching=draw(st.booleans()),
        sndbuf_limited=draw(st.booleans()),
        busyloop_timeout_us=0 if zerocopy else draw(st.sampled_from([0, 1, 30])),
        schedule_out=draw(st.booleans()),
    )


per_byte = {"unit": "ns/byte", "low": 0, "high": 1, "source": "test", "grade": "guess"}

backends = st.builds(
    Backend,
    kind=st.sampled_from(
        [
            *("tap-xdp-drop", "tap-xdp-pass", "tap-xdp-redirect", "tap-skb"),
            *("tap-bridge", "tap-tc-drop", "tap-tc-redirect", "tap-ovs", "macvtap"),
        ]
    ),
    port=st.sampled_from(["nic", "veth", "dummy"]),
    doorbell_cost=st.sampled_from([quick(0), quick(50)]),
    line_gbps=st.sampled_from([1, 10, 400]),
    queue=st.sampled_from([1, 3, 1024]),
    stack_cost=st.sampled_from([quick(0), quick(300)]),
    receiver_cost=st.sampled_from([quick(0), quick(100), quick(2000)]),
    receiver_byte_cost=st.sampled_from([{"value": 0, **per_byte}, {"value": 0.1, **per_byte}]),
)


@st.composite
def transmitting(draw: st.DrawFn) -> Case:
    """vhost_net that transmits, on any path, ring and driver."""
    queue = draw(queues())
    size = queue.size
    ring = size // queue.ring_entries_per_packet
    kind = draw(st.sampled_from(["virtio-user", "virtio-net", "lockstep"]))
    load = Load(kind="saturate")
    pairs = draw(st.sampled_from(QUEUES))
    timed = queue.iotlb_updates_per_second or queue.iotlb_misses_per_second
    pairs = Queues() if timed else pairs
    several = pairs.per_core > 1
    device, backend = draw(devices()), draw(backends)
    if several:
        device = device.model_copy(update={"busyloop_timeout_us": 0})
    if queue.in_order and device.zerocopy_tx and backend.forwards and backend.port == "nic":
        backend = backend.model_copy(update={"kind": "tap-skb"})
    if kind != "lockstep" and not several and draw(st.booleans()):
        on_off = {"on_us": draw(st.sampled_from([5, 50])), "off_us": draw(st.sampled_from([0, 20, 300]))}
        kind_of_load = draw(st.sampled_from(["constant", "poisson", "on-off"]))
        load = Load(
            kind=kind_of_load,
            pps=draw(st.sampled_from([2e5, 2e6, 1e7])),
            backlog=draw(st.sampled_from([1, 7, 512])),
            **(on_off if kind_of_load == "on-off" else {}),
        )
    allocates = device.sndbuf_limited or (backend.kind == "macvtap" and not device.xdp_batching)
    mix = None if device.zerocopy_tx or allocates else draw(st.none() | mixes)
    scenario = base(draw(st.sampled_from(KERNELS))).model_copy(
        update={
            "virtqueue": queue,
            "driver": Driver(
                kind=kind,
                burst=draw(st.integers(1, min(64, ring))),
                packet_cost=quick(draw(st.sampled_from([0, 45, 250, 2000]))),
                stack_cost=quick(draw(st.sampled_from([0, 45, 250, 2000]))),
                napi_tx=draw(st.booleans()),
                free_threshold=draw(st.sampled_from([0, 32, size])),
            ),
            "device": device,
            "backend": backend,
            "traffic": Traffic(
                packet_bytes=[draw(st.sampled_from([14, 64, 65, 700, 1518, 3380] + ([] if mix else [9000, 65535])))],
                mix=None if several else mix,
                dirty_bytes=draw(st.sampled_from([0, 42, "full"])),
                load=load,
            ),
            "queues": pairs,
            "memory": Memory(invalidations_per_second=0 if several else draw(st.sampled_from([0, 0, 2e3, 1e5]))),
            "placement": draw(st.sampled_from(PLACEMENTS)),
            "run": Run(packets=draw(st.integers(1, 400)), seed=draw(st.integers(0, 2**63 - 1)), precision=0),
        }
    )
    return Case(
        scenario=scenario,
        access=draw(st.sampled_from(ACCESS)),
        apart=draw(st.booleans()),
        **draw(who_goes_first),
        latencies=draw(st.just({}) | latencies),
    )


#: What a ring of a back end in user space may have besides.
user_space_rings = st.builds(
    lambda *drawn: [f"virtqueue.{key}={value}" for key, value in drawn],
    *(
        st.tuples(st.just(key), st.sampled_from(values))
        for key, values in {
            "layout": ("split", "packed"),
            "event_idx": ("true", "false"),
            "in_order": ("true", "false"),
            "in_order_device": ("full", "avail", "used"),
        }.items()
    ),
)


@st.composite
def competitors(draw: st.DrawFn) -> Case:
    """Devices beside vhost_net, sending and receiving."""
    linux = [f"vhost-user-virtio-net-{direction}" for direction in ("tx", "rx")]
    name = draw(
        st.sampled_from(["vhost-user-tx", "vhost-user-rx", "af-xdp-tx", "af-xdp-rx", "qemu-tx", "qemu-rx", *linux])
    )
    load = {"kind": draw(st.sampled_from(["constant", "poisson"])), "pps": draw(st.sampled_from([2e5, 5e6, 5e7]))}
    scenario = load_scenario(
        name,
        overrides=[
            f"virtqueue.size={1 << draw(st.integers(0, 8))}",
            f"driver.burst={draw(st.sampled_from([1, 5, 32]))}",
            f"device.batch={draw(st.sampled_from([1, 7, 64]))}",
            f"driver.packet_cost={draw(st.sampled_from([0, 45, 900]))}",
            f"traffic.packet_bytes={draw(st.sampled_from([14, 64, 1518]))}",
            *(() if name.startswith("af-xdp") else draw(user_space_rings)),
        ],
    )
    if draw(st.booleans()):
        changed = {"load": Load(backlog=draw(st.sampled_from([1, 64])), **load)}
        scenario = scenario.model_copy(update={"traffic": scenario.traffic.model_copy(update=changed)})
    run = Run(packets=draw(st.integers(1, 400)), seed=draw(st.integers(0, 2**63 - 1)), precision=0)
    return Case(
        scenario=scenario.model_copy(update={"run": run}),
        access=scenario.access[0].name,
        apart=draw(st.booleans()),
        **draw(who_goes_first),
        latencies=draw(st.just({}) | latencies),
    )


@st.composite
def receiving(draw: st.DrawFn) -> Case:
    """vhost_net that receives, from either kind of source, with either driver."""
    size = 1 << draw(st.integers(0, 10))
    descriptors = draw(st.integers(1, min(2, size)))
    iotlb = draw(st.booleans())
    queue = Virtqueue(
        size=size,
        event_idx=draw(st.booleans()),
        in_order=draw(st.booleans()),
        in_order_device=draw(st.sampled_from(["full", "avail", "used"])),
        descriptors_per_packet=descriptors,
        iotlb=iotlb,
        iotlb_updates_per_second=draw(st.sampled_from([0, 3e4])) if iotlb else 0,
    )
    ring = size // queue.ring_entries_per_packet
    kind = draw(st.sampled_from(["virtio-user", "virtio-net"]))
    load = Load(kind="saturate")
    if draw(st.booleans()):
        on_off = {"on_us": draw(st.sampled_from([5, 50])), "off_us": draw(st.sampled_from([0, 20, 300]))}
        kind_of_load = draw(st.sampled_from(["constant", "poisson", "on-off"]))
        load = Load(
            kind=kind_of_load,
            pps=draw(st.sampled_from([2e5, 2e6, 1e7])),
            backlog=draw(st.sampled_from([1, 7, 512])),
            **(on_off if kind_of_load == "on-off" else {}),
        )
    packet_bytes, mix = draw(st.sampled_from([14, 64, 65, 700, 1518, 3380])), draw(st.none() | mixes)
    buffers = 1 if mix else draw(st.integers(1, max(1, min(4, ring // 2))))
    largest = max(mix.bytes) if mix else packet_bytes
    scenario = base(draw(st.sampled_from(KERNELS))).model_copy(
        update={
            "virtqueue": queue,
            "driver": Driver(
                kind=kind,
                burst=draw(st.integers(1, min(64, ring))),
                packet_cost=quick(draw(st.sampled_from([0, 45, 250, 2000]))),
                free_threshold=draw(st.sampled_from([0, 32, size])),
            ),
            "device": Device(batch=draw(st.sampled_from([1, 2, 7, 64, 256])), direction="rx"),
            "receive": Receive(
                mergeable=buffers > 1 or draw(st.booleans()),
                buffer_bytes=max(64, -(-(largest + 12) // buffers)),
                ring_batch=draw(st.sampled_from([1, 5, 64])),
                read_bytes=draw(st.sampled_from([0, 42, "full"])),
                source=Source(
                    kind=draw(st.sampled_from(["skb", "xdp_frame"])),
                    queue=draw(st.sampled_from([2, 31, 32, 500])),
                    burst=draw(st.sampled_from([1, 16])),
                    packet_cost=quick(draw(st.sampled_from([0, 100, 3000]))),
                ),
            ),
            "traffic": Traffic(
                packet_bytes=[packet_bytes],
                mix=mix,
                dirty_bytes=draw(st.sampled_from([0, 42, "full"])),
                load=load,
            ),
            "memory": Memory(invalidations_per_second=draw(st.sampled_from([0, 0, 2e3, 1e5]))),
            "placement": draw(st.sampled_from(PLACEMENTS)),
            "run": Run(packets=draw(st.integers(1, 400)), seed=draw(st.integers(0, 2**63 - 1)), precision=0),
        }
    )
    return Case(
        scenario=scenario,
        access=draw(st.sampled_from(ACCESS)),
        apart=draw(st.booleans()),
        **draw(who_goes_first),
        latencies=draw(st.just({}) | latencies),
    )


def cases() -> st.SearchStrategy[Case]:
    """Anything that runs, vhost_net transmit more often than the others."""
    return transmitting() | transmitting() | receiving() | competitors()
