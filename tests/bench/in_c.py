"""The loop by hand in C: its header written from the arrays of the engine, compiled by the system compiler, called."""

from __future__ import annotations

import ctypes
from pathlib import Path

from sim.datapath import traffic
from sim.datapath.plan.plan import Wait
from sim.datapath.plan.registers import Register
from sim.engine import arrays, histogram, order
from sim.engine.machine import LINE_SHIFT, NOBODY, Count
from sim.host.programs import compiled_from

FOLDER = Path(__file__).parent
FLAGS = ("-O3", "-march=native", "-fwrapv", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror")
#: Records of each array of `Arrays` that has columns.
RECORDS = {
    name: ({"accesses": "access", "fixed": "fixed"}.get(name, name.removesuffix("s")), dtype)
    for name, dtype in arrays.RECORDS.items()
}
#: Numbers of rows and columns that the loop asks for, by their names there.
SIZES = {
    "actor_rows": ("actors", 0),
    "arrival_rows": ("arrivals", 0),
    "class_bound_rows": ("class_bounds", 0),
    "posted_at_ps_rows": ("posted_at_ps", 0),
    "count_columns": ("counts", 1),
    "exposed_columns": ("exposed_ps", 1),
}
_NAMES = arrays.Arrays._fields


def header() -> str:
    """Return `records.h`: the records, the struct of all arrays, and the numbers that are compiled in."""
    numbers = {
        f"{names.__name__.upper()}_{name}": int(value)
        for names in (arrays.Mark, arrays.Phase, Count, Wait, Register)
        for name, value in names.__members__.items()
    }
    numbers |= {
        "NOBODY": NOBODY,
        "IN_SEGMENT": arrays.IN_SEGMENT,
        "NEVER": arrays.NEVER,
        "LINE_SHIFT": LINE_SHIFT,
        "COMING_SHIFT": arrays.COMING_SHIFT,
        "PREFETCHED": int(arrays.PREFETCHED),
        "SUB_BITS": histogram.SUB_BITS,
        "LAST_BUCKET": histogram.buckets() - 1,
        "OCCUPIED_SHIFT": arrays.OCCUPIED_SHIFT,
        "PRIORITY_SHIFT": order.PRIORITY_SHIFT,
        "LAST_PS": traffic.LAST_PS,
        "DRAW_BITS": traffic.DRAW_BITS,
        **{f"SHIFT_{number}": shift for number, shift in enumerate(traffic.SHIFTS, 1)},
    }
    words = {"GAMMA": traffic.GAMMA, "FIRST_FACTOR": traffic.FIRST_FACTOR, "SECOND_FACTOR": traffic.SECOND_FACTOR}
    structs = [f"struct {name} {{ int64_t {', '.join(dtype.names)}; }};" for name, dtype in RECORDS.values()]
    fields = [f"{_type(name)} *{name};" for name in _NAMES] + [f"int64_t {name};" for name in SIZES]
    return "\n".join(
        [
            "#include <stdint.h>",
            *(f"#define {name} ((int64_t){number})" for name, number in numbers.items()),
            *(f"#define {name} UINT64_C({word})" for name, word in words.items()),
            *structs,
            f"struct arrays {{ {' '.join(fields)} }};",
            "int simulate(struct arrays *a, int64_t target);",
            "",
        ]
    )


def _type(name: str) -> str:
    return f"struct {RECORDS[name][0]}" if name in RECORDS else "int64_t"


class _Arrays(ctypes.Structure):
    _fields_ = [*((name, ctypes.c_void_p) for name in _NAMES), *((name, ctypes.c_int64) for name in SIZES)]


def library(folder: Path) -> ctypes.CDLL:
    """Compile the loop, its header in a folder; ConfigError where there is no compiler."""
    (folder / "records.h").write_text(header())
    source = folder / "loop.c"
    source.write_bytes((FOLDER / "loop.c").read_bytes())
    return ctypes.CDLL(str(compiled_from("bench-loop", [source], FLAGS)))


def simulate(loop: ctypes.CDLL, packed: arrays.Arrays, packets: int) -> None:
    """Simulate on the arrays of a plan until so many packets are used, as the loop of the fast engine does."""
    for name, array in zip(_NAMES, packed, strict=True):
        assert array.flags.c_contiguous, name
    pointers = [array.ctypes.data for array in packed]
    sizes = [getattr(packed, name).shape[axis] for name, axis in SIZES.values()]
    if loop.simulate(ctypes.byref(_Arrays(*pointers, *sizes)), ctypes.c_int64(packets)):
        raise RuntimeError("nobody can go on, or known arrivals or simulated time are over")
