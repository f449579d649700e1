"""What stands above and below every answer: what was asked, what bounds it, and the variants that compete, ranked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from sim.config.answer import Record, flat
from sim.report.tables.terminal import Columns, TextTable, table_of
from sim.study.evidence.conditions import Conditions, merged
from sim.study.review.preface import Preface
from sim.study.review.ranking import Ranked, Ranking

#: What marks the variant that was asked about, and one that is no patch.
_ASKED, _BOUND = "-> ", " (a bound)"


def asked_table(asked: Sequence[Conditions]) -> RenderableType:
    """Return the block: a line for each condition; of two scenarios what differs stands on both sides of an arrow."""
    names = " -> ".join(dict.fromkeys(conditions.scenario for conditions in asked))
    table = TextTable("", ("asked", names), left=2)
    for name, text in merged(asked):
        table.add_row(name, text)
    return table


def under(preface: Preface, answer: RenderableType) -> RenderableType:
    """Return an answer under what was asked and what bounds it, the variants that compete behind it."""
    ranked = [ranking_table(preface.ranking)] if preface.ranking else []
    said = [Text(f"- {sentence}.") for sentence in preface.sentences]
    return Group(asked_table(preface.asked), *said, Text(""), answer, *ranked)


def with_asked(rows: Iterable[Record], preface: Preface) -> list[Record]:
    """Return rows with what was asked in columns of their own, behind the others."""
    columns = flat(preface.asked_fields())
    return [{**row, **columns} for row in rows]


def variant_name(row: Ranked) -> str:
    """Return the name of a ranked variant, the asked one and a bound marked."""
    return f"{_ASKED if row.asked else ''}{row.access}{_BOUND if row.role == 'bound' else ''}"


def needed(row: Ranked) -> str:
    """Return what a variant needs."""
    return ", ".join(row.needs) or "nothing"


RANKED_COLUMNS: Columns[Ranked] = (
    ("variant", variant_name),
    ("needs", needed),
    ("Mpps", lambda row: f"{row.pps / 1e6:.3f}"),
    ("gain", Ranked.spelled),
)


def objections(ranking: Ranking) -> dict[str, list[str]]:
    """Return what is held against the variants, and against which, in the order of the ranking."""
    against: dict[str, list[str]] = {}
    for row in ranking.rows:
        for objection in row.objections:
            against.setdefault(objection, []).append(row.access)
    return against


def ranking_table(ranking: Ranking) -> RenderableType:
    """Return every variant that applies, the largest gain first; what is held against them, and why others are out."""
    title = f"every variant that applies, against {ranking.before} at {ranking.packet_bytes} B"
    held = TextTable("what is held against them", ("objection", "variants"), left=2)
    for objection, names in objections(ranking).items():
        held.add_row(objection, ", ".join(names))
    table = table_of(title, RANKED_COLUMNS, ranking.rows, left=2)
    return Group(table, *map(Text, ranking.notes), held)
