"""From a citation to the note that it names: the pages of `docs/facts`, and the places in them that can be cited.

A place is an anchor that stands in the text of a note, so that it stays where it is when a heading is worded anew.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

NOTES = Path(__file__).parents[1] / "facts"
_ANCHOR = re.compile(r'<a id="([^"]+)"></a>')
#: Citations that name no file: a pattern, the note, and the anchor that the part in brackets makes.
_WORDS = (
    (r"(S\d+)", "primitive-costs", "{}"),
    (r"M()", "primitive-costs", "3"),
    (r"DESIGN (\d+\w?(?:\.\d+)?)", "decisions", "{}"),
    (r"argument (\d+)", "published-measurements", "arguments"),
    (r"column (\w+)", "kernel-accesses", "a-5"),
    (r"law()", "executed-counts", "law"),
)


@cache
def places(note: str) -> frozenset[str]:
    """Return the anchors of a note."""
    return frozenset(_ANCHOR.findall((NOTES / f"{note}.md").read_text(encoding="utf-8")))


def names() -> list[str]:
    """Return the notes that there are."""
    return sorted(file.stem for file in NOTES.glob("*.md"))


def slug(text: str) -> str:
    """Return the anchor that a part of a note has."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def link(citation: str) -> str | None:
    """Return where a citation leads below `docs`: to a place of a note, or to a note; None where it names none."""
    named = re.fullmatch(r"([\w-]+)\.md(?: (.+))?", citation)
    if named is not None and named[1] in names():
        return _at(named[1], slug(named[2] or ""))
    for pattern, note, anchor in _WORDS:
        if (match := re.fullmatch(pattern, citation)) is not None:
            return _at(note, anchor.format(slug(match[1])))
    return None


def _at(note: str, anchor: str) -> str:
    """Return the place of an anchor, or of what it is a part of (4.1 of 4), or the note."""
    while anchor and anchor not in places(note):
        anchor = anchor.rpartition("-")[0]
    return f"facts/{note}.md#{anchor}" if anchor else f"facts/{note}.md"
