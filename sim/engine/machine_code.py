"""Machine code of the compiled loop on the disk: loaded only when it is what was written, else compiled anew.

numba keeps it beside the module, or in a folder of the user's, and believes whatever lies there: an index that was
emptied or code that was cut ends in an error from its inside, a changed byte of code in anything. So digests of its
files are kept beside them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

from numba import njit

from sim.config.errors import ConfigError
from sim.config.loading.files import write_whole

#: What numba's files of a function are called, with the module and the function before it.
_SUFFIXES = (".nbi", ".nbc")


def in_memory(function: Callable[..., Any]) -> Any:
    """Return the function compiled at its first call, with nothing kept on the disk."""
    return njit(error_model="numpy", nogil=True, _nrt=False)(function)


class KeptCode:
    """A function that numba compiles and keeps on the disk; at its first call what lies there is proved.

    `loop` is what numba has made of the function. Where damaged machine code can be neither used nor removed, the
    function is compiled `in_memory`. The first call raises ConfigError where compiling is switched off.
    """

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self._usable: Any = None
        self._first = Lock()

    def __call__(self, *arguments: Any) -> int:
        """Run the function."""
        if self._usable is not None:
            return int(self._usable(*arguments))
        with self._first:  # of several threads one proves and compiles
            return self._first_call(*arguments)

    def _first_call(self, *arguments: Any) -> int:
        if self._usable is not None:
            return int(self._usable(*arguments))
        if not hasattr(self._loop, "py_func"):
            message = "NUMBA_DISABLE_JIT is set, and the fast engine is compiled: unset it, or set run.engine=reference"
            raise ConfigError(message)
        whole = self._loop.stats.cache_path is None or _mend(self._loop)
        usable = self._loop if whole else in_memory(self._loop.py_func)
        result = int(usable(*arguments))
        _keep_digests(usable)
        self._usable = usable
        return result

    def recompile(self) -> None:
        """Compile again, and keep that."""
        self._usable.recompile()
        _keep_digests(self._usable)


def _keep_digests(loop: Any) -> None:
    """Write the digests of what this process has compiled; where nothing can be written, none is kept."""
    if loop.stats.cache_path is None or not loop.stats.cache_misses:
        return
    try:
        write_whole(_list_of(loop), json.dumps({file.name: _digest(file) for file in _files(loop)}))
    except (ConfigError, OSError):  # the next process compiles again
        return


def _mend(loop: Any) -> bool:
    """Remove machine code that is not what was written; False when that cannot be done."""
    try:
        known = json.loads(_list_of(loop).read_bytes())
    except (OSError, ValueError):
        known = {}
    try:
        files = _files(loop)
        if any(known.get(file.name) != _digest(file) for file in files):
            for file in files:
                file.unlink(missing_ok=True)
    except (OSError, AttributeError):
        return False
    return True


def _files(loop: Any) -> list[Path]:
    """Files of the machine code of this version of the loop."""
    code = loop.py_func.__code__
    start = f"{Path(code.co_filename).stem}.{loop.py_func.__qualname__}-{code.co_firstlineno}."
    names = sorted(name for name in os.listdir(loop.stats.cache_path) if name.startswith(start))
    return [Path(loop.stats.cache_path, name) for name in names if name.endswith(_SUFFIXES)]


def _list_of(loop: Any) -> Path:
    return Path(loop.stats.cache_path, f"{loop.py_func.__qualname__}.digests.json")


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
