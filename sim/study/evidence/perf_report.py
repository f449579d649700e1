"""Shares of `perf report`: the column Self of the cycles, the worker's rows, as parts of the worker's time."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from sim.config.errors import ConfigError
from sim.host.experiments.symbols import source_name
from sim.study.evidence.perf_text import REPORT_COMMAND, PerfEvent

#: Events whose samples are spread over time, the best first.
_TIME_EVENTS = ("cycles", "cpu-clock", "task-clock")
_SAMPLES = re.compile(r"^#?\s*Samples:\s*(\d+(?:[.,]\d+)?)\s*([KMG]?)\s*of event(s?) '([^']*)'")
#: Percentages, then any columns, then where it ran ([k] kernel, [.] user, [g] guest kernel, ...) and the symbol.
_ROW = re.compile(r"^[\s+-]*((?:\d+[.,]\d+%[\s,;|]*)+)(.*?\[([k.guH])\]\s+([^\s,;|]+).*)")
#: What the columns are cut down to: a column that would say the same in every row stands in the header instead.
_ALL_OF = re.compile(r"^#\s*comm: (\S.*?)\s*$")
_PERCENTAGE = re.compile(r"(\d+)[.,](\d+)%")
_UNITS = {"": 1, "K": 1_000, "M": 1_000_000, "G": 1_000_000_000}
#: Columns of percentages; what a system or a guest spends stands beside Overhead if it is asked for.
_SELF = ("Self", "Overhead")
_PERCENTAGES = ("Children", *_SELF, "sys", "usr", "guest sys", "guest usr")
#: Functions in which an idle CPU is: a report with them is not of the worker alone.
_IDLE = re.compile(r"(?:intel|acpi|mwait|poll|amd_e400|default)_idle\w*|(?:pv_)?native_safe_halt|cpuidle_\w+")
#: Per cent that may be missing of a whole report; a row of so many samples is among the last of one that was not cut.
_SHOWN = 1.0
_FEW = 3
_LEAST_SHARE = 0.005
_OTHER_DIRECTION = 0.1


@dataclass(frozen=True)
class _Row:
    """One row: its percentages as printed, the thread's name if there is a column of it, and the function."""

    percentages: tuple[float, ...]
    thread: str | None
    level: str
    function: str


@dataclass
class _Section:
    """The rows of one event, or of a group of events that share them (a percentage of each)."""

    events: list[str]
    samples: float | None
    columns: list[str] = field(default_factory=list)
    rows: list[_Row] = field(default_factory=list)
    half: float = 0.0


@dataclass
class Shares:
    """Shares of the worker's time by kernel function.

    Attributes
    ----------
    by_function
        Share of each function, 0 to 1.
    half
        What the printed digits leave open to both sides, as a share.
    samples
        Samples of the worker, None where the text does not say.
    direction
        tx or rx, by the handler that ran; None where none did.
    """

    by_function: dict[str, float]
    half: float
    samples: float | None
    direction: str | None
    not_stated: list[str]
    assumed: list[str]
    left_out: list[str]


def read_report(lines: Sequence[str], thread: str, direction: str | None = None) -> Shares | None:
    """Read the shares of the threads whose name fits `thread`; None when the text is no `perf report`.

    `direction` (tx or rx) settles what a report of both handlers leaves open. Raises ConfigError for a report that has
    no such share, with the command that prints one.
    """
    if any(re.match(r"^#?\s*Overhead\b.* / Symbol", line) for line in lines):
        raise ConfigError(f"`perf report --hierarchy` has no rows by thread and function; {REPORT_COMMAND} has")
    sections = [section for section in _sections(lines) if section.rows]
    if not sections:
        return None
    left_out: list[str] = []
    section, place = _of_time(sections, thread, left_out)
    percentages = _percentages(section, place)
    total = sum(percentages)
    if total > 100.0 + section.half * len(percentages) + 0.01:
        raise ConfigError(
            f"shares add up to {total:.2f} %: several events or reports, or no Self; {REPORT_COMMAND} has one"
        )
    not_stated: list[str] = [] if section.events else ["the event that was sampled"]
    assumed: list[str] = [] if section.events else ["samples of cycles"]
    pairs = _of_threads(section.rows, percentages, thread, (not_stated, assumed, left_out))
    whole = _whole(section, pairs, total, (assumed, left_out))
    if not whole:
        raise ConfigError(f"the worker has no samples of {section.events[place] if section.events else 'cycles'}")
    shares: defaultdict[str, float] = defaultdict(float)
    for row, share in pairs:
        shares[source_name(row.function)] += share / whole
    direction = direction or _direction(shares, left_out)
    small = {name: share for name, share in shares.items() if share < _LEAST_SHARE}
    if any(small.values()):
        left_out.append(f"{len(small)} functions below {_LEAST_SHARE:.1%}, {sum(small.values()):.2%} together")
    by_function = {name: share for name, share in shares.items() if name not in small}
    samples = section.samples * whole / 100.0 if section.samples is not None else None
    return Shares(by_function, section.half / whole, samples, direction, not_stated, assumed, left_out)


def _sections(lines: Sequence[str]) -> list[_Section]:
    """Cut a text at its lines of samples; what stands in front of the first is a section without a name."""
    sections = [_Section([], None)]
    thread = None
    for line in lines:
        if match := _SAMPLES.match(line):
            count = float(match[1].replace(",", ".")) * _UNITS[match[2]]
            names = match[4].partition("{")[2].rstrip(" }") or match[4]
            events = [name.strip() for name in names.split(",")] if match[3] else [match[4]]
            sections.append(_Section(events, count / len(events)))
        elif match := _ALL_OF.match(line):
            thread = match[1]
        elif re.match(r"^#?\s*(?:Children|Self|Overhead)\b", line) and "Symbol" in line:
            sections[-1].columns = [cell for cell in _cells(line.lstrip("#")) if cell]
        elif match := _ROW.match(line):
            _add_row(sections[-1], match, thread)
    return sections


def _cells(text: str) -> list[str]:
    """Split columns at a field separator, or at two spaces: one may be part of a thread's name."""
    separator = re.search(r"[,;|]", text)
    parts = text.split(separator[0]) if separator else re.split(r"\s{2,}|\t", text.strip())
    return [part.strip() for part in parts]


def _add_row(section: _Section, match: re.Match[str], thread: str | None) -> None:
    printed = _PERCENTAGE.findall(match[1])
    section.half = max(section.half, *(0.5 * 10.0 ** -len(decimals) for _, decimals in printed))
    percentages = tuple(float(f"{whole}.{decimals}") for whole, decimals in printed)
    cells = _cells(match[2])
    section.rows.append(_Row(percentages, _thread(cells, section.columns) or thread, match[3], match[4]))


def _thread(cells: list[str], columns: list[str]) -> str | None:
    """Return the thread's name: in the column that the header names; without a header, in front of the symbol."""
    named = [name for name in columns if name not in _PERCENTAGES]
    for name in ("Command", "Pid:Command", "Tid:Command"):
        if name in named and named.index(name) < len(cells):
            cell = cells[named.index(name)]
            return cell.rpartition(":")[2] if ":" in name else cell
    if columns:
        return None
    first = re.split(r"\s+(?=\[)", cells[0])[0]  # comm [object] [k] symbol, with single spaces
    return None if first.startswith(("[", "/")) or ".so" in first else first.rpartition(":")[2]


def _of_time(sections: list[_Section], thread: str, left_out: list[str]) -> tuple[_Section, int]:
    """Choose the section, and the place in its group, whose samples are spread over time."""
    named = [(section, place, text) for section in sections for place, text in enumerate(section.events)]
    if not named:
        return sections[0], 0
    for wanted in _TIME_EVENTS:
        chosen = [item for item in named if _counts_kernel(item[2], wanted)]
        if len(chosen) > 1:  # kinds of cores: the worker may have run on one of them only
            chosen = [item for item in chosen if any(_fits(row, thread) for row in item[0].rows)] or chosen[:1]
        if len(chosen) > 1:
            names = " and ".join(text for *_, text in chosen)
            raise ConfigError(f"the worker has samples of {names}, which cannot be added; the rows of one are needed")
        if chosen:
            section, place, _ = chosen[0]
            left_out += [f"samples of {text}" for other, at, text in named if (other, at) != (section, place)]
            return section, place
    names = ", ".join(text for *_, text in named)
    raise ConfigError(
        f"samples of {names} are no shares of the worker's time; `perf record -e cycles -t TID` takes those"
    )


def _counts_kernel(text: str, wanted: str) -> bool:
    event = PerfEvent.parse(text)
    return event.name == wanted and "k" in event.levels and not event.of_guest


def _fits(row: _Row, thread: str) -> bool:
    return row.thread is None or fnmatchcase(row.thread, thread)


def _percentages(section: _Section, place: int) -> list[float]:
    """Return the share of each row that is its own, in per cent: of the event that stands at `place` in its group."""
    columns = [name for name in section.columns if name in _PERCENTAGES]
    width = max(1, len(section.events))
    if not columns:
        if any(len(row.percentages) != width for row in section.rows):
            raise ConfigError(
                f"several percentages in a row and no header that names them; {REPORT_COMMAND} prints both"
            )
        columns = [*_SELF[1:]]
    own = next((name for name in _SELF if name in columns), None)
    if own is None:
        raise ConfigError(f"no column Self: Children holds what a function calls, too; {REPORT_COMMAND} has one")
    at = columns.index(own) * width + place
    if any(len(row.percentages) <= at for row in section.rows):
        raise ConfigError(f"a row has fewer percentages than the header; {REPORT_COMMAND} prints both")
    return [row.percentages[at] for row in section.rows]


def _of_threads(
    rows: list[_Row], percentages: list[float], thread: str, remarks: tuple[list[str], list[str], list[str]]
) -> list[tuple[_Row, float]]:
    """Keep the rows of the worker's threads; say (not stated, assumed, left out) what there is besides."""
    not_stated, assumed, left_out = remarks
    pairs = [(row, share) for row, share in zip(rows, percentages, strict=True) if row.level not in "gu"]
    if all(row.thread is None for row, _ in pairs):
        idle = next((row.function for row, _ in pairs if _IDLE.fullmatch(row.function)), None)
        if idle is not None:
            raise ConfigError(f"no column of threads, and {idle} is not the worker's; {REPORT_COMMAND} has one")
        not_stated.append("the thread of each row")
        assumed.append("every row is the worker's")
        return pairs
    others: defaultdict[str, float] = defaultdict(float)
    for row, share in pairs:
        if not _fits(row, thread):
            others[str(row.thread)] += share
    mine = [(row, share) for row, share in pairs if _fits(row, thread)]
    if not mine:
        raise ConfigError("no rows of such a thread", key="thread", got=thread, expected=others)
    left_out += [f"thread {name}, {share:.2f} % of the samples" for name, share in sorted(others.items())]
    return mine


def _whole(
    section: _Section, pairs: list[tuple[_Row, float]], total: float, remarks: tuple[list[str], list[str]]
) -> float:
    """Return the worker's share of all samples, in per cent; say (assumed, left out) whose the missing ones are.

    Where other threads have rows, what is missing is taken for theirs; where rows go down to single samples, it must
    be. Else the report was cut, at a limit or in the text, and it is of the worker alone.
    """
    assumed, left_out = remarks
    mine, missing = sum(share for _, share in pairs), 100.0 - total
    if missing < _SHOWN or not mine:
        return mine
    if len(pairs) < len(section.rows):
        left_out.append(f"{missing:.2f} % of the samples, which the report does not show")
        assumed.append("none of those that it does not show are the worker's")
        return mine
    smallest = min(share for _, share in pairs)
    if section.samples and smallest <= 100.0 * _FEW / section.samples + section.half:
        left_out.append(f"{missing:.2f} % of the samples, of threads that the report does not show")
        return mine
    assumed.append(f"the {missing:.2f} % of the samples which the report does not show are the worker's, too")
    return 100.0


def _direction(shares: dict[str, float], left_out: list[str]) -> str | None:
    """Return the direction whose handler ran. ConfigError when both did."""
    own = {
        way: sum(share for name, share in shares.items() if name.startswith(f"handle_{way}")) for way in ("tx", "rx")
    }
    less, more = sorted(own, key=lambda way: own[way])
    if own[less] > _OTHER_DIRECTION * own[more]:
        raise ConfigError(
            f"handle_tx ({own['tx']:.1%}) and handle_rx ({own['rx']:.1%}) both ran: a profile of one direction is "
            "needed, or device.direction says which it is taken for"
        )
    if own[less]:
        left_out.append(f"that handle_{less} ran too, {own[less]:.2%}: its shares stand among the others")
    return more if own[more] else None
