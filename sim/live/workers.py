"""Processes that stay for the questions of all pages: started before they are asked, anew where one has died."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, suppress
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any

from sim.study.runs.pool import local_executor

#: What a process runs first, so that its machine code is there when somebody asks.
_FIRST, _FIRST_ACCESS, _FIRST_BYTES = "virtio-user-xdp1-tap", "copy_user", 64


#: So long jobs that nobody waits for may keep all processes, in seconds; and how often that is looked at.
_MOST_IDLE_SECONDS, _LOOK_SECONDS = 0.6, 0.2

#: Returns whether an answer is still waited for.
Wanted = Callable[[], bool]


class EndedError(Exception):
    """The processes were told to end."""


class Workers:
    """Processes of this machine, one per core unless told otherwise, that share what pages ask.

    A job cannot be stopped. Where all processes are at jobs that nobody waits for any more, they are ended, and others
    begin: a slow scenario holds nothing up once its page asks for another.
    """

    def __init__(self, number: int | None = None) -> None:
        self._number = number or os.cpu_count() or 1
        self._lock, self._opened, self._closed = Lock(), ExitStack(), Event()
        self._pool: Executor | None = None
        self._jobs: dict[Future[Any], Wanted] = {}

    def executor(self, wanted: Wanted = lambda: True) -> Executor:
        """Return what runs jobs as long as they are wanted, started anew if a process has died.

        EndedError behind `close`.
        """
        with self._lock:
            if self._closed.is_set():
                raise EndedError
            if self._pool is None or _is_broken(self._pool):
                self._end()
                self._pool = self._opened.enter_context(local_executor(self._number, begin_early))
                for _ in range(self._number):
                    self._pool.submit(os.getpid)  # a process is started for each
                Thread(target=self._watch, args=(self._pool,), daemon=True).start()
            return _Asking(self, self._pool, wanted)

    def close(self) -> None:
        """End the processes, whatever they are at."""
        with self._lock:
            self._closed.set()
            self._end()

    def note(self, future: Future[Any], wanted: Wanted) -> None:
        """Note who waits for a job."""
        self._jobs[future] = wanted
        future.add_done_callback(lambda done: self._jobs.pop(done, None))

    def _watch(self, pool: Executor) -> None:
        """End the processes of a pool that are at what nobody waits for."""
        held: list[Future[Any]] = []
        since = monotonic()
        while self._pool is pool and not self._closed.wait(_LOOK_SECONDS):
            now = self._unwanted()
            if now != held:
                held, since = now, monotonic()
            if held and monotonic() - since > _MOST_IDLE_SECONDS:
                with self._lock:
                    if self._pool is pool:
                        self._end()

    def _unwanted(self) -> list[Future[Any]]:
        """Return the jobs that all processes are at, where nobody waits for any of them.

        Jobs begin in the order in which they came; the next ones count as running while they wait at the door.
        """
        running = [(future, wanted) for future, wanted in [*self._jobs.items()] if future.running()]
        first = running[: self._number]
        return [] if len(first) < self._number or any(wanted() for _, wanted in first) else [job for job, _ in first]

    def _end(self) -> None:
        """Leave the pool as an interrupt does: it waits for nothing."""
        opened, self._opened, self._pool = self._opened, ExitStack(), None
        with suppress(EndedError), opened:
            raise EndedError


class _Asking(Executor):
    """The pool as one question sees it."""

    def __init__(self, workers: Workers, pool: Executor, wanted: Wanted) -> None:
        self._workers, self._pool, self._wanted = workers, pool, wanted

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Send a job out."""
        try:
            future = self._pool.submit(function, *args, **kwargs)
        except RuntimeError as error:  # it was ended meanwhile
            raise BrokenProcessPool(str(error)) from None
        self._workers.note(future, self._wanted)
        return future


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
    gc.freeze()  # what is loaded stays: to look through it again and again takes as long as an answer
