"""Many cheap runs of a few cases with other values in their tables, on any executor: here, a pool, a cluster."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    Executor,
    Future,
    InvalidStateError,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from threading import Thread, current_thread, main_thread
from typing import Any

import numpy as np

from sim.config.errors import ConfigError
from sim.config.progress import Counted
from sim.costs.audit import Itself
from sim.study.runs.case import Case, Floats
from sim.study.runs.drawn import Answer, Values, figures
from sim.study.runs.sent import Knowing, Sender

DASK_TIMEOUT_SECONDS = 10
#: Runs of one chunk: a structure is built in the time of some hundred runs, and progress is told between chunks. Fewer
#: where an executor wants more chunks to share out, down to what is worth being sent.
_CHUNK, _WORTH_SENDING = 400, 30
#: Below this many runs, starting threads, or processes, takes longer than they save.
_WORTH_THREADS = 60
_WORTH_PROCESSES = 2000
#: So often who waits for runs is asked whether that is still wanted, in seconds.
_LOOK_SECONDS = 0.05


class WorkerDiedError(ConfigError):
    """A process of a pool ended by itself, or was ended: the pool is of no more use."""


@dataclass(frozen=True)
class Job:
    """One run: a case by number, and the values that its tables take."""

    case: int
    values: Values


@dataclass(frozen=True)
class Outcomes:
    """The figures of jobs, in their order; NaN where a run failed, with its error by job number."""

    figures: Floats
    errors: dict[int, str]


#: What ends a command.
_ENDING = (signal.SIGINT, signal.SIGTERM)


class _Given(Future[Any]):
    """A future that hears of its broken pool even if it was cancelled.

    The thread that tells all of them would end on it with an error, and the pool never.
    """

    def set_exception(self, exception: BaseException | None) -> None:
        """Take what went wrong, unless nobody waits for it."""
        with suppress(InvalidStateError):
            super().set_exception(exception)


class _Pool(ProcessPoolExecutor):
    """A pool that starts its workers undisturbed: one whose start is cut short would end in a traceback of its own.

    Its end does not wait for the rest of an answer whose worker has died: nobody else can write it.
    """

    def __init__(self, workers: int, **how: Any) -> None:
        super().__init__(workers, **how)
        self._most = workers

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Send a call out, which may start a worker."""
        with _ending_later():
            future = super().submit(function, *args, **kwargs)
        if len(self._processes) == self._most:  # no other one will be given this end of the pipe
            self._result_queue._writer.close()  # type: ignore[attr-defined]
        future.__class__ = _Given
        return future

    def kill(self) -> None:
        """End the workers, whatever they are at."""
        for worker in [*(self._processes or {}).values()]:
            worker.kill()


@contextmanager
def _ending_later() -> Iterator[None]:
    """Hear only behind the block what asks the command to end; a process that is started in it begins deaf to it."""
    if current_thread() is not main_thread():  # only there are signals heard
        yield
        return
    heard: list[int] = []
    handlers = {number: handler for number in _ENDING if (handler := signal.getsignal(number)) is not None}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)  # what is started takes it on
    for number in handlers:  # other threads of this process have no mask
        signal.signal(number, lambda ending, _: heard.append(ending))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    for ending in heard:
        signal.raise_signal(ending)


@contextmanager
def local_executor(jobs: int | None = None, begin: Callable[[], object] | None = None) -> Iterator[Executor]:
    """Give a pool of processes, one per core unless told otherwise; each begins with a function of a module."""
    jobs = os.cpu_count() or 1 if jobs is None else jobs
    if jobs < 1:
        raise ConfigError("at least 1 is needed", key="jobs", got=jobs)
    with _Pool(jobs, mp_context=get_context("spawn"), initializer=_begin, initargs=(begin, gc.get_threshold())) as pool:
        try:
            yield pool
        except BaseException:  # nobody waits for what is under way; the pool ends when its workers are gone
            pool.kill()
            raise


def _begin(begin: Callable[[], object] | None, collecting: tuple[int, int, int]) -> None:
    _end_with_parent()
    gc.set_threshold(*collecting)  # as where it is started
    if begin is not None:
        begin()


def _end_with_parent() -> None:
    """Leave interrupts to the parent, which ends its workers; end by itself when the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)  # kept back since it was started
    Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def dask_executor(address: str) -> Iterator[Executor]:
    """Give the executor of a Dask cluster (needs `pip install vhost-sim[cluster]`)."""
    try:
        from distributed import Client
    except ImportError:
        raise ConfigError("Dask is not installed; pip install 'vhost-sim[cluster]'", key="dask") from None
    try:
        client = Client(address, timeout=DASK_TIMEOUT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConfigError(f"no scheduler answers: {error}", key="dask", got=address) from None
    with client:
        yield client.get_executor()


@contextmanager
def pool_for(runs: int, jobs: int | None = None, *, processes: bool = True) -> Iterator[Executor | None]:
    """Give what so many runs are worth: a pool of processes, unless they are not wanted, of threads, or None.

    Threads share what the compiled loop takes, most of the time of draws that are priced together, and not the rest.
    """
    if jobs is not None and jobs < 1:
        raise ConfigError("at least 1 is needed", key="jobs", got=jobs)
    jobs = jobs or os.cpu_count() or 1
    if runs < _WORTH_THREADS or jobs == 1:
        yield None
        return
    with _threads(jobs) if runs < _WORTH_PROCESSES or not processes else local_executor(jobs) as pool:
        yield pool


@contextmanager
def _threads(jobs: int) -> Iterator[Executor]:
    pool = ThreadPoolExecutor(jobs)
    try:
        yield pool
    finally:  # on an error nobody waits for what has not begun
        pool.shutdown(cancel_futures=True)


def run_jobs(
    cases: Sequence[Case], jobs: Sequence[Job], executor: Executor | None = None, progress: Counted | None = None
) -> Outcomes:
    """Run jobs on an executor, or here without one; a run that fails does not end the others."""
    results = answers(figures, cases, jobs, executor, progress)
    rates = np.array([np.nan if isinstance(result, str) else result for result in results], dtype=np.float64)
    return Outcomes(rates, {number: result for number, result in enumerate(results) if isinstance(result, str)})


def answers(
    of: Callable[[Case, Sequence[Values]], list[Answer | str]],
    cases: Sequence[Case],
    jobs: Sequence[Job],
    executor: Executor | None = None,
    progress: Counted | None = None,
    weight: int = 1,
) -> list[Answer | str]:
    """Return what is asked of each job, in their order, on an executor or here; a text is what went wrong with it.

    `of` answers for one case at several values; it is a function of a module, which another process finds. Each takes
    as long as `weight` runs. `progress` is called whenever some are done, and while none are: what it raises ends the
    jobs that have not begun.
    """
    cases, jobs = _on_their_bases(cases, jobs)
    results: dict[int, Answer | str] = {}

    def settle(chunk: Sequence[int], of_chunk: Sequence[Answer | str]) -> None:
        results.update(zip(chunk, of_chunk, strict=True))
        if progress is not None:
            progress(len(results), len(jobs))

    of_cases = _chunks(jobs, weight, executor.chunks if isinstance(executor, Knowing) else 1)
    chunks = [(jobs[chunk[0]].case, [jobs[number].values for number in chunk], chunk) for chunk in of_cases]
    if executor is None:
        for case, values, chunk in chunks:
            settle(chunk, of(cases[case], values))
    else:
        waiting: dict[Future[list[Answer | str]], Sequence[int]] = {}
        sender = Sender(cases, executor)
        try:
            for case, values, chunk in chunks:
                waiting[sender.submit(of, case, values, weight)] = chunk
            left = set(waiting)
            while left:
                done, left = wait(left, timeout=_LOOK_SECONDS, return_when=FIRST_COMPLETED)
                for future in done:
                    settle(waiting[future], future.result())
                if progress is not None and not done:
                    progress(len(results), len(jobs))
        except BrokenProcessPool:
            raise WorkerDiedError("a worker process died; nothing was written") from None
        finally:  # on an error nobody waits for what has not begun
            for future in waiting:
                future.cancel()
    return [results[number] for number in range(len(jobs))]


def _on_their_bases(cases: Sequence[Case], jobs: Sequence[Job]) -> tuple[Sequence[Case], Sequence[Job]]:
    """Return the cases that are run in the place of some, each once, and the jobs with the values that this takes."""
    if not any(case.base for case in cases):
        return cases, jobs
    bases = [case.based({}) for case in cases]
    same = [Itself(base.case) for base in bases]
    numbers = {case: number for number, case in enumerate(dict.fromkeys(same))}
    moved = [Job(numbers[same[job.case]], {**bases[job.case].values, **job.values}) for job in jobs]
    return [case.wrapped for case in numbers], moved


def _chunks(jobs: Sequence[Job], weight: int, least: int) -> list[list[int]]:
    """Part the numbers of jobs into chunks, each of one case, whose runs share a structure; the first of each first.

    So each process of several begins with another case, and builds its structure alone. There are at least so many, if
    each is worth being sent.
    """
    of_cases: dict[int, list[int]] = {}
    for number, job in enumerate(jobs):
        of_cases.setdefault(job.case, []).append(number)
    runs = min(max(len(jobs) * weight // least, _WORTH_SENDING), _CHUNK)
    most = max(runs // weight, 1)
    longest = max(map(len, of_cases.values()), default=0)
    parts = (numbers[first : first + most] for first in range(0, longest, most) for numbers in of_cases.values())
    return [part for part in parts if part]


def run_cases(cases: Sequence[Case]) -> Floats:
    """Run every case once with its tables as they are, and return the figures. ConfigError for one that fails."""
    outcomes = run_jobs(cases, [Job(number, {}) for number in range(len(cases))])
    if outcomes.errors:
        raise ConfigError(next(iter(outcomes.errors.values())))
    return outcomes.figures
