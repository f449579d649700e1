"""Machine code of the compiled loop: kept on the disk, and loaded without the compiler.

numba compiles the functions of `loop` once; what LLVM makes of them is kept under a key of all that it depends on, so
that code which was made of another text is compiled anew. Loading takes `llvmlite` alone, a tenth of the time that
importing numba does.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from threading import Lock
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from sim.config.errors import ConfigError
from sim.config.loading.kept import keep, kept
from sim.engine import arrays
from sim.engine.arrays import LAYOUT, Arrays, Noted, Snapshots, Until

COMPILE_SECONDS = 10

_LOOP = Path(__file__).with_name("loop.py")
_log = logging.getLogger(__name__)
_lock = Lock()
#: What holds loaded code: it would be unloaded with it.
_engines: list[Any] = []


def _examples() -> dict[str, tuple[Any, ...]]:
    """Return, for each function, arguments of the types that it is compiled for."""
    integers = {dimensions: np.zeros((0,) * dimensions, dtype=np.int64) for dimensions in (1, 2, 3, 4)}
    planes = ("exposed_ps", "counts")
    fields = {
        name: np.zeros(0, dtype=arrays.RECORDS[name])
        if name in arrays.RECORDS
        else integers[2 if name in planes else 1]
        for name in Arrays._fields
    }
    until = Until(integers[2], 0, 0, 0)
    totals = np.zeros(0, dtype=arrays.TOTAL)
    noted = Noted(integers[1], integers[2], integers[2], integers[4], totals, states=integers[2])
    snapshots = Snapshots(totals, integers[1], integers[3], integers[2])
    return {
        "simulate_run": (Arrays(**fields), integers[2], 0, 0, 0, 0, snapshots),
        "simulate_draws": (Arrays(**fields), *[integers[1]] * 4, integers[2], until, noted),
    }


class Flat(tuple[ctypes.c_int64, ...]):
    """Arguments as numba passes them, worked out once for many calls; the arrays have to be kept meanwhile."""

    __slots__ = ()


def flat(argument: Any) -> Flat:
    """Return an argument as numba passes it."""
    return Flat(map(ctypes.c_int64, _flat(argument)))


def _flat(argument: Any) -> Iterator[int]:
    """Yield an argument as numba passes it: integers, tuples by their fields, arrays by address, shape and strides."""
    if isinstance(argument, tuple):
        for field in argument:
            yield from _flat(field)
    elif isinstance(argument, np.ndarray):
        yield from (0, 0, argument.size, argument.itemsize, argument.ctypes.data, *argument.shape, *argument.strides)
    else:
        yield int(argument)


class MachineCode:
    """A function of `loop`, which returns an integer.

    The first call loads it, or compiles it and keeps it where there is room. It raises ConfigError where compiling is
    needed and switched off.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._function: Any = None

    def __call__(self, *arguments: Any) -> int:
        """Run the function; other threads run meanwhile. Arguments that are `Flat` are passed on as they are."""
        if self._function is None:
            with _lock:  # of several threads one loads and compiles
                self._function = self._function or _loaded(self._name)
        passed = chain.from_iterable(part if isinstance(part, Flat) else flat(part) for part in arguments)
        result, error = ctypes.c_int64(), ctypes.c_void_p()
        self._function(ctypes.byref(result), ctypes.byref(error), *passed)
        return result.value


def _loaded(name: str) -> Any:
    symbol, code = _kept(name) or _compiled()[name]
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target_machine())
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _engines.append(engine)
    # Types of arguments are not stated: they come as objects of ctypes, which is a third of the time of a call.
    return ctypes.CFUNCTYPE(ctypes.c_int32)(engine.get_function_address(symbol))


@cache
def _target_machine() -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    host = {"cpu": llvm.get_host_cpu_name(), "features": llvm.get_host_cpu_features().flatten()}
    return llvm.Target.from_default_triple().create_target_machine(opt=3, jit=True, codemodel="jitdefault", **host)


def _compiled() -> dict[str, tuple[str, bytes]]:
    """Compile the functions, keep them, and return the symbol and the object code of each."""
    import numba

    if numba.config.DISABLE_JIT:
        message = "NUMBA_DISABLE_JIT is set, and the fast engine is compiled: unset it, or set run.engine=reference"
        raise ConfigError(message)
    _log.warning("compiling the fast engine (once, about %d s)", COMPILE_SECONDS)
    from sim.engine import loop

    made = {}
    for name, examples in _examples().items():
        dispatcher = getattr(loop, name)
        dispatcher.compile(tuple(map(numba.typeof, examples)))
        (result,) = dispatcher.overloads.values()
        module = llvm.parse_assembly(result.library.get_llvm_str())
        made[name] = result.fndesc.llvm_func_name, bytes(_target_machine().emit_object(module))
        _keep(name, *made[name])
    return made


# -- on the disk ------------------------------------------------------------------------------------------------------


@cache
def _key() -> str:
    """Return the digest of all that the machine code depends on: text, numbers and records, compiler, processor."""
    host = [llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten(), llvm.get_process_triple()]
    made_with = [*host, version("numba"), version("llvmlite"), np.__version__]
    records = [(name, str(dtype)) for name, dtype in arrays.RECORDS.items()]
    depends = repr([LAYOUT, records, *(kind._fields for kind in (Arrays, Noted, Snapshots, Until)), made_with])
    texts = [file.read_bytes() for file in (_LOOP, Path(__file__))]
    return hashlib.sha256(b"\0".join([depends.encode(), *texts])).hexdigest()[:24]


def _file(name: str) -> str:
    return f"{name}.{_key()}.code"


def _kept(name: str) -> tuple[str, bytes] | None:
    """Return symbol and object code as they were written; None where there is none."""
    content = kept(_file(name))
    if content is None:
        return None
    symbol, code = content.split(b"\n", 1)
    return symbol.decode(), code


def _keep(name: str, symbol: str, code: bytes) -> None:
    keep(_file(name), b"\n".join([symbol.encode(), code]))
