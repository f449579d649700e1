"""executed-counts.md, rows txx_intr and txx_regions4: a call at every flush, and four regions of guest memory."""

from __future__ import annotations

import pytest

from sim.config.errors import ConfigError

from .model import KERNELS, NEW, as_counted, executed, lockstep, plan, queue, scenario

BATCH = 32
#: A whole number of batches and of page fragments of 39 frames of 64 bytes.
PACKETS = 39 * BATCH
REGIONS = ("virtqueue.memory_regions=4",)
CALLS = ("driver.interrupts=true",)


def instructions(kernel: str, *overrides: str) -> float:
    run = executed(kernel, "copy_user", (*as_counted(kernel), *lockstep(BATCH), *overrides), PACKETS, 64, 2 * BATCH)
    return run.instructions_per_packet


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(
    ("overrides", "translated"),
    [((), 1), (queue(descriptors=2), 2), (queue(indirect=True, descriptors=2), 3)],
    ids=["descriptor", "chain of two", "indirect table of two"],
)
def test_four_regions_are_two_levels_of_the_tree_for_each_address(
    kernel: str, overrides: tuple[str, ...], translated: int
) -> None:
    level = scenario(kernel, ()).kernel.step("iotlb_level").instructions.value
    more = instructions(kernel, *overrides, *REGIONS) - instructions(kernel, *overrides)
    assert more == pytest.approx(translated * 2 * level)


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_call_at_every_flush_is_one_signal_for_each_batch(kernel: str) -> None:
    signal = scenario(kernel, ()).kernel.step("unheard_signal").instructions.value
    for event_idx in (False, True):
        ring = queue(event_idx=event_idx)
        assert instructions(kernel, *ring, *CALLS) - instructions(kernel, *ring) == pytest.approx(signal / BATCH)


@pytest.mark.parametrize("kernel", NEW)
def test_neither_opens_a_window(kernel: str) -> None:
    counted = (*as_counted(kernel), *lockstep(BATCH))
    plain, *others = (
        executed(kernel, "copy_user", (*counted, *more), PACKETS, 64, 2 * BATCH) for more in ((), REGIONS, CALLS)
    )
    for primitive in ("stac", "clac", "lfence"):
        assert {run.per_packet(primitive) for run in others} == {plain.per_packet(primitive)}


def test_the_signal_stands_behind_the_look_whether_a_call_is_wanted() -> None:
    labels = [row.label for row in plan("v6.12", "copy_user", (*lockstep(BATCH), *CALLS)).rows if row.actor == "worker"]
    assert labels[labels.index("unheard_signal") - 1] == "notify_check"


def test_regions_are_no_entries_of_a_device_iotlb() -> None:
    with pytest.raises(ConfigError, match="memory_regions: with iotlb, addresses are found in its entries"):
        scenario("v5.0", (*REGIONS, "virtqueue.iotlb=true"))
