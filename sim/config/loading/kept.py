"""What takes long to work out and depends on the installed files alone: kept on the disk from one command to the next.

What is read back is what was written, or nothing: each file begins with the digest of the rest. What one process alone
needs again is kept in it, the latest of it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TypeVar

from sim.config.errors import ConfigError
from sim.config.loading import paths
from sim.config.loading.files import write_whole

Key = TypeVar("Key")
Value = TypeVar("Value")
_PACKAGE = Path(__file__).parents[2]
#: Versions of what is kept under one name: several checkouts may share a folder.
_VERSIONS = 4


def folders() -> list[Path]:
    """Return where kept files may lie; the first that can be written takes new ones."""
    if chosen := os.environ.get("NUMBA_CACHE_DIR"):
        return [Path(chosen)]
    cache_home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return [_PACKAGE / "__pycache__", Path(cache_home, "vhost-sim")]


def kept(name: str) -> bytes | None:
    """Return what was kept under a name; None where nothing was, or it is not that any more."""
    for folder in folders():
        try:
            digest, content = (folder / name).read_bytes().split(b"\n", 1)
        except (OSError, ValueError):
            continue
        if digest == _digest(content):
            return content
    return None


def keep(name: str, content: bytes) -> None:
    """Keep something in the first folder that takes it; where none does, the next command works it out again.

    Of what is called NAME.DIGEST.SUFFIX the last few digests stay.
    """
    for folder in folders():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(folder / name, _digest(content) + b"\n" + content)
        except (ConfigError, OSError):
            continue
        with suppress(OSError):  # another command may remove them at the same time
            _remove_older(folder, name)
        return


def _remove_older(folder: Path, name: str) -> None:
    called, *_, suffix = name.rsplit(".", 2)
    versions = [file for file in folder.glob(f"{called}.*.{suffix}") if file.name.rsplit(".", 2)[0] == called]
    for file in sorted(versions, key=lambda file: file.stat().st_mtime_ns, reverse=True)[_VERSIONS:]:
        file.unlink()


@cache
def installed() -> str:
    """Return a digest that changes whenever a module or a shipped table does: names, sizes and times of all files."""
    files = [*_stamps(_PACKAGE.rglob("*.py"), _PACKAGE), *_stamps(paths.shipped().rglob("*.yaml"), paths.shipped())]
    return hashlib.sha256(repr(sorted(files)).encode()).hexdigest()[:24]


def _stamps(files: Iterable[Path], under: Path) -> Iterable[tuple[str, int, int]]:
    for file in files:
        state = file.stat()
        yield str(file.relative_to(under)), state.st_size, state.st_mtime_ns


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


def keep_latest(known: dict[Key, Value], key: Key, value: Value, most: int) -> None:
    """Put a value last among those that a process knows, and let the first ones go where there are more than `most`.

    Several threads may do so at once.
    """
    known.pop(key, None)
    known[key] = value
    for old in list(known)[:-most]:
        known.pop(old, None)
