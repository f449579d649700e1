"""Schema of `configs/kernels/*.yaml` and `configs/implementations/*.yaml`: what a kernel, or a program in the place of
its worker, executes. What an access variant changes is in `access`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

from pydantic import BaseModel, Field, field_validator, model_validator

from sim.config.errors import ConfigError, nearest
from sim.config.tables.quantity import Headed, Instructions, Ratio, Returns, Strict
from sim.config.tables.vocabulary import (
    ACCESSORS,
    OPTIONAL_ACCESSORS,
    OPTIONAL_STEPS,
    PRIMITIVES,
    REACHES,
    STEP_MEANINGS,
    STEPS,
    Reach,
)

#: Items that a recipe may hold besides primitives, and what becomes of them.
RECIPE_WORDS = {
    "copy": "the bytes of the access, in a loop or by `rep movsb` according to size, kernel and CPU",
    "vector_copy": "the bytes of the access, by the vector memcpy of a program in user space",
    "slab_check": "what an object size check executes besides for an object of a slab: the step of that name, a call",
}
_RECIPE_VALID = frozenset((*PRIMITIVES, *RECIPE_WORDS))

#: Functions of no step: where a call from an accessor leads, by what it does there, and the checks, thunks and program
#: that stand beside the function that runs into them.
ROUTINES = {
    "copy": "copy_user: opens the window, moves the bytes by `rep movsb`",
    "copy_loop": "where copy_user moves short copies in a loop (default: the same routine)",
    "get_user": "get_user of 2 or 4 bytes, where it is not inlined",
    "put_user": "put_user of 2 or 4 bytes, where it is not inlined",
    "get_rx_bufs": "receive: stands in the place of get_tx_bufs, in the steps that both directions run",
    "memcpy": "a copy between kernel pages",
    "object_size_check": "HARDENED_USERCOPY check of an object",
    "object_size_check_stack": "HARDENED_USERCOPY check that ends at the stack test",
    "retpoline": "thunk of an indirect call",
    "program": "the XDP program, under the name that a profile gives to it",
    "safe_ret": "what Safe RET puts in the place of a return",
    "return_thunk": "return thunk",
}

#: Primitives of a recipe, its repetitions written out: a hundred times those of any that is shipped (10).
MOST_OF_A_RECIPE = 1000
#: Parts of an access, each with a window of its own; shipped tables have 2 at most.
MOST_PARTS = 64

SWITCHES = ("smap", "spectre_v1", "hardened_usercopy", "retpoline")


def check_recipe(recipe: list[str]) -> list[str]:
    """Return a recipe with its repetitions (`9 instruction`) written out.

    ValueError names an unknown item, and the one with which an access executes more than any access does.
    """
    items: list[str] = []
    for item in recipe:
        count, _, name = item.rpartition(" ")
        if name not in _RECIPE_VALID or (count and not count.isdecimal()):
            raise ValueError(f"unknown primitive '{item}' in a recipe{nearest(name, _RECIPE_VALID)}")
        if len(count) > len(str(MOST_OF_A_RECIPE)) or len(items) + int(count or 1) > MOST_OF_A_RECIPE:
            raise ValueError(f"'{item}': one access executes {MOST_OF_A_RECIPE} primitives at most")
        items += [name] * int(count or 1)
    return items


class Accessor(Strict):
    """What one access executes, in order. `bytes` 0 means that the row says how many; `parts` repeats the recipe.

    An accessor that the vocabulary lacks says what it reaches: `meaning`, `family`, `direction` and `mapped`.
    """

    recipe: list[str] = Field(description="primitives that one access executes, in order; `3 load` repeats one")
    bytes: int = Field(default=0, ge=0, description="bytes that it moves; 0: as many as the row says")
    parts: int = Field(
        default=1, ge=1, le=MOST_PARTS, description="times that the recipe runs, each for an equal part of the bytes"
    )
    source: str = Field(min_length=1, description="where the recipe was read")
    meaning: str | None = Field(None, min_length=1, description="of a new accessor: what it reaches")
    family: Literal["metadata", "payload"] | None = Field(
        None, description="of a new accessor: ring metadata or packet bytes, which access variants change apart"
    )
    direction: Literal["read", "write"] | None = Field(
        None, description="of a new accessor: the recipe that a variant with recipes for reads and writes puts in place"
    )
    mapped: bool | None = Field(None, description="of a new accessor: a mapping of the ring reaches it (metadata only)")

    _recipe = field_validator("recipe")(check_recipe)

    @model_validator(mode="after")
    def _described(self) -> Accessor:
        described = {name: getattr(self, name) for name in ("meaning", "family", "direction", "mapped")}
        missing = next((name for name, value in described.items() if value is None), None)
        if missing and any(value is not None for value in described.values()):
            raise ValueError(f"{missing}: is missing; a new accessor has meaning, family, direction and mapped")
        if self.family == "payload" and self.mapped:
            raise ValueError("mapped: packet bytes are not mapped, only ring metadata is")
        return self

    @property
    def reach(self) -> Reach | None:
        """What a new accessor reaches; None for one of the vocabulary."""
        if self.meaning is None or self.family is None or self.direction is None or self.mapped is None:
            return None
        return Reach(self.meaning, self.family, self.direction, self.mapped)


class StepCount(Strict):
    """Instructions of one step, its accessor included, and the kernel function that a profiler would show."""

    instructions: Instructions = Field(
        description="instructions executed each time, the accessor's included, under `counted_with`"
    )
    returns: Returns | None = Field(
        None, description="returns executed each time, the accessor's included (default: none were counted)"
    )
    function: str = Field(description="kernel function whose time this is in `perf report`")
    calls: list[str] = Field(default_factory=list, description="primitives executed besides the accessor's recipe")
    meaning: str | None = Field(None, min_length=1, description="of a new step: how often it runs, and what it does")

    _calls = field_validator("calls")(check_recipe)


class Mitigation(Strict):
    """What switching one mitigation off takes away, or puts in place of something."""

    removes: list[str] = Field(default_factory=list, description="primitives that are gone with it off")
    replaces: dict[str, str] = Field(
        default_factory=dict, description="primitive: the one in its place with it off (retpoline: indirect_call)"
    )

    _removes = field_validator("removes")(check_recipe)


class CountedWith(Strict):
    """The configuration in which the instruction counts of `steps` were taken."""

    smap: bool = Field(description="SMAP was on: stac and clac were executed")
    spectre_v1: bool = Field(description="barrier_nospec() was an lfence")
    hardened_usercopy: bool = Field(description="HARDENED_USERCOPY was on: object size checks were executed")
    retpoline: bool = Field(description="indirect calls went through retpolines")
    fsrm: bool = Field(description="the CPU showed FSRM: short copies were one `rep movsb`")


class Behaviour(Strict):
    """Where the transmit handlers differ in order, not in cost."""

    flush_before_recheck: bool = Field(description="a drain flushes first, then enables notifications and rechecks")
    recheck_updates_cache: bool = Field(description="a recheck that finds work caches the avail index it has read")
    header_with_payload: bool = Field(description="vnet header and packet of one segment are one copy")
    splits_copy_at_page: bool = Field(description="a copy splits where the page fragment crosses a 4 KiB page")
    page_frag_bytes: int = Field(gt=0, description="bytes of a page fragment")
    headroom_bytes: int = Field(ge=0, description="bytes in front of the vnet header with an XDP program")
    headroom_without_xdp_bytes: int = Field(ge=0, description="bytes in front of the vnet header without a program")
    shared_info_bytes: int = Field(ge=0, description="bytes of skb_shared_info behind the packet")
    page_bytes: int = Field(gt=0, description="bytes of a page: an XDP buffer fits one")
    skb_piece_bytes: int = Field(
        4096, gt=0, description="largest piece of the skb that a TAP builds: a reader copies one at a time"
    )
    reuses_page_fragment: bool = Field(
        False, description="a used-up page fragment is taken again when all of its frames have been freed"
    )
    zeroes_header_rest: bool = Field(
        False, description="receive: the vnet header behind its first 10 bytes is zeroed in a window of its own"
    )
    always_num_buffers: bool = Field(
        False, description="receive: num_buffers is written without mergeable buffers too (virtio 1.0)"
    )
    init_on_alloc: bool = Field(
        False,
        description="transmit: new pages and skbs are zeroed (init_on_alloc=1; v5.3 and later)",
    )
    memory_cgroups: bool = Field(
        False,
        description="memory cgroups exist below the root: what their hooks execute, what sockets charge",
    )
    round_packets: int = Field(gt=0, description="packets after which a round ends (VHOST_NET_PKT_WEIGHT)")
    round_bytes: int = Field(gt=0, description="bytes after which a round ends (VHOST_NET_WEIGHT)")


class CopyRoutine(Strict):
    """How copy_user moves bytes: loop below `loop_below` bytes unless FSRM is used, else `rep movsb`."""

    loop_below: int = Field(ge=0, description="bytes below which it moves 8 at a time in a loop (0: never)")
    uses_fsrm: bool = Field(description="with FSRM every size is one `rep movsb`, the short ones too")
    inline_with_fsrm: bool = Field(description="with FSRM the `rep movsb` stands in the caller: no call")
    source: str = Field(min_length=1, description="where the routine was read")


class Kernel(Headed):
    """One kernel version, or an implementation of a device that is no kernel: recipes of accessors, counts of steps."""

    kind: Literal["kernel", "implementation"] = "kernel"
    device: Literal["vhost_net", "vhost_user", "af_xdp"] = Field(
        "vhost_net",
        description="device whose work the steps are; for another than vhost_net a table names what it uses",
    )
    work_scale: Ratio = Field(
        description="factor on the instructions between accesses: how far another configuration or compiler moves them"
    )
    zerocopy_tx_default: bool = Field(description="experimental_zcopytx as this version sets it by default")
    counted_with: CountedWith = Field(description="configuration in which the instructions of `steps` were counted")
    behaviour: Behaviour = Field(description="where the handlers of versions differ in order, not in cost")
    copy_routine: CopyRoutine = Field(description="how copy_user moves bytes")
    object_size_check_instructions: Instructions = Field(
        description="instructions of one HARDENED_USERCOPY check of a heap object, taken out where it is off"
    )
    mitigations: dict[str, Mitigation] = Field(description="each mitigation: what switching it off changes in a recipe")
    return_mitigations: list[Literal["spec_rstack_overflow", "retbleed", "indirect_target_selection"]] = Field(
        default_factory=list, description="mitigations of returns that this version has"
    )
    border_mitigations: list[Literal["ibrs", "bhi", "mds"]] = Field(
        default_factory=list, description="mitigations at system calls and exits of a guest that this version has"
    )
    accessors: dict[str, Accessor] = Field(description="each accessor: what one access executes")
    steps: dict[str, StepCount] = Field(description="each step of the handlers: how many instructions it executes")
    routines: dict[str, str] = Field(
        default_factory=dict,
        description="kernel function that a call from an accessor leads to, by what it does (default: it is inlined)",
    )
    functions: dict[str, dict[str, float]] = Field(
        default_factory=dict,
        description="instructions of a step by kernel function, in order of execution behind the step's accessor; what "
        "they leave is the step's own function's, and stands first",
    )

    @model_validator(mode="after")
    def _complete(self) -> Kernel:
        self._check_names("accessor", self.accessors, ACCESSORS, OPTIONAL_ACCESSORS)
        self._check_names("step", self.steps, STEPS, OPTIONAL_STEPS)
        self._check_names("mitigation", self.mitigations, SWITCHES)
        unknown = next((name for name in self.routines if name not in ROUTINES), None)
        if unknown is not None:
            raise ValueError(f"routines: unknown '{unknown}'{nearest(unknown, ROUTINES)}")
        for name in self.functions:
            self._check_split(name)
        return self

    def _check_split(self, name: str) -> None:
        """Raise ValueError for functions of a step that is unknown, or that hold more than it executes."""
        checks = {
            "object_size_check": self.object_size_check_instructions.value,
            "object_size_check_stack": PRIMITIVES["object_size_check_stack"].instructions,
        }
        if name not in self.steps and name not in checks:
            raise ValueError(f"functions: unknown step '{name}'{nearest(name, (*self.steps, *checks))}")
        split = self.functions[name]
        whole = checks[name] if name in checks else self.steps[name].instructions.value
        negative = next((function for function, count in split.items() if count < 0), None)
        if negative is not None:
            raise ValueError(f"functions: {name}: {negative} has {split[negative]:g} instructions")
        if sum(split.values()) > whole:
            raise ValueError(
                f"functions: {name}: {sum(split.values()):g} instructions by function "
                f"({', '.join(f'{function} {count:g}' for function, count in split.items())}), it executes {whole:g}"
            )

    def _check_names(
        self, noun: str, table: Mapping[str, BaseModel], needed: Collection[str], optional: Collection[str] = ()
    ) -> None:
        """Raise ValueError for a name that is neither known nor described, and for a needed one that is missing."""
        known = (*needed, *optional)
        for name, entry in table.items():
            described = getattr(entry, "meaning", None) is not None
            if name in known and described:
                raise ValueError(f"{noun} '{name}': has a meaning already; that of a new {noun} needs a new name")
            if name not in known and not described:
                raise ValueError(f"unknown {noun} '{name}'{nearest(name, known)}")
        missing = [name for name in needed if name not in table]
        if missing and (self.device == "vhost_net" or noun == "mitigation"):
            raise ValueError(
                f"no entry for {noun} '{missing[0]}' ({len(missing)} missing); an unknown cost is an error"
            )

    def reach(self, accessor: str) -> Reach:
        """Return what an accessor of the vocabulary, or a new one of this table, reaches."""
        reach = REACHES.get(accessor) or self.accessor(accessor).reach
        assert reach is not None, accessor
        return reach

    @property
    def named_functions(self) -> set[str]:
        """Kernel functions that steps are split into, and routines, whether a scenario executes them or not."""
        return {*self.routines.values(), *(name for split in self.functions.values() for name in split)}

    def step_meaning(self, name: str) -> str:
        """Return how often a step runs and what it does: the vocabulary's words, or the table's own."""
        return STEP_MEANINGS.get(name) or str(self.steps[name].meaning)

    def accessor(self, name: str) -> Accessor:
        """Return what one access executes; ConfigError when this kernel's file does not say."""
        if name not in self.accessors:
            raise ConfigError(f"kernel {self.name}: no entry for accessor '{name}'; an unknown cost is an error")
        return self.accessors[name]

    def step(self, name: str) -> StepCount:
        """Return the count of a step; ConfigError when this kernel's file does not say."""
        if name not in self.steps:
            raise ConfigError(f"kernel {self.name}: no entry for step '{name}'; an unknown cost is an error")
        return self.steps[name]
