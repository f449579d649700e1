"""The modelling assumptions as the documentation lists them: number, sentence, key that changes it."""

from __future__ import annotations

from sim.report.documents import table_rows


def assumptions() -> list[tuple[str, str, str]]:
    """Read the table of `docs/assumptions.md`."""
    return [(number, text, key) for number, text, key in table_rows("assumptions.md", 3) if number[:1].isdigit()]
