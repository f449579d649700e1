"""What the host does to the worker behind its back: pages invalidated (MMU notifiers), and its core taken away.

Rounds are where the worker meets both: between two rounds it pays for the invalidations since the last one, maps the
ring again if it can, and runs the next round through the mapping or, if it cannot, through the kernel's own accessors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sim.config.scenario.scenario import Scenario
from sim.config.tables.access import Access
from sim.datapath.memory.ring_memory import RingMemory
from sim.datapath.plan.plan import BACKGROUND, Condition, Effect, Jump, Register, Scope
from sim.datapath.plan.step import Draft, add, go, put, worker_row

R = Register

#: Rows of a round that runs through the kernel's own accessors because the mapping is gone.
FALLBACK = "@copy_user"

_ROUND, _PACKET, _ENDS = "round", "head", ("end_requeue", "end_sleep", "end_socket")
_SLEEP = "idle"

_MM, _NOTIFIER, _OTHER = BACKGROUND[:3]


def around_rounds(scenario: Scenario, variant: Access, drafts: list[Draft]) -> tuple[list[Draft], list[Draft]]:
    """Put what happens between rounds around a handler; return its rows, and those of a round without the mapping."""
    before = [*_preempted_rows(scenario), *_invalidated_rows(scenario, variant)]
    if not before:
        return drafts, []
    entry = before[0].label
    drafts = [_jumping(draft, lambda label: entry if label == _ROUND else label) for draft in drafts]
    start = next(number for number, draft in enumerate(drafts) if draft.label == _ROUND)
    if not _is_torn_down(scenario, variant):
        return [*drafts[:start], *before, *drafts[start:]], []
    drafts = [row for draft in drafts for row in _ending(scenario, draft)]
    slow = [_fallback(draft, entry) for draft in drafts if draft.label != _SLEEP]
    if variant.mapping.torn_down == "at once":
        drafts = [row for draft in drafts for row in _checked(draft)]
    start = next(number for number, draft in enumerate(drafts) if draft.label == _ROUND)
    return [*drafts[:start], *before, *drafts[start:]], slow


def host_rows(scenario: Scenario, variant: Access) -> list[Draft]:
    """Return the rows of the host's other threads: the one that invalidates pages, the one that shares the core."""
    return [*_invalidating_rows(scenario, variant), *_other_task_rows(scenario)]


def period_ps(scenario: Scenario) -> int:
    """Return the longest period of what the host does, in ps (0: it does nothing)."""
    periods = [1e12 / rate for rate in message_rates(scenario) if rate]
    return round(max([1e6 * scenario.placement.preempted_every_us, *periods]))


def message_rates(scenario: Scenario) -> tuple[float, float, float]:
    """Return how often per second the host takes something away: ring pages, IOTLB entries, mappings of the IOTLB."""
    queue = scenario.virtqueue
    return (
        scenario.memory.invalidations_per_second, queue.iotlb_updates_per_second, queue.iotlb_misses_per_second
    )  # fmt: skip


def _handler(scenario: Scenario) -> str:
    return "handle_rx" if scenario.device.direction == "rx" else "handle_tx"


def _is_torn_down(scenario: Scenario, variant: Access) -> bool:
    return scenario.memory.invalidations_per_second > 0 and variant.mapping.torn_down != "never"


def _jumping(draft: Draft, renamed: Callable[[str], str]) -> Draft:
    return replace(draft, jumps=tuple(replace(jump, target=renamed(jump.target)) for jump in draft.jumps))


def _fallback(draft: Draft, entry: str) -> Draft:
    """Return the row of a round without the mapping; it starts and sleeps where every round does."""
    renamed = _jumping(draft, lambda label: label if label in (entry, _SLEEP) else label + FALLBACK)
    return replace(renamed, label=draft.label + FALLBACK, step=f"{draft.step} (not mapped)")


def _checked(draft: Draft) -> list[Draft]:
    """Let a packet whose mapping is gone go on through the kernel's own accessors."""
    if draft.label != _PACKET:
        return [draft]
    gone = (Jump(R.MAPPED, "<", 1, _PACKET + FALLBACK),)
    still = worker_row(_PACKET, "is the ring still mapped?", "packet", function=draft.function, jumps=gone)
    return [still, replace(draft, label=f"{_PACKET}_mapped")]


def _ending(scenario: Scenario, draft: Draft) -> list[Draft]:
    """Pay for invalidations and release the virtqueue's mutex as a round ends: who waits for it gets it first."""
    if draft.label not in _ENDS:
        return [draft]
    unlock = worker_row(
        f"{draft.label}_unlock", "mutex_unlock", "round", function=_handler(scenario), effects=(put(R.IN_ROUND, 0),)
    )
    return [_stalled(scenario, draft.label), unlock, replace(draft, label=f"{draft.label}_work")]


def _stalled(scenario: Scenario, label: str) -> Draft:
    return worker_row(
        label, "TLB flushes and faults since the last round", "invalidation", function="flush_tlb_func",
        operation="stall", unit=R.FLUSHES_SEEN, per_unit=True, sample=(R.FLUSHES_SEEN, R.FLUSHES),
        extra_ns=1e3 * scenario.memory.invalidation_stall.value, extra_name="invalidation",
        effects=(Effect("countdown", R.FLUSHES, R.FLUSHES_SEEN),),
    )  # fmt: skip


# -- the worker -------------------------------------------------------------------------------------------------------


def _preempted_rows(scenario: Scenario) -> list[Draft]:
    if not scenario.placement.preempted_us:
        return []
    slice_ns = 1e3 * scenario.placement.preempted_us
    return [
        worker_row(
            "resched", "does another task want the core?", "round", function="vhost_worker",
            jumps=(Jump(R.OTHER_TASK, "==", 0, "running"),),
        ),
        worker_row(
            "preempted", "another task has the core", "round", function="schedule", operation="stall",
            primitives=("context_switch", "context_switch"), extra_ns=slice_ns, extra_name="preempted",
            effects=(put(R.OTHER_TASK, 0),),
        ),
        worker_row("running", "the worker has the core", "round", function="vhost_worker"),
    ]  # fmt: skip


def _invalidated_rows(scenario: Scenario, variant: Access) -> list[Draft]:
    memory, ring = scenario.memory, RingMemory(scenario, variant)
    if not memory.invalidations_per_second:
        return []
    if not _is_torn_down(scenario, variant):
        return [_stalled(scenario, "invalidated")]
    lock = worker_row(
        "mutex_lock", "mutex_lock", "round", function=_handler(scenario), condition=Condition(R.TEARING_DOWN, "==", 0),
        effects=(put(R.IN_ROUND, 1),),
    )  # fmt: skip
    prefetch = worker_row(
        "prefetch", "is the ring mapped?", "round", function="vq_meta_prefetch",
        jumps=(Jump(R.MAPPED, ">=", 1, _ROUND), Jump(R.INVALIDATING, ">=", 1, _ROUND + FALLBACK)),
    )  # fmt: skip
    again = worker_row(
        "map_again", "map the ring again", "invalidation", function="vhost_map_prefetch",
        primitives=tuple(item.primitive for item in ring.mapping_items()), effects=(put(R.MAPPED, 1),),
    )  # fmt: skip
    return [lock, prefetch, again]


# -- other threads ----------------------------------------------------------------------------------------------------


def _row(actor: str, label: str, step: str, scope: Scope, **fields: object) -> Draft:
    return replace(Draft(label, actor, step, (scope,), operation="hold"), **fields)  # type: ignore[arg-type]


def _invalidating_rows(scenario: Scenario, variant: Access) -> list[Draft]:
    """Pages are invalidated at a steady rate; a thread that has to wait for the worker handles several at once."""
    memory, mapping = scenario.memory, variant.mapping
    if not memory.invalidations_per_second:
        return []
    every = _row(
        _MM, "mm_interval", "until the next invalidation", "invalidation",
        extra_ns=1e9 / memory.invalidations_per_second, effects=(add(R.FLUSHES), add(R.INVALIDATIONS)),
        jumps=(go("mm_interval"),),
    )  # fmt: skip
    if not _is_torn_down(scenario, variant):
        return [every]
    waits = Condition(R.IN_ROUND, "==", 0) if mapping.torn_down == "between rounds" else None
    areas = RingMemory(scenario, variant).areas
    return [
        every,
        _row(
            _NOTIFIER, "range_start", "invalidate_range_start", "invalidation",
            condition=Condition(R.INVALIDATIONS, "!=", 0, R.HANDLED), sample=(R.HANDLED, R.INVALIDATIONS),
        ),
        _row(
            _NOTIFIER, "lock_out", "lock out the worker's rounds", "invalidation", condition=waits,
            effects=(put(R.TEARING_DOWN, 1 if waits else 0), put(R.MAPPED, 0), put(R.INVALIDATING, 1)),
        ),
        _row(
            _NOTIFIER, "teardown", "tear the mapping down", "invalidation",
            primitives=tuple(mapping.teardown + mapping.teardown_area * areas), effects=(put(R.TEARING_DOWN, 0),),
        ),
        _row(
            _NOTIFIER, "range_end", "invalidate_range_end", "invalidation",
            extra_ns=1e3 * memory.invalidation_window.value, effects=(put(R.INVALIDATING, 0),),
            jumps=(go("range_start"),),
        ),
    ]  # fmt: skip


def _other_task_rows(scenario: Scenario) -> list[Draft]:
    placement = scenario.placement
    if not placement.preempted_us:
        return []
    return [
        _row(_OTHER, "other_sleeps", "until the other task wants the core", "round",
             extra_ns=1e3 * placement.preempted_every_us, effects=(put(R.OTHER_TASK, 1),), jumps=(go("other_sleeps"),)),
    ]  # fmt: skip
