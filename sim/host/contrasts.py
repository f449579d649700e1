"""Readings that make no entry of a profile, each beside another one: fences, copies by size, user accesses."""

from __future__ import annotations

import operator
import statistics
from dataclasses import dataclass
from typing import Any

from sim.host.entries import combine, present
from sim.host.programs import DIRTY_COPIES, HEAD_COPIES, sizes
from sim.host.recording import Recording
from sim.host.user_access import PAIRS, body_of, intercepted, pair_differences

#: As the pairs that stac and clac are derived from; the weak ones run other code besides.
ACCESSES = (
    *PAIRS[:3],
    ("put_user: getresuid less getuid, a third (weak)", "sys_getresuid 0", "sys_getuid 0", 3),
    *PAIRS[3:],
    ("get_user: ioctl(FIONBIO) less FIOCLEX (weak)", "sys_ioctl_fionbio 0", "sys_ioctl_fioclex 0", 1),
    ("copy_from_user of 16 bytes: utimensat, half", "sys_utimensat_2 0", "sys_utimensat_0 0", 2),
    ("copy_to_user of 8 bytes: gettimeofday(0, &zone)", "sys_gettimeofday_zone 0", "sys_gettimeofday_0 0", 1),
)


@dataclass(frozen=True)
class Contrast:
    """One reading, in ns per operation, beside another one that it is to be compared with."""

    title: str
    ns: float
    beside: str
    beside_ns: float

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"what": self.title, "ns": self.ns, "beside": self.beside, "beside_ns": self.beside_ns}


def contrasts(recording: Recording) -> list[Contrast]:
    """Return every pair of readings of which both were possible."""
    size = sizes(recording.machine)
    levels = {"L1": size.l1_kib, "L3": size.l3_kib, "memory": size.memory_kib}
    loads = "independent_loads"
    wanted = [
        (f"independent loads from {name}, an lfence behind each", f"{loads}_fenced {kib}", "no fence", f"{loads} {kib}")
        for name, kib in levels.items()
    ]
    wanted += [
        (f"dependent loads of {kib} KiB, small pages", f"chase_small {kib}", "huge pages", f"chase_huge {kib}")
        for kib in (size.l1_kib, size.l2_kib)
    ]
    for name, copy in (("rep movsb", "copy"), ("8-byte loop", "loop")):
        wanted += [
            (f"{name} of {n} bytes, source modified by the other core", f"{copy}_dirty {n}", "warm", f"{copy}_warm {n}")
            for n in DIRTY_COPIES
        ]
    for n in HEAD_COPIES:
        title = f"rep movsb of {n} bytes"
        wanted += [
            (
                f"{title}, first line modified by the other core",
                f"copy_dirty_head {n}",
                "warm",
                f"copy_warm_fenced {n}",
            ),
            (f"{title} out of 256 clean buffers in turn", f"copy_pool {n}", "warm", f"copy_warm_fenced {n}"),
        ]
    wanted.append(("write of 64 bytes to a TAP, XDP_DROP", "tap_calls 0", "to /dev/null", "sys_write_null 0"))
    wanted += [
        ("the same with 128 calls in the program", "tap_calls 128", "none", "tap_calls 0"),
        ("the same with 400 dependent additions", "tap_additions 400", "none", "tap_calls 0"),
    ]
    wanted.append(("word handed over, one way", "ping_pong 200", "dependent load", "transfer 0"))
    shown = []
    for title, name, beside, other in wanted:
        mine, theirs = present(recording.ns(name)), present(recording.ns(other))
        if mine and theirs:
            shown.append(Contrast(title, statistics.median(mine), beside, statistics.median(theirs)))
    return shown + _user_accesses(recording)


def _user_accesses(recording: Recording) -> list[Contrast]:
    """Return what each pair of system calls says about one user access, beside its body in user space."""
    body = present(recording.ns(body_of(recording)))
    if intercepted(recording) or not body:
        return []
    shown = [
        Contrast(title, statistics.median(repeats), "without stac and clac", statistics.median(body))
        for title, repeats in pair_differences(recording.ns, ACCESSES).items()
    ]
    warm = combine(operator.sub, recording.ns("copy_warm 4096"), recording.ns("copy_warm 64"))
    for title, call in (("copy_to_user: pread", "sys_pread"), ("copy_from_user: pwrite", "sys_pwrite")):
        slope = combine(operator.sub, recording.ns(f"{call} 4096"), recording.ns(f"{call} 64"))
        if slope and warm:
            title += " of 4096 bytes less 64"
            shown.append(Contrast(title, statistics.median(slope), "the same in user space", statistics.median(warm)))
    return shown
