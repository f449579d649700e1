"""Pages of assumptions, sources and mismatches, which are kept in the repository so that they can be read there.

`PYTHONPATH=docs python -m generate.evidence` writes them again from `configs/`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from generate.notes import link
from sim.config.loading.load import load_of
from sim.config.tables.documents import Assumptions, Mismatches, SourceRow, Sources

_DOCS = Path(__file__).parents[1]


def evidence_pages() -> dict[str, str]:
    """Return the pages by their place below `docs`."""
    return {"assumptions.md": _assumptions(), "sources.md": _sources(), "mismatches.md": _mismatches()}


def _assumptions() -> str:
    table = load_of(Assumptions)
    parts = [f"# Assumptions\n\n{table.about}\n"]
    for section in table.sections:
        rows = ((str(row.number), row.sentence, row.key, row.applies) for row in section.rows)
        parts.append(f"## {section.title}\n{_table(('#', 'assumption', 'key', 'applies'), rows)}")
    return "\n".join(parts)


def _sources() -> str:
    table = load_of(Sources)
    parts = [f"# Sources\n\n{table.about}\n"]
    for section in table.sections:
        rows = ((_cited_as(row), row.finding, row.where, row.sure) for row in section.rows)
        parts.append(f"## {section.title}\n\n{_table(('cited as', 'what was found', 'where', 'how sure'), rows)}")
    return "\n".join(parts)


def _cited_as(row: SourceRow) -> str:
    return f'<a id="{row.anchor}"></a>' + " ".join(map(_linked, row.names))


def _linked(name: str) -> str:
    """Return a citation, as a link to the note that it names, where it names one."""
    place = link(name)
    return f"`{name}`" if place is None else f"[`{name}`]({place})"


def _mismatches() -> str:
    table = load_of(Mismatches)
    rows = ((str(row.number), row.seen, row.cause, row.changed) for row in table.mismatches)
    figures = ((row.figures, row.off_by, row.cause, row.changed) for row in table.figures)
    return "\n".join(
        (
            f"# Mismatches\n\n{table.about}\n",
            _table(("#", "seen", "cause", "changed"), rows),
            f"{table.corrected}\n\n\n## Validation\n\n{table.about_figures}\n",
            _table(("figure", "off by", "cause", "changed"), figures),
        )
    )


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head, rule = f"| {' | '.join(columns)} |\n", f"|{'---|' * len(columns)}\n"
    return head + rule + "".join(f"| {' | '.join(row)} |\n" for row in rows)


if __name__ == "__main__":
    for place, text in evidence_pages().items():
        (_DOCS / place).write_text(text, encoding="utf-8")
