"""Generated scenarios: any kernel, CPU, mitigation, ring and driver that the schema accepts, in short runs."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from hypothesis import settings
from hypothesis import strategies as st

from sim.config import Scenario, load_scenario
from sim.config.loading import paths

SEED = "virtio-user-xdp1-tap"
#: Tables that stand for a user-space device or for a program of this project are left out.
KERNELS = sorted(paths.names("kernel"))
CPUS = sorted(paths.names("cpu"))
ACCESS = sorted(set(paths.names("access")) - {"plain", "ring_fenced", "ring_plain"})
PACKETS = 16_000

#: Same examples each time, so that a change that breaks a law fails on everybody's machine.
quick = settings(max_examples=25, deadline=None, derandomize=True)


@lru_cache(maxsize=4096)
def load(*overrides: str) -> Scenario:
    """The seed scenario with overrides."""
    return load_scenario(SEED, overrides=overrides)


def flag(key: str) -> st.SearchStrategy[str]:
    """A yes or no of the schema."""
    return st.booleans().map(lambda value: f"{key}={str(value).lower()}")


def one(key: str, values: Iterable[object]) -> st.SearchStrategy[str]:
    """One of some values."""
    return st.sampled_from(list(values)).map(lambda value: f"{key}={value}")


MACHINE = (
    one("kernel", KERNELS),
    one("cpu", CPUS),
    flag("mitigations.spectre_v1"),
    flag("mitigations.hardened_usercopy"),
    flag("mitigations.retpoline"),
    one("traffic.dirty_bytes", (0, 42, "full")),
)


#: Ring features that change who reads and writes what, besides EVENT_IDX and indirect tables.
LAYOUTS = (
    (),
    (),
    ("virtqueue.layout=packed",),
    ("virtqueue.layout=packed", "virtqueue.packed_access=ideal"),
    ("virtqueue.in_order=true",),
    ("virtqueue.in_order=true", "virtqueue.in_order_device=avail"),
    ("virtqueue.iotlb=true",),
    ("virtqueue.iotlb=true", "virtqueue.iotlb_cache=false", "virtqueue.iotlb_updates_per_second=100000"),
)


@st.composite
def queues(draw: st.DrawFn, smallest: int = 1) -> tuple[str, ...]:
    """A ring with its features; a chain fits into it."""
    size = 2 ** draw(st.integers((smallest - 1).bit_length(), 10))
    indirect = draw(st.booleans())
    chain = draw(st.integers(1, 4 if indirect else min(4, size)))
    return (
        f"virtqueue.size={size}",
        f"virtqueue.indirect={str(indirect).lower()}",
        f"virtqueue.descriptors_per_packet={chain}",
        draw(flag("virtqueue.event_idx")),
        *draw(st.sampled_from(LAYOUTS)),
    )


@st.composite
def any_scenario(draw: st.DrawFn, *fixed: str, packets: int = 3000) -> Scenario:
    """Any scenario of one variant and one size."""
    overrides = [*draw(st.tuples(*MACHINE)), *draw(queues()), draw(flag("mitigations.smap"))]
    size = int(overrides[len(MACHINE)].partition("=")[2])
    chain = 1 if "virtqueue.indirect=true" in overrides else int(overrides[len(MACHINE) + 2].partition("=")[2])
    overrides += [
        f"access={draw(st.sampled_from(ACCESS))}",
        f"traffic.packet_bytes={draw(st.integers(14, 3000))}",
        f"device.batch={draw(st.integers(1, 128))}",
        f"run.packets={packets}",
        "run.precision=0",
    ]
    if draw(st.booleans()):
        overrides += ["driver.kind=lockstep", f"driver.burst={draw(st.integers(1, size // chain))}"]
    else:
        rate = draw(st.integers(10**5, 10**7))
        load_ = draw(st.sampled_from(("saturate", str(rate), f"{{kind: poisson, pps: {rate}}}")))
        overrides += [f"driver.burst={draw(st.integers(1, 64))}", f"traffic.load={load_}"]
        overrides += [f"driver.free_threshold={draw(st.sampled_from((0, 32, 256)))}"]
    return load(*overrides, *fixed)


@st.composite
def busy_workers(draw: st.DrawFn, *fixed: str) -> tuple[str, ...]:
    """Overrides of scenarios that keep the worker busy: a large ring and a cheap driver."""
    ring = draw(queues(smallest=256))
    burst = draw(st.sampled_from((16, 32, 64)))
    return (
        *draw(st.tuples(*MACHINE)),
        *ring,
        f"driver.burst={burst}",
        f"device.batch={draw(st.sampled_from((16, 32, 64)))}",
        "driver.packet_cost=1",
        f"run.packets={PACKETS}",
        *fixed,
    )


def drains(point: object) -> float:
    """How often per packet the worker found the ring empty."""
    rates: dict[str, float] = point.row_rates  # type: ignore[attr-defined]
    return rates["worker.enable"]
