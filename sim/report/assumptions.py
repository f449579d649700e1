"""The modelling assumptions as the documentation lists them: number, sentence, key that changes it."""

from __future__ import annotations

from pathlib import Path


def assumptions() -> list[tuple[str, str, str]]:
    """Read the table of `docs/assumptions.md`: beside the package in a checkout, inside it in a wheel."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "docs"
    file = (inside if inside.is_dir() else package.parent / "docs") / "assumptions.md"
    rows = []
    for line in file.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 3 and cells[0][:1].isdigit():
            rows.append((cells[0], cells[1], cells[2]))
    return rows
