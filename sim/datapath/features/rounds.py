"""What a round begins with: the prefetch behind messages to the device IOTLB, and what an access variant does once."""

from __future__ import annotations

from sim.config.scenario.scenario import Scenario
from sim.datapath.memory.ring_memory import PAGE_BYTES
from sim.datapath.memory.rings import ring_of
from sim.datapath.plan.program import Program
from sim.datapath.plan.registers import Effect, R
from sim.datapath.plan.step import LINE_BYTES, Step

#: Descriptor area, driver area, device area.
RING_AREAS = 3


def prefetch_steps(scenario: Scenario) -> list[Step]:
    """Return vq_meta_prefetch behind a message that cleared the metadata cache; a miss waits for userspace.

    Messages are handled between rounds: their handler takes the mutex that a round holds.
    """
    queue, worker = scenario.virtqueue, Program("worker", "vq_meta_prefetch")
    if not (queue.iotlb_updates_per_second or queue.iotlb_misses_per_second):
        return []
    with worker.each("round"):
        worker.step("iotlb_check", "metadata cache cleared?", sample=(R.CLEARS_NOW, R.IOTLB_CLEARS))
        worker.jump("iotlb_ready", R.CLEARS_NOW.equals(R.CLEARS_SEEN))
        worker.step("iotlb_prefetch", "fill the metadata cache again", "iotlb_prefetch", times=RING_AREAS)
        worker.change(sample=(R.MISSES_NOW, R.IOTLB_MISSES), sometimes="a message has cleared the cache")
        worker.then(R.CLEARS_SEEN.copy(R.CLEARS_NOW))
        worker.jump("iotlb_ready", R.MISSES_NOW.equals(R.MISSES_SEEN))
        worker.step("iotlb_miss", "miss: wait for userspace", operation="hold", function="vhost_iotlb_miss")
        worker.change(sometimes="a mapping is missing")
        worker.change(extra_ns=queue.iotlb_miss_cost.value * 1e3, extra_name="idle")
        worker.then(R.MISSES_SEEN.copy(R.MISSES_NOW))
        worker.step("iotlb_ready", "metadata cache full")
    return worker.steps


def message_timers(scenario: Scenario) -> list[Step]:
    """Return the actors that send messages to the device IOTLB at the stated rates."""
    queue = scenario.virtqueue
    misses = (R.IOTLB_CLEARS.add(), R.IOTLB_MISSES.add())
    return [
        *_timer("iotlb-updates", queue.iotlb_updates_per_second, R.IOTLB_CLEARS.add()),
        *_timer("iotlb-misses", queue.iotlb_misses_per_second, *misses),
    ]


def _timer(name: str, per_second: float, *effects: Effect) -> list[Step]:
    timer = Program(name, "vhost_process_iotlb_msg")
    if per_second:
        with timer.each("round"):
            timer.step(name, "the next message", extra_ns=1e9 / per_second)
            timer.then(*effects)
            timer.jump(name)
    return timer.steps


def once_per_round(scenario: Scenario) -> list[Step]:
    """Return the primitives that an access variant executes once per round."""
    variant, regions = scenario.access[0], ring_of(scenario.virtqueue).regions()
    device_area = "ring" if scenario.virtqueue.layout == "packed" else "used"
    pages = -(-regions[device_area] * LINE_BYTES // PAGE_BYTES)
    primitives, worker = (*variant.round, *variant.used_page * pages), Program("worker", "vq_meta_prefetch")
    if primitives:
        with worker.each("round"):
            worker.step("access_round", f"{variant.name}: once per round", primitives=primitives)
    return worker.steps
