"""Tests that measure the machine they run on wait for each other, whichever process they are in."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_TURN = Path(tempfile.gettempdir(), f".vhost-sim-tests-{os.getuid()}")


@contextmanager
def only_measuring() -> Iterator[None]:
    """Wait until no other test measures: the command refuses to while another one does."""
    turn = os.open(_TURN, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(turn, fcntl.LOCK_EX)
        yield
    finally:
        os.close(turn)
