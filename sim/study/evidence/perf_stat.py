"""Counts of `perf stat`: its table, intervals (-I), fields (-x) and JSON (-j), of the worker's thread alone."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from sim.config.errors import ConfigError
from sim.study.evidence.perf_text import STAT_COMMAND, PerfEvent, decimal_mark, read_count

_HEADER = re.compile(r"^\s*Performance counter stats for (.+?)(?: \((\d+) runs\))?:\s*$")
#: Thousands are separated by the locale: comma, point, apostrophe, (narrow) no-break space, or a space out of a copy.
_COUNT = r"(?:\d{1,3}(?:[.,'\u2019\u00a0\u202f ]\d{3})+|\d+)(?:[.,]\d+)?"
_NONE = r"<not (?:counted|supported)>"
_LINE = re.compile(
    rf"^(?P<scope>.*?)(?:^|\s)\s*(?P<count>{_COUNT}|{_NONE})\s+(?:[A-Za-z]+\s+)?(?P<event>[A-Za-z]\S*)\s*(?:[#(].*)?$"
)
_FIELD = re.compile(rf"\d+(?:[.,]\d+)?|{_NONE}")
_SEPARATORS = ",;|\t:"
_TIME = re.compile(r"\d+[.,]\d{6,9}")
#: In front of a line of -I, with a point whatever the locale.
_INTERVAL = re.compile(r"^\s*\d+\.\d{6,9}\s+(?!seconds)")
#: A key of -j: under a locale with a decimal comma the line is no valid JSON.
_KEY = re.compile(r'"([\w-]+)" : (?:"([^"]*)"|([\d.,]*\d))')
#: `COMM-TID`, and not S0-D0-C1 (of --per-core).
_THREAD = re.compile(r"(?!S\d+-D\d)(?P<comm>.+)-\d+")
_SAME = 0.02
_MOST_NAMED = 5


@dataclass(frozen=True)
class _Line:
    """One count: of which table, when (-I), of whom (a thread, a CPU, or nothing), None where perf has none."""

    table: int
    time: str
    scope: str
    event: PerfEvent
    count: float | None


@dataclass
class PerfCounts:
    """Counts of a whole run by event, and what the text leaves open, assumes and leaves out."""

    totals: dict[str, float]
    not_stated: list[str] = field(default_factory=list)
    assumed: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def read_stat(lines: Sequence[str], thread: str) -> PerfCounts | None:
    """Add up the counts of the threads whose name fits `thread`; None when the text is no `perf stat`.

    Counts that a mode restricts (`:u`, `:k`) are added, as are intervals, kinds of cores, threads and whole tables.
    Raises ConfigError for counts that are not the worker's, or that contradict each other.
    """
    headers = [match for line in lines if (match := _HEADER.match(line))]
    counted = [line for line in _counts(lines) if not line.event.of_guest]
    instructions = [line for line in counted if line.event.name == "instructions"]
    if not instructions:
        if headers or any(line.count is None for line in counted):
            raise ConfigError(f"perf stat without instructions; {STAT_COMMAND} counts them")
        return None
    counts = PerfCounts({})
    for header in headers:
        _check_target(header[1], counts)
        if header[2]:
            counts.assumed.append(f"counts are the mean of {header[2]} runs: packets are those of one run")
    if len(headers) > 1:
        counts.assumed.append(f"{len(headers)} tables are added: packets are those of all of them")
    mine = _of_threads(instructions, thread, counts)
    if all(line.count is None for line in mine):
        raise ConfigError("instructions were not counted: perf has no counter for them here")
    if times := {line.time for line in mine if line.time}:
        counts.assumed.append(f"{len(times)} intervals are added: packets are those of all of them")
    _say_uncounted(mine, counts)
    counts.totals["instructions"] = _total(mine)
    return counts


def _counts(lines: Sequence[str]) -> Iterator[_Line]:
    """Read every count of a text in whichever form it is."""
    decimal = decimal_mark(_INTERVAL.sub("", line) for line in lines if not _HEADER.match(line))
    table = 0
    for line in lines:
        if _HEADER.match(line):
            table += 1
        elif line.startswith("{"):
            yield from _json_line(line, table)
        elif line.strip() and not line.startswith("#"):
            yield from _separated(line, table) or _aligned(line, table, decimal)


def _json_line(line: str, table: int) -> Iterator[_Line]:
    row = {key: text or number for key, text, number in _KEY.findall(line)}
    count, event = row.get("counter-value", ""), row.get("event", "")
    if event and _FIELD.fullmatch(count):
        scope = " ".join(row[key] for key in ("thread", "cpu", "core", "die", "socket", "node") if key in row)
        yield _Line(table, row.get("interval", ""), scope, PerfEvent.parse(event), _plain(count))


def _plain(count: str) -> float | None:
    return None if count.startswith("<") else float(count.replace(",", "."))


def _separated(line: str, table: int) -> list[_Line]:
    """Read `[TIME,][SCOPE,]COUNT,UNIT,EVENT,...` with any of the usual separators; nothing when it is not that."""
    for separator in _SEPARATORS:
        fields = [text.strip() for text in line.split(separator)]
        for place, (count, unit, event) in enumerate(zip(fields, fields[1:], fields[2:], strict=False)):
            if len(fields) > place + 4 and _FIELD.fullmatch(count) and re.fullmatch("[A-Za-z]*", unit):
                if not re.match("[A-Za-z]", event):
                    continue
                before = fields[:place]
                time = before.pop(0) if before and _TIME.fullmatch(before[0]) else ""
                return [_Line(table, time, " ".join(before[:1]), PerfEvent.parse(event), _plain(count))]
    return []


def _aligned(line: str, table: int, decimal: str | None) -> list[_Line]:
    """Read `[TIME] [SCOPE] COUNT [UNIT] EVENT # ...`."""
    match = _LINE.match(line)
    if match is None:
        return []
    event = PerfEvent.parse(match["event"])
    known = event.name == "instructions" and not match["count"].startswith("<")
    time, _, rest = match["scope"].strip().partition(" ")
    if not _TIME.fullmatch(time):
        time, rest = "", match["scope"].strip()
    return [_Line(table, time, rest.strip(), event, read_count(match["count"], decimal) if known else None)]


def _check_target(target: str, counts: PerfCounts) -> None:
    """Say what a table's counts are of, or refuse what is not the worker's."""
    kind, _, name = target.partition(" '")
    if target == "'system wide'":
        raise ConfigError(f"counts of the whole system are not the worker's; {STAT_COMMAND} counts those")
    if target.startswith("'CPU(s)"):
        counts.not_stated.append("which threads ran on the CPUs that were counted")
        counts.assumed.append(f"{target.strip(chr(39))}: the worker alone ran there")
    elif target.startswith("'"):
        raise ConfigError(f"counts of the command {target} are not the worker's; {STAT_COMMAND} counts those")
    elif kind == "process id":
        counts.not_stated.append("whether the process is the worker alone")
        counts.assumed.append(
            f"process {name.strip(chr(39))} is the worker alone (since Linux 6.4 the worker is a thread of its QEMU, "
            "whose virtual CPUs `perf stat -p` counts too; `perf stat -t TID` does not)"
        )


def _of_threads(lines: list[_Line], thread: str, counts: PerfCounts) -> list[_Line]:
    """Keep the lines of the worker's threads where lines are of threads."""
    named = {line.scope: match["comm"] for line in lines if (match := _THREAD.fullmatch(line.scope))}
    if not named:
        if scopes := sorted({line.scope for line in lines if line.scope}):
            counts.not_stated.append("which threads ran on the CPUs that were counted")
            counts.assumed.append(f"the worker alone ran on {', '.join(scopes)}, which are added")
        return lines
    mine = {scope for scope, comm in named.items() if fnmatchcase(comm, thread)}
    if not mine:
        raise ConfigError("no count of such a thread", key="thread", got=thread, expected=set(named.values()))
    counts.assumed += [f"{len(mine)} threads are added: {', '.join(sorted(mine))}"] if len(mine) > 1 else []
    counts.left_out += [f"counts of thread {scope}" for scope in named if scope not in mine]
    return [line for line in lines if line.scope in mine]


def _say_uncounted(lines: list[_Line], counts: PerfCounts) -> None:
    """Say when, and of whom, perf has no count of what the kernel executes while it has others: the sum lacks it.

    perf counts nothing where a thread did not run, and where the counter was another event's all the time.
    """
    counted: defaultdict[tuple[int, str, str], bool] = defaultdict(bool)
    for line in lines:
        counted[line.table, line.time, line.scope] |= line.count is not None and "k" in line.event.levels
    missing = [place for place, known in counted.items() if not known]
    if not missing or len(missing) == len(counted):
        return
    named = [" of ".join(filter(None, (time, scope))) or f"table {table}" for table, time, scope in missing]
    shown = [*named[:_MOST_NAMED], f"{len(named) - _MOST_NAMED} more"] if len(named) > _MOST_NAMED else named
    counts.not_stated.append("whether the worker ran where its instructions were not counted")
    counts.assumed.append(
        f"the worker did not run where there is no count, in {len(missing)} of {len(counted)} ({', '.join(shown)}); "
        "if it did, the sum is too small"
    )


def _total(lines: list[_Line]) -> float:
    """Add up what was counted at different times, of different threads, on different cores, in different modes."""
    apart: defaultdict[tuple[int, str, str, str], dict[frozenset[str], float]] = defaultdict(dict)
    for line in lines:
        if line.count is None:
            continue
        by_level = apart[line.table, line.time, line.scope, line.event.unit]
        known = by_level.setdefault(line.event.levels, line.count)
        if abs(known - line.count) > _SAME * max(known, line.count):
            raise ConfigError(
                f"instructions are counted twice, {known:.0f} and {line.count:.0f} times: which is the worker's is not "
                f"said; {STAT_COMMAND} counts it alone"
            )
    return sum(map(_of_levels, apart.values()))


def _of_levels(by_level: dict[frozenset[str], float]) -> float:
    """Return the count of the widest set of levels, with those that it lacks."""
    if not any("k" in levels for levels in by_level):
        raise ConfigError(f"counts instructions of user space only, the worker runs in the kernel; {STAT_COMMAND}")
    total, seen = 0.0, frozenset[str]()
    for levels in sorted(by_level, key=lambda levels: (-len(levels), sorted(levels))):
        if not levels & seen:
            total, seen = total + by_level[levels], seen | levels
        elif not levels <= seen:
            raise ConfigError("modes of the counts of instructions overlap; one without a mode is needed")
    return total
