"""Experiments on this host: one at a time, what only root may measure refused in one line, and how programs are run.

The programs give root up before they time anything, and die with the process that started them; namespaces, devices and
XDP programs are theirs and go with them.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from sim.config.errors import ConfigError
from sim.host.programs import environment

#: Whoever holds this file's lock measures on this host, and nobody does once that process is gone.
_TURN = Path("/tmp/.vhost-sim-measure")
_holds_turn: ContextVar[bool] = ContextVar("holds_turn", default=False)
_GRACE_S = 60.0


def check_devices(*devices: str) -> None:
    """Raise ConfigError where a device is missing, or this process is not root."""
    for device in devices:
        if not Path(device).exists():
            raise ConfigError(f"measure: this kernel has no {device}")
    if os.geteuid() != 0:
        raise ConfigError("measure: root is needed (for a network namespace, a TAP and an XDP program)")


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Hold the host's turn; ConfigError while another process has it. It ends with the process at the latest.

    A part of what holds it already takes it again.
    """
    if _holds_turn.get():
        yield
        return
    turn = _take_turn()
    holding = _holds_turn.set(True)
    try:
        yield
    finally:
        _holds_turn.reset(holding)
        os.close(turn)


def _take_turn() -> int:
    """Lock the file, which the first one on this host makes for all to read: a lock needs no more."""
    try:
        turn = _open_turn()
    except OSError as error:
        raise ConfigError(f"measure: {_TURN} cannot be locked: {error.strerror}") from None
    try:
        fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(turn)
        raise ConfigError("measure: another experiment is running here; they would disturb each other") from None
    return turn


def _open_turn() -> int:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        made = os.open(_TURN, flags | os.O_CREAT | os.O_EXCL, 0o444)
    except FileExistsError:
        return os.open(_TURN, flags)
    os.fchmod(made, 0o444)  # whatever the mask is
    return made


def run_program(program: Path, settings: Mapping[str, int], limit_s: float = _GRACE_S) -> list[dict[str, Any]]:
    """Run a program with KEY=NUMBER arguments and return its records; ConfigError with its one line when it fails."""
    command = [str(program), *(f"{key}={value}" for key, value in settings.items())]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit_s, check=False, env=environment())
    except subprocess.TimeoutExpired:
        raise ConfigError(f"measure: an experiment did not end within {limit_s:g} s") from None
    except OSError as error:
        raise ConfigError(f"measure: {program} does not run: {error.strerror}") from None
    if done.returncode:
        reason = done.stderr.strip().splitlines()
        raise ConfigError(f"measure: {reason[-1] if reason else f'{program.name} ended with {done.returncode}'}")
    return parse_records(done.stdout)


def parse_records(text: str) -> list[dict[str, Any]]:
    """Read the records of an experiment, a JSON object in each line; ConfigError quotes a line that is none."""
    records = []
    for line in text.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if not isinstance(record, dict) or not isinstance(record.get("record"), str):
            raise ConfigError(f"measure: an experiment answered {line[:80]!r}")
        records.append(record)
    return records
