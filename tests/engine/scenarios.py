"""Scenarios that hypothesis draws: every knob that changes which rows run or who waits for whom."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from itertools import permutations
from typing import Any

from hypothesis import strategies as st

import sim
from sim.config import Scenario
from sim.config.mix import Mix
from sim.config.receive import Receive, Source
from sim.config.scenario import Run
from sim.config.sides import Device, Driver
from sim.config.traffic import Load, Traffic
from sim.config.virtqueue import Virtqueue
from sim.datapath import build_plan
from sim.datapath.plan import Plan
from sim.engine.fast import FastEngine
from sim.engine.order import TieOrder
from sim.engine.reference import ReferenceEngine

SEED = "virtio-user-xdp1-tap"
KERNELS = ("v5.0", "v5.3", "v6.1", "v6.12", "v7.3")
ACCESS = ("copy_user", "vmap", "ideal")
ENGINES = (ReferenceEngine, FastEngine)


@dataclass(frozen=True)
class Case:
    """One thing to run: a scenario, how it is fused, and who goes first among simultaneous events."""

    scenario: Scenario
    access: str
    apart: bool
    ties: TieOrder
    latencies: dict[str, int]

    @property
    def plan(self) -> Plan:
        plan = build_plan(self.scenario, self.access, self.scenario.traffic.packet_bytes[0], apart=self.apart)
        return replace(plan, latencies=replace(plan.latencies, **self.latencies))


#: Latencies around the hidden times and row costs of the seed's CPU, in an order that no CPU has.
latencies = st.fixed_dictionaries(
    {
        "near_hit_ps": st.integers(0, 20_000),
        "far_hit_ps": st.integers(0, 20_000),
        "transfer_ps": st.integers(0, 100_000),
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


@cache
def base(kernel: str) -> Scenario:
    return sim.load_scenario(SEED, overrides=[f"kernel={kernel}"])


def quick(driver_ns: float) -> dict[str, Any]:
    return {"value": driver_ns, "unit": "ns", "low": 0, "high": 1e6, "source": "test", "grade": "guess"}


@st.composite
def competitors(draw: st.DrawFn) -> Case:
    """Devices beside vhost_net, sending and receiving."""
    name = draw(st.sampled_from(["vhost-user-tx", "vhost-user-rx", "af-xdp-tx", "af-xdp-rx"]))
    load = {"kind": draw(st.sampled_from(["constant", "poisson"])), "pps": draw(st.sampled_from([2e5, 5e6, 5e7]))}
    scenario = sim.load_scenario(
        name,
        overrides=[
            f"virtqueue.size={1 << draw(st.integers(0, 8))}",
            f"driver.burst={draw(st.sampled_from([1, 5, 32]))}",
            f"device.batch={draw(st.sampled_from([1, 7, 64]))}",
            f"driver.packet_cost={draw(st.sampled_from([0, 45, 900]))}",
            f"traffic.packet_bytes={draw(st.sampled_from([14, 64, 1518]))}",
        ],
    )
    if draw(st.booleans()):
        changed = {"load": Load(backlog=draw(st.sampled_from([1, 64])), **load)}
        scenario = scenario.model_copy(update={"traffic": scenario.traffic.model_copy(update=changed)})
    run = Run(packets=draw(st.integers(1, 400)), seed=draw(st.integers(0, 2**63 - 1)), precision=0)
    return Case(
        scenario=scenario.model_copy(update={"run": run}),
        access="plain",
        apart=draw(st.booleans()),
        ties=TieOrder(ranks=draw(st.sampled_from([(0, 1), (1, 0)])), fuzz=draw(st.integers(0, 5))),
        latencies=draw(st.just({}) | latencies),
    )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    receives = draw(st.booleans())
    size = 1 << draw(st.integers(0, 10))
    descriptors, indirect = draw(st.integers(1, min(2, size))), not receives and draw(st.booleans())
    queue = Virtqueue(
        size=size, event_idx=draw(st.booleans()), indirect=indirect, descriptors_per_packet=descriptors
    )  # fmt: skip
    ring = size // queue.ring_entries_per_packet
    kind = draw(st.sampled_from(["virtio-user", "virtio-net" if receives else "lockstep"]))
    load = Load(kind="saturate")
    if kind != "lockstep" and draw(st.booleans()):
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
            "device": Device(batch=draw(st.sampled_from([1, 2, 7, 64, 256])), direction="rx" if receives else "tx"),
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
            "run": Run(packets=draw(st.integers(1, 400)), seed=draw(st.integers(0, 2**63 - 1)), precision=0),
        }
    )
    ranks = draw(st.sampled_from(list(permutations(range(3 if receives else 2)))))
    return Case(
        scenario=scenario,
        access=draw(st.sampled_from(ACCESS)),
        apart=draw(st.booleans()),
        ties=TieOrder(ranks=ranks, fuzz=draw(st.integers(0, 5))),
        latencies=draw(st.just({}) | latencies),
    )
