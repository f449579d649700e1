"""From raw repeats to table entries: the arithmetic of each entry, said in its source (user_access has the rest)."""

from __future__ import annotations

import operator
import statistics

from sim.config.tables.cpu import Cpu
from sim.host.entries import RULES, DerivedEntry, combine, line_fit, middles, per_round, present, primitive
from sim.host.programs import CALLS_IN_KERNEL, HEAD_COPIES, LONG_COPIES, NEXT_LINES, SHORT_COPIES, sizes
from sim.host.recording import Recording
from sim.host.serialisation import serialising

LINE = 64
_TRAVEL_TOLERANCE = 0.1
#: So far a load's or a copy's wait for a line may be from the travel of lines before the CPUs are taken for moved.
_PLACE_TOLERANCE = 0.25
#: Entries whose series older recordings lack, each with a benchmark of its own.
LATER = {
    "serialisation.drain_tail": "work_lfence 14",
    "serialisation.refill": "work_lfence 14",
    "serialisation.lock_hidden": "work_spin_lock 112",
    "next_line_prefetch": "next_line 3",
}
_PROCESS = " (differs from process to process)"
#: (primitive, benchmark, source): an instruction or sequence, repeated.
BACK_TO_BACK = (
    ("mfence", "mfence", "mfence alone, back to back"),
    ("lock_rmw", "lock_add", "lock addl on an owned line, back to back"),
    ("spin_lock", "spin_lock", "lock cmpxchg and a byte store, back to back"),
    ("call", "call", "direct call and return, back to back" + _PROCESS),
    ("indirect_call", "indirect_call", "predicted indirect call and return, back to back" + _PROCESS),
    ("retpoline", "retpoline", "indirect call through a retpoline, back to back" + _PROCESS),
)


def derive(recording: Recording, nearest: Cpu) -> list[DerivedEntry]:
    """Return every entry that needs no system call; `nearest` gives the CPI and reorder buffer of derived ones."""
    copies = _copies(recording)
    return [
        *_clock(recording),
        *_instructions(recording),
        *_caches(recording),
        *_lines(recording, nearest),
        _next_line(recording),
        *_tail(recording, copies),
        *copies,
    ]


def _clock(recording: Recording) -> list[DerivedEntry]:
    source = (
        "dependent additions against the time-stamp counter, beside every benchmark; range: slowest and fastest seen"
    )
    return [DerivedEntry("core_ghz", recording.core_ghz(), source, recording.core_ghz_range())]


def _instructions(recording: Recording) -> list[DerivedEntry]:
    cycles = recording.cycles
    chain, through = cycles("mask_chain 0"), cycles("mask_load 0")
    mask = primitive(
        "mask",
        combine(_mean, chain, through),
        "cmp, sbb, and: middle between throughput before a load and latency of a chain",
        middles(present(chain), present(through)),
    )
    plain = [primitive(name, present(cycles(f"{benchmark} 0")), source) for name, benchmark, source in BACK_TO_BACK]
    return [*serialising(recording), *plain, _safe_ret(recording), mask]


def _safe_ret(recording: Recording) -> DerivedEntry:
    """Return what Safe RET adds to a return: in the kernel where it runs and calls in it can be timed, or alone."""
    cycles = recording.cycles
    alone = combine(operator.sub, cycles("user_access_body_safe_ret 0"), cycles("user_access_body 0"))
    source = "a call of a short function that returns as Safe RET does, less the same with a plain return; back to back"
    within = calls_in_kernel(recording)
    if not within or not recording.machine.safe_ret:
        return primitive("safe_ret", alone, source)
    source = (
        "a call of a BPF function and its return, in an XDP program on a TAP (slope from 0 to 128 of them), less a "
        "plain call and return; range holds the sequence alone, back to back in user space"
    )
    return primitive("safe_ret", within, source, middles(alone))


def calls_in_kernel(recording: Recording) -> list[float]:
    """Return the cycles of a call and return in the kernel, less those of a plain one in user space, round by round."""
    series = [recording.cycles(f"tap_calls {calls}") for calls in CALLS_IN_KERNEL]

    def beyond_plain(values: list[float]) -> float:
        *written, call = values
        return line_fit(list(zip(CALLS_IN_KERNEL, written, strict=True)))[1] - call

    return per_round([*series, recording.cycles("call 0")], beyond_plain)


def _caches(recording: Recording) -> list[DerivedEntry]:
    size = sizes(recording.machine)
    pages = (size.few_pages, size.some_pages, size.many_pages)
    few, some, many = (recording.cycles(f"chase_pages {count}") for count in pages)
    levels = {"l1_hit": size.l1_kib, "l2_hit": size.l2_kib, "l3_hit": size.l3_kib, "memory_local": size.memory_kib}
    entries = []
    for name, kib in levels.items():
        read = recording.cycles if RULES[f"primitives.{name}"].unit == "cycles" else recording.ns
        source = f"chain of dependent loads through shuffled lines of {kib} KiB (huge pages asked for)"
        entries.append(primitive(name, present(read(f"chase_huge {kib}")), source))
    hit = f"one line in each of {size.some_pages} small pages, less the same in {size.few_pages}"
    walks = combine(operator.sub, many, recording.cycles(f"chase_huge {size.l2_kib}"))
    entries.append(primitive("stlb_hit", combine(operator.sub, some, few), hit))
    return [*entries, _page_walk(recording, walks, size.many_pages)]


def _page_walk(recording: Recording, walks: list[float], pages: int) -> DerivedEntry:
    source = f"one line in each of {pages} small pages, less an L2 hit"
    if not recording.machine.virtualised:
        return primitive("page_walk", walks, source)
    source += " (nested walk; range: a factor of two, the hypervisor's tables lie elsewhere in each session)"
    spans = tuple(value * factor for value in middles(walks) for factor in (0.5, 2.0))
    return primitive("page_walk", walks, source, spans)


def _lines(recording: Recording, nearest: Cpu) -> list[DerivedEntry]:
    ns = recording.ns
    there, back = ns("transfer 0"), ns("transfer 1")
    transfer = combine(_mean, there, back)
    streamed = combine(lambda more, less: (more - less) / 56, ns("stream_loads 64"), ns("stream_loads 8"))
    owned = combine(lambda more, less: (more - less) / 56, ns("stream_stores 64"), ns("stream_stores 8"))
    copied, shorter = _copied_lines(recording, 4096, 1500), _copied_lines(recording, 1500, 64)
    lines = lines_of(1500)
    pool = combine(lambda clean, warm: (clean - warm) / lines, ns("copy_pool 1500"), ns("copy_warm_fenced 1500"))
    key = "line_transfer" if _same_package(recording) else "line_transfer_cross_socket"
    virtual = recording.machine.virtualised
    moved = f"; range holds that of table {nearest.name}: a hypervisor may move the CPUs" if virtual else ""
    return [
        primitive(
            key,
            transfer,
            "dependent loads of lines that the other core has just modified, mean of both directions" + moved,
            (*middles(present(there), present(back)), *_elsewhere(recording, nearest, key)),
        ),
        primitive(
            "line_stream",
            streamed,
            "loads of 64 adjacent modified lines less 8, per line; range holds requests for ownership" + moved,
            (*middles(owned), *_streams(recording, nearest, key, streamed, transfer)),
        ),
        primitive(
            "line_stream_copy",
            copied,
            "rep movsb of 4096 bytes that the other core has just modified less 1500, less the same warm, per line; "
            "range holds 1500 less 64 bytes, whose first line travels beside the rest" + moved,
            (*middles(shorter), *_streams(recording, nearest, key, copied, transfer)),
        ),
        primitive(
            "clean_line", pool, "copies of 1500 bytes out of 256 clean buffers in turn, less the same in L1, per line"
        ),
        *_exposure(recording, nearest),
    ]


def _next_line(recording: Recording) -> DerivedEntry:
    """Return how far the second of two adjacent modified lines is a hit in L2, as the first one has brought it.

    Rounds count in which the first one takes about as long as lines between the CPUs do, before and behind, and longer
    than such a hit.
    """
    names = *(f"next_line {which}" for which in NEXT_LINES), "transfer 0", "transfer 1"
    size = sizes(recording.machine)
    series = [recording.ns(name) for name in (*names, *(f"chase_huge {kib}" for kib in (size.l1_kib, size.l2_kib)))]
    saved = [
        fraction((first - second) / (first - held - (l2 - l1)))
        for first, second, held, again, there, back, l1, l2 in per_round(series, list)
        if all(_travels(line - held, there, back) for line in (first, again)) and first - held > 2 * (l2 - l1)
    ]
    source = (
        "single loads of lines that the other core has modified, the second of two adjacent ones behind the first: "
        "what it takes less than that, over what a hit in L2 would take less"
    )
    return DerivedEntry("next_line_prefetch", saved, source)


def lines_of(count: int) -> int:
    """Return the cache lines that so many bytes from the start of a line lie on."""
    return -(-count // LINE)


def _copied_lines(recording: Recording, more: int, less: int) -> list[float]:
    """Return ns for each line by which two copies of modified bytes differ, beyond the same copies warm."""
    lines = lines_of(more) - lines_of(less)
    names = (f"copy_dirty {more}", f"copy_warm_fenced {more}", f"copy_dirty {less}", f"copy_warm_fenced {less}")
    return combine(lambda a, b, c, d: ((a - b) - (c - d)) / lines, *(recording.ns(name) for name in names))


def _elsewhere(recording: Recording, nearest: Cpu, primitive: str) -> tuple[float, ...]:
    """Return the range of the nearest table in a virtual machine, whose CPUs are where the hypervisor puts them."""
    entry = nearest.primitives.get(primitive)
    if entry is None or not recording.machine.virtualised:
        return ()
    return (1 - _TRAVEL_TOLERANCE) * entry.low, (1 + _TRAVEL_TOLERANCE) * entry.high


def _streams(
    recording: Recording, nearest: Cpu, primitive: str, streamed: list[float], transfer: list[float]
) -> tuple[float, ...]:
    """Return the range of streaming in a virtual machine: as a single line's, in proportion."""
    scale, distances = middles(transfer), _elsewhere(recording, nearest, primitive)
    return tuple(value * distance / scale[0] for value in middles(streamed) for distance in distances)


def _exposure(recording: Recording, nearest: Cpu) -> list[DerivedEntry]:
    """Return what a copy pays for its first dirty line: nearly all of it with a fence behind, less without one.

    Everything is divided by the lines' travel time in the same round, since a hypervisor may move the CPUs between.
    """
    ns = recording.ns
    travel = ns("transfer 0"), ns("transfer 1")
    cold, warm = ns("copy_dirty_head 64"), ns("copy_warm_fenced 64")
    fenced = combine(lambda dirty, clean, there, back: exposed(dirty, clean, _mean(there, back)), cold, warm, *travel)
    if not fenced:
        return []
    buffer, cpi = nearest.reorder_buffer.value, nearest.cpi
    full_ns = lookahead_ns(nearest, statistics.median(recording.core_ghz()))
    share = statistics.median(fenced)

    def overlap(dirty: float, warm: float, there: float, back: float) -> float:
        return fraction(hidden_ns(dirty, warm, _mean(there, back), share) / full_ns)

    hidden = combine(overlap, ns("copy_dirty_head_open 64"), ns("copy_warm 64"), *travel)
    cpi_low, cpi_high = (bound / cpi.value for bound in (cpi.low, cpi.high))
    spans = tuple(min(1.0, value / scale) for value in middles(hidden) for scale in (cpi_low, cpi_high))
    limits = "that of the CPI"
    if recording.machine.virtualised:  # from afar, a line takes longer than the reorder buffer lasts
        spans = (*spans, nearest.overlap.low, nearest.overlap.high)
        limits = "that of the table, a hypervisor may move the CPUs"
    of_copy = (
        "copy of 64 bytes from a line modified in the other core, a fence behind it, less the same warm, "
        "over line_transfer (1 at most)"
    )
    overlapping = (
        "the same without fences: hidden part of line_transfer over the time of a full reorder buffer "
        f"({buffer:g} instructions at {cpi.value:g} cycles, both of table {nearest.name}); range: {limits}"
    )
    return [
        DerivedEntry("payload_exposed", fenced, of_copy),
        DerivedEntry("overlap", hidden, overlapping, spans, grade="derived"),
    ]


def _tail(recording: Recording, warm_copies: list[DerivedEntry]) -> list[DerivedEntry]:
    """Return what of a copy runs only behind its first, dirty line, beside what warm ones cost.

    A copy with such a line takes longer than one of that line alone by its tail and by what starting a long copy takes
    longer than a short one; the line's own bytes are part of the tail. Rounds count in which the line takes longer than
    any of the copies warm, and about as long as between them: so only tails are left, and the CPUs were not moved.
    """
    costs = {entry.key.removeprefix("primitives."): middles(entry.repeats) for entry in warm_copies}
    if not all(costs.values()):
        return []
    (started,), (short,), (rate,) = costs["copy_startup"], costs["copy_startup_short"], costs["copy_bytes"]
    cycles, (first, *longer) = recording.cycles, HEAD_COPIES
    names = ("transfer 0", "transfer 1", f"copy_warm_fenced {first}", f"copy_warm_fenced {longer[-1]}")
    series = [cycles(name) for name in (*names, *(f"copy_dirty_head {size}" for size in HEAD_COPIES))]
    tails = [
        [whole - line - (started - short) + first / rate for whole in wholes]
        for there, back, warm, longest, line, *wholes in per_round(series, list)
        if line > longest and _travels(line - warm, there, back)
    ]
    if not tails:
        return []
    source = (
        f"copies of {' and '.join(map(str, longer))} bytes whose first line is modified in the other core, a fence "
        f"behind, less such of {first} and the difference of their start-ups (mean; range holds each), where the line "
        "takes longer than all of them warm"
    )
    means = [statistics.mean(each) for each in tails]
    return [DerivedEntry("copy_tail", means, source, middles(*zip(*tails, strict=True)))]


def _mean(first: float, second: float) -> float:
    return (first + second) / 2


def _travels(waited: float, there: float, back: float) -> bool:
    """Return whether a wait for a line is about as long as lines travel in the same round: the CPUs were not moved."""
    return abs(waited / _mean(there, back) - 1) <= _PLACE_TOLERANCE


def lookahead_ns(cpu: Cpu, core_ghz: float) -> float:
    """Return how long the instructions of a full reorder buffer take at some clock."""
    return cpu.reorder_buffer.value * cpu.cpi.value / core_ghz


def exposed(dirty: float, warm: float, travel: float) -> float:
    """Return the share of a line's travel that a fenced copy out of it takes longer than a warm one."""
    return fraction((dirty - warm) / travel)


def hidden_ns(dirty: float, warm: float, travel: float, share: float) -> float:
    """Return what copies without fences hide of a line's travel, of which fenced ones show `share`."""
    return max(0.0, travel - (dirty - warm) / max(0.01, share))


def fraction(value: float) -> float:
    """Return a share that stays one."""
    return min(1.0, max(0.0, value))


def _same_package(recording: Recording) -> bool:
    packages = {place.cpu: place.package for place in recording.machine.cpus}
    first, other = recording.pair
    return other is None or packages.get(first) == packages.get(other)


def _copies(recording: Recording) -> list[DerivedEntry]:
    cycles = recording.cycles
    long = [cycles(f"copy_warm {n}") for n in LONG_COPIES]
    fits = per_round(long, lambda values: line_fit(list(zip(LONG_COPIES, values, strict=True))))
    rates = [1 / slope for _, slope in fits if slope > 0]
    starts = [intercept for intercept, _ in fits]
    fenced = combine(operator.sub, cycles("copy_warm_fenced 1500"), cycles("copy_warm 1500"))
    rate = statistics.median(rates) if rates else 1.0
    short = [cycles(f"copy_warm {n}") for n in SHORT_COPIES]
    short_starts = per_round(
        short, lambda values: statistics.fmean(v - n / rate for n, v in zip(SHORT_COPIES, values, strict=True))
    )
    short_fenced = [value - 64 / rate for value in present(cycles("copy_warm_fenced 64"))]
    waiting = tuple(a + b for a in middles(starts) for b in middles(fenced))
    text = "rep movsb in L1, {} bytes, back to back; range up to a fence behind each"
    slope = "slope: rep movsb in L1, 256 to 9000 bytes, back to back"
    return [
        primitive("copy_startup", starts, "intercept: " + text.format("256 to 9000"), waiting),
        primitive(
            "copy_startup_short", short_starts, "mean less bytes/rate: " + text.format("8 to 96"), middles(short_fenced)
        ),
        primitive("copy_bytes", rates, slope),
    ]
