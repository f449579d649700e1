"""What was measured besides the entries of a profile: fences beside misses, copies by size, page sizes."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

from sim.host.benchmarks import DIRTY_COPIES, sizes
from sim.host.derive import present
from sim.host.recording import Recording


@dataclass(frozen=True)
class Sight:
    """One reading, in ns per operation, beside another one that it is to be compared with."""

    what: str
    ns: float
    beside: str
    beside_ns: float

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"what": self.what, "ns": self.ns, "beside": self.beside, "beside_ns": self.beside_ns}


def sights(recording: Recording) -> list[Sight]:
    """Return every pair of readings of which both were possible."""
    size = sizes(recording.machine)
    levels = {"L1": size.l1_kib, "L3": size.l3_kib, "memory": size.memory_kib}
    wanted = [
        (f"independent loads from {name}, an lfence behind each", f"independent_loads_fenced {kib}", "no fence",
         f"independent_loads {kib}")
        for name, kib in levels.items()
    ]  # fmt: skip
    wanted += [
        (f"dependent loads of {kib} KiB, small pages", f"chase_small {kib}", "huge pages", f"chase_huge {kib}")
        for kib in (size.l1_kib, size.l2_kib)
    ]
    for name, copy in (("rep movsb", "copy"), ("8-byte loop", "loop")):
        wanted += [
            (f"{name} of {n} bytes, source modified by the other core", f"{copy}_dirty {n}", "warm", f"{copy}_warm {n}")
            for n in DIRTY_COPIES
        ]
    wanted.append(("word handed over, one way", "ping_pong 200", "dependent load", "transfer 0"))
    found = []
    for what, name, beside, other in wanted:
        mine, theirs = present(recording.ns(name)), present(recording.ns(other))
        if mine and theirs:
            found.append(Sight(what, statistics.median(mine), beside, statistics.median(theirs)))
    return found
