"""The list of micro-benchmarks: which to run on a machine, with which arguments (sizes follow its caches)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

from sim.host.machine import HostMachine

_KIB = 1024
#: Used where the kernel does not show the caches.
_USUAL = (32 * _KIB, 1024 * _KIB, 32 * _KIB * _KIB)
_MOST_MEMORY_KIB = 512 * _KIB


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


INSTRUCTIONS = _names(
    "add_chain imul_chain lfence load load_lfence mfence store lock_add spin_lock mask_chain mask_load call "
    "indirect_call retpoline user_access_body user_access_body_safe_ret"
)
SYSTEM_CALLS = _names(
    "sys_invalid sys_getuid sys_getresuid sys_getcpu_0 sys_getcpu_1 sys_getcpu_2 sys_time_0 sys_time_1 "
    "sys_gettimeofday_0 sys_gettimeofday_zone sys_settimeofday_bad sys_ioctl_fioclex sys_ioctl_fionbio "
    "sys_utimensat_0 sys_utimensat_2 sys_eventfd_write"
)
SHORT_COPIES = (8, 16, 32, 64, 96)
LONG_COPIES = (256, 512, 1500, 2048, 4096, 9000)
FENCED_COPIES = (64, 256, 512, 1500, 4096)
DIRTY_COPIES = (16, 64, 256, 1500, 4096, 9000)
HEAD_COPIES = (64, 512, 1500)


@dataclass(frozen=True)
class Sizes:
    """Footprints in KiB that lie within each level of a machine's caches, and numbers of pages for its TLBs."""

    l1_kib: int
    l2_kib: int
    l3_kib: int
    memory_kib: int
    few_pages: int
    some_pages: int
    many_pages: int


def sizes(machine: HostMachine) -> Sizes:
    """Return the footprints for a machine: half of L1 and L2, a quarter of L3 (others share it), four times L3."""
    given = (machine.l1_bytes, machine.l2_bytes, machine.l3_bytes)
    l1, l2, l3 = (seen or usual for seen, usual in zip(given, _USUAL, strict=True))
    return Sizes(
        l1_kib=l1 // 2 // _KIB,
        l2_kib=l2 // 2 // _KIB,
        l3_kib=min(l3 // 4 // _KIB, 8 * _KIB),
        memory_kib=min(4 * l3 // _KIB, _MOST_MEMORY_KIB),
        few_pages=32,
        some_pages=256,
        many_pages=min(8192, l2 // 2 // 64),
    )


def benchmarks(machine: HostMachine) -> list[str]:
    """Return every benchmark as `NAME ARGUMENT`, in the order in which a round runs them."""
    size = sizes(machine)
    near, far = (size.l1_kib, size.l2_kib), (size.l3_kib, size.memory_kib)
    independent = ("independent_loads", "independent_loads_fenced")
    return [
        *_named(INSTRUCTIONS, (0,)),
        *_named(("chase_huge",), (*near, *far)),
        *_named(("chase_small",), near),
        *_named(("chase_pages",), (size.few_pages, size.some_pages, size.many_pages)),
        *_named(("chase_fenced",), (size.l2_kib, size.l3_kib)),
        *(f"{name} {kib}" for kib in (size.l1_kib, *far) for name in independent),
        *_named(("transfer",), (0, 1)),
        *(f"{name} {lines}" for lines in (1, 8, 32, 64) for name in ("stream_loads", "stream_stores")),
        "ping_pong 200",
        *_named(("copy_warm",), (*SHORT_COPIES, 128, 192, *LONG_COPIES)),
        *_named(("copy_warm_fenced",), FENCED_COPIES),
        *_named(("loop_warm", "copy_dirty", "loop_dirty"), DIRTY_COPIES),
        *_named(("copy_dirty_head", "copy_dirty_head_open", "copy_pool"), HEAD_COPIES),
        *_named(SYSTEM_CALLS, (0,)),
        *_named(("sys_pread", "sys_pwrite"), (8, 64, 1024, 4096)),
        *_named(("pin_pages",), (1, 16)),
        *_named(("two_fields",), range(4)),
        "wake_up 100",
    ]


def _named(names: Iterable[str], arguments: Iterable[int]) -> list[str]:
    return [f"{name} {argument}" for name, argument in product(names, arguments)]
