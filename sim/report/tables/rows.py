"""The answers as one table of full-precision values each, one row per case, and such a table as CSV.

Units stand in the names of columns. What is unknown or undefined is an empty cell, infinity is `inf`.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from sim.config.answer import Record, flat
from sim.config.loading.provenance import made_by

if TYPE_CHECKING:
    import pandas as pd

    from sim.engine import Point
    from sim.study.evidence.validate import Validation
    from sim.study.questions.capacity import Capacities
    from sim.study.questions.compare import Comparison
    from sim.study.questions.explain import Explanation
    from sim.study.questions.run import Result
    from sim.study.sweep.run import Outcome
    from sim.study.uncertainty.parts import DrawnParts
    from sim.study.uncertainty.uncertainty import Uncertainty


def with_origin(rows: Iterable[Record]) -> list[Record]:
    """Return rows with the version of the model and the digest of its tables in columns of their own, the last ones."""
    origin = flat(made_by(), "made_by.")
    return [{**row, **origin} for row in rows]


def csv_text(rows: Sequence[Record]) -> str:
    """Return rows as CSV: a header, every column that any row has, lines that end as those of the files."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    records: list[list[object]] = [[*columns], *([_cell(row.get(name)) for name in columns] for row in rows)]
    return "".join(_line(cells) for cells in records) if columns else ""


def _line(cells: Sequence[object]) -> str:
    """Return one record. A cell with any end of line in it is quoted, so the writer has to know both signs."""
    record = io.StringIO()
    csv.writer(record, lineterminator="\r\n").writerow(cells)
    return record.getvalue().removesuffix("\r\n") + "\n"


def _cell(value: object) -> object:
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else value


def _records(frame: pd.DataFrame) -> list[Record]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _notes(*points: Point) -> Record:
    """Return a last column for what is to be known of points, where there is any."""
    notes = dict.fromkeys(note for point in points for note in point.notes)
    return {"notes": "; ".join(notes)} if notes else {}


def result_rows(result: Result, sure: Uncertainty | None = None) -> list[Record]:
    """Return the rows of `results.csv`; with draws also the ends of the 90 % interval of each rate."""
    rates = sure.rates if sure else ()
    ends = {(rate.access, rate.packet_bytes): rate.ends() for rate in rates}
    rows = [row | _notes(point) for row, point in zip(_records(result.to_frame()), result.points, strict=True)]
    return [{**row, **ends.get((row["access"], row["packet_bytes"]), {})} for row in rows]


def comparison_rows(
    comparison: Comparison, sure: Uncertainty | None = None, made_up_of: DrawnParts | None = None
) -> list[Record]:
    """Return the rows of `comparison.csv`; with draws also the ends of the 90 % intervals of gain and saving.

    At the first size those of the parts that make up the difference stand behind them.
    """
    ends = {gain.packet_bytes: gain.ends() for gain in (sure.gains if sure else ())}
    sides = [(difference.before, difference.after) for difference in comparison.differences]
    rows = [row | _notes(*both) for row, both in zip(_records(comparison.to_frame()), sides, strict=True)]
    rows = [{**row, **ends.get(row["packet_bytes"], {})} for row in rows]
    return rows if made_up_of is None else [rows[0] | _part_ends(made_up_of), *rows[1:]]


def _part_ends(made_up_of: DrawnParts) -> Record:
    ends: Record = {}
    for name, part in made_up_of.parts.items():
        ends |= part.ends(f"saved_{name}_ns_of_parameters")
    return ends


def capacity_rows(
    capacities: Capacities, sure: Uncertainty | None = None, with_loss: Uncertainty | None = None
) -> list[Record]:
    """Return the rows of `capacity.csv`; with draws also the ends of the intervals of what is searched."""
    points = [capacity.saturated for capacity in capacities.results]
    rows = [row | _notes(point) for row, point in zip(_records(capacities.to_frame()), points, strict=True)]
    for name, drawn in (("capacity", sure), ("capacity_with_loss", with_loss)):
        if drawn:
            rows = [row | rate.ends(name) for row, rate in zip(rows, drawn.rates, strict=True)]
    return rows


def explanation_rows(
    explanation: Explanation,
    by: str,
    actor: str,
    sources: bool,
    skid: bool = False,
    sure: Uncertainty | None = None,
) -> list[Record]:
    """Return the rows of one actor, or the worker's cycles by kernel function, or every input with its source.

    With draws each has the rate with the ends of its 90 % intervals beside it.
    """
    rows = explanation.records("input" if sources else by, actor, skid)
    if sure is None:
        return rows
    return [{**row, "pps": sure.rates[0].pps.value, **sure.rates[0].ends()} for row in rows]


def sweep_rows(outcome: Outcome) -> list[Record]:
    """Return every point, or, when they were written to a folder, one row that says how many."""
    if outcome.folder is None:
        from sim.study.sweep.gains import with_gains

        return with_gains(outcome.sweep, outcome.rows)
    return [{**outcome.to_dict(), "notes": "; ".join(outcome.notes)}]


def left_out_rows(folds: Iterable[tuple[str, Validation]]) -> list[Record]:
    """Return every figure beside its prediction by a calibration that did not see its source."""
    return [{"left_out": name, **row} for name, validation in folds for row in validation.records()]


def rate_rows(sure: Uncertainty, basis: str) -> list[Record]:
    """Return every rate with the ends of its 90 % interval, and what it is the rate of."""
    return [
        {
            "access": rate.access,
            "packet_bytes": rate.packet_bytes,
            "pps": rate.pps.value,
            **rate.ends(),
            "basis": basis,
        }
        for rate in sure.rates
    ]
