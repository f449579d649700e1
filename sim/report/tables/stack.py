"""The taxonomy of the cycle stack: which primitives make one layer, and how the layer is called, grouped and drawn.

It is a literal list, so that a reader can see at once where a primitive went; its order is the order of the stack.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: Colours of plots and charts, in the order in which they are taken.
COLOURS = ("#6c7a89", "#d1495b", "#3d7ea6", "#4c9f70", "#e58f39", "#8f6bb3", "#b8a13a", "#7d5a50")


@dataclass(frozen=True)
class Layer:
    """One layer of the stack.

    A drawing shows it by itself when it is at least the share `threshold` of some stack that is drawn; layers that stay
    below are drawn together, as `REST`. Tables show every layer.
    """

    key: str
    letter: str
    title: str
    group: str
    colour: str
    threshold: float

    @property
    def primitives(self) -> tuple[str, ...]:
        """What the layer is made of."""
        return tuple(_PRIMITIVES.get(self.key, "").split())


LAYERS = (
    Layer("work", "w", "instructions between accesses", "instructions", "#9aa5b1", 0.0),
    Layer("call", "c", "calls and retpolines", "instructions", "#6c7a89", 0.01),
    Layer("return", "R", "mitigated returns (Safe RET, thunks)", "instructions", "#b56576", 0.0),
    Layer("copy", "b", "copying bytes", "copies", "#3d7ea6", 0.0),
    Layer("line", "l", "cache lines (transfers, hits, memory)", "memory", "#5fa8d3", 0.0),
    Layer("check", "k", "address and size checks", "user access", "#b8a13a", 0.005),
    Layer("smap", "S", "SMAP toggles (stac, clac)", "user access", "#d1495b", 0.0),
    Layer("speculation", "F", "speculation barrier (lfence)", "user access", "#e58f39", 0.0),
    Layer("barrier", "B", "full barriers, store drain", "ordering", "#8f6bb3", 0.01),
    Layer("notify", "n", "kicks, calls, wake-ups", "notifications", "#4c9f70", 0.01),
    Layer("setup", "m", "mapping: set-up, invalidations", "mapping", "#7d5a50", 0.005),
    Layer("given", "h", "time given whole (host's stack, pauses)", "other actors", "#a3b18a", 0.01),
    Layer("driver", "d", "driver's own work", "other actors", "#c9b79c", 0.01),
    Layer("idle", ".", "waiting: nothing to do, or the core taken away", "waiting", "#e3e6ea", 0.01),
)
#: What is drawn of layers that are too small to be seen.
REST = Layer("rest", "r", "small layers together", "other", "#c4cbd3", 0.0)
#: The primitives of each layer.
_PRIMITIVES = {
    "work": "instruction user_instruction load store branch test pointer_load",
    "call": "call indirect_call retpoline",
    "return": "safe_ret return_thunk",
    "copy": "copy_startup copy_startup_short copy_loop copy_bytes",
    "line": (
        "line_transfer line_transfer_cross_socket line_transfer_smt line_stream line_stream_copy clean_line "
        "l1_hit l2_hit l3_hit memory_local memory_remote stlb_hit page_walk uncore"
    ),
    "check": "access_ok mask object_size_check object_size_check_stack",
    "smap": "stac clac",
    "speculation": "lfence",
    "barrier": "lock_rmw mfence spin_lock store_drain",
    "notify": (
        "syscall pti ibrs_entry clear_bhb verw eventfd_signal worker_wakeup vm_exit_kick interrupt_inject "
        "context_switch idle_exit_c1 idle_exit_c1e idle_exit_c6"
    ),
    "setup": (
        "pin_page vmap_fixed vmap_page tlb_shootdown vunmap dirty_page notifier_register synchronize_srcu "
        "synchronize_rcu invalidation"
    ),
    "given": "given_time",
    "driver": "driver_work",
    "idle": "idle preempted",
}
LAYER_OF = {name: layer for layer in LAYERS for name in layer.primitives}


def stack(breakdown: Mapping[str, float]) -> list[tuple[Layer, float]]:
    """Add up a breakdown by layer, bottom first; the layers' sum is the breakdown's. KeyError for an unknown name."""
    totals: dict[str, float] = {}
    for name, value in breakdown.items():
        layer = LAYER_OF[name]
        totals[layer.key] = totals.get(layer.key, 0.0) + value
    return [(layer, totals[layer.key]) for layer in LAYERS if layer.key in totals]


def drawn(stacks: Sequence[Sequence[tuple[Layer, float]]]) -> list[tuple[Layer, list[float]]]:
    """Return the layers that a drawing of some stacks shows, each with its value in every stack; the sums stay.

    Two layers or more that are below their threshold in all of them are the last one, `REST`.
    """
    values = [{layer.key: value for layer, value in layers} for layers in stacks]
    totals = [sum(mapping.values()) or 1.0 for mapping in values]
    heights = {layer: [mapping.get(layer.key, 0.0) for mapping in values] for layer in LAYERS}
    met = {layer: mine for layer, mine in heights.items() if any(mine)}
    small = [layer for layer, mine in met.items() if _share(mine, totals) < layer.threshold]
    if len(small) < 2:
        return list(met.items())
    rest = [sum(column) for column in zip(*(met.pop(layer) for layer in small), strict=True)]
    return [*met.items(), (REST, rest)]


def _share(heights: Sequence[float], totals: Sequence[float]) -> float:
    return max(height / total for height, total in zip(heights, totals, strict=True))
