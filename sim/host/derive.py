"""From raw repeats to table entries: the arithmetic of each entry, said in its source. User accesses: access.py."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from sim.config.tables.cpu import Cpu
from sim.config.tables.quantity import Grade
from sim.host.benchmarks import LONG_COPIES, SHORT_COPIES, sizes
from sim.host.recording import Recording

_LINE = 64
_TRAVEL_TOLERANCE = 0.1
_PROCESS = " (differs from process to process)"
T = TypeVar("T")


@dataclass(frozen=True)
class Entry:
    """One derived entry: a value per round. `spans` are further readings of it that its range must hold, too."""

    key: str
    unit: str
    repeats: list[float]
    source: str
    tolerance: float
    resolution: float = 0.0
    grade: Grade = "measured-here"
    spans: tuple[float, ...] = field(default=())


def combine(operation: Callable[..., float], *series: Sequence[float | None]) -> list[float]:
    """Apply an operation round by round, leaving out rounds in which one of its inputs was not possible."""
    rounds = zip(*series, strict=True)
    return [operation(*values) for values in rounds if None not in values]


def present(series: Sequence[float | None]) -> list[float]:
    """Return the rounds in which a benchmark was possible."""
    return [value for value in series if value is not None]


def middles(*series: Sequence[float]) -> tuple[float, ...]:
    """Return the median of each series that is not empty."""
    return tuple(statistics.median(one) for one in series if one)


def line_fit(points: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """Return intercept and slope of the least-squares line through (x, y)."""
    fit = statistics.linear_regression([x for x, _ in points], [y for _, y in points])
    return fit.intercept, fit.slope


def derive(recording: Recording, nearest: Cpu) -> list[Entry]:
    """Return every entry that needs no system call; `nearest` gives the CPI and reorder buffer of derived ones."""
    return [
        *_clock(recording),
        *_instructions(recording),
        *_caches(recording),
        *_lines(recording, nearest),
        *_copies(recording),
    ]


def _clock(recording: Recording) -> list[Entry]:
    low, high = recording.core_ghz_range()
    source = (
        "dependent additions against the time-stamp counter, beside every benchmark; range: slowest and fastest seen"
    )
    return [Entry("core_ghz", "GHz", recording.core_ghz(), source, 0.05, spans=(low, high))]


def _instructions(recording: Recording) -> list[Entry]:
    cycles = recording.cycles
    first = f"chase_huge {sizes(recording.machine).l1_kib}"
    alone, loaded = cycles("lfence 0"), cycles("load_lfence 0")
    chain, through = cycles("mask_chain 0"), cycles("mask_load 0")

    def plain(name: str, what: str, tolerance: float = 0.05) -> Entry:
        return Entry(f"primitives.{name}", "cycles", present(cycles(f"{_BENCHMARK[name]} 0")), what, tolerance, 0.5)

    return [
        Entry(
            "primitives.lfence", "cycles", combine(lambda both, load: both - load, loaded, cycles(first)),
            "lfence behind an L1 load, less the load's latency; range from lfence alone to both together", 0.05, 0.5,
            spans=middles(present(alone), present(loaded)),
        ),
        plain("mfence", "mfence alone, back to back"),
        plain("lock_rmw", "lock addl on an owned line, back to back"),
        plain("spin_lock", "lock cmpxchg and a byte store, back to back"),
        plain("call", "direct call and return, back to back" + _PROCESS, 0.3),
        plain("indirect_call", "predicted indirect call and return, back to back" + _PROCESS, 0.3),
        plain("retpoline", "indirect call through a retpoline, back to back" + _PROCESS, 0.2),
        Entry(
            "primitives.mask", "cycles", combine(lambda a, b: (a + b) / 2, chain, through),
            "cmp, sbb, and: middle between throughput before a load and latency of a chain", 0.05, 0.5,
            spans=middles(present(chain), present(through)),
        ),
    ]  # fmt: skip


_BENCHMARK = {
    "mfence": "mfence", "lock_rmw": "lock_add", "spin_lock": "spin_lock", "call": "call",
    "indirect_call": "indirect_call", "retpoline": "retpoline",
}  # fmt: skip


def _caches(recording: Recording) -> list[Entry]:
    size = sizes(recording.machine)
    cycles, ns = recording.cycles, recording.ns
    first, second = cycles(f"chase_huge {size.l1_kib}"), cycles(f"chase_huge {size.l2_kib}")
    few, some, many = (cycles(f"chase_pages {pages}") for pages in (size.few_pages, size.some_pages, size.many_pages))
    text = "chain of dependent loads through shuffled lines of {} KiB (huge pages asked for)"
    return [
        Entry("primitives.l1_hit", "cycles", present(first), text.format(size.l1_kib), 0.03, 0.3),
        Entry("primitives.l2_hit", "cycles", present(second), text.format(size.l2_kib), 0.05, 0.5),
        Entry("primitives.l3_hit", "ns", present(ns(f"chase_huge {size.l3_kib}")), text.format(size.l3_kib), 0.15),
        Entry(
            "primitives.memory_local", "ns", present(ns(f"chase_huge {size.memory_kib}")),
            text.format(size.memory_kib), 0.15,
        ),
        Entry(
            "primitives.stlb_hit", "cycles", combine(lambda more, less: more - less, some, few),
            f"one line in each of {size.some_pages} small pages, less the same in {size.few_pages}", 0.1, 1.0,
        ),
        _page_walk(recording, combine(lambda walk, hit: walk - hit, many, second), size.many_pages),
    ]  # fmt: skip


def _page_walk(recording: Recording, walks: list[float], pages: int) -> Entry:
    source = f"one line in each of {pages} small pages, less an L2 hit"
    if not recording.machine.virtualised:
        return Entry("primitives.page_walk", "cycles", walks, source, 0.2, 3.0)
    source += " (nested walk; range: a factor of two, the hypervisor's tables lie elsewhere in each session)"
    spans = tuple(value * factor for value in middles(walks) for factor in (0.5, 2.0))
    return Entry("primitives.page_walk", "cycles", walks, source, 0.2, 3.0, spans=spans)


def _lines(recording: Recording, nearest: Cpu) -> list[Entry]:
    ns = recording.ns
    there, back = ns("transfer 0"), ns("transfer 1")
    transfer = combine(lambda a, b: (a + b) / 2, there, back)
    streamed = combine(lambda more, less: (more - less) / 56, ns("stream_loads 64"), ns("stream_loads 8"))
    owned = combine(lambda more, less: (more - less) / 56, ns("stream_stores 64"), ns("stream_stores 8"))
    pool = combine(
        lambda clean, warm: (clean - warm) / ((1500 + _LINE - 1) // _LINE), ns("copy_pool 1500"),
        ns("copy_warm_fenced 1500"),
    )  # fmt: skip
    key = "line_transfer" if _same_package(recording) else "line_transfer_cross_socket"
    virtual = recording.machine.virtualised
    moved = f"; range holds that of table {nearest.name}: a hypervisor may move the CPUs" if virtual else ""
    return [
        Entry(
            f"primitives.{key}", "ns", transfer,
            "dependent loads of lines that the other core has just modified, mean of both directions" + moved, 0.1, 1.0,
            spans=(*middles(present(there), present(back)), *_elsewhere(recording, nearest, key)),
        ),
        Entry(
            "primitives.line_stream", "ns", streamed,
            "loads of 64 adjacent modified lines less 8, per line; range holds requests for ownership" + moved, 0.15,
            0.1, spans=(*middles(owned), *_streams(recording, nearest, key, streamed, transfer)),
        ),
        Entry(
            "primitives.clean_line", "ns", pool,
            "copies of 1500 bytes out of 256 clean buffers in turn, less the same in L1, per line", 0.2, 0.15,
        ),
        *_exposure(recording, nearest),
    ]  # fmt: skip


def _elsewhere(recording: Recording, nearest: Cpu, primitive: str) -> tuple[float, ...]:
    """Range of the nearest table in a virtual machine, whose CPUs are where the hypervisor puts them."""
    entry = nearest.primitives.get(primitive)
    if entry is None or not recording.machine.virtualised:
        return ()
    return (1 - _TRAVEL_TOLERANCE) * entry.low, (1 + _TRAVEL_TOLERANCE) * entry.high


def _streams(
    recording: Recording, nearest: Cpu, primitive: str, streamed: list[float], transfer: list[float]
) -> tuple[float, ...]:
    """Range of streaming in a virtual machine: as a single line's, in proportion."""
    scale = middles(transfer)
    return tuple(
        value * way / scale[0] for value in middles(streamed) for way in _elsewhere(recording, nearest, primitive)
    )


def _exposure(recording: Recording, nearest: Cpu) -> list[Entry]:
    """What a copy pays for its first dirty line: nearly all of it with a fence behind, less without one.

    Everything is divided by the lines' travel time in the same round, since a hypervisor may move the CPUs between.
    """
    ns = recording.ns
    there, back = ns("transfer 0"), ns("transfer 1")
    fenced = combine(
        lambda dirty, warm, a, b: (dirty - warm) / ((a + b) / 2), ns("copy_dirty_head 64"), ns("copy_warm_fenced 64"),
        there, back,
    )  # fmt: skip
    if not fenced:
        return []
    window_ns = nearest.reorder_buffer.value * nearest.cpi.value / statistics.median(recording.core_ghz())
    share = min(1.0, max(0.01, statistics.median(fenced)))
    hidden = combine(
        lambda dirty, warm, a, b: min(1.0, max(0.0, ((a + b) / 2 - (dirty - warm) / share) / window_ns)),
        ns("copy_dirty_head_open 64"), ns("copy_warm 64"), there, back,
    )  # fmt: skip
    cpi_low, cpi_high = (bound / nearest.cpi.value for bound in (nearest.cpi.low, nearest.cpi.high))
    spans = tuple(min(1.0, value / scale) for value in middles(hidden) for scale in (cpi_low, cpi_high))
    if recording.machine.virtualised:  # from afar, a line takes longer than the reorder buffer lasts
        spans = (*spans, nearest.overlap.low, nearest.overlap.high)
    limits = "that of the table, a hypervisor may move the CPUs" if recording.machine.virtualised else "that of the CPI"
    return [
        Entry(
            "payload_exposed", "fraction", [min(1.0, max(0.0, value)) for value in fenced],
            "copy of 64 bytes from a line modified in the other core, a fence behind it, less the same warm, "
            "over line_transfer (1 at most)", 0.1, 0.05,
        ),
        Entry(
            "overlap", "fraction", hidden,
            "the same without fences: hidden part of line_transfer over the time of a full reorder buffer "
            f"({nearest.reorder_buffer.value:g} instructions at {nearest.cpi.value:g} cycles, both of table "
            f"{nearest.name}); range: {limits}", 0.15, 0.05, "derived", spans,
        ),
    ]  # fmt: skip


def _same_package(recording: Recording) -> bool:
    packages = {one.cpu: one.package for one in recording.machine.cpus}
    first, other = recording.pair
    return other is None or packages.get(first) == packages.get(other)


def _copies(recording: Recording) -> list[Entry]:
    cycles = recording.cycles
    long = [cycles(f"copy_warm {n}") for n in LONG_COPIES]
    fits = _per_round(long, lambda values: line_fit(list(zip(LONG_COPIES, values, strict=True))))
    rates = [1 / slope for _, slope in fits if slope > 0]
    starts = [intercept for intercept, _ in fits]
    fenced = combine(lambda warm, copy: warm - copy, cycles("copy_warm_fenced 1500"), cycles("copy_warm 1500"))
    rate = statistics.median(rates) if rates else 1.0
    short = [cycles(f"copy_warm {n}") for n in SHORT_COPIES]
    short_starts = _per_round(
        short, lambda values: statistics.fmean(v - n / rate for n, v in zip(SHORT_COPIES, values, strict=True))
    )
    short_fenced = [value - 64 / rate for value in present(cycles("copy_warm_fenced 64"))]
    waiting = tuple(a + b for a in middles(starts) for b in middles(fenced))
    text = "rep movsb in L1, {} bytes, back to back; range up to a fence behind each"
    return [
        Entry(
            "primitives.copy_startup", "cycles", starts, "intercept: " + text.format("256 to 9000"), 0.1, 2.0,
            spans=waiting,
        ),
        Entry(
            "primitives.copy_startup_short", "cycles", short_starts, "mean less bytes/rate: " + text.format("8 to 96"),
            0.1, 1.0, spans=middles(short_fenced),
        ),
        Entry(
            "primitives.copy_bytes", "bytes/cycle", rates, "slope: rep movsb in L1, 256 to 9000 bytes, back to back",
            0.05, 0.5,
        ),
    ]  # fmt: skip


def _per_round(series: Sequence[Sequence[float | None]], operation: Callable[[list[float]], T]) -> list[T]:
    """Apply an operation to the values of each round in which all of them were possible."""
    rounds = zip(*series, strict=True)
    return [operation([v for v in values if v is not None]) for values in rounds if None not in values]
