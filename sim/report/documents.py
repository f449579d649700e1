"""The tables of the documentation, which are read where they are written: in `docs/`."""

from __future__ import annotations

from pathlib import Path


def table_rows(name: str, cells: int) -> list[tuple[str, ...]]:
    """Return the rows of all tables of `docs/NAME` that have so many cells, heads and rulers included.

    The file stands beside the package in a checkout, inside it in a wheel.
    """
    package = Path(__file__).resolve().parent.parent
    inside = package / "docs"
    file = (inside if inside.is_dir() else package.parent / "docs") / name
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]
    return [row for row in rows if len(row) == cells]
