"""Programs: the steps of one actor, written down in the order in which a busy actor meets them.

    with worker.each("packet", at=Anchor.PACKET):
        worker.read("head", "avail->ring[i]", ring.avail_entry(R.LAST_AVAIL_IDX), "avail_entry_read", "head")
        worker.step("get_descriptor", "next descriptor wanted", "get_descriptor")
        worker.then(R.LAST_AVAIL_IDX.add(), R.DONE_IDX.add())
        worker.jump(Anchor.FLUSH, R.DONE_IDX.at_least(batch))
        worker.jump(Anchor.NEXT_PACKET)

A statement about what has been said (`then`, `jump`, `change`) is about the last step. Without a jump that holds, the
step written next comes next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from sim.datapath.plan.registers import Condition, Effect, R
from sim.datapath.plan.step import Anchor, Jump, LineAccess, Scope, Step, Target


class Program:
    """Collects the steps of one actor; `function` is the kernel function of steps that name none and count nothing."""

    def __init__(self, actor: str, function: str = "") -> None:
        self.actor = actor
        self._function = function
        self._steps: list[Step] = []
        self._open: dict[str, Any] | None = None
        self._often: dict[str, Any] = {}
        self._anchors: tuple[Anchor, ...] = ()

    @property
    def steps(self) -> list[Step]:
        """The steps so far."""
        self._close()
        return self._steps

    @property
    def sometimes(self) -> str:
        """The condition under which steps written now run, if there is one."""
        return str(self._often.get("sometimes", ""))

    @contextmanager
    def each(self, *scopes: Scope, at: Anchor | None = None, repeats: int = 1, sometimes: str = "") -> Iterator[None]:
        """Steps written inside run `repeats` times per `scopes`, or `sometimes`; the first stands at the anchor."""
        before, self._often = self._often, {"scopes": scopes, "repeats": repeats, "sometimes": sometimes}
        if at is not None:
            self.at(at)
        yield
        self._often = before

    def at(self, *anchors: Anchor) -> None:
        """Let the next step stand first at these anchors."""
        self._anchors += anchors

    def step(self, label: str, title: str, counted_as: str | None = None, **fields: Any) -> None:
        """Add a step that executes instructions: those that the kernel table counts as `counted_as`."""
        self._close()
        named = {"label": label, "actor": self.actor, "title": title, "counted_as": counted_as}
        self._open = {**self._often, **named, **fields}
        self._open["anchors"], self._anchors = self._anchors, ()

    def read(
        self,
        label: str,
        title: str,
        access: LineAccess,
        accessor: str | None = None,
        counted_as: str | None = None,
        **fields: Any,
    ) -> None:
        """Add a step that reads a place of a ring through an accessor."""
        self.step(label, title, counted_as, access=access, accessor=accessor, **fields)

    #: Add a step that writes a place of a ring through an accessor.
    write = read

    def copy(self, label: str, title: str, accessor: str, counted_as: str | None = None, **fields: Any) -> None:
        """Add a step that copies packet bytes."""
        self.step(label, title, counted_as, accessor=accessor, **fields)

    def barrier(self, label: str, title: str, function: str = "") -> None:
        """Add a full barrier (`smp_mb`), which drains the store buffer."""
        self.step(label, title, operation="barrier", primitives=("lock_rmw",), drains_stores=True)
        if function:
            self.change(function=function)

    def then(self, *effects: Effect) -> None:
        """Let the last step change registers at its end."""
        self.change(effects=(*self._last().get("effects", ()), *effects))

    def jump(self, target: Target, when: Condition | None = None) -> None:
        """Let the last step go to `target` when the test holds, else on to what is said next."""
        self.change(jumps=(*self._last().get("jumps", ()), Jump(target, when)))

    def change(self, **fields: Any) -> None:
        """Set fields of the last step."""
        self._last().update(fields)

    def add(self, steps: Iterable[Step]) -> None:
        """Add steps that were written elsewhere."""
        self._close()
        self._steps += steps

    def _last(self) -> dict[str, Any]:
        assert self._open is not None, "a statement about the last step before there is one"
        return self._open

    def _close(self) -> None:
        if self._open is not None:
            if self._open["counted_as"] is None:
                self._open.setdefault("function", self._function)
            self._steps.append(Step(**self._open))
            self._open = None


def insert_before(steps: Sequence[Step], anchor: Anchor, inserted: Sequence[Step]) -> list[Step]:
    """Put steps in front of an anchor, so that the first of them is its entry; KeyError where no step stands there."""
    if not inserted:
        return list(steps)
    place = index_of(steps, anchor)
    first = replace(inserted[0], anchors=(*inserted[0].anchors, anchor))
    rest = replace(steps[place], anchors=tuple(other for other in steps[place].anchors if other is not anchor))
    return [*steps[:place], first, *inserted[1:], rest, *steps[place + 1 :]]


def index_of(steps: Sequence[Step], anchor: Anchor) -> int:
    """Return which step stands first at an anchor. KeyError where none does, or several do."""
    places = [number for number, step in enumerate(steps) if anchor in step.anchors]
    if len(places) != 1:
        raise KeyError(anchor)
    return places[0]


def entry_of(steps: Sequence[Step], anchor: Anchor) -> str:
    """Return the label of the step that stands first at an anchor."""
    return steps[index_of(steps, anchor)].label


def link(steps: Sequence[Step], elsewhere: dict[Anchor, str] | None = None) -> list[Step]:
    """Return the steps, of one or several actors, with labels for anchors in their jumps.

    `elsewhere` names entries that stand outside of these steps. KeyError names an anchor at which no step stands, and
    ValueError a label that two steps of an actor have.
    """
    twice = [label for label, number in Counter((step.actor, step.label) for step in steps).items() if number > 1]
    if twice:
        raise ValueError(f"two steps of the {twice[0][0]} are called '{twice[0][1]}'")
    entries = {(step.actor, anchor): step.label for step in steps for anchor in step.anchors}
    entries |= {(step.actor, anchor): label for step in steps for anchor, label in (elsewhere or {}).items()}

    def linked(step: Step) -> Step:
        return retarget(step, lambda target: target if isinstance(target, str) else entries[step.actor, target])

    return [linked(step) for step in steps]


def retarget(step: Step, renamed: Callable[[Target], Target]) -> Step:
    """Return a step with other targets in its jumps."""
    if not step.jumps:
        return step
    return replace(step, jumps=tuple(Jump(renamed(jump.target), jump.test) for jump in step.jumps))


def renumber(step: Step, moved: Callable[[int], int]) -> Step:
    """Return a step with other registers in the place of its own, wherever it names one."""

    def register(given: int | None) -> int | None:
        return None if given is None else moved(given)

    def test(given: Condition | None) -> Condition | None:
        return given and replace(given, left=moved(given.left), right=register(given.right))

    def effect(given: Effect) -> Effect:
        return replace(given, target=moved(given.target), source=register(given.source))

    access = step.access
    return replace(
        step,
        unit=register(step.unit),
        access=access and replace(access, index=register(access.index), count=register(access.count)),
        sample=step.sample and (moved(step.sample[0]), moved(step.sample[1])),
        effects=tuple(effect(given) for given in step.effects),
        condition=test(step.condition),
        jumps=tuple(Jump(jump.target, test(jump.test)) for jump in step.jumps),
    )


def also_kicking(step: Step, told: Container[int]) -> Step:
    """Return a step that kicks the worker, too, where it changes one of some registers, of one queue or one socket."""
    if not any(effect.target in told for effect in step.effects):
        return step
    return replace(step, effects=(*step.effects, R.WORKER_KICKS.add()))
