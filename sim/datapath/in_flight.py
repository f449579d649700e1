"""What an actor has in flight where a step stands: the work before its barriers, and the work behind its reads.

Steps stand in the order in which a busy actor meets them, and the last leads back to the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain

from sim.config.tables.cpu import Cpu
from sim.config.tables.kernel import Kernel
from sim.config.tables.vocabulary import RETURN_SEQUENCES
from sim.costs import Recipes
from sim.costs.draws import as_in_tables, everywhere, least, ratio, somewhere, total, unless
from sim.costs.recipes import LOCKED, SERIALISING, Item
from sim.datapath.plan.step import Step

#: So many instructions fill every buffer of a core: nobody looks further back than that.
ENOUGH_WORK = 1000
#: Few draws have so many times less, or more, work than the tables say: they are parted from the others.
_SURELY = 2.0

#: Where the core stands still, so that a sample without precise events finds what runs next.
_STALLS = (*SERIALISING, *LOCKED, "retpoline", "stlb_hit", "page_walk", *RETURN_SEQUENCES.values())


#: An item, and the instructions that it executes.
Executed = tuple[Item, float]


class InFlight:
    """The steps of all actors with the primitives that each executes, seen as one stream of instructions per actor.

    With `functions` the items name the kernel functions that execute them, and what stands beside a barrier or a stall
    is named by function, too.
    """

    def __init__(
        self, steps: Sequence[Step], items: Sequence[list[Item]], recipes: Recipes, cpu: Cpu, functions: bool = False
    ) -> None:
        self._steps = steps
        self._items = items
        self._recipes = recipes
        self._cpu = cpu
        self._functions = functions
        self.waiting = waiting(cpu)
        self._of_actor: dict[str, list[int]] = {}
        self._place: list[int] = []  # of a step among those of its actor
        for number, step in enumerate(steps):
            own = self._of_actor.setdefault(step.actor, [])
            self._place.append(len(own))
            own.append(number)
        self._often = [not (step.instead_of or step.sometimes or step.per_unit) for step in steps]
        self._each_packet = ["packet" in step.scopes for step in steps]
        self._own = [[(item, self._instructions(item)) for item in of_step] for of_step in items]
        self._works: dict[int, list[Executed]] = {}

    def placed(self, number: int) -> list[Item]:
        """Return what a step executes, each barrier and locked operation with the instructions behind it."""
        return [self._placed(item, number, place) for place, item in enumerate(self._items[number])]

    def _placed(self, item: Item, number: int, place: int) -> Item:
        alike = next((kind for kind in (self.waiting, LOCKED) if item.primitive in kind), None)
        if alike is not None:
            work, passed = self._passed_since(alike, number, place)
            delayed = tuple(self._delayed(passed)) if self._functions and alike == self.waiting else ()
            item = replace(item, behind=work, refills=delayed)
        if self._functions and item.primitive in _STALLS:
            item = replace(item, next_function=self._next_function(number, place))
        return item

    def _passed_since(self, alike: tuple[str, ...], number: int, place: int) -> tuple[float, list[Item]]:
        """Return the instructions between an item and the last one that is alike, and the items, latest first.

        Up the path that their actor usually comes.
        """
        before = (executed for step in self._usually_before(number) for executed in reversed(self._work(step)))
        passed: list[Item] = []
        work = reach = unsure = 0.0
        for item, instructions in chain(reversed(self._own[number][:place]), before):
            is_surely_less = _SURELY * reach <= ENOUGH_WORK
            enough = False if is_surely_less else work > ENOUGH_WORK
            if item.primitive in alike or everywhere(enough, reach > _SURELY * ENOUGH_WORK):
                break
            if is_surely_less:
                unsure = work
            if self._functions:
                passed.append(replace(item, count=unless(enough, item.count)) if somewhere(enough) else item)
            work = work + unless(enough, instructions)
            reach += as_in_tables(instructions)
        everywhere(unsure <= ENOUGH_WORK, True)
        return work, passed

    def _delayed(self, passed: list[Item]) -> Iterator[tuple[str, float]]:
        """Yield by function the first instructions behind a barrier, as many as the scheduler holds."""
        left = self._cpu.serialisation.scheduler_entries.value
        for item in reversed(passed):
            work = self._instructions(item)
            whole = total(count for _, count in item.functions)
            for function, count in item.functions if somewhere(work) else ():
                delayed = least(ratio(work * count, whole), left)
                if somewhere(delayed > 0):
                    yield function, delayed
                left = left - delayed

    def _next_function(self, number: int, place: int) -> str:
        """Return the function that runs behind an item, down the path that its actor usually goes."""
        if place + 1 < len(self._items[number]):
            return self._items[number][place + 1].functions[0][0]
        executing = (n for n in self._onward(number) if self._items[n])
        usual = (n for n in executing if not (self._steps[n].instead_of or self._steps[n].sometimes))
        return self._items[next(usual, number)][0].functions[0][0]

    def _usually_before(self, number: int) -> Iterator[int]:
        """Yield the steps that usually run before a step, latest first, and itself; before a packet's, packets'."""
        yield from self._usual(number, reversed(self._onward(number)))
        yield number

    def _usual(self, number: int, others: Iterable[int]) -> Iterator[int]:
        """Yield those of some steps that usually run beside a step: beside a packet's, packets'."""
        any_scope = not self._each_packet[number]
        return (other for other in others if self._often[other] and (any_scope or self._each_packet[other]))

    def work_behind(self, number: int) -> float:
        """Instructions from the access of a step up to the next primitive that waits for loads, down the usual path."""
        behind: float = 0.0
        enough: float = self._cpu.reorder_buffer.value
        after_access = False
        for place in chain([number], self._usual(number, self._onward(number))):
            for item, instructions in self._work(place):
                if place == number and not after_access:
                    after_access = item.primitive in ("load", "copy_startup", "copy_startup_short", "copy_loop")
                    continue
                if item.primitive in self.waiting:
                    return behind
                behind = behind + instructions
            after_access = True
            if everywhere(behind >= enough, as_in_tables(behind) >= _SURELY * as_in_tables(enough)):
                break
        return enough  # nothing waits before the reorder buffer is full, on the next laps if not on this one

    def reaches_back(self, number: int) -> bool:
        """Return whether the reorder buffer reaches from a step back to the read before it, down the usual path."""
        between: float = 0.0
        reaches = True
        for place in reversed(self._onward(number)):
            between = between + self._recipes.instructions(self._items[place])
            reaches = between <= self._cpu.reorder_buffer.value
            if self._steps[place].reads or not somewhere(reaches):
                break
        return reaches

    def _onward(self, number: int) -> list[int]:
        """Return the other steps of the same actor, from the one behind a step around to the one before it."""
        own, place = self._of_actor[self._steps[number].actor], self._place[number]
        return own[place + 1 :] + own[:place]

    def _work(self, number: int) -> list[Executed]:
        """Items of a step, behind the instructions that the time it is given stands for."""
        if number not in self._works:
            self._works[number] = self._given_and_own(number)
        return self._works[number]

    def _given_and_own(self, number: int) -> list[Executed]:
        step = self._steps[number]
        if not somewhere(step.extra_ns):
            return self._own[number]
        work = step.extra_ns * self._cpu.core_ghz.value / self._cpu.cpi.value
        given = Item("instruction", work, functions=((function_of(step, self._recipes.kernel), 1.0),))
        return [(given, self._instructions(given)), *self._own[number]]

    def _instructions(self, item: Item) -> float:
        return item.count * self._recipes.instructions_of(item.primitive)


def function_of(step: Step, kernel: Kernel) -> str:
    """Name the kernel function that a step stands for: its own, or that of its count."""
    counted = kernel.steps.get(step.counted_as or "")
    return step.function or (counted.function if counted else "")


def waiting(cpu: Cpu) -> tuple[str, ...]:
    """Name the barriers of a CPU: what waits until all that is in flight is done."""
    toggles_wait = cpu.features.smap_waits_for_loads.value
    return SERIALISING if toggles_wait else tuple(name for name in SERIALISING if name not in ("stac", "clac"))
