"""What an actor has in flight where a step stands: the work before its barriers, and the work behind its reads.

Steps stand in the order in which a busy actor meets them, and the last leads back to the first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain

from sim.config.tables.cpu import Cpu
from sim.costs import Recipes
from sim.costs.recipes import LOCKED, SERIALISING, Item
from sim.datapath.plan.step import Step

#: So many instructions fill every buffer of a core: nobody looks further back than that.
ENOUGH_WORK = 1000


class InFlight:
    """The steps of all actors with the primitives that each executes, seen as one stream of instructions per actor."""

    def __init__(self, steps: Sequence[Step], items: Sequence[list[Item]], recipes: Recipes, cpu: Cpu) -> None:
        self._steps = steps
        self._items = items
        self._recipes = recipes
        self._cpu = cpu
        self.waiting = waiting(cpu)

    def placed(self, number: int) -> list[Item]:
        """Return what a step executes, each barrier and locked operation with the instructions behind it."""
        found = []
        for place, item in enumerate(self._items[number]):
            alike = next((kind for kind in (self.waiting, LOCKED) if item.primitive in kind), None)
            found.append(item if alike is None else replace(item, behind=self._work_since(alike, number, place)))
        return found

    def _work_since(self, alike: tuple[str, ...], number: int, place: int) -> float:
        """Instructions between an item and the last one that is alike, up the path that its actor usually comes."""
        before = (item for step in self._usually_before(number) for item in reversed(self._work(step)))
        work = 0.0
        for item in chain(reversed(self._items[number][:place]), before):
            if item.primitive in alike or work > ENOUGH_WORK:
                break
            work += self._instructions(item)
        return work

    def _usually_before(self, number: int) -> Iterator[int]:
        """Yield the steps that usually run before a step, latest first, and itself; before a packet's, packets'."""
        this = self._steps[number]
        for other in [*reversed(range(number)), *reversed(range(number + 1, len(self._steps)))]:
            step = self._steps[other]
            usual = not (step.instead_of or step.sometimes or step.per_unit)
            if step.actor == this.actor and usual and ("packet" in step.scopes or "packet" not in this.scopes):
                yield other
        yield number

    def work_behind(self, number: int) -> float:
        """Instructions from the access of a step up to the next primitive that waits for loads, down the usual path."""
        behind: float = 0.0
        enough: float = self._cpu.reorder_buffer.value
        after_access = False
        actor = self._steps[number].actor
        for place in [number, *range(number + 1, len(self._steps)), *range(number)]:
            if self._steps[place].actor != actor:
                continue
            for item in self._work(place):
                if place == number and not after_access:
                    after_access = item.primitive in ("load", "copy_startup", "copy_startup_short", "copy_loop")
                    continue
                if item.primitive in self.waiting:
                    return behind
                behind += self._instructions(item)
            after_access = True
            if behind >= enough:
                break
        return enough  # nothing waits before the reorder buffer is full, on the next laps if not on this one

    def reaches_back(self, number: int) -> bool:
        """Return whether the reorder buffer reaches from a step back to the read before it, down the usual path."""
        between: float = 0.0
        for place in reversed([*range(number + 1, len(self._steps)), *range(number)]):
            step = self._steps[place]
            if step.actor != self._steps[number].actor:
                continue
            between += self._recipes.instructions(self._items[place])
            if between > self._cpu.reorder_buffer.value:
                return False
            if step.access is not None and not step.access.write:
                return True
        return True

    def _work(self, number: int) -> list[Item]:
        """Items of a step, behind the instructions that the time it is given stands for."""
        given_ns = self._steps[number].extra_ns
        if not given_ns:
            return self._items[number]
        return [Item("instruction", given_ns * self._cpu.core_ghz.value / self._cpu.cpi.value), *self._items[number]]

    def _instructions(self, item: Item) -> float:
        return item.count * self._recipes.instructions_of(item.primitive)


def waiting(cpu: Cpu) -> tuple[str, ...]:
    """Name the barriers of a CPU: what waits until all that is in flight is done."""
    toggles_wait = cpu.features.smap_waits_for_loads.value
    return SERIALISING if toggles_wait else tuple(name for name in SERIALISING if name not in ("stac", "clac"))
