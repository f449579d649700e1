"""Rows of a sweep on disk: Parquet parts of fixed size, each written whole or not at all, and proved when read."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sim.config.errors import ConfigError
from sim.config.loading.files import replacing
from sim.config.tables.study import Axis, Sweep
from sim.study.questions.columns import ACTORS, columns, drivers

ResultRow = dict[str, Any]

#: Name under which a part holds the digest of its columns and rows.
_DIGEST = b"vhost-sim.digest"
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


def row_schema(sweep: Sweep, queues: int = 1, sessions: int = 1) -> pa.Schema:
    """Return the columns of every part: key and number of the point, its axes, the columns of its result, its error.

    `queues` and `sessions` are the largest numbers of a point: each queue pair has a driver, each session a sender and
    a reader, whose utilisations are columns.
    """
    fields = [("key", pa.string()), ("point", pa.int64())]
    fields += [(key, axis_type(axis)) for key, axis in sweep.axes.items() if key != "access"]
    actors = dict.fromkeys([*ACTORS, *drivers(queues, sessions)])
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


def digest_of(table: pa.Table) -> bytes:
    """Return the hash of all that a table says: names and types of its columns, and every row."""
    said = [[(field.name, str(field.type)) for field in table.schema], table.to_pylist()]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest().encode()


def _proved(file: Path) -> pa.Table | None:
    """Return what a part holds; None when it cannot be read, or is not what was written."""
    try:
        table = pq.read_table(file, page_checksum_verification=True, use_threads=False)
        whole = (table.schema.metadata or {}).get(_DIGEST) == digest_of(table)
    except Exception:  # a damaged file can be anything
        return None
    return table if whole else None


def _differences(written: pa.Schema, wanted: pa.Schema) -> str:
    lacks = [name for name in wanted.names if name not in written.names]
    adds = [name for name in written.names if name not in wanted.names]
    parts = [f"lacks {', '.join(lacks)}"] if lacks else []
    parts += [f"has {', '.join(adds)}"] if adds else []
    return "; ".join(parts) or "their order or types differ"


@contextmanager
def held_by_one(folder: Path) -> Iterator[None]:
    """Make a folder and hold it while a sweep writes there; ConfigError says who holds it already.

    The lock is on the folder itself and ends with the process: no file tells of it, so none can be left behind.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", key="folder", got=folder) from None
    try:
        _lock(folder, held)
        yield
    finally:
        os.close(held)


def _lock(folder: Path, held: int) -> None:
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ConfigError(f"{_holder(held)} is writing there", key="folder", got=folder) from None
    except OSError as error:
        raise ConfigError(f"cannot be locked: {error.strerror}", key="folder", got=folder) from None


def _holder(held: int) -> str:
    """Name the process that holds the lock of an open folder, as far as the kernel tells."""
    inode = f":{os.fstat(held).st_ino}"
    with suppress(OSError):
        for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
            words = line.split()  # 1: FLOCK  ADVISORY  WRITE 4242 fd:01:131 0 EOF
            if "FLOCK" in words and words[5].endswith(inode):
                return f"process {words[4]}"
    return "another process"


def parts_in(folder: Path) -> list[Path]:
    """Return the parts of a sweep's folder, in order; other files may stand beside them."""
    return sorted(folder.glob("part-*.parquet"))


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
        return parts_in(self.folder)

    def refuse_other_columns(self) -> None:
        """Raise ConfigError for a part whose columns are not those of its sweep now; one that is broken is not told."""
        for file in self.existing():
            table = None if self._has_columns(file) else _proved(file)
            if table is not None:
                raise ConfigError(
                    f"{file}: was written with other columns ({_differences(table.schema, self.schema)}); "
                    "rows of both cannot stand in one table: choose another folder"
                )

    def _has_columns(self, file: Path) -> bool:
        try:
            return bool(pq.read_schema(file) == self.schema)
        except Exception:  # a damaged file can be anything
            return False

    def read(self, number: int) -> dict[str, list[ResultRow]] | None:
        """Return the rows of a part by key; {} when it is not there, None when it is not the part that was written.

        What failed and may not fail again has no key, and is left out.
        """
        file = self.file(number)
        if not file.exists():
            return {}
        table = _proved(file)
        if table is None or table.schema != self.schema:
            return None
        rows: dict[str, list[ResultRow]] = {}
        for row in table.to_pylist():
            if row["key"] is not None:
                rows.setdefault(row["key"], []).append(row)
        return rows

    def write(self, number: int, rows: Sequence[ResultRow]) -> None:
        """Write a part whole, with its digest; ConfigError says that what was written before is kept."""
        file = self.file(number)
        table = to_table(rows, self.schema)
        try:
            with replacing(file) as stream:
                proved = table.replace_schema_metadata({_DIGEST: digest_of(table)})
                pq.write_table(proved, stream, write_page_checksum=True)
        except OSError as error:
            raise ConfigError(
                f"{file}: cannot be written: {error.strerror or error}; the parts written before are kept, "
                "the sweep can be resumed"
            ) from None
