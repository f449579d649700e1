"""What the host does to the worker behind its back: pages invalidated (MMU notifiers), and its core taken away.

Rounds are where the worker meets both: between two rounds it pays for the invalidations since the last one, maps the
ring again if it can, and runs the next round through the mapping or, if it cannot, through the kernel's own accessors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sim.config.scenario.scenario import Scenario
from sim.config.tables.access import Access
from sim.datapath.memory.ring_memory import RingMemory
from sim.datapath.plan.plan import BACKGROUND
from sim.datapath.plan.program import Program, entry_of, index_of, insert_before, link, retarget
from sim.datapath.plan.registers import R
from sim.datapath.plan.step import Anchor, Step, Target

#: Marks the labels of a round that runs through the kernel's own accessors because the mapping is gone.
FALLBACK = "@copy_user"

_ENDS = (Anchor.ROUND_REQUEUED, Anchor.ROUND_ASLEEP, Anchor.ROUND_WITHOUT_PACKETS)
_MM, _NOTIFIER, _OTHER = BACKGROUND[:3]


def around_rounds(scenario: Scenario, variant: Access, steps: list[Step]) -> tuple[list[Step], list[Step]]:
    """Put what happens between rounds around a handler; return its steps, and those of a round without the mapping.

    Both are linked: they jump into each other.
    """
    before = Program("worker")
    _preempted(before, scenario)
    if not _is_torn_down(scenario, variant):
        if scenario.memory.invalidations_per_second:
            _pay_for_invalidations(before, scenario, "invalidated")
        return link(insert_before(steps, Anchor.ROUND, before.steps) if before.steps else steps), []
    mapped_round, idle = entry_of(steps, Anchor.ROUND), entry_of(steps, Anchor.IDLE)
    _map_again(before, scenario, variant, mapped_round)
    steps = _with_endings(scenario, steps)
    unmapped = [step for step in steps if Anchor.IDLE not in step.anchors]
    shared = {Anchor.ROUND: before.steps[0].label, Anchor.IDLE: idle}
    slow = [_unmapped(step, tuple(shared.values())) for step in link(unmapped, shared)]
    if variant.mapping.torn_down == "at once":
        packet = steps[index_of(steps, Anchor.PACKET)]
        check = Program("worker")
        with check.each("packet"):
            check.step("still_mapped", "is the ring still mapped?", function=packet.function)
            check.jump(packet.label + FALLBACK, R.MAPPED.below(1))
        steps = insert_before(steps, Anchor.PACKET, check.steps)
    return link(insert_before(steps, Anchor.ROUND, before.steps)), slow


def host_steps(scenario: Scenario, variant: Access) -> list[Step]:
    """Return the steps of the host's other threads: those that invalidate pages, and the one that shares the core."""
    return [*_invalidating(scenario, variant), *_other_task(scenario)]


def period_ps(scenario: Scenario) -> int:
    """Return the longest period of what the host does, in ps (0: it does nothing)."""
    periods = [1e12 / rate for rate in message_rates(scenario) if rate]
    return round(max([1e6 * scenario.placement.preempted_every_us, *periods]))


def message_rates(scenario: Scenario) -> tuple[float, float, float]:
    """Return how often per second the host takes something away: ring pages, IOTLB entries, mappings of the IOTLB."""
    queue, invalidations = scenario.virtqueue, scenario.memory.invalidations_per_second
    return invalidations, queue.iotlb_updates_per_second, queue.iotlb_misses_per_second


def _handler(scenario: Scenario) -> str:
    return "handle_rx" if scenario.device.direction == "rx" else "handle_tx"


def _is_torn_down(scenario: Scenario, variant: Access) -> bool:
    return scenario.memory.invalidations_per_second > 0 and variant.mapping.torn_down != "never"


# -- the worker -------------------------------------------------------------------------------------------------------


def _unmapped(step: Step, shared: Sequence[str]) -> Step:
    """Return a step of a round without the mapping; it starts and sleeps where every round does."""

    def renamed(target: Target) -> str:
        return str(target) if target in shared else f"{target}{FALLBACK}"

    title = f"{step.title} (not mapped)"
    return replace(retarget(step, renamed), label=step.label + FALLBACK, title=title, anchors=(), unmapped=True)


def _with_endings(scenario: Scenario, steps: list[Step]) -> list[Step]:
    """Pay for invalidations and release the virtqueue's mutex as a round ends: who waits for it gets it first."""
    for end in _ENDS:
        if any(end in step.anchors for step in steps):
            label = entry_of(steps, end)
            ending = Program("worker", _handler(scenario))
            _pay_for_invalidations(ending, scenario, f"{label}_stalled")
            ending.change(sometimes=f"the round ends at {label}")
            with ending.each("round"):
                ending.step(f"{label}_unlock", "mutex_unlock", sometimes=f"the round ends at {label}")
                ending.then(R.IN_ROUND.put(0))
            steps = insert_before(steps, end, ending.steps)
    return steps


def _pay_for_invalidations(worker: Program, scenario: Scenario, label: str) -> None:
    with worker.each("invalidation"):
        worker.step(label, "TLB flushes and faults since the last round", operation="stall")
        worker.change(function="flush_tlb_func", unit=R.FLUSHES_SEEN, per_unit=True)
        worker.change(extra_ns=1e3 * scenario.memory.invalidation_stall.value, extra_name="invalidation")
        worker.change(sample=(R.FLUSHES_SEEN, R.FLUSHES))
        worker.then(R.FLUSHES.count_down(R.FLUSHES_SEEN))


def _preempted(worker: Program, scenario: Scenario) -> None:
    slice_us = scenario.placement.preempted_us
    if not slice_us:
        return
    with worker.each("round"):
        worker.step("resched", "does another task want the core?", function="vhost_worker")
        worker.jump("running", R.OTHER_TASK.equals(0))
        worker.step("preempted", "another task has the core", operation="stall", function="schedule")
        worker.change(primitives=("context_switch", "context_switch"), extra_ns=1e3 * slice_us, extra_name="preempted")
        worker.change(sometimes="another task wants the core")
        worker.then(R.OTHER_TASK.put(0))
        worker.step("running", "the worker has the core", function="vhost_worker")


def _map_again(worker: Program, scenario: Scenario, variant: Access, mapped_round: str) -> None:
    mapping = tuple(item.primitive for item in RingMemory(scenario, variant).mapping_items())
    with worker.each("round"):
        worker.step("mutex_lock", "mutex_lock", function=_handler(scenario), condition=R.TEARING_DOWN.equals(0))
        worker.then(R.IN_ROUND.put(1))
        worker.step("prefetch", "is the ring mapped?", function="vq_meta_prefetch")
        worker.jump(mapped_round, R.MAPPED.at_least(1))
        worker.jump(mapped_round + FALLBACK, R.INVALIDATING.at_least(1))
    with worker.each("invalidation"):
        worker.step("map_again", "map the ring again", function="vhost_map_prefetch", primitives=mapping)
        worker.then(R.MAPPED.put(1))


# -- other threads ----------------------------------------------------------------------------------------------------


def _invalidating(scenario: Scenario, variant: Access) -> list[Step]:
    """Pages are invalidated at a steady rate; a thread that has to wait for the worker handles several at once."""
    memory, mapping, timer, notifier = scenario.memory, variant.mapping, Program(_MM), Program(_NOTIFIER)
    if not memory.invalidations_per_second:
        return []
    with timer.each("invalidation"):
        timer.step("mm_interval", "until the next invalidation", operation="hold")
        timer.change(extra_ns=1e9 / memory.invalidations_per_second)
        timer.then(R.FLUSHES.add(), R.INVALIDATIONS.add())
        timer.jump("mm_interval")
    if not _is_torn_down(scenario, variant):
        return timer.steps
    waits = mapping.torn_down == "between rounds"
    teardown = tuple(mapping.teardown + mapping.teardown_area * RingMemory(scenario, variant).areas)
    with notifier.each("invalidation"):
        notifier.step("range_start", "invalidate_range_start", operation="hold")
        notifier.change(condition=R.INVALIDATIONS.differs(R.HANDLED), sample=(R.HANDLED, R.INVALIDATIONS))
        notifier.step("lock_out", "lock out the worker's rounds", operation="hold")
        notifier.change(condition=R.IN_ROUND.equals(0) if waits else None)
        notifier.then(R.TEARING_DOWN.put(int(waits)), R.MAPPED.put(0), R.INVALIDATING.put(1))
        notifier.step("teardown", "tear the mapping down", operation="hold", primitives=teardown)
        notifier.then(R.TEARING_DOWN.put(0))
        notifier.step("range_end", "invalidate_range_end", operation="hold")
        notifier.change(extra_ns=1e3 * memory.invalidation_window.value)
        notifier.then(R.INVALIDATING.put(0))
        notifier.jump("range_start")
    return [*timer.steps, *notifier.steps]


def _other_task(scenario: Scenario) -> list[Step]:
    placement, task = scenario.placement, Program(_OTHER)
    if placement.preempted_us:
        with task.each("round"):
            task.step("other_sleeps", "until the other task wants the core", operation="hold")
            task.change(extra_ns=1e3 * placement.preempted_every_us)
            task.then(R.OTHER_TASK.put(1))
            task.jump("other_sleeps")
    return task.steps
