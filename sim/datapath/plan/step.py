"""Rows before pricing: what a step does, said in the words of the kernel; pricing turns drafts into rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sim.datapath.plan.plan import Condition, Effect, Jump, LineAccess, Register, Scope

Copied = Literal["none", "first", "rest", "whole"]


@dataclass(frozen=True)
class Draft:
    """One row as written by a datapath; `step` names its instruction count in the kernel file, if it has one.

    `copied` says which dirty and clean payload lines a copy meets: the packet's first line, the rest, or all; only
    those of the first `copied_bytes` where that is not 0.
    `times` repeats accessor and work within one execution; `per_unit` prices everything per unit of `unit`.
    `extra_ns` is time that no primitive stands for, shown as `extra_name`.
    `spared` is the accessor that the step was counted with, where the row executes another one or none.
    `far_read`: its lines overlap with those of the read before only as far as the reorder buffer reaches.
    """

    label: str
    actor: str
    step: str
    scopes: tuple[Scope, ...]
    operation: str = "work"
    kernel_step: str | None = None
    function: str = ""
    accessor: str | None = None
    spared: str | None = None
    bytes: int = 0
    times: int = 1
    primitives: tuple[str, ...] = ()
    extra_instructions: float = 0.0
    extra_ns: float = 0.0
    extra_name: str = ""
    unit: int | None = None
    per_unit: bool = False
    copied: Copied = "none"
    copied_bytes: int = 0
    access: LineAccess | None = None
    payload_access: LineAccess | None = None
    far_read: bool = False
    drains_stores: bool = False
    sample: tuple[int, int] | None = None
    effects: tuple[Effect, ...] = ()
    condition: Condition | None = None
    takes_arrivals: bool = False
    marks: Literal["posted", "used"] | None = None
    jumps: tuple[Jump, ...] = ()


def worker_row(label: str, step: str, scope: Scope, kernel_step: str | None = None, **fields: Any) -> Draft:
    """Return a row of the worker; `kernel_step` names its instruction count."""
    return Draft(label, "worker", step, (scope,), kernel_step=kernel_step, **fields)


def driver_row(label: str, step: str, scope: Scope, function: str, **fields: Any) -> Draft:
    """Return a row of the driver, with the function that it stands for."""
    return Draft(label, "driver", step, (scope,), function=function, **fields)


def add(target: int, constant: int = 1) -> Effect:
    """`target += constant`."""
    return Effect("add", target, None, constant)


def put(target: int, constant: int) -> Effect:
    """`target = constant`."""
    return Effect("set", target, None, constant)


def copy(target: int, source: int) -> Effect:
    """`target = source`."""
    return Effect("copy", target, source)


def go(target: str) -> Jump:
    """Jump always: no register is ever negative."""
    return Jump(Register.AVAIL_IDX, ">=", 0, target)
