"""IN_ORDER: no read of the avail ring, one used element per batch, buffers taken back in order."""

from __future__ import annotations

from fractions import Fraction

import pytest

from .model import HARDENED, KERNELS, OLD, WITHOUT_FSRM, counts, executed, lockstep, plan, queue

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
