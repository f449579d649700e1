"""Tables as they stand in their files: each is parsed once in a process, and a shipped one once for all commands."""

from __future__ import annotations

import copy
import hashlib
import json
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import yaml

from sim.config.errors import ConfigError
from sim.config.loading import files, paths
from sim.config.loading.files import MOST_OF_A_TABLE, NotYamlError, Table, parsed_yaml, read_text
from sim.config.loading.kept import keep, kept


def state_of(file: Path) -> tuple[int, ...]:
    """Return what is another one whenever a file has changed, also for one that was put there with its old time."""
    state = file.stat()
    return state.st_dev, state.st_ino, state.st_mtime_ns, state.st_ctime_ns, state.st_size


@lru_cache(maxsize=256)
def _parsed(file: Path, state: tuple[int, ...]) -> Any:
    """Parse a file once as long as it does not change: a sweep resolves its tables thousands of times.

    What is parsed is shared by all who read the file: they replace what is below its first keys, and change nothing.
    """
    text = read_text(file, MOST_OF_A_TABLE)
    return _kept_or_parsed(file.stem, text) if paths.is_shipped(file) else parsed_yaml(text)


def _kept_or_parsed(stem: str, text: str) -> Any:
    """Return what a shipped table stands for, kept as long as its text and what reads it stay the same."""
    name = f"table.{stem}.{hashlib.sha256((_reader() + text).encode()).hexdigest()[:24]}.json"
    if (known := kept(name)) is not None:
        return json.loads(known)
    table = parsed_yaml(text)
    if (content := _as_json(table)) is not None:
        keep(name, content)
    return table


@cache
def _reader() -> str:
    """Return what tables are read by: the text of the module that does it, and the version of its library."""
    return yaml.__version__ + read_text(Path(files.__file__))


def _as_json(table: Any) -> bytes | None:
    """Return a table as JSON; None for one that would come back as another (with a date, or a number that is none)."""
    try:
        content = json.dumps(table)
    except (TypeError, ValueError):
        return None
    return content.encode() if json.loads(content) == table else None


def read_yaml(file: Path) -> Table:
    """Read one mapping with text keys from a YAML file; every failure is a ConfigError that names the file."""
    try:
        data = copy.copy(_parsed(file, state_of(file)))
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=file) from None
    except NotYamlError as error:
        where = f" (line {error.line})" if error.line else ""
        raise ConfigError(f"is not a YAML file{where}: {error.problem}", file=file) from None
    if not isinstance(data, dict):
        raise ConfigError(f"is not a YAML mapping (found {type(data).__name__})", file=file)
    return data
