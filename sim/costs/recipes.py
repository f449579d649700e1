"""Which primitives an accessor executes, in order: kernel recipe, access variant, mitigations, copy routine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from math import log2

from sim.config.scenario.scenario import Mitigations
from sim.config.scenario.virtqueue import Virtqueue
from sim.config.tables.access import Access, AccessRules
from sim.config.tables.cpu import Cpu
from sim.config.tables.kernel import SWITCHES, Accessor, CountedWith, Kernel
from sim.config.tables.vocabulary import BORDER_SEQUENCES, PRIMITIVES, RETURN_SEQUENCES, RETURNS
from sim.costs.draws import least, ratio, somewhere, total, unless

#: Instructions of a vector memcpy besides the moves, whose time is that of the bytes: with 60 bytes per cycle they give
#: 8, 11 and 32 cycles for 64, 256 and 1500 bytes, measured 8, 12 and 31 (primitive-costs.md 3.4, memcpy).
VECTOR_COPY_INSTRUCTIONS = 20

SERIALISING = ("stac", "clac", "lfence", "mfence")

#: Locked operations: the store buffer is empty when they are done (primitive-costs.md 3.6).
LOCKED = ("lock_rmw", "spin_lock")

#: What rounding leaves of a step whose functions have all of it.
_NO_INSTRUCTIONS = 1e-9

#: What the caller of an accessor executes itself, in front of a call and behind it.
_OF_THE_CALLER = ("branch", "test", "access_ok", "object_size_check", "object_size_check_stack", "instruction")

#: Kernel functions with what each has of a count, in order of execution.
Functions = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Item:
    """`count` of one primitive at one place of a recipe.

    `behind`: instructions of its actor between the last barrier (or locked operation) and this one, where it is one
    and its place is known. Where functions are wanted: `functions` execute it, `next_function` runs behind it, and the
    last barrier has delayed `refills`, as many instructions behind it as the scheduler holds.
    """

    primitive: str
    count: float = 1
    behind: float | None = None
    functions: Functions = field(default=(), compare=False)
    next_function: str = field(default="", compare=False)
    refills: Functions = field(default=(), compare=False)


@dataclass(frozen=True)
class CopyRules:
    """What decides how a copy moves its bytes."""

    fsrm: bool
    loop_below: int
    inline: bool


def copy_items(n_bytes: int, rules: CopyRules, inside_call: bool) -> list[Item]:
    """Expand a copy: an 8-byte loop with byte tail, or `rep movsb`; out of line unless the caller is inlined.

    The loop executes 12 + 6 per 8 bytes + 6 per byte of the tail: 42 for 12 bytes, as counted in the trace of v5.0
    (instructions 628..669).
    """
    call = [] if rules.inline or inside_call else [Item("call")]
    if n_bytes < rules.loop_below and not rules.fsrm:
        return [*call, Item("copy_loop", 12 + 6 * (n_bytes // 8) + 6 * (n_bytes % 8))]
    startup = "copy_startup_short" if rules.fsrm and n_bytes <= 128 else "copy_startup"
    return [*call, Item(startup), Item("copy_bytes", n_bytes)]


def returns(items: list[Item]) -> float:
    """Count the returns that items execute."""
    return total(item.count * RETURNS.get(item.primitive, 0) for item in items)


def return_mitigations(kernel: Kernel, cpu: Cpu) -> list[str]:
    """Name the mitigations of returns that this kernel has and this CPU needs, the one that it prefers first."""
    return [
        name for name in RETURN_SEQUENCES if name in kernel.return_mitigations and getattr(cpu.features, name).value
    ]


def return_sequence(kernel: Kernel, cpu: Cpu, mitigations: Mitigations) -> str | None:
    """Return the primitive that stands for what every return of the kernel executes besides; None for plain returns."""
    switched_on = (name for name in return_mitigations(kernel, cpu) if getattr(mitigations, name))
    preferred = next(switched_on, None)
    return RETURN_SEQUENCES[preferred] if preferred else None


def border_mitigations(kernel: Kernel, cpu: Cpu) -> list[str]:
    """Name the mitigations at system calls and exits of a guest that this kernel has and this CPU needs."""
    return [
        name for name in BORDER_SEQUENCES if name in kernel.border_mitigations and getattr(cpu.features, name).value
    ]


def without_effect(kernel: Kernel, cpu: Cpu) -> list[str]:
    """Name the mitigations of returns and of the border that this kernel lacks or this CPU does not need."""
    here = return_mitigations(kernel, cpu) + border_mitigations(kernel, cpu)
    idle = [name for name in (*RETURN_SEQUENCES, *BORDER_SEQUENCES) if name not in here]
    return idle if cpu.features.pti.value else ["pti", *idle]


def without_retpolines(kernel: Kernel, cpu: Cpu, mitigations: Mitigations) -> bool:
    """Return whether the kernel does without retpolines by itself: it does where it switches IBRS on for old CPUs.

    So spectre_v2_select_mitigation (from memory); on CPUs with eIBRS the price of a retpoline is that of a call.
    """
    return "ibrs" in border_mitigations(kernel, cpu) and mitigations.ibrs


def tree_levels(kernel: Kernel, queue: Virtqueue) -> float:
    """Instructions that one walk of an interval tree executes below its root.

    The tree holds the entries of the device IOTLB, without one the regions of the guest's memory.
    """
    if not queue.iotlb and queue.memory_regions == 1:
        return 0.0
    entries = queue.iotlb_entries if queue.iotlb else queue.memory_regions
    return kernel.step("iotlb_level").instructions.value * log2(entries)


class SwitchedOff:
    """What mitigations that are off make of a primitive; a switch is read only where its primitives are executed."""

    def __init__(self, kernel: Kernel, switches: Mitigations | CountedWith, cpu: Cpu | None = None) -> None:
        self._switches, self._cpu = switches, cpu
        self._touching: dict[str, dict[str, str | None]] = {}
        self._instead: dict[str, str | None] = {}
        self._never: frozenset[str] = frozenset()
        self._without_retpolines: Callable[[], bool] = bool  # asked where retpolines are executed, and not before
        if isinstance(switches, Mitigations):  # of system calls, none of which was counted
            assert cpu is not None
            here = border_mitigations(kernel, cpu)
            never = [word for name, word in BORDER_SEQUENCES.items() if name not in here]
            self._never = frozenset(never if cpu.features.pti.value else ["pti", *never])
            self._without_retpolines = partial(without_retpolines, kernel, cpu, switches)
            self._touching["pti"] = {"pti": None}
            self._touching |= {BORDER_SEQUENCES[name]: {name: None} for name in here}
        for name in SWITCHES:
            change = kernel.mitigations[name]
            for word, instead in (change.replaces | dict.fromkeys(change.removes)).items():
                self._touching.setdefault(word, {})[name] = instead

    def instead(self, word: str) -> str | None:
        """Return what is executed in the place of a word of a recipe: itself, another primitive, or nothing (None)."""
        if word in self._never:
            return None
        if word not in self._instead:
            effects = [effect for name, effect in self._touching.get(word, {}).items() if self._is_off(name)]
            self._instead[word] = None if None in effects else [word, *effects][-1]
        return self._instead[word]

    def _is_off(self, name: str) -> bool:
        if name == "retpoline" and self._without_retpolines():
            return True
        switched_on = getattr(self._switches, name)
        return not (switched_on and (name != "smap" or self._cpu is None or self._cpu.features.smap.value))


class Recipes:
    """The recipes of one kernel under one access variant, on one CPU with given mitigations.

    With a device IOTLB (`queue`) each access of a ring is translated.
    """

    def __init__(
        self, kernel: Kernel, variant: Access, cpu: Cpu, mitigations: Mitigations, queue: Virtqueue | None = None
    ) -> None:
        self.kernel = kernel
        self.variant = variant
        self._queue = queue if queue is not None and queue.iotlb else None
        self.return_sequence = return_sequence(kernel, cpu, mitigations)
        self._off = SwitchedOff(kernel, mitigations, cpu)
        self._copy = self._copy_rules(cpu.features.fsrm.value)
        counted = kernel.counted_with
        self._counted_off = SwitchedOff(kernel, counted)
        self._counted_copy = self._copy_rules(counted.fsrm)
        self._instructions: dict[str, float] = {}

    def _copy_rules(self, cpu_fsrm: bool) -> CopyRules:
        routine = self.kernel.copy_routine
        fsrm = cpu_fsrm and routine.uses_fsrm
        return CopyRules(fsrm, routine.loop_below, fsrm and routine.inline_with_fsrm)

    def accessor(self, name: str, n_bytes: int) -> list[Item]:
        """Return what one execution of an accessor executes under the variant, for `n_bytes` bytes, in order."""
        base = self.kernel.accessor(name)
        recipe, parts = self._varied(name, base)
        removed = self._rules(name).remove
        left = [word for word in recipe if not (word in removed and word == "slab_check")]  # no primitive of its own
        items = self._expand(left, parts, n_bytes, self._off, self._copy)
        return self._translation(name, recipe) * parts + [item for item in items if item.primitive not in removed]

    def _translation(self, name: str, recipe: list[str]) -> list[Item]:
        """Instructions that find the user address of a ring access in the device IOTLB (kernel-accesses.md A.3)."""
        if self._queue is None or not self.in_ring(name):
            return []
        if self._queue.iotlb_cache:
            hit = self.kernel.step("iotlb_cache_hit")
            return [Item("instruction", hit.instructions.value, functions=((hit.function, 1.0),))]
        step = "iotlb_tree_copy" if "copy" in recipe else "iotlb_tree_access"
        walk = self.kernel.step(step).instructions.value + tree_levels(self.kernel, self._queue)
        return [Item("instruction", walk, functions=((self.kernel.step(step).function, 1.0),))]

    def counted(self, name: str, n_bytes: int) -> list[Item]:
        """Return what the kernel's own accessor executed in the runs that the counts of `steps` are from."""
        base = self.kernel.accessor(name)
        return self._expand(base.recipe, base.parts, n_bytes, self._counted_off, self._counted_copy)

    def in_functions(self, name: str, items: list[Item], caller: str) -> list[Item]:
        """Name the functions of an accessor's items: a call leads into a routine, which holds what follows.

        That is up to the `clac` if the window opens there (a caller closes its own), or to what the caller does next.
        """
        user = "stac" in self.kernel.accessor(name).recipe
        named, routine, callers_window = [], "", False
        for place, item in enumerate(items):
            if item.primitive == "call" and not item.functions:
                routine = self._routine(items[place + 1 :], user)
            elif item.primitive == "stac":
                callers_window = not routine
            elif item.primitive == "copy_loop" and routine and user:
                routine = self.kernel.routines.get("copy_loop", routine)
            if item.primitive in _OF_THE_CALLER or (item.primitive == "clac" and callers_window):
                routine = ""
            named.append(replace(item, functions=((routine, 1.0),)) if routine else self.in_function(item, caller))
            if item.primitive == "clac":
                routine, callers_window = "", False
        return named

    def _routine(self, items: list[Item], user: bool) -> str:
        """Return the function that a call leads to, by what is executed there; empty when the table does not say."""
        kinds = {"load": "get_user", "store": "put_user"}
        known = (*kinds, "copy_loop", "copy_startup", "copy_startup_short")
        moves = next((item.primitive for item in items if item.primitive in known), "")
        return self.kernel.routines.get(kinds.get(moves, "copy" if user else "memcpy"), "") if moves else ""

    def in_function(self, item: Item, caller: str) -> Item:
        """Name the function of an item outside routines: its caller, unless it has one; a check has its helpers."""
        if item.functions:
            return item
        name, kernel = item.primitive, self.kernel
        function = kernel.routines.get(name, caller)
        if name in kernel.functions:
            return replace(item, functions=self.split(name, self.instructions_of(name), function))
        return replace(item, functions=((function, 1.0),))

    def calls(self, names: list[str], counted: bool = False) -> list[Item]:
        """Expand the calls that a step makes besides its accessor."""
        return self._expand(names, 1, 0, self._counted_off if counted else self._off, self._copy)

    def split(self, name: str, instructions: float, function: str) -> Functions:
        """Return the work of a step or primitive by function, in order; `instructions` are those outside its accessor.

        A step that is drawn shorter than the functions listed for it has less of each.
        """
        listed = self.kernel.functions.get(name, {})
        whole = total(listed.values())
        scale = least(1.0, ratio(instructions, whole)) if listed else 1.0
        split = [(function, instructions - scale * whole), *((name, scale * count) for name, count in listed.items())]
        some = [(name, count) for name, count in split if somewhere(count > _NO_INSTRUCTIONS)]
        return tuple((name, unless(count <= _NO_INSTRUCTIONS, count)) for name, count in some)

    def instructions(self, items: list[Item]) -> float:
        """Count the instructions that items execute."""
        return total(item.count * self.instructions_of(item.primitive) for item in items)

    def instructions_of(self, primitive: str) -> float:
        """Instructions of one primitive; the object size check differs between kernels."""
        known = self._instructions.get(primitive)
        if known is None:
            checks = primitive == "object_size_check"
            table = self.kernel.object_size_check_instructions.value if checks else PRIMITIVES[primitive].instructions
            known = self._instructions[primitive] = table
        return known

    @property
    def slab_check_instructions(self) -> float:
        """Instructions of __check_heap_object, its call and return included."""
        return self.kernel.step("slab_check").instructions.value

    def parts(self, name: str) -> int:
        """Return into how many windows the accessor splits its access under the variant."""
        return self._varied(name, self.kernel.accessor(name))[1]

    def in_ring(self, name: str) -> bool:
        """Return whether an accessor reaches the ring areas, so that a mapping of the ring reaches them too."""
        reach = self.kernel.reach(name)
        return reach.family == "metadata" and reach.mapped

    def _rules(self, name: str) -> AccessRules:
        return self.variant.metadata if self.kernel.reach(name).family == "metadata" else self.variant.payload

    def _varied(self, name: str, base: Accessor) -> tuple[list[str], int]:
        """Return recipe and number of windows of an accessor under the variant, before anything is taken out."""
        rules, recipe = self._rules(name), base.recipe
        if self._queue is not None and not self._queue.iotlb_cache and name == "descriptor_read":
            recipe = self.kernel.accessor("indirect_descriptor_read").recipe  # an iov_iter, as for a table
        reach = self.kernel.reach(name)
        whole = rules.write if reach.direction == "write" else rules.read
        if name in rules.recipes:
            return rules.recipes[name], 1
        if whole is not None and reach.mapped:
            return whole, 1
        return [new for item in recipe for new in rules.replace.get(item, [item])], base.parts

    def _expand(self, recipe: list[str], parts: int, n_bytes: int, off: SwitchedOff, rules: CopyRules) -> list[Item]:
        items: list[Item] = []
        for word in recipe:
            if word == "copy":
                items += copy_items(n_bytes // parts, rules, inside_call="call" in recipe or "stac" not in recipe)
            elif word == "vector_copy":
                items += [Item("user_instruction", VECTOR_COPY_INSTRUCTIONS), Item("copy_bytes", n_bytes // parts)]
            elif word == "slab_check":
                if off.instead(word) is None:
                    continue
                check: Functions = ((self.kernel.step("slab_check").function, 1.0),)
                work = Item("instruction", self.slab_check_instructions - 2, functions=check)
                items += [Item("call", functions=check), work]
            elif (primitive := off.instead(word)) is not None:
                items.append(Item(primitive))
        return items * parts
