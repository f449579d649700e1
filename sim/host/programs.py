"""The C programs of this room: which benchmarks they run on a machine, how they are compiled, a run in a process."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import platform
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from sim.config.errors import ConfigError
from sim.host.machine import HostMachine

SOURCES = Path(__file__).resolve().parent
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
FLAGS = ("-O2", "-mno-red-zone", "-pthread")
PROGRAMS = {
    "bench": (
        *("bench.c", "threads.c", "common.c"),
        *("instructions.c", "serialising.c", "memory.c", "cores.c", "copies.c", "kernel.c", "tap.c", "taps.c", "tun.c"),
    ),
    "ring": ("ring.c", "threads.c", "common.c", "cores.c", "copies.c"),
    "writes": ("writes.c", "taps.c", "tun.c", "common.c"),
    "messages": ("messages.c", "tun.c", "common.c"),
    "vhost": ("vhost.c", "driver.c", "worker.c", "tun.c", "network.c", "netlink.c", "common.c"),
}


def check_platform() -> None:
    """Refuse a machine that the programs are not written for, in one line."""
    system, machine = platform.system(), platform.machine()
    if system != "Linux" or machine not in ("x86_64", "AMD64"):
        raise ConfigError(f"measure: x86-64 Linux is needed (this is {system} on {machine})")


def find_compiler() -> str:
    """Return the path of the system's C compiler; ConfigError when there is none."""
    for name in ("cc", "gcc", "clang"):
        compiler = shutil.which(name)
        if compiler is not None:
            return compiler
    raise ConfigError("measure: a C compiler is needed (none of cc, gcc, clang is on the PATH)")


def cache_folder() -> Path:
    """Return where compiled programs are kept: below XDG_CACHE_HOME, or ~/.cache."""
    root = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(root) / "vhost-sim"


def compiler_version(compiler: str) -> str:
    """Return the first line of what the compiler says about itself."""
    try:
        done = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        raise ConfigError(f"measure: the C compiler does not run: {compiler}") from None
    return done.stdout.partition("\n")[0]


def compiled(program: str, static: bool = False) -> Path:
    """Return the executable of a program, compiled now unless the cache has it for this source and compiler.

    `static`: without shared libraries, for a machine that has none.
    """
    flags = (*FLAGS, "-static") if static else FLAGS
    return compiled_from(program, [SOURCES / name for name in PROGRAMS[program]], flags)


def compiled_from(name: str, sources: Sequence[Path], flags: Sequence[str]) -> Path:
    """Return what sources are compiled to, from the cache unless a source, a header, the compiler or a flag is new."""
    check_platform()
    compiler = find_compiler()
    version = compiler_version(compiler)
    digest = hashlib.sha256(" ".join((version, *flags)).encode())
    headers = (
        header for folder in sorted({SOURCES, *(file.parent for file in sources)}) for header in folder.glob("*.h")
    )
    for file in (*sources, *sorted(headers)):
        digest.update(file.read_bytes())
    executable = _own_folder(cache_folder()) / f"{name}-{digest.hexdigest()[:16]}"
    if not _is_own(executable):
        _compile([compiler, *flags], sources, executable)
    return executable


def _own_folder(folder: Path) -> Path:
    """Return the folder that programs are kept in, made if need be: nobody else may change what is run from there."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        state = folder.stat()
        if state.st_uid not in (0, os.geteuid()):
            text = (
                "belongs to another user, who could change the programs in it; set XDG_CACHE_HOME to a folder of yours"
            )
            raise ConfigError(text, file=folder)
        if state.st_mode & _WRITABLE_BY_OTHERS:
            folder.chmod(stat.S_IMODE(state.st_mode) & ~_WRITABLE_BY_OTHERS)
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", file=folder) from None
    return folder


def _is_own(executable: Path) -> bool:
    """Return whether a program is there, as this user or root has compiled it and nobody else can change it."""
    try:
        state = executable.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISREG(state.st_mode) and state.st_uid in (0, os.geteuid()) and not state.st_mode & _WRITABLE_BY_OTHERS


def _compile(compiler: list[str], sources: Sequence[Path], executable: Path) -> None:
    """Compile into a temporary file and rename it, so that nobody runs a half-written program."""
    try:
        handle, name = tempfile.mkstemp(prefix=executable.name, dir=executable.parent)
        os.close(handle)
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", file=executable.parent) from None
    command = [*compiler, "-o", name, *(str(file) for file in sources), "-lm"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            first = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr[-200:])
            raise ConfigError(f"measure: {compiler[0]} cannot compile {executable.name}: {first}")
        os.chmod(name, 0o755)
        os.replace(name, executable)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


@dataclass(frozen=True)
class Reading:
    """What one benchmark gave: ticks per operation (None: not possible), core cycles per tick, disturbed batches."""

    ticks: float | None
    ratio: float
    disturbed: int


def environment() -> dict[str, str]:
    """Return the environment of a program of this room, which goes with the process that its parent names in it."""
    return {**os.environ, "VHOST_SIM_PARENT": str(os.getpid())}


def parse_reading(line: str) -> Reading:
    """Read one line of the program: ticks, the clock ratio before and after, disturbed batches."""
    try:
        ticks, before, after, disturbed = line.split()
        value, ratio = float(ticks), (float(before) + float(after)) / 2
        count = int(disturbed)
    except ValueError:
        raise ConfigError(f"measure: the benchmark program answered {line.strip()!r}") from None
    return Reading(value if math.isfinite(value) else None, ratio, count)


def run_round(
    program: Path, pair: tuple[int, int | None], wanted: Sequence[str], limit_s: float = 60.0
) -> tuple[float, list[Reading]]:
    """Run all benchmarks once in a fresh process; return ticks per ns and the readings in order."""
    other = -1 if pair[1] is None else pair[1]
    command = [str(program), str(pair[0]), str(other)]
    try:
        done = subprocess.run(
            command,
            input="\n".join(wanted) + "\n",
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
            env=environment(),
        )
    except subprocess.TimeoutExpired:
        raise ConfigError(f"measure: a round of benchmarks did not end within {limit_s:g} s") from None
    except OSError as error:
        raise ConfigError(f"measure: {program} does not run: {error.strerror}") from None
    lines = done.stdout.splitlines()
    if done.returncode or not lines or not lines[0].startswith("ready "):
        reason = done.stderr.strip().splitlines()
        raise ConfigError(f"measure: the benchmark program failed: {reason[-1] if reason else done.returncode}")
    readings = [parse_reading(line) for line in lines[1:]]
    if len(readings) != len(wanted):
        raise ConfigError(f"measure: {len(wanted)} benchmarks were asked for, {len(readings)} answered")
    return float(lines[0].removeprefix("ready ")), readings


_KIB = 1024
#: Used where the kernel does not show the caches.
_USUAL = (32 * _KIB, 1024 * _KIB, 32 * _KIB * _KIB)
_MOST_MEMORY_KIB = 512 * _KIB


INSTRUCTIONS = (
    "add_chain imul_chain lfence load load_lfence mfence store lock_add spin_lock mask_chain mask_load call "
    "indirect_call retpoline user_access_body user_access_body_safe_ret"
)
SYSTEM_CALLS = (
    "sys_invalid sys_getuid sys_getresuid sys_getcpu_0 sys_getcpu_1 sys_getcpu_2 sys_time_0 sys_time_1 "
    "sys_gettimeofday_0 sys_gettimeofday_zone sys_settimeofday_bad sys_ioctl_fioclex sys_ioctl_fionbio "
    "sys_utimensat_0 sys_utimensat_2 sys_eventfd_write sys_write_null"
)
#: Sequences that run behind `BEHIND` instructions of independent work, and what they are.
SERIALISING = {
    "work_lfence": "lfence",
    "work_two_lfences": "lfence, lfence",
    "work_lfence_load_lfence": "lfence, load, lfence",
    "work_lock_add": "lock add",
    "work_spin_lock": "lock cmpxchg, load, store",
    "work_two_bit_locks": "lock bts, lock btr",
}
BEHIND = (0, 14, 28, 56, 112)
#: Those of them that every scheduler holds (the smallest one has 60 entries), and behind which a barrier is alone.
WITHIN_SCHEDULER = (14, 28, 56)
CHAINS = (14, 28, 42)
SHORT_COPIES = (8, 16, 32, 64, 96)
LONG_COPIES = (256, 512, 1500, 2048, 4096, 9000)
FENCED_COPIES = (64, 256, 512, 1500, 4096)
DIRTY_COPIES = (16, 64, 256, 1500, 4096, 9000)
#: Calls of an empty function in the XDP program that a packet written to a TAP runs.
CALLS_IN_KERNEL = (0, 16, 64, 128)
HEAD_COPIES = (64, 512, 1500)
#: Loads of the first of two adjacent modified lines, of the one behind it, of that once more, and of the first again.
NEXT_LINES = range(4)


@dataclass(frozen=True)
class Sizes:
    """Footprints in KiB that lie within each level of a machine's caches, and numbers of pages for its TLBs."""

    l1_kib: int
    l2_kib: int
    l3_kib: int
    memory_kib: int
    few_pages: int
    some_pages: int
    many_pages: int


def sizes(machine: HostMachine) -> Sizes:
    """Return the footprints for a machine: half of L1 and L2, a quarter of L3 (others share it), four times L3."""
    given = (machine.l1_bytes, machine.l2_bytes, machine.l3_bytes)
    l1, l2, l3 = (seen or usual for seen, usual in zip(given, _USUAL, strict=True))
    return Sizes(
        l1_kib=l1 // 2 // _KIB,
        l2_kib=l2 // 2 // _KIB,
        l3_kib=min(l3 // 4 // _KIB, 8 * _KIB),
        memory_kib=min(4 * l3 // _KIB, _MOST_MEMORY_KIB),
        few_pages=32,
        some_pages=256,
        many_pages=min(8192, l2 // 2 // 64),
    )


def benchmarks(machine: HostMachine) -> list[str]:
    """Return every benchmark as `NAME ARGUMENT`, in the order in which a round runs them."""
    size = sizes(machine)
    near, far = (size.l1_kib, size.l2_kib), (size.l3_kib, size.memory_kib)
    independent = ("independent_loads", "independent_loads_fenced")
    return [
        *_named(INSTRUCTIONS.split(), (0,)),
        *_named(("work", *SERIALISING), BEHIND),
        *_named(("wide", "wide_lfence"), WITHIN_SCHEDULER),
        *_named(("two_chains", "two_chains_lfence"), CHAINS),
        *_named(("chase_huge",), (*near, *far)),
        *_named(("chase_small",), near),
        *_named(("chase_pages",), (size.few_pages, size.some_pages, size.many_pages)),
        *_named(("chase_fenced",), (size.l2_kib, size.l3_kib)),
        *(f"{name} {kib}" for kib in (size.l1_kib, *far) for name in independent),
        *_named(("transfer",), (0, 1)),
        *(f"{name} {lines}" for lines in (1, 8, 32, 64) for name in ("stream_loads", "stream_stores")),
        *_named(("next_line",), NEXT_LINES),
        "ping_pong 200",
        *_named(("copy_warm",), (*SHORT_COPIES, 128, 192, *LONG_COPIES)),
        *_named(("copy_warm_fenced",), FENCED_COPIES),
        *_named(("loop_warm", "copy_dirty", "loop_dirty"), DIRTY_COPIES),
        *_named(("copy_dirty_head", "copy_dirty_head_open", "copy_pool"), HEAD_COPIES),
        *_named(SYSTEM_CALLS.split(), (0,)),
        *_named(("sys_pread", "sys_pwrite"), (8, 64, 1024, 4096)),
        *_named(("pin_pages",), (1, 16)),
        *_named(("two_fields",), range(4)),
        "wake_up 100",
        *_named(("tap_calls",), CALLS_IN_KERNEL),
        "tap_additions 400",
    ]


def _named(names: Iterable[str], arguments: Iterable[int]) -> list[str]:
    return [f"{name} {argument}" for name, argument in product(names, arguments)]
