"""From raw repeats to table entries: the arithmetic of each entry, said in its source (user_access has the rest)."""

from __future__ import annotations

import operator
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from sim.config.tables.cpu import Cpu
from sim.config.tables.quantity import Grade
from sim.host.programs import LONG_COPIES, SHORT_COPIES, sizes
from sim.host.recording import Recording

_LINE = 64
_TRAVEL_TOLERANCE = 0.1
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
T = TypeVar("T")


class Rule(NamedTuple):
    """Unit of an entry, and the half width that its interval has at least: relative, and in its unit."""

    unit: str
    tolerance: float
    resolution: float = 0.0


_OF_PRIMITIVES = {
    Rule("cycles", 0.03, 0.3): "l1_hit",
    Rule("cycles", 0.05, 0.5): "lfence mfence lock_rmw spin_lock mask l2_hit",
    Rule("cycles", 0.05, 5.0): "syscall",
    Rule("cycles", 0.1, 1.0): "stlb_hit copy_startup_short",
    Rule("cycles", 0.1, 2.0): "copy_startup",
    Rule("cycles", 0.15, 1.5): "stac clac",
    Rule("cycles", 0.2, 0.5): "retpoline safe_ret",
    Rule("cycles", 0.2, 3.0): "page_walk",
    Rule("cycles", 0.3, 0.5): "call indirect_call",
    Rule("ns", 0.1, 1.0): "line_transfer line_transfer_cross_socket",
    Rule("ns", 0.1, 3.0): "eventfd_signal pin_page",
    Rule("ns", 0.15): "l3_hit memory_local",
    Rule("ns", 0.15, 0.1): "line_stream",
    Rule("ns", 0.2, 0.15): "clean_line",
    Rule("us", 0.4): "worker_wakeup",
    Rule("bytes/cycle", 0.05, 0.5): "copy_bytes",
}
RULES = {
    "core_ghz": Rule("GHz", 0.05),
    "payload_exposed": Rule("fraction", 0.1, 0.05),
    "overlap": Rule("fraction", 0.15, 0.05),
    **{f"primitives.{name}": rule for rule, names in _OF_PRIMITIVES.items() for name in names.split()},
}


@dataclass(frozen=True)
class DerivedEntry:
    """A table entry: a value per round. `spans` are further readings that its range must hold, too.

    An `exact` one was not timed, so that its interval is its value.
    """

    key: str
    repeats: list[float]
    source: str
    spans: tuple[float, ...] = ()
    grade: Grade = "measured-here"
    exact: bool = False

    @property
    def rule(self) -> Rule:
        """Unit and least half widths."""
        rule = RULES[self.key]
        return Rule(rule.unit, 0.0) if self.exact else rule


def primitive(name: str, repeats: list[float], source: str, spans: tuple[float, ...] = ()) -> DerivedEntry:
    """Return the entry of a primitive."""
    return DerivedEntry(f"primitives.{name}", repeats, source, spans)


def combine(operation: Callable[..., float], *series: Sequence[float | None]) -> list[float]:
    """Apply an operation round by round, leaving out rounds in which one of its inputs was not possible."""
    rounds = zip(*series, strict=True)
    return [operation(*values) for values in rounds if None not in values]


def present(series: Sequence[float | None]) -> list[float]:
    """Return the rounds in which a benchmark was possible."""
    return [value for value in series if value is not None]


def middles(*series: Sequence[float]) -> tuple[float, ...]:
    """Return the median of each series that is not empty."""
    return tuple(statistics.median(values) for values in series if values)


def line_fit(points: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """Return intercept and slope of the least-squares line through (x, y)."""
    fit = statistics.linear_regression([x for x, _ in points], [y for _, y in points])
    return fit.intercept, fit.slope


def derive(recording: Recording, nearest: Cpu) -> list[DerivedEntry]:
    """Return every entry that needs no system call; `nearest` gives the CPI and reorder buffer of derived ones."""
    return [
        *_clock(recording),
        *_instructions(recording),
        *_caches(recording),
        *_lines(recording, nearest),
        *_copies(recording),
    ]


def _clock(recording: Recording) -> list[DerivedEntry]:
    source = (
        "dependent additions against the time-stamp counter, beside every benchmark; range: slowest and fastest seen"
    )
    return [DerivedEntry("core_ghz", recording.core_ghz(), source, recording.core_ghz_range())]


def _instructions(recording: Recording) -> list[DerivedEntry]:
    cycles = recording.cycles
    load = cycles(f"chase_huge {sizes(recording.machine).l1_kib}")
    alone, loaded = cycles("lfence 0"), cycles("load_lfence 0")
    chain, through = cycles("mask_chain 0"), cycles("mask_load 0")
    lfence = primitive(
        "lfence",
        combine(operator.sub, loaded, load),
        "lfence behind an L1 load, less the load's latency; range from lfence alone to both together",
        middles(present(alone), present(loaded)),
    )
    mask = primitive(
        "mask",
        combine(_mean, chain, through),
        "cmp, sbb, and: middle between throughput before a load and latency of a chain",
        middles(present(chain), present(through)),
    )
    safe_ret = primitive(
        "safe_ret",
        combine(operator.sub, cycles("user_access_body_safe_ret 0"), cycles("user_access_body 0")),
        "a call of a short function that returns as Safe RET does, less the same with a plain return; back to back",
    )
    plain = [primitive(name, present(cycles(f"{benchmark} 0")), source) for name, benchmark, source in BACK_TO_BACK]
    return [lfence, *plain, safe_ret, mask]


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
    lines = (1500 + _LINE - 1) // _LINE
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
            "clean_line", pool, "copies of 1500 bytes out of 256 clean buffers in turn, less the same in L1, per line"
        ),
        *_exposure(recording, nearest),
    ]


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
    scale, ways = middles(transfer), _elsewhere(recording, nearest, primitive)
    return tuple(value * way / scale[0] for value in middles(streamed) for way in ways)


def _exposure(recording: Recording, nearest: Cpu) -> list[DerivedEntry]:
    """Return what a copy pays for its first dirty line: nearly all of it with a fence behind, less without one.

    Everything is divided by the lines' travel time in the same round, since a hypervisor may move the CPUs between.
    """
    ns = recording.ns
    travel = ns("transfer 0"), ns("transfer 1")
    cold, warm = ns("copy_dirty_head 64"), ns("copy_warm_fenced 64")
    fenced = combine(lambda dirty, clean, there, back: (dirty - clean) / _mean(there, back), cold, warm, *travel)
    if not fenced:
        return []
    buffer, cpi = nearest.reorder_buffer.value, nearest.cpi
    lookahead_ns = buffer * cpi.value / statistics.median(recording.core_ghz())
    share = min(1.0, max(0.01, statistics.median(fenced)))

    def overlap(dirty: float, warm: float, there: float, back: float) -> float:
        return _fraction((_mean(there, back) - (dirty - warm) / share) / lookahead_ns)

    hidden = combine(overlap, ns("copy_dirty_head_open 64"), ns("copy_warm 64"), *travel)
    cpi_low, cpi_high = (bound / cpi.value for bound in (cpi.low, cpi.high))
    spans = tuple(min(1.0, value / scale) for value in middles(hidden) for scale in (cpi_low, cpi_high))
    limits = "that of the CPI"
    if recording.machine.virtualised:  # from afar, a line takes longer than the reorder buffer lasts
        spans = (*spans, nearest.overlap.low, nearest.overlap.high)
        limits = "that of the table, a hypervisor may move the CPUs"
    exposed = (
        "copy of 64 bytes from a line modified in the other core, a fence behind it, less the same warm, "
        "over line_transfer (1 at most)"
    )
    overlapping = (
        "the same without fences: hidden part of line_transfer over the time of a full reorder buffer "
        f"({buffer:g} instructions at {cpi.value:g} cycles, both of table {nearest.name}); range: {limits}"
    )
    return [
        DerivedEntry("payload_exposed", [_fraction(value) for value in fenced], exposed),
        DerivedEntry("overlap", hidden, overlapping, spans, grade="derived"),
    ]


def _mean(first: float, second: float) -> float:
    return (first + second) / 2


def _fraction(value: float) -> float:
    return min(1.0, max(0.0, value))


def _same_package(recording: Recording) -> bool:
    packages = {place.cpu: place.package for place in recording.machine.cpus}
    first, other = recording.pair
    return other is None or packages.get(first) == packages.get(other)


def _copies(recording: Recording) -> list[DerivedEntry]:
    cycles = recording.cycles
    long = [cycles(f"copy_warm {n}") for n in LONG_COPIES]
    fits = _per_round(long, lambda values: line_fit(list(zip(LONG_COPIES, values, strict=True))))
    rates = [1 / slope for _, slope in fits if slope > 0]
    starts = [intercept for intercept, _ in fits]
    fenced = combine(operator.sub, cycles("copy_warm_fenced 1500"), cycles("copy_warm 1500"))
    rate = statistics.median(rates) if rates else 1.0
    short = [cycles(f"copy_warm {n}") for n in SHORT_COPIES]
    short_starts = _per_round(
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


def _per_round(series: Sequence[Sequence[float | None]], operation: Callable[[list[float]], T]) -> list[T]:
    """Apply an operation to the values of each round in which all of them were possible."""
    rounds = zip(*series, strict=True)
    return [operation([v for v in values if v is not None]) for values in rounds if None not in values]
