"""The words of a report that somebody who knows vhost and not this tool may not know."""

from __future__ import annotations

WORDS = (
    ("worker", "the kernel thread that runs vhost_net's handler (vhost-PID); the driver is the guest's side"),
    ("table entry", "one number of a CPU, kernel or scenario file: value, range, source and grade"),
    ("draw", "one run with every table entry drawn anew from its range; all variants meet the same draws"),
    (
        "fitted",
        "moved by a calibration within its range, so that published rates are met; before: the prior",
    ),
    ("primitive", "the smallest thing that has a price: stac, lfence, a call, a line moved between caches, a load"),
    ("row", "one step of an actor, such as the read of a descriptor: primitives, and instructions around them"),
    ("round", "one run of the handler, until the ring is found empty or 256 packets are sent"),
    (
        "refill, flush, drain",
        "the avail index is read; used elements are handed back; the ring is found empty",
    ),
    ("line_transfer", "waiting for a cache line that the other core has just modified"),
    ("l1_hit and other hits", "waiting for a load behind which a barrier (lfence, stac, clac) lets nothing overlap"),
    ("cpu.overlap", "how much of a load's latency later work hides when no barrier stands between them"),
    ("cpu.payload_exposed", "how much of the latency of a packet's first line its copy waits for"),
    ("kernel.work_scale", "factor on all counted instructions, for another kernel configuration than the one counted"),
    ("ideal", "no checks, fences or SMAP toggles at all, on metadata and on copies: a bound and no patch"),
)
