"""The vocabulary of costs: every primitive that an accessor or a step can be made of.

A primitive has a cost in each CPU table (`configs/cpus/`). Here stands only what does not depend on the CPU: what the
name means, the unit its cost is given in, how many instructions it executes (so that instruction counts can be laid
beside `perf stat`), and which colour and group it has in a cycle stack.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Unit = Literal["cycles", "instructions", "ns", "us", "bytes/cycle"]


@dataclass(frozen=True)
class Primitive:
    """One kind of cost: `instructions` are those executed each time (0 for a pure wait)."""

    name: str
    unit: Unit
    instructions: int
    group: str
    meaning: str


_TABLE = (
    # name, unit, instructions, group, meaning
    ("stac", "cycles", 1, "smap", "open a SMAP window (base cost; waiting for loads is counted apart)"),
    ("clac", "cycles", 1, "smap", "close a SMAP window (base cost)"),
    ("lfence", "cycles", 1, "barrier", "speculation barrier barrier_nospec() (base cost)"),
    ("mfence", "cycles", 1, "barrier", "full memory fence instruction"),
    ("lock_rmw", "cycles", 1, "barrier", "locked read-modify-write on an owned line; smp_mb() is one"),
    ("spin_lock", "cycles", 8, "barrier", "uncontended spin_lock() and spin_unlock() together"),
    ("access_ok", "cycles", 4, "check", "range check of a user address"),
    ("mask", "cycles", 3, "check", "cmp/sbb/and (or cmp/cmov) on an address or index"),
    ("object_size_check", "cycles", 90, "check", "HARDENED_USERCOPY check of a heap or page object"),
    ("object_size_check_stack", "cycles", 25, "check", "HARDENED_USERCOPY check that ends at the stack test"),
    ("call", "cycles", 2, "call", "direct call and return"),
    ("indirect_call", "cycles", 2, "call", "indirect call and return, predicted, no retpoline"),
    ("retpoline", "cycles", 5, "call", "indirect call through a retpoline, and return"),
    (
        "load",
        "instructions",
        1,
        "work",
        "one load instruction (its latency depends on the cache line and is counted apart)",
    ),
    ("store", "instructions", 1, "work", "one store instruction (ownership of the line is counted apart)"),
    ("branch", "instructions", 2, "work", "compare with memory and conditional jump (the test of vq->iotlb)"),
    ("test", "instructions", 2, "work", "test of a return code or pointer and conditional jump"),
    ("pointer_load", "instructions", 1, "work", "load of a mapped address from the virtqueue structure (L1)"),
    ("instruction", "instructions", 1, "work", "one instruction of the work between accesses"),
    ("copy_startup", "cycles", 1, "copy", "rep movsb: start, until the first byte moves"),
    ("copy_startup_short", "cycles", 1, "copy", "rep movsb of up to 128 bytes on a CPU with FSRM"),
    ("copy_loop", "instructions", 1, "copy", "one instruction of a copy by 8-byte and 1-byte loops"),
    ("copy_bytes", "bytes/cycle", 0, "copy", "rep movsb: bytes moved, source and destination in L1"),
    ("l1_hit", "cycles", 0, "cache", "load-to-use latency, line in L1"),
    ("l2_hit", "cycles", 0, "cache", "load-to-use latency, line in L2"),
    ("l3_hit", "ns", 0, "cache", "load-to-use latency, line in L3"),
    ("memory_local", "ns", 0, "cache", "load-to-use latency, memory of the same node"),
    ("memory_remote", "ns", 0, "cache", "load-to-use latency, memory of another node"),
    ("line_transfer", "ns", 0, "cache", "line modified in another core of the socket (load or request for ownership)"),
    ("line_transfer_cross_socket", "ns", 0, "cache", "line modified in a core of another socket"),
    ("line_transfer_smt", "ns", 0, "cache", "line modified by the SMT sibling"),
    ("line_stream", "ns", 0, "cache", "each further modified line while one transfer is under way"),
    ("clean_line", "ns", 0, "cache", "each clean payload line of a copy, beyond the time that the bytes take in L1"),
    ("stlb_hit", "cycles", 0, "tlb", "L1 dTLB miss that hits the second-level TLB"),
    ("page_walk", "cycles", 0, "tlb", "page walk with its tables in L1 or L2"),
    ("syscall", "cycles", 0, "notify", "system call entry and exit"),
    ("pti", "cycles", 0, "notify", "added by page-table isolation per system call"),
    ("eventfd_signal", "ns", 0, "notify", "eventfd write inside the kernel, wake-up of the other side excluded"),
    ("worker_wakeup", "us", 0, "notify", "from the kick until the woken vhost worker runs"),
    ("vm_exit_kick", "cycles", 0, "notify", "ioeventfd kick of a virtual machine: exit, bus lookup, eventfd"),
    ("interrupt_inject", "cycles", 0, "notify", "interrupt to a running vCPU"),
    ("context_switch", "us", 0, "notify", "switch to another task on the same CPU"),
    ("idle_exit_c1", "us", 0, "notify", "leaving idle state C1, added to the wake-up of a sleeping worker"),
    ("idle_exit_c1e", "us", 0, "notify", "leaving idle state C1E"),
    ("idle_exit_c6", "us", 0, "notify", "leaving idle state C6"),
    ("pin_page", "ns", 0, "setup", "get_user_pages_fast and put_page, per page, in a batch"),
    ("vmap_fixed", "us", 0, "setup", "one vmap() call without its pages"),
    ("vmap_page", "cycles", 0, "setup", "vmap(), per 4 KiB page"),
    ("tlb_shootdown", "us", 0, "setup", "TLB shootdown on one remote core"),
    ("vunmap", "us", 0, "setup", "vunmap() of one area (the flush is lazy)"),
    ("dirty_page", "cycles", 0, "setup", "set_page_dirty_lock() of one used-ring page"),
    ("notifier_register", "us", 0, "setup", "mmu_notifier_register(): mmap lock for writing, all locks of the mm"),
    ("synchronize_srcu", "us", 0, "setup", "waiting for the readers of a notifier list"),
    ("synchronize_rcu", "us", 0, "setup", "waiting for an RCU grace period"),
)

#: Primitives that no CPU table lists: they cost one instruction each, at the CPU's cycles per instruction.
PRICED_BY_CPI = ("instruction", "copy_loop")

PRIMITIVES: dict[str, Primitive] = {row[0]: Primitive(*row) for row in _TABLE}  # type: ignore[arg-type]
