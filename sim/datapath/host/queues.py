"""Several queues on one core: the rows of one queue, moved to registers and cache lines of their own, served in turn.

Queue 0 keeps its labels; those of queue k end in `#k`. All queues are loaded alike, so the packets of queue 0 are
counted and stand for the others. vhost_worker() runs the queues that were kicked, or had more work, round by round.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sim.config.scenario.scenario import Scenario
from sim.datapath.plan.program import Program, entry_of
from sim.datapath.plan.registers import BANK, Condition, Effect, R
from sim.datapath.plan.step import Anchor, Jump, LineAccess, Step, Target

MARK = "#"
#: Where a worker rests that has nothing to do, whichever queue was empty last.
_RESTING = (Anchor.SCHEDULED_OUT, Anchor.IDLE)
#: Registers of the core, whichever queue it serves.
_OF_THE_CORE = (R.OTHER_TASK,)


def serve_queues(scenario: Scenario, worker: list[Step], driver: list[Step]) -> tuple[list[Step], list[Step]]:
    """Return the linked steps of one core's worker and of its drivers, for all queues that the core serves."""
    count = scenario.queues.per_core
    if count == 1:
        return worker, driver
    *switched_out, idle = [step for anchor in _RESTING for step in worker if anchor in step.anchors]
    resting = [idle.label, *(step.label for step in switched_out)]
    handler, entry = [step for step in worker if step.label not in resting], entry_of(worker, Anchor.ROUND)
    idle = replace(idle, condition=R.WORKER_KICKS.differs(R.WORKER_KICKS_SEEN), jumps=(Jump(_named("visit", 0)),))
    core = Program("worker", "vhost_worker")
    core.add([replace(idle, sample=(R.WORKER_KICKS_SEEN, R.WORKER_KICKS))])
    for number in range(count):
        _visit(core, scenario, number, entry)
        core.add(_moved_handler(handler, number, count, entry, resting))
        with core.each("round"):
            core.step(_named("requeue", number), "more work: behind the other queues")
            core.change(sometimes="the queue has more work")
            core.then(Effect("set", _bank(R.PENDING, number), None, 1))
            core.jump(_next(number, count))
    _cycle(core, switched_out[0].label if switched_out else idle.label)
    core.add(switched_out)
    return core.steps, [_moved_driver(step, number) for number in range(count) for step in driver]


def regions_of_queues(regions: dict[str, int], count: int) -> dict[str, int]:
    """Return the regions of all queues of a core."""
    return {_named(name, number): lines for number in range(count) for name, lines in regions.items()}


def _named(name: str, number: int) -> str:
    return f"{name}{MARK}{number}" if number else name


def _next(number: int, count: int) -> str:
    return _named("visit", number + 1) if number + 1 < count else "cycle"


def _moved_handler(handler: list[Step], number: int, count: int, entry: str, resting: list[str]) -> list[Step]:
    """Return the handler's steps for one queue; where it would sleep or start another round, the next queue is next."""

    def renamed(target: Target) -> str:
        if target in resting:
            return _next(number, count)
        return _named("requeue" if target == entry else str(target), number)

    return [_moved(step, number, renamed) for step in handler]


def _visit(core: Program, scenario: Scenario, number: int, entry: str) -> None:
    pending, kicks, seen = (_bank(register, number) for register in (R.PENDING, R.KICKS, R.KICKS_SEEN))
    take = _named("take", number)
    with core.each("round"):
        core.step(_named("visit", number), "has the queue work?")
        core.jump(take, Condition(pending, ">=", 1))
        core.jump(take, Condition(kicks, "!=", 0, seen))
        core.jump(_next(number, scenario.queues.per_core))
        core.step(take, "take its work", operation="hold", sample=(seen, kicks))
        core.change(primitives=("context_switch",) if scenario.queues.switching else ())
        core.change(sometimes="the queue has work")
        core.then(Effect("set", pending, None, 0), R.WORKED.put(1))
        core.jump(_named(entry, number))


def _cycle(core: Program, rest: str) -> None:
    """After the last queue: go round again while any had work or was kicked, else sleep (the step `rest`)."""
    with core.each("round"):
        core.step("cycle", "all queues visited")
        core.jump("again", R.WORKED.at_least(1))
        core.jump("woken", R.WORKER_KICKS.differs(R.WORKER_KICKS_SEEN))
        core.jump(rest)
        core.step("again", "go round again", sometimes="some queue had work")
        core.then(R.WORKED.put(0))
        core.jump("visit")
        core.step("woken", "kicked meanwhile", sample=(R.WORKER_KICKS_SEEN, R.WORKER_KICKS))
        core.change(sometimes="kicked before it slept")
        core.jump("visit")


def _moved_driver(step: Step, number: int) -> Step:
    moved = _moved(step, number, lambda target: _named(str(target), number))
    if any(effect.target == _bank(R.KICKS, number) for effect in moved.effects):
        moved = replace(moved, effects=(*moved.effects, R.WORKER_KICKS.add()))
    return replace(moved, actor=f"{step.actor}.{number}" if number else step.actor)


def _bank(register: int, number: int) -> int:
    return register if register in _OF_THE_CORE else register + number * BANK


def _moved(step: Step, number: int, renamed: Callable[[Target], str]) -> Step:
    """Return a step in the registers and regions of a queue; only the packets of queue 0 are counted."""

    def register(given: int | None) -> int | None:
        return None if given is None else _bank(given, number)

    def access(given: LineAccess | None) -> LineAccess | None:
        if given is None:
            return None
        region = _named(given.region, number)
        return replace(given, region=region, index=register(given.index), count=register(given.count))

    def effect(given: Effect) -> Effect:
        return replace(given, target=_bank(given.target, number), source=register(given.source))

    def test(given: Condition | None) -> Condition | None:
        return given and replace(given, left=_bank(given.left, number), right=register(given.right))

    return replace(
        step,
        label=_named(step.label, number),
        anchors=step.anchors if number == 0 else (),
        unit=register(step.unit),
        access=access(step.access),
        sample=step.sample and (_bank(step.sample[0], number), _bank(step.sample[1], number)),
        effects=tuple(effect(given) for given in step.effects),
        condition=test(step.condition),
        marks=step.marks if number == 0 else None,
        jumps=tuple(Jump(renamed(jump.target), test(jump.test)) for jump in step.jumps),
    )
