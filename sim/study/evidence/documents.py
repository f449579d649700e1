"""The tables of the documentation that the program itself shows: rows of `docs/*.md` as cells."""

from __future__ import annotations

from sim.config.loading.paths import package_folder


def table_rows(name: str, columns: int) -> list[list[str]]:
    """Read the rows of the tables with so many columns in `docs/NAME`, without their heads.

    The file lies beside the package in a checkout, inside it in a wheel.
    """
    package = package_folder()
    inside = package / "docs"
    file = (inside if inside.is_dir() else package.parent / "docs") / name
    found, behind_head = [], False
    for line in file.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            behind_head = False
        elif set(line) <= set("|-: "):
            behind_head = True
        elif behind_head and len(cells) == columns:
            found.append(cells)
    return found
