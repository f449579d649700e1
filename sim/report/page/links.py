"""Where on the page the source of a table entry stands, and names that lead there."""

from __future__ import annotations

from collections.abc import Mapping

from sim.report.page.html import Cell, Link
from sim.study.review.review import Review


def sources_by_key(review: Review) -> dict[str, str]:
    """Return the place on the page of each table entry behind the answer, by its key."""
    return {one.key: f"source-{number}" for number, one in enumerate(review.sources, 1)}


def place(name: str, places: Mapping[str, str]) -> str | None:
    """Return the place of an entry's source, by its key or primitive; of two measured together, that of the first."""
    first = name.split(" + ")[0]
    return next((places[key] for key in (first, f"cpu.primitives.{first}") if key in places), None)


def entry(name: str, places: Mapping[str, str]) -> Cell:
    """Return a name as a cell, which leads to its source where it is that of an entry."""
    found = place(name, places)
    return name if found is None else Link(name, found)
