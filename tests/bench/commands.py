"""Runs the installed command; says how much memory its largest process took, and how much of the processors."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

COMMAND = Path(sys.executable).with_name("vhost-sim")

#: A process of its own starts the command: a child of a large process is taken to be as large itself.
_MEASURE = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
with open(sys.argv[1], "w") as file:
    print(used.ru_maxrss * 1024, used.ru_utime + used.ru_stime, file=file)
sys.exit(code)
"""


@dataclass(frozen=True)
class Usage:
    """Resident bytes of the largest process of a command, and the processor seconds of all of them."""

    peak_bytes: int
    cpu_seconds: float


def printed(*arguments: str) -> str:
    """Run the command; return what it printed."""
    return subprocess.run([COMMAND, *arguments], stdout=subprocess.PIPE, text=True, check=True).stdout


def usage(file: Path, *arguments: str) -> Usage:
    """Run the command; return what it used, by way of a file."""
    command = [sys.executable, "-I", "-S", "-c", _MEASURE, str(file), str(COMMAND), *arguments]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    peak, seconds = file.read_text().split()
    return Usage(int(peak), float(seconds))
