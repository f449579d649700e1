"""What each row of a sweep gains over the first access variant of the same point: only full grids have such pairs.

A gain is looked for among rows whose axes, but that of the access variant, and packet size are the same.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

from sim.config.tables.study import Sweep
from sim.study.runs.case import gain_percent

if TYPE_CHECKING:
    import pandas as pd

    from sim.study.sweep.parts import ResultRow

#: The column that a gain stands in.
GAIN = "gain_percent"
_ACCESS = "access"


def free_axes(sweep: Sweep) -> list[str]:
    """Return the keys that vary besides the access variant."""
    return [key for key in sweep.axes if key != _ACCESS]


def gains(sweep: Sweep, rows: Sequence[ResultRow]) -> list[float | None]:
    """Return the gain of each row in percent, in their order; None for the first variant, errors, and lonely rows."""
    first = next((row[_ACCESS] for row in rows if row.get("pps") is not None), None)

    def place(row: ResultRow) -> Hashable:
        return tuple(row.get(key) for key in (*free_axes(sweep), "packet_bytes"))

    base = {place(row): row["pps"] for row in rows if row.get("pps") is not None and row[_ACCESS] == first}
    return [
        None
        if row.get("pps") is None or row[_ACCESS] == first or place(row) not in base
        else float(gain_percent(base[place(row)], row["pps"]))
        for row in rows
    ]


def with_gains(sweep: Sweep, rows: Sequence[ResultRow]) -> list[ResultRow]:
    """Return the rows with their gain behind the rate; as they are where no row has one."""
    known = gains(sweep, rows)
    if not any(gain is not None for gain in known):
        return [*rows]
    filled = []
    for row, gain in zip(rows, known, strict=True):
        behind = {name: value for name, value in row.items() if name != "error"}
        filled.append({**behind, GAIN: gain, **({"error": row["error"]} if "error" in row else {})})
    return filled


def frame_with_gains(sweep: Sweep, frame: pd.DataFrame) -> pd.DataFrame:
    """Return a sweep's table with the gain of each row as its last column, where there is one."""
    import pandas as pd  # it takes longer to import than a short run does

    columns = [*dict.fromkeys([_ACCESS, *free_axes(sweep), "packet_bytes", "pps"])]
    if GAIN in frame.columns or not {_ACCESS, "packet_bytes", "pps"} <= {*frame.columns}:
        return frame  # there already; every point was refused
    asked = frame[[name for name in columns if name in frame.columns]]
    rows = [
        {str(name): None if pd.isna(value) else value for name, value in row.items()}
        for row in asked.to_dict("records")
    ]
    known = gains(sweep, rows)
    if not any(gain is not None for gain in known):
        return frame
    column = pd.Series(known, index=frame.index, dtype="float64", name=GAIN)
    return pd.concat([frame, column], axis=1)
