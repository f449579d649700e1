"""Processes that stay for the questions of all pages: started before they are asked, anew where one has died."""

from __future__ import annotations

import os
from concurrent.futures import BrokenExecutor, Executor
from contextlib import ExitStack, suppress
from threading import Lock

from sim.study.runs.pool import local_executor

#: What a process runs first, so that its machine code is there when somebody asks.
_FIRST, _FIRST_ACCESS, _FIRST_BYTES = "virtio-user-xdp1-tap", "copy_user", 64


class EndedError(Exception):
    """The processes were told to end."""


class Workers:
    """Processes of this machine, one per core unless told otherwise, that share what pages ask."""

    def __init__(self, number: int | None = None) -> None:
        self._number = number or os.cpu_count() or 1
        self._lock, self._opened = Lock(), ExitStack()
        self._pool: Executor | None = None
        self._is_closed = False

    def executor(self) -> Executor:
        """Return what runs jobs, started anew if one of its processes has died. EndedError behind `close`."""
        with self._lock:
            if self._is_closed:
                raise EndedError
            if self._pool is None or _is_broken(self._pool):
                self._end()
                self._pool = self._opened.enter_context(local_executor(self._number, begin_early))
                for _ in range(self._number):
                    self._pool.submit(os.getpid)  # a process is started for each
            return self._pool

    def close(self) -> None:
        """End the processes, whatever they are at."""
        with self._lock:
            self._is_closed = True
            self._end()

    def _end(self) -> None:
        """Leave the pool as an interrupt does: it waits for nothing."""
        opened, self._opened, self._pool = self._opened, ExitStack(), None
        with suppress(EndedError), opened:
            raise EndedError


def _is_broken(pool: Executor) -> bool:
    try:
        pool.submit(os.getpid)
    except (BrokenExecutor, RuntimeError):
        return True
    return False


def begin_early() -> None:
    """Load tables and machine code, and run what is likely to be asked."""
    from sim.config.loading.load import load_scenario
    from sim.study.runs.case import Case, one_point
    from sim.study.runs.drawn import figures
    from sim.study.uncertainty.nominal import nominals

    scenario = load_scenario(_FIRST, overrides=["run.packets=20000"])
    case = Case(one_point(scenario, _FIRST_ACCESS, _FIRST_BYTES))
    nominals([case])
    figures(case, [{"cpu.primitives.lfence": value} for value in (8.0, 9.0, 10.0, 11.0)])
