"""Machines that are not at hand: recordings constructed from a real one, by the arithmetic that stands here.

`python -m tests.host.constructed` writes them again; a test holds the files against this text.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from sim.host.entries import middles
from sim.host.recording import Recording, Series, read_recording
from sim.host.user_access import toggles

DATA = Path(__file__).parents[1] / "data" / "host"

#: User accesses of each system call: what a kernel without SMAP saves, in pairs of stac and clac.
ACCESSES = {
    **dict.fromkeys(("sys_getcpu_1", "sys_time_1", "sys_gettimeofday_zone", "sys_ioctl_fionbio"), 1),
    **dict.fromkeys(("sys_eventfd_write", "sys_pread", "sys_pwrite"), 1),
    **dict.fromkeys(("sys_getcpu_2", "sys_settimeofday_bad", "sys_utimensat_2"), 2),
    "sys_getresuid": 3,
}
#: A sandbox in user space takes each system call through another process, whose cost varies by itself.
INTERCEPTION = 15.0
INTERCEPTION_SPREAD = 0.1


def changed(base: Recording, origin: str, machine: dict[str, Any], series: dict[str, Series]) -> Recording:
    """Return a recording with other series, on a machine with other fields."""
    update = {"origin": origin, "machine": base.machine.model_copy(update=machine), "series": series}
    return base.model_copy(update=update)


def without_smap(base: Recording) -> Recording:
    """The same machine without SMAP: each user access is cheaper by the pair of toggles that was measured on it."""
    (pair,) = middles([2 * value for value in toggles(base).entries[0].repeats])
    series = {}
    for name, timed in base.series.items():
        saved = ACCESSES.get(name.split()[0], 0) * pair
        repeats = zip(timed.ticks, timed.ratio, strict=True)
        ticks = [None if value is None else round(value - saved / ratio, 4) for value, ratio in repeats]
        series[name] = timed.model_copy(update={"ticks": ticks})
    origin = f"constructed from {base.origin}: no SMAP flag, {pair:.2f} cycles less for each user access of a call"
    flags = [flag for flag in base.machine.flags if flag != "smap"]
    return changed(base, origin, {"flags": flags, "model_name": "a CPU without SMAP"}, series)


def sandboxed(base: Recording) -> Recording:
    """The same machine below a sandbox that takes each system call to user space and shows less of the machine."""
    draw = random.Random(6)
    series = {}
    for name, timed in base.series.items():
        ticks: list[float | None] = list(timed.ticks)
        if name.startswith(("sys_", "two_fields")):
            factors = [INTERCEPTION * (1 + draw.uniform(-INTERCEPTION_SPREAD, INTERCEPTION_SPREAD)) for _ in ticks]
            pairs = zip(ticks, factors, strict=True)
            ticks = [None if value is None else round(value * factor, 4) for value, factor in pairs]
        elif name.startswith("pin_pages"):
            ticks = [None] * len(ticks)
        series[name] = timed.model_copy(update={"ticks": ticks})
    origin = (
        f"constructed from {base.origin}: system calls {INTERCEPTION:g} times as long and spread by "
        f"{INTERCEPTION_SPREAD:.0%}, process_vm_readv refused, no SMAP flag, vulnerabilities not shown"
    )
    hidden = {"flags": ["constant_tsc"], "vulnerabilities": {}}
    return changed(base, origin, {**hidden, "kernel": "4.4.0", "microcode": ""}, series)


def constructed() -> dict[str, Recording]:
    """Return the constructed recordings by the names of their files."""
    base = read_recording(DATA / "zen5-vm.json")
    return {"no-smap.json": without_smap(base), "sandboxed.json": sandboxed(base)}


if __name__ == "__main__":
    for name, recording in constructed().items():
        (DATA / name).write_text(recording.to_json(), encoding="utf-8")
