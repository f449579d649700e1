"""What a round begins with besides the handler's own: the device IOTLB's prefetch, and what a mapping does once."""

from __future__ import annotations

from dataclasses import replace

from sim.config.scenario.scenario import Scenario
from sim.datapath.memory.rings import ring_of
from sim.datapath.plan.plan import Jump, Register
from sim.datapath.plan.step import Draft, add, copy, go, worker_row

R = Register

#: Descriptor area, driver area, device area.
RING_AREAS = 3
_PAGE = 4096


def with_round_rows(scenario: Scenario, rows: list[Draft]) -> list[Draft]:
    """Put those rows in front of the row `round`, and take its label, so that every round begins with them."""
    before = [*_prefetch_rows(scenario), *_mapping_rows(scenario)]
    starts = [number for number, row in enumerate(rows) if row.label == "round"]
    if not before or not starts:
        return rows
    before[0] = replace(before[0], label="round")
    begun = replace(rows[starts[0]], label="round_begin")
    return [*rows[: starts[0]], *before, begun, *rows[starts[0] + 1 :]]


def _mapping_rows(scenario: Scenario) -> list[Draft]:
    """Primitives that an access variant executes once per round."""
    variant, ring = scenario.access[0], ring_of(scenario.virtqueue)
    device_area = "ring" if scenario.virtqueue.layout == "packed" else "used"
    pages = -(-ring.regions()[device_area] * 64 // _PAGE)
    primitives = (*variant.round, *variant.used_page * pages)
    if not primitives:
        return []
    step = f"{variant.name}: once per round"
    return [worker_row("access_round", step, "round", function="vq_meta_prefetch", primitives=primitives)]


def _prefetch_rows(scenario: Scenario) -> list[Draft]:
    """vq_meta_prefetch behind a message that cleared the metadata cache; a miss waits for userspace.

    Messages are handled between rounds: their handler takes the mutex that a round holds.
    """
    queue = scenario.virtqueue
    if not (queue.iotlb_updates_per_second or queue.iotlb_misses_per_second):
        return []
    walk = worker_row(
        "iotlb_prefetch", "fill the metadata cache again", "round", "iotlb_prefetch", times=RING_AREAS,
        sample=(R.MISSES_NOW, R.IOTLB_MISSES), effects=(copy(R.CLEARS_SEEN, R.CLEARS_NOW),),
        jumps=(Jump(R.MISSES_NOW, "==", 0, "iotlb_ready", R.MISSES_SEEN),),
    )  # fmt: skip
    miss = worker_row(
        "iotlb_miss", "miss: wait for userspace", "round", function="vhost_iotlb_miss", operation="hold",
        extra_ns=queue.iotlb_miss_cost.value * 1e3, extra_name="idle",
        effects=(copy(R.MISSES_SEEN, R.MISSES_NOW),),
    )  # fmt: skip
    return [
        worker_row(
            "iotlb_check", "metadata cache cleared?", "round", function="vq_meta_prefetch",
            sample=(R.CLEARS_NOW, R.IOTLB_CLEARS),
            jumps=(Jump(R.CLEARS_NOW, "==", 0, "iotlb_ready", R.CLEARS_SEEN),),
        ),
        walk,
        miss,
        worker_row("iotlb_ready", "metadata cache full", "round", function="vq_meta_prefetch"),
    ]  # fmt: skip


def iotlb_timers(scenario: Scenario) -> list[Draft]:
    """Return the actors that send messages to the device IOTLB at the stated rates."""
    queue = scenario.virtqueue
    misses = (add(R.IOTLB_CLEARS), add(R.IOTLB_MISSES))
    return [
        Draft(
            actor, actor, "the next message", ("round",), function="vhost_process_iotlb_msg", extra_ns=1e9 / rate,
            effects=effects, jumps=(go(actor),),
        )
        for actor, rate, effects in (
            ("iotlb-updates", queue.iotlb_updates_per_second, (add(R.IOTLB_CLEARS),)),
            ("iotlb-misses", queue.iotlb_misses_per_second, misses),
        )
        if rate
    ]  # fmt: skip
