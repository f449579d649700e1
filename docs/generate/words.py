"""The meaning of a term behind the term, on every page, read from the glossary: no other place says it."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

GLOSSARY = Path(__file__).parents[1] / "glossary.md"
_ROW = re.compile(r"^\| \*\*(?P<term>[^*|]+)\*\* \| (?P<meaning>[^|]+) \|", re.MULTILINE)


@cache
def terms() -> dict[str, str]:
    """Return the meaning of each term of several words; a single one is often another word, too (a call, a mapping)."""
    rows = _ROW.finditer(GLOSSARY.read_text(encoding="utf-8"))
    return {row["term"]: _without_marks(row["meaning"]) for row in rows if re.search(r"\W", row["term"])}


def _without_marks(text: str) -> str:
    """Return a text as a tooltip shows it: no emphasis, no code, no links."""
    return re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", re.sub(r"[*`]", "", text)).strip()


def with_meanings(markdown: str) -> str:
    """Return a page with the meaning of each term that it uses, as the extension for abbreviations reads it."""
    used = {term: meaning for term, meaning in terms().items() if re.search(rf"\b{re.escape(term)}\b", markdown)}
    lines = [f"*[{term}]: {meaning}" for term, meaning in used.items()]
    return "\n".join([markdown, "", *lines, ""]) if lines else markdown
