"""IN_ORDER: no read of the avail ring, one used element per batch, buffers taken back in order."""

from __future__ import annotations

from fractions import Fraction

import pytest

from sim.config import load_scenario
from sim.datapath import build_plan
from sim.study.runs.case import executions

from .model import HARDENED, KERNELS, OLD, RECEIVE, WITHOUT_FSRM, counts, executed, lockstep, plan, queue

BASE = (*WITHOUT_FSRM, *HARDENED)
FULL = (*BASE, "virtqueue.in_order=true")
AVAIL = (*FULL, "virtqueue.in_order_device=avail")
USED = (*FULL, "virtqueue.in_order_device=used")

every_kernel = pytest.mark.parametrize("kernel", KERNELS)


@every_kernel
@pytest.mark.parametrize("overrides", [FULL, AVAIL])
def test_exactly_the_avail_ring_read_is_gone(kernel: str, overrides: tuple[str, ...]) -> None:
    plain, found = (counts(kernel, "copy_user", each)["metadata"]["per_packet"] for each in (BASE, overrides))
    fence = 0 if kernel == "v7.3" else 1
    assert plain["stac"] - found["stac"] == plain["clac"] - found["clac"] == 1
    assert plain["lfence"] - found["lfence"] == fence
    assert plain["load"] - found["load"] == 1
    assert not any(row.accessor == "avail_entry_read" for row in plan(kernel, "copy_user", overrides).rows)


@every_kernel
@pytest.mark.parametrize("overrides", [FULL, USED])
def test_one_used_element_per_batch(kernel: str, overrides: tuple[str, ...]) -> None:
    (used,) = (row for row in plan(kernel, "copy_user", overrides).rows if row.accessor == "used_element_write")
    assert used.unit is None
    assert used.access is not None
    assert used.access.bytes == 8
    assert not any(row.accessor == "used_elements_write" for row in plan(kernel, "copy_user", overrides).rows)


@pytest.mark.parametrize("kernel", OLD)
@pytest.mark.parametrize("burst", [1, 48, 64])
def test_windows_per_packet(kernel: str, burst: int) -> None:
    run = executed(kernel, "copy_user", (*FULL, *lockstep(burst)), packets=16 * burst, warmup=burst)
    element = 2 if kernel != "v5.3" else 1  # id and len apart up to v5.2
    # D and two payload copies per packet; A, A, A, W, W per kick; element, X and F per flush - and no wrap ever.
    assert run.per_packet("stac") == 1 + 2 + Fraction(5 + element + 2, burst)
    assert run.per_packet("lfence") == 1 + Fraction(3 + 1, burst)


@pytest.mark.parametrize("descriptors", [1, 2])
def test_the_driver_takes_back_without_reading_used_elements(descriptors: int) -> None:
    rows = plan("v5.0", "copy_user", (*FULL, *queue(descriptors=descriptors))).rows
    read = [row.access for row in rows if row.actor == "driver" and row.access and not row.access.write]
    assert {(access.region, access.stride) for access in read} == {("used", 0)}  # index and flags, no element


@every_kernel
@pytest.mark.parametrize("burst", [8, 32])
@pytest.mark.parametrize(("device", "fetched", "given_back"), [("full", 1, 1), ("avail", 1, 0), ("used", 0, 1)])
def test_windows_of_receive(kernel: str, burst: int, device: str, fetched: int, given_back: int) -> None:
    """A head is not read; an element is written for each packet (of buffers that say their length) and not for all."""
    settings = (*BASE, *RECEIVE, *lockstep(burst))
    ordered = (*settings, "virtqueue.in_order=true", f"virtqueue.in_order_device={device}")
    plain, found = (
        executed(kernel, "copy_user", each, packets=1024, warmup=256).per_packet("stac") for each in (settings, ordered)
    )
    element = 2 if kernel in OLD and kernel != "v5.3" else 1  # id and len apart up to v5.2
    assert plain - found == fetched + given_back * (Fraction(1, burst) - element)


@pytest.mark.parametrize("packet_bytes", [1514, 65226])
def test_a_received_packet_has_one_used_element_whatever_its_buffers(packet_bytes: int) -> None:
    buffers = -(-(packet_bytes + 12) // 4096)
    loaded = load_scenario("virtio-net-receive-in-order", overrides=[f"traffic.packet_bytes={packet_bytes}"])
    packets, runs = executions(build_plan(loaded, "copy_user", packet_bytes, apart=True), loaded)
    times = {row.label: (once, units) for row, once, units in runs}
    assert times["used_elements"][1] == packets
    assert times["descriptor"][0] == pytest.approx(buffers * packets, rel=0.02)
