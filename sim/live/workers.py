"""Processes that stay for the questions of all pages: started before they are asked, anew where one has died."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, suppress
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any, Protocol

from sim.config.loading.kept import keep_latest
from sim.study.runs.case import Case
from sim.study.runs.pool import local_executor
from sim.study.runs.sent import Given, Knowing, Result, Sent, asked

#: What a process runs first, so that its machine code is there when somebody asks.
_FIRST, _FIRST_ACCESS, _FIRST_BYTES = "virtio-user-xdp1-tap", "copy_user", 64
#: So long a job that nobody waits for may keep its process from others, in seconds; and how often that is looked at.
_MOST_IDLE_SECONDS, _LOOK_SECONDS = 0.6, 0.2
#: Runs that take as long as to build a Plan, and as what a job takes besides its own; cases that a process is believed
#: to know.
_RUNS_OF_A_PLAN, _RUNS_OF_A_JOB, _KNOWN = 60, 12, 160
#: Chunks of each process: where three cases are shared by two, each builds two of them and has as much to do. And of
#: what nobody has asked for yet, in smaller jobs.
_CHUNKS, _CHUNKS_AHEAD = 3, 9

#: Returns whether an answer is still waited for.
Wanted = Callable[[], bool]


class Executing(Protocol):
    """Gives what runs jobs as long as they are wanted, small ones where nobody has asked for them yet; or nothing."""

    def __call__(self, wanted: Wanted, *, is_ahead: bool = False) -> Executor | None:
        """Return an executor, None for this process."""


class EndedError(Exception):
    """The processes were told to end."""


class _Process:
    """One process: its jobs, in the order in which they came, and the cases that it was asked about of late."""

    def __init__(self) -> None:
        self._opened = ExitStack()
        self._pool = self._opened.enter_context(local_executor(1, begin_early))
        self._jobs: dict[Future[Any], tuple[Wanted, int]] = {}
        self._known: dict[Sent, None] = {}
        self._pool.submit(os.getpid)  # it is started now

    @property
    def is_broken(self) -> bool:
        """Whether it has died."""
        try:
            self._pool.submit(os.getpid)
        except (BrokenExecutor, RuntimeError):
            return True
        return False

    def runs_before(self, case: Sent | None) -> int:
        """Return about how many runs would be made here before those of a further job about a case are."""
        return sum(runs for _, runs in [*self._jobs.values()]) + self._runs_of_plan(case)

    def _runs_of_plan(self, case: Sent | None) -> int:
        return 0 if case is None or case in self._known else _RUNS_OF_A_PLAN

    def ask(self, of: Callable[..., Any], case: Sent, given: Sequence[Any], wanted: Wanted, runs: int) -> Future[Any]:
        """Ask a function of a case, which is known here from now on. BrokenProcessPool where it was ended."""
        future = self.submit(asked, (of, case, given), wanted, self._runs_of_plan(case) + runs)
        keep_latest(self._known, case, None, _KNOWN)
        return future

    def submit(self, function: Callable[..., Any], args: Iterable[Any], wanted: Wanted, runs: int = 0) -> Future[Any]:
        """Send a job out, of about so many runs. BrokenProcessPool where it was ended."""
        try:
            future = self._pool.submit(function, *args)
        except RuntimeError as error:  # it was ended meanwhile
            raise BrokenProcessPool(str(error)) from None
        self._jobs[future] = wanted, runs + _RUNS_OF_A_JOB
        future.add_done_callback(lambda done: self._jobs.pop(done, None))
        return future

    def unwanted(self) -> Future[Any] | None:
        """Return the job that it is at, where nobody waits for it: the next ones count as running, too, at the door."""
        at = next(((job, wanted) for job, (wanted, _) in [*self._jobs.items()] if job.running()), None)
        return at[0] if at is not None and not at[1]() else None

    def is_waited_for(self) -> bool:
        """Return whether somebody waits for one of its jobs."""
        return any(wanted() for wanted, _ in [*self._jobs.values()])

    def end(self) -> None:
        """Leave the pool as an interrupt does: it waits for nothing."""
        with suppress(EndedError), self._opened:
            raise EndedError


class Workers:
    """Processes of this machine, one per core unless told otherwise, that share what pages ask.

    A job goes to a process that knows its case, unless another one is done sooner. It cannot be stopped: a process is
    ended where nobody waits for what it is at and somebody for what stands behind that, or where all are at such jobs,
    and another one begins. A slow scenario holds nothing up once its page asks for another.
    """

    def __init__(self, number: int | None = None) -> None:
        self._number = number or os.cpu_count() or 1
        self._lock, self._closed = Lock(), Event()
        self._processes: tuple[_Process, ...] = ()

    def executor(self, wanted: Wanted = lambda: True, *, is_ahead: bool = False) -> Knowing:
        """Return what runs jobs as long as they are wanted; a process that has died is started anew.

        What nobody has asked for yet, `is_ahead`, comes in small jobs: what somebody asks for waits for few of them.

        EndedError behind `close`.
        """
        with self._lock:
            if self._closed.is_set():
                raise EndedError
            if not self._processes:
                self._processes = tuple(_Process() for _ in range(self._number))
                Thread(target=self._watch, daemon=True).start()
            self._processes = tuple(_anew(process) if process.is_broken else process for process in self._processes)
            return _Asking(self._processes, wanted, _CHUNKS_AHEAD if is_ahead else _CHUNKS)

    def close(self) -> None:
        """End the processes, whatever they are at."""
        with self._lock:
            self._closed.set()
            for process in self._processes:
                process.end()

    def _watch(self) -> None:
        """End processes that hold others up with what nobody waits for."""
        since: dict[Future[Any], float] = {}
        while not self._closed.wait(_LOOK_SECONDS):
            now, processes = monotonic(), self._processes
            held = {process: job for process in processes if (job := process.unwanted()) is not None}
            since = {job: since.get(job, now) for job in held.values()}
            for process, job in held.items():
                is_in_the_way = len(held) == len(processes) or process.is_waited_for()
                if is_in_the_way and now - since[job] > _MOST_IDLE_SECONDS:
                    with self._lock:
                        process.end()


def _anew(process: _Process) -> _Process:
    process.end()
    return _Process()


class _Asking(Knowing):
    """The processes as one question sees them."""

    def __init__(self, processes: Sequence[_Process], wanted: Wanted, chunks: int) -> None:
        self._processes, self._wanted, self.chunks = processes, wanted, chunks * len(processes)

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Send a job out that is about no case."""
        assert not kwargs, "jobs are called with what they are about, by place"
        return self._soonest(None).submit(function, args, self._wanted)

    def ask(
        self, of: Callable[[Case, Sequence[Given]], Result], case: Sent, given: Sequence[Given], weight: int = 1
    ) -> Future[Result]:
        """Ask a function of a case, in the process that is likely to be done with it first."""
        return self._soonest(case).ask(of, case, given, self._wanted, len(given) * weight)

    def _soonest(self, case: Sent | None) -> _Process:
        return min(self._processes, key=lambda process: process.runs_before(case))


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
