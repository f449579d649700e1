"""Cases on their way to other processes: those that share their tables are sent together, and share them there, too.

What is worked out of a table, or of a case, once is then worked out once in each process, not once for each job.
"""

from __future__ import annotations

import pickle
from abc import abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from sim.config.loading.kept import keep_latest
from sim.costs.audit import Itself
from sim.study.runs.case import Case

Given = TypeVar("Given")
Result = TypeVar("Result")
#: So many cases are sent together at most: each job carries all of them.
_TOGETHER = 32
#: Cases whose packets are kept, and packets that a process keeps open: those of a question or two.
_KEPT, _OPEN = 512, 64


@dataclass(frozen=True)
class Sent:
    """A case as it is sent: its place in a packet. It is the same one in a process whenever it is asked about."""

    packet: bytes
    place: int

    def __call__(self) -> Case:
        """Return the case, in any process."""
        return _opened(self.packet)[self.place]


class Knowing(Executor):
    """An executor that is told which case a job is about: one of its processes may know the case.

    It wants `chunks` of what is asked, or more, to share them out evenly.
    """

    chunks: int

    @abstractmethod
    def ask(
        self, of: Callable[[Case, Sequence[Given]], Result], case: Sent, given: Sequence[Given], weight: int = 1
    ) -> Future[Result]:
        """Ask a function of a case; each of what is given takes as long as `weight` runs."""


class Sender:
    """Sends jobs of some cases to an executor; threads of this process take the cases as they are."""

    def __init__(self, cases: Sequence[Case], executor: Executor) -> None:
        self._cases, self._executor = cases, executor
        self._sent = None if isinstance(executor, ThreadPoolExecutor) else _sent(cases)

    def submit(
        self, of: Callable[[Case, Sequence[Given]], Result], number: int, given: Sequence[Given], weight: int = 1
    ) -> Future[Result]:
        """Ask a function of a case, by number; the function is one of a module, which another process finds.

        Each of what is given takes as long as `weight` runs.
        """
        if self._sent is None:
            return self._executor.submit(of, self._cases[number], given)
        if isinstance(self._executor, Knowing):
            return self._executor.ask(of, self._sent[number], given, weight)
        return self._executor.submit(asked, of, self._sent[number], given)


def asked(of: Callable[[Case, Sequence[Given]], Result], case: Sent, given: Sequence[Given]) -> Result:
    """Ask a function of a case that was sent, in the process that it was sent to."""
    return of(case(), given)


#: Cases that were sent of late, the latest last.
_of_late: dict[Itself[Case], Sent] = {}


def _sent(cases: Sequence[Case]) -> list[Sent]:
    """Return cases as they are sent: in the packets that they were in before, the others in new ones."""
    same = [Itself(case) for case in cases]
    known = {case: sent for case in same if (sent := _of_late.get(case)) is not None}
    for group in _groups([case for case in same if case not in known]):
        packet = pickle.dumps([case.wrapped for case in group])
        known |= {case: Sent(packet, place) for place, case in enumerate(group)}
    for case, sent in known.items():
        keep_latest(_of_late, case, sent, _KEPT)
    return [known[case] for case in same]


def _groups(cases: Sequence[Itself[Case]]) -> list[list[Itself[Case]]]:
    """Part cases into those that share their tables, not too many each."""
    groups: list[list[Itself[Case]]] = []
    tables: Any = None
    for case in cases:
        own = case.wrapped.scenario.cpu, case.wrapped.scenario.kernel
        if tables is None or own[0] is not tables[0] or own[1] is not tables[1] or len(groups[-1]) == _TOGETHER:
            groups.append([])
        tables = own
        groups[-1].append(case)
    return groups


@lru_cache(maxsize=_OPEN)
def _opened(packet: bytes) -> list[Case]:
    cases: list[Case] = pickle.loads(packet)
    return cases
