"""Several queues on one core: the rows of one queue, moved to registers and cache lines of their own, served in turn.

Queue 0 keeps its labels; those of queue k end in `#k`. All queues are loaded alike, so the packets of queue 0 are
counted and stand for the others. vhost_worker() runs the queues that were kicked, or had more work, round by round.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sim.config.scenario.scenario import Scenario
from sim.datapath.plan.program import Program, also_kicking, entry_of, renumber, retarget
from sim.datapath.plan.registers import BANK, Condition, Effect, R
from sim.datapath.plan.step import Anchor, Jump, Step, Target

MARK = "#"
#: Where a worker rests that has nothing to do, whichever queue was empty last.
_RESTING = (Anchor.SCHEDULED_OUT, Anchor.IDLE)
RESTING = (*_RESTING, Anchor.IDLE_SOCKET)
#: Registers that belong to no queue: of the worker's core, and of a guest between two rings.
_OF_NO_QUEUE = (R.OTHER_TASK, R.FORWARD_LEFT)
#: What says that a queue has work: a register that others count up, and how far the worker has seen it.
Signal = tuple[R, R]
_KICKS_OF_WORKER = (R.WORKER_KICKS_SEEN, R.WORKER_KICKS)
KICKED: tuple[Signal, ...] = ((R.KICKS, R.KICKS_SEEN),)


@dataclass(frozen=True)
class Place:
    """Where the steps of one queue of several stand.

    Attributes
    ----------
    bank
        Number of its bank of registers.
    mark
        What its labels and regions end in.
    counted
        Whether packets are counted there, so that its steps keep their anchors.
    """

    bank: int
    mark: str
    counted: bool

    def named(self, name: str) -> str:
        """Return the name of a step or region there."""
        return f"{name}{self.mark}"

    def register(self, register: int) -> int:
        """Return the place of a register in the bank; what is lost before packets are counted is lost, wherever."""
        shared = register in _OF_NO_QUEUE or (self.counted and register == R.DROPPED)
        return register if shared else register + self.bank * BANK

    def moved(self, step: Step, renamed: Callable[[Target], str]) -> Step:
        """Return a step in the registers and regions of the queue, with other targets in its jumps."""
        own = retarget(renumber(step, self.register), renamed)
        return replace(
            own,
            label=self.named(step.label),
            anchors=step.anchors if self.counted else (),
            access=own.access and replace(own.access, region=self.named(own.access.region)),
            marks=step.marks if self.counted else None,
        )

    def signalling(self, step: Step, signals: Sequence[Signal] = KICKED) -> Step:
        """Return a moved step that tells the worker of all queues, too, where it counts a signal of this one up."""
        return also_kicking(step, {self.register(register) for register, _ in signals})


def serve_queues(scenario: Scenario, worker: list[Step], driver: list[Step]) -> tuple[list[Step], list[Step]]:
    """Return the linked steps of one core's worker and of its drivers, for all queues that the core serves."""
    count = scenario.queues.per_core
    if count == 1:
        return worker, driver
    places = [_place(number) for number in range(count)]
    core = serve([(place, worker, KICKED) for place in places], switching=scenario.queues.switching)
    return core, [_moved_driver(step, place) for place in places for step in driver]


def serve(queues: Sequence[tuple[Place, Sequence[Step], Sequence[Signal]]], switching: bool = False) -> list[Step]:
    """Return the steps of a worker that serves queues in turn, each with its handler and what wakes it.

    `switching`: each queue has a worker of its own on that core. Where the first handler sleeps, the worker sleeps.
    """
    first = queues[0][1]
    *switched_out, idle = [step for anchor in _RESTING for step in first if anchor in step.anchors]
    core, visits = Program("worker", "vhost_worker"), [place.named("visit") for place, *_ in queues]
    core.add([asleep(idle, jumps=(Jump(visits[0]),))])
    for (place, steps, signals), following in zip(queues, [*visits[1:], "cycle"], strict=True):
        resting = {step.label for anchor in RESTING for step in steps if anchor in step.anchors}
        entry = entry_of(steps, Anchor.ROUND)
        _visit(core, place, entry, signals, following, switching)
        handler = [step for step in steps if step.label not in resting]
        core.add(_moved_handler(handler, place, entry, resting, following))
        with core.each("round"):
            core.step(place.named("requeue"), "more work: behind the other queues")
            core.change(sometimes="the queue has more work")
            core.then(Effect("set", place.register(R.PENDING), None, 1))
            core.jump(following)
    _cycle(core, visits[0], switched_out[0].label if switched_out else idle.label)
    core.add(switched_out)
    return core.steps


def asleep(idle: Step, **fields: Any) -> Step:
    """Return the step in which a worker of several queues sleeps until any of them kicks it."""
    kicked = {"condition": R.WORKER_KICKS.differs(R.WORKER_KICKS_SEEN), "sample": _KICKS_OF_WORKER}
    return replace(idle, **{**kicked, **fields})


def unless_kicked(core: Program, rest: Target) -> None:
    """Let the last step lead to where the worker rests, unless a kick has come that it has not seen."""
    core.jump("kicked_again", R.WORKER_KICKS.differs(R.WORKER_KICKS_SEEN))
    core.jump(rest)


def kicked_again(core: Program, visit: str) -> None:
    """A kick came before the worker slept: it is seen, and the queues are visited again."""
    core.step("kicked_again", "kicked meanwhile", sample=_KICKS_OF_WORKER)
    core.jump(visit)


def regions_of_queues(regions: dict[str, int], count: int) -> dict[str, int]:
    """Return the regions of all queues of a core."""
    return {_place(number).named(name): lines for number in range(count) for name, lines in regions.items()}


def _place(number: int) -> Place:
    return Place(number, f"{MARK}{number}" if number else "", number == 0)


def _moved_handler(handler: list[Step], place: Place, entry: str, resting: set[str], following: str) -> list[Step]:
    """Return the handler's steps for one queue; where it would sleep or start another round, the next queue is next."""

    def renamed(target: Target) -> str:
        if target in resting:
            return following
        return place.named("requeue" if target == entry else str(target))

    return [place.moved(step, renamed) for step in handler]


def _visit(core: Program, place: Place, entry: str, signals: Sequence[Signal], following: str, switching: bool) -> None:
    pending = place.register(R.PENDING)
    (counts, seen), *others = [tuple(map(place.register, signal)) for signal in signals]
    take = place.named("take_work")
    with core.each("round"):
        core.step(place.named("visit"), "has the queue work?")
        core.jump(take, Condition(pending, ">=", 1))
        for counted, noted in ((counts, seen), *others):
            core.jump(take, Condition(counted, "!=", 0, noted))
        core.jump(following)
        core.step(take, "take its work", operation="hold", sample=(seen, counts))
        core.change(primitives=("context_switch",) if switching else ())
        core.change(sometimes="the queue has work")
        core.then(Effect("set", pending, None, 0), R.WORKED.put(1))
        for number, (counted, noted) in enumerate(others, 2):
            core.step(place.named(f"take_work_{number}"), "... and what else woke it", sample=(noted, counted))
            core.change(sometimes="the queue has work")
        core.jump(place.named(entry))


def _cycle(core: Program, visit: str, rest: str) -> None:
    """After the last queue: go round again while any had work or was kicked, else sleep (the step `rest`)."""
    with core.each("round"):
        core.step("cycle", "all queues visited")
        core.jump("again", R.WORKED.at_least(1))
        unless_kicked(core, rest)
        core.step("again", "go round again", sometimes="some queue had work")
        core.then(R.WORKED.put(0))
        core.jump(visit)
        kicked_again(core, visit)
        core.change(sometimes="kicked before it slept")


def _moved_driver(step: Step, place: Place) -> Step:
    moved = place.signalling(place.moved(step, lambda target: place.named(str(target))))
    return replace(moved, actor=f"{step.actor}.{place.bank}" if place.bank else step.actor)
