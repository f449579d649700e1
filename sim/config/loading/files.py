"""Files: a YAML mapping is read, and every fault is one clear error; a text is written whole or not at all."""

from __future__ import annotations

import copy
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from sim.config.errors import ConfigError

Table = dict[str, Any]

#: What YAML raises: besides its own, for a key that is no scalar, a date that is none, a number or nesting too long.
UNREADABLE = (yaml.YAMLError, TypeError, ValueError, RecursionError)


#: PyYAML's own reader is ten times as slow as libyaml, which most builds of it have.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class StrictLoader(_Loader):  # type: ignore[misc, valid-type]
    """YAML loader that refuses a key given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return a mapping as YAML has it; ConstructorError for a key that it has twice."""
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key '{key}' is given twice", key_node.start_mark)
            seen.add(key)
        return dict(super().construct_mapping(node, deep))


@lru_cache(maxsize=256)
def _parsed(file: Path, modified_ns: int, size: int) -> Any:
    """Parse a file once as long as it does not change: a sweep resolves its tables thousands of times.

    What is parsed is shared by all who read the file: they replace what is below its first keys, and change nothing.
    """
    return yaml.load(file.read_text(encoding="utf-8"), Loader=StrictLoader)


def read_yaml(file: Path) -> Table:
    """Read one mapping with text keys from a YAML file; every failure is a ConfigError that names the file."""
    try:
        state = file.stat()
        data = copy.copy(_parsed(file, state.st_mtime_ns, state.st_size))
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=file) from None
    except UnicodeDecodeError:
        raise ConfigError("is not a YAML file: not UTF-8 text", file=file) from None
    except UNREADABLE as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        raise ConfigError(f"is not a YAML file{where}: {getattr(error, 'problem', None) or error}", file=file) from None
    if not isinstance(data, dict):
        raise ConfigError(f"is not a YAML mapping (found {type(data).__name__})", file=file)
    bad = next((key for key in data if not isinstance(key, str)), None)
    if bad is not None:
        raise ConfigError(f"key {bad!r} is not text", file=file)
    return data


@contextmanager
def replacing(file: Path) -> Iterator[BinaryIO]:
    """Give a stream whose bytes take the place of a file once they are whole and on the disk.

    They are written beside it, under a name that nobody can have taken before: a link that waits there is not followed.
    """
    partial = file.with_name(f".{secrets.token_hex(8)}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(partial, file)
    finally:
        partial.unlink(missing_ok=True)


def write_whole(file: Path, text: str) -> None:
    """Write a file beside its place and move it in when it is whole; ConfigError when it cannot be written."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as stream:
            stream.write(text.encode())
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", file=file) from None
