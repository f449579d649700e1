"""Several queues on one core: the rows of one queue, moved to registers and cache lines of their own, served in turn.

Queue 0 keeps its labels; those of queue k end in `#k`. All queues are loaded alike, so the packets of queue 0 are
counted and stand for the others. vhost_worker() runs the queues that were kicked, or had more work, round by round.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sim.config.scenario.scenario import Scenario
from sim.datapath.plan.plan import BANK, Condition, Effect, Jump, LineAccess, Register
from sim.datapath.plan.step import Draft, add, go, put, worker_row

R = Register

MARK = "#"
#: Rows of a worker that has nothing to do, whichever queue was empty last.
_RESTING = _SWITCHED_OUT, _IDLE = "schedule_out", "idle"
#: Registers of the core, whichever queue it serves.
_OF_THE_CORE = (R.OTHER_TASK,)


def serve_queues(scenario: Scenario, worker: list[Draft], driver: list[Draft]) -> tuple[list[Draft], list[Draft]]:
    """Return the rows of one core's worker and of its drivers, for all queues that the core serves."""
    count = scenario.queues.per_core
    if count == 1:
        return worker, driver
    (idle,) = (draft for draft in worker if draft.label == _IDLE)
    switched_out = [draft for draft in worker if draft.label == _SWITCHED_OUT]
    handler = [draft for draft in worker if draft.label not in _RESTING]
    rows = [
        replace(
            idle, condition=Condition(R.WORKER_KICKS, "!=", 0, R.WORKER_KICKS_SEEN),
            sample=(R.WORKER_KICKS_SEEN, R.WORKER_KICKS), jumps=(go(_named("visit", 0)),),
        )
    ]  # fmt: skip
    for number in range(count):
        rows += _visit_rows(scenario, number, handler[0].label)
        rows += _moved_handler(handler, number, count)
    rows += [*_cycle_rows(_SWITCHED_OUT if switched_out else _IDLE), *switched_out]
    return rows, [_moved_driver(draft, number) for number in range(count) for draft in driver]


def regions_of_queues(regions: dict[str, int], count: int) -> dict[str, int]:
    """Return the regions of all queues of a core."""
    return {_named(name, number): lines for number in range(count) for name, lines in regions.items()}


def _named(name: str, number: int) -> str:
    return f"{name}{MARK}{number}" if number else name


def _next(number: int, count: int) -> str:
    return _named("visit", number + 1) if number + 1 < count else "cycle"


def _moved_handler(handler: list[Draft], number: int, count: int) -> list[Draft]:
    """Return the handler's rows for one queue; where it would sleep or start another round, the next queue is next."""
    entry = handler[0].label

    def renamed(label: str) -> str:
        if label in _RESTING:
            return _next(number, count)
        return _named("requeue" if label == entry else label, number)

    requeue = worker_row(
        _named("requeue", number), "more work: behind the other queues", "round", function="vhost_worker",
        effects=(put(_bank(R.PENDING, number), 1),), jumps=(go(_next(number, count)),),
    )  # fmt: skip
    return [*(_moved(draft, number, renamed) for draft in handler), requeue]


def _visit_rows(scenario: Scenario, number: int, entry: str) -> list[Draft]:
    pending, kicks, seen = (_bank(register, number) for register in (R.PENDING, R.KICKS, R.KICKS_SEEN))
    take = _named("take", number)
    return [
        worker_row(
            _named("visit", number), "has the queue work?", "round", function="vhost_worker",
            jumps=(
                Jump(pending, ">=", 1, take), Jump(kicks, "!=", 0, take, seen),
                go(_next(number, scenario.queues.per_core)),
            ),
        ),
        worker_row(
            take, "take its work", "round", function="vhost_worker", operation="hold",
            primitives=("context_switch",) if scenario.queues.switching else (), sample=(seen, kicks),
            effects=(put(pending, 0), put(R.WORKED, 1)), jumps=(go(_named(entry, number)),),
        ),
    ]  # fmt: skip


def _cycle_rows(rest: str) -> list[Draft]:
    """After the last queue: go round again while any had work or was kicked, else sleep (the row `rest`)."""
    return [
        worker_row(
            "cycle", "all queues visited", "round", function="vhost_worker",
            jumps=(
                Jump(R.WORKED, ">=", 1, "again"), Jump(R.WORKER_KICKS, "!=", 0, "woken", R.WORKER_KICKS_SEEN),
                go(rest),
            ),
        ),
        worker_row(
            "again", "go round again", "round", function="vhost_worker", effects=(put(R.WORKED, 0),),
            jumps=(go("visit"),),
        ),
        worker_row(
            "woken", "kicked meanwhile", "round", function="vhost_worker", sample=(R.WORKER_KICKS_SEEN, R.WORKER_KICKS),
            jumps=(go("visit"),),
        ),
    ]  # fmt: skip


def _moved_driver(draft: Draft, number: int) -> Draft:
    moved = _moved(draft, number, lambda label: _named(label, number))
    if any(effect.target == _bank(R.KICKS, number) for effect in moved.effects):
        moved = replace(moved, effects=(*moved.effects, add(R.WORKER_KICKS)))
    return replace(moved, actor=f"{draft.actor}.{number}" if number else draft.actor)


def _bank(register: int, number: int) -> int:
    return register if register in _OF_THE_CORE else register + number * BANK


def _moved(draft: Draft, number: int, renamed: Callable[[str], str]) -> Draft:
    """Return a row in the registers and regions of a queue; only the packets of queue 0 are counted."""

    def register(given: int | None) -> int | None:
        return None if given is None else _bank(given, number)

    def access(given: LineAccess | None) -> LineAccess | None:
        if given is None:
            return None
        region = _named(given.region, number)
        return replace(given, region=region, index=register(given.index), count=register(given.count))

    def effect(given: Effect) -> Effect:
        return replace(given, target=_bank(given.target, number), source=register(given.source))

    def jump(given: Jump) -> Jump:
        left, right = _bank(given.left, number), register(given.right)
        return replace(given, target=renamed(given.target), left=left, right=right)

    condition = draft.condition
    if condition is not None:
        condition = replace(condition, left=_bank(condition.left, number), right=register(condition.right))
    sample = None if draft.sample is None else (_bank(draft.sample[0], number), _bank(draft.sample[1], number))
    return replace(
        draft, label=_named(draft.label, number), unit=register(draft.unit), access=access(draft.access),
        sample=sample, effects=tuple(effect(one) for one in draft.effects), condition=condition,
        marks=draft.marks if number == 0 else None, jumps=tuple(jump(one) for one in draft.jumps),
    )  # fmt: skip
