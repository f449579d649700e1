"""The taxonomy of the cycle stack: which primitives make one layer, and how the layer is called and coloured.

It is a literal list, so that a reader can see at once where a primitive went; its order is the order of the stack.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Layer:
    """One layer of the stack."""

    key: str
    letter: str
    title: str
    colour: str
    primitives: tuple[str, ...]


LAYERS = (
    Layer(
        "work", "w", "instructions between accesses", "#9aa5b1",
        ("instruction", "load", "store", "branch", "test", "pointer_load"),
    ),
    Layer("call", "c", "calls and retpolines", "#6c7a89", ("call", "indirect_call", "retpoline")),
    Layer("copy", "b", "copying bytes", "#3d7ea6", ("copy_startup", "copy_startup_short", "copy_loop", "copy_bytes")),
    Layer(
        "line", "l", "cache lines (transfers, hits, memory)", "#5fa8d3",
        (
            "line_transfer", "line_transfer_cross_socket", "line_transfer_smt", "line_stream", "clean_line",
            "l1_hit", "l2_hit", "l3_hit", "memory_local", "memory_remote", "stlb_hit", "page_walk", "uncore",
        ),
    ),
    Layer(
        "check", "k", "address and size checks", "#b8a13a",
        ("access_ok", "mask", "object_size_check", "object_size_check_stack"),
    ),
    Layer("smap", "S", "SMAP toggles (stac, clac)", "#d1495b", ("stac", "clac")),
    Layer("speculation", "F", "speculation barrier (lfence)", "#e58f39", ("lfence",)),
    Layer("barrier", "B", "full barriers, store drain", "#8f6bb3", ("lock_rmw", "mfence", "spin_lock", "store_drain")),
    Layer(
        "notify", "n", "kicks, calls, wake-ups", "#4c9f70",
        (
            "syscall", "pti", "eventfd_signal", "worker_wakeup", "vm_exit_kick", "interrupt_inject", "context_switch",
            "idle_exit_c1", "idle_exit_c1e", "idle_exit_c6",
        ),
    ),
    Layer("setup", "m", "mapping: set-up, invalidations", "#7d5a50", (
            "pin_page", "vmap_fixed", "vmap_page", "tlb_shootdown", "vunmap", "dirty_page", "notifier_register",
            "synchronize_srcu", "synchronize_rcu", "invalidation",
        )),
    Layer("given", "h", "time given whole (host's stack, pauses)", "#a3b18a", ("given_time",)),
    Layer("driver", "d", "driver's own work", "#c9b79c", ("driver_work",)),
    Layer("idle", ".", "waiting: nothing to do, or the core taken away", "#e3e6ea", ("idle", "preempted")),
)  # fmt: skip

LAYER_OF = {name: layer for layer in LAYERS for name in layer.primitives}


def stack(breakdown: Mapping[str, float]) -> list[tuple[Layer, float]]:
    """Add up a breakdown by layer, bottom first; the layers' sum is the breakdown's. KeyError for an unknown name."""
    totals: dict[str, float] = {}
    for name, value in breakdown.items():
        layer = LAYER_OF[name]
        totals[layer.key] = totals.get(layer.key, 0.0) + value
    return [(layer, totals[layer.key]) for layer in LAYERS if layer.key in totals]
