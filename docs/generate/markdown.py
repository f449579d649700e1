"""Markdown that says exactly what a text says: whatever stands in it, nothing becomes a link, a tag or a column."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

#: A number on a page of prices: as many digits as a table of costs has.
DIGITS = ".4g"
_MEANINGFUL = re.compile(r"([\\`*_{}\[\]<>#|$!&~^=+])")
_JOINT = re.compile(r"(?<=\w\.)|(?<=&#95;)")
_SPAN = re.compile(r"(`[^`]+`)")


def plain(text: str) -> str:
    """Return a text that is shown as it is, on one line."""
    return _escaped(" ".join(text.split()))


def _escaped(text: str) -> str:
    return _MEANINGFUL.sub(lambda one: f"&#{ord(one[0])};", text)


def said(text: str) -> str:
    """Return a sentence whose spans in backticks are code and whose rest is shown as it is."""
    parts = _SPAN.split(" ".join(text.split()))
    return "".join(code(part[1:-1]) if _SPAN.fullmatch(part) else _escaped(part) for part in parts)


def code(text: str) -> str:
    """Return a text as code; a long name may break where its parts meet."""
    return f"<code>{_JOINT.sub('<wbr>', plain(text))}</code>" if text else ""


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; cells are Markdown already."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines) + "\n"


def page(title: str, about: str, *parts: str) -> str:
    """Return a page: its title, what it is, and its parts."""
    return "\n".join([f"# {title}\n", f"{about}\n", *parts])
