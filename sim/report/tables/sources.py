"""From a number to its source: the rows of `configs/sources.yaml` that a table's `source` text cites."""

from __future__ import annotations

import re
from functools import cache

from sim.config.loading.load import load_of
from sim.config.tables.documents import SourceRow, Sources


@cache
def references() -> tuple[SourceRow, ...]:
    """Return every source, in the order of the page."""
    return tuple(load_of(Sources).rows)


def cited(source: str) -> list[SourceRow]:
    """Return the rows that a source text cites, in the order in which it does; what has no row is left out."""
    return list(dict.fromkeys(row for name in citations(source) if (row := _rows().get(name))))


def citations(source: str) -> list[str]:
    """Return the names of everything that a source text cites, whether `configs/sources.yaml` has it or not."""
    placed = [(place, name) for pattern, name in _WORDS for place, name in _matches(pattern, name, source)]
    placed += [(match.start(), match[0]) for match in re.finditer(_words_of_the_page(), source)]
    place = 0
    for before, file, behind in _files(source):
        place += len(before)
        placed += [(place, name) for name in _parts(file, behind)]
        place += len(file)
    return list(dict.fromkeys(name for _, name in sorted(placed, key=lambda citation: citation[0])))


#: How the parts of a file are cited behind its name.
_PARTS = {
    "primitive-costs.md": r"(?:\A |; | and )(\d+(?:\.\d+)?)(?![\d.])",
    "kernel-accesses.md": r"(?:(?<=[ (])([A-H]\.\d(?: (?:[A-Z]\d|Un|[A-Z])\b(?!\.))?)|(?:\A,? | and )([A-H])\b(?!\.))",
    "published-measurements.md": (
        r"\b([AB]\d+)\b|\b(Batch-size sweep|Profiles of the vhost worker|RX profile|Size dependence)\b"
    ),
    "executed-counts.md": (
        r"\b(first part|second part|third set|Instructions per packet by what they are for|direct map|law|regions4)\b"
        r"|(?:\b|_)(xdppass)\b"
    ),
}

#: Citations that need no file: pattern, and the name of what it cites ({}: the text itself).
_WORDS = (
    (r"\bDESIGN \d+\w?(?:\.\d+)?", "{}"),
    (r"\bS\d+\b", "{}"),
    (r"\b\d+\.\.\d+\b", "trace"),  # a span of an executed trace, from instruction to instruction
    (r"\barguments? (\d+(?:(?:, | and )\d+)*)", "argument {}"),
)


def _matches(pattern: str, name: str, source: str) -> list[tuple[int, str]]:
    placed = []
    for match in re.finditer(pattern, source):
        texts = re.findall(r"\d+", match[1]) if match.re.groups else [match[0]]
        placed += [(match.start(), name.format(text)) for text in texts]
    return placed


def _files(source: str) -> list[tuple[str, str, str]]:
    """Return each file that is named: the text between it and the one before, its name, the text up to the next."""
    pieces = re.split(r"(?<![\w-])([\w-]+\.md)\b", source)
    return list(zip(pieces[::2], pieces[1::2], pieces[2::2], strict=False))


def _parts(file: str, text: str) -> list[str]:
    """Return the parts of a file that the text behind its name cites, the file itself if it is cited as a whole."""
    parts = [next(filter(None, match.groups())) for match in re.finditer(_PARTS.get(file, r"(?!)"), text)]
    if parts or re.match(r", arguments? \d", text):
        return [f"{file} {part}" for part in parts]
    # As a whole: nothing, a remark or a figure follows.
    return [file] if re.match(r"\Z|[:;)]| \d", text) else [f"{file}{text}"]


@cache
def _rows() -> dict[str, SourceRow]:
    """Return the rows by everything that cites them: their names, and addresses where they can be read."""
    return {name: row for row in references() for name in (*row.names, *re.findall(r"https?://[^\s>]+", row.where))}


@cache
def _words_of_the_page() -> str:
    """Return a pattern of the names that are neither of a file nor of a form that is cited by pattern."""
    words = [
        name
        for name in _rows()
        if not re.match(r"[\w-]+\.md", name) and not any(re.match(pattern, name) for pattern, _ in _WORDS)
    ]
    longest_first = sorted(words, key=len, reverse=True)
    return rf"(?<![\w.])(?:{'|'.join(map(re.escape, longest_first))})(?!\w)"
