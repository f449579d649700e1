"""Rows of a sweep on disk: Parquet parts of fixed size, each written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sim.config.errors import ConfigError
from sim.config.tables.study import Axis, Sweep
from sim.study.questions.columns import ACTORS, columns, drivers

ResultRow = dict[str, Any]

_TYPES = {str: pa.string(), int: pa.int64(), float: pa.float64()}


def axis_type(axis: Axis) -> pa.DataType:
    """Return the column type of an axis: what its values have in common, text if nothing else."""
    if axis.values is None:
        return pa.int64() if axis.integer else pa.float64()
    kinds = {type(value) for value in axis.values}
    if kinds == {bool}:
        return pa.bool_()
    if kinds == {int}:
        return pa.int64()
    return pa.float64() if kinds <= {int, float} else pa.string()


def row_schema(sweep: Sweep, queues: int = 1) -> pa.Schema:
    """Return the columns of every part: key and number of the point, its axes, the columns of its result, its error.

    `queues` is the largest number of queue pairs of a point: each has a driver, whose utilisation is a column.
    """
    fields = [("key", pa.string()), ("point", pa.int64())]
    fields += [(key, axis_type(axis)) for key, axis in sweep.axes.items() if key != "access"]
    actors = dict.fromkeys([*ACTORS, *drivers(queues)])
    fields += [(column.name, _TYPES[column.type]) for column in columns(actors)]
    return pa.schema([*fields, ("error", pa.string())])


def to_table(rows: Sequence[ResultRow], schema: pa.Schema) -> pa.Table:
    """Return rows as a table; what a row lacks is null, axes of mixed kinds become text."""
    columns = {}
    for field in schema:
        values = [row.get(field.name) for row in rows]
        if field.type == pa.string():
            values = [value if value is None or isinstance(value, str) else str(value) for value in values]
        columns[field.name] = pa.array(values, type=field.type)
    return pa.table(columns, schema=schema)


def _differences(written: pa.Schema, wanted: pa.Schema) -> str:
    lacks = [name for name in wanted.names if name not in written.names]
    adds = [name for name in written.names if name not in wanted.names]
    parts = [f"lacks {', '.join(lacks)}"] if lacks else []
    parts += [f"has {', '.join(adds)}"] if adds else []
    return "; ".join(parts) or "their order or types differ"


class Parts:
    """The folder of one sweep's parts."""

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        self.folder = folder
        self.schema = schema

    def file(self, number: int) -> Path:
        """Return the file of a part."""
        return self.folder / f"part-{number:06d}.parquet"

    def existing(self) -> list[Path]:
        """Return the parts that are there, in order."""
        return sorted(self.folder.glob("part-*.parquet"))

    def refuse_other_columns(self) -> None:
        """Raise ConfigError for a part whose columns are not those of its sweep now; one that is broken is not told."""
        for file in self.existing():
            try:
                written = pq.read_schema(file)
            except (OSError, pa.ArrowException):
                continue
            if written != self.schema:
                raise ConfigError(
                    f"{file}: was written with other columns ({_differences(written, self.schema)}); "
                    "rows of both cannot stand in one table: choose another folder"
                )

    def read(self, number: int) -> dict[str, list[ResultRow]] | None:
        """Return the rows of a part by key; {} when it is not there, None when it cannot be read as a part."""
        file = self.file(number)
        if not file.exists():
            return {}
        try:
            table = pq.read_table(file)
        except (OSError, pa.ArrowException):
            return None
        if table.schema != self.schema:
            return None
        rows: dict[str, list[ResultRow]] = {}
        for row in table.to_pylist():
            rows.setdefault(row["key"], []).append(row)
        return rows

    def write(self, number: int, rows: Sequence[ResultRow]) -> None:
        """Write a part beside its place and move it there; ConfigError says that what was written before is kept."""
        file = self.file(number)
        partial = file.with_suffix(".partial")
        try:
            with partial.open("wb") as stream:
                pq.write_table(to_table(rows, self.schema), stream)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(partial, file)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise ConfigError(
                f"{file}: cannot be written: {error.strerror or error}; the parts written before are kept, "
                "the sweep can be resumed"
            ) from None
