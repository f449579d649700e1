"""The C programs of this room: compiled by the system's compiler once per source, run in processes of their own."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sim.config.errors import ConfigError

SOURCES = Path(__file__).resolve().parent
FLAGS = ("-O2", "-mno-red-zone", "-pthread")
PROGRAMS = {
    "bench": ("bench.c", "common.c", "instructions.c", "memory.c", "cores.c", "copies.c", "kernel.c"),
    "ring": ("ring.c", "common.c"),
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


def compiled(program: str) -> Path:
    """Return the executable of a program, compiled now unless the cache has it for this source and compiler."""
    check_platform()
    compiler = find_compiler()
    version = compiler_version(compiler)
    sources = [SOURCES / name for name in PROGRAMS[program]]
    digest = hashlib.sha256(" ".join((version, *FLAGS)).encode())
    for file in (*sources, SOURCES / "bench.h"):
        digest.update(file.read_bytes())
    folder = cache_folder()
    executable = folder / f"{program}-{digest.hexdigest()[:16]}"
    if not executable.exists():
        _compile(compiler, sources, executable)
    return executable


def _compile(compiler: str, sources: list[Path], executable: Path) -> None:
    """Compile into a temporary file and rename it, so that nobody runs a half-written program."""
    try:
        executable.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=executable.name, dir=executable.parent)
        os.close(handle)
    except OSError as error:
        raise ConfigError(f"{executable.parent}: cannot be written: {error.strerror}") from None
    command = [compiler, *FLAGS, "-o", name, *(str(file) for file in sources), "-lm"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            first = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr[-200:])
            raise ConfigError(f"measure: {compiler} cannot compile {executable.name}: {first}")
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
            command, input="\n".join(wanted) + "\n", capture_output=True, text=True, timeout=limit_s, check=False
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
