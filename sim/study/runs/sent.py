"""Cases on their way to other processes: those that share their tables are sent together, and share them there, too.

What is worked out of a table once is then worked out once in each process, not once for each case.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

from sim.costs.audit import Itself
from sim.study.runs.case import Case

Given = TypeVar("Given")
Result = TypeVar("Result")
#: So many cases are sent together at most: each job carries all of them.
_TOGETHER = 32
#: Packets that a process keeps open: those of a question or two.
_OPEN = 4


class Sender:
    """Sends jobs of some cases to an executor; threads of this process take the cases as they are."""

    def __init__(self, cases: Sequence[Case], executor: Executor) -> None:
        self._cases, self._executor = cases, executor
        self._places: list[tuple[int, int]] = []
        self._packets: tuple[bytes, ...] = ()
        if not isinstance(executor, ThreadPoolExecutor):
            self._pack()

    def submit(
        self, of: Callable[[Case, Sequence[Given]], Result], number: int, given: Sequence[Given]
    ) -> Future[Result]:
        """Ask a function of a case, by number; the function is one of a module, which another process finds."""
        if not self._packets:
            return self._executor.submit(of, self._cases[number], given)
        packet, place = self._places[number]
        return self._executor.submit(_asked, of, self._packets[packet], place, given)

    def _pack(self) -> None:
        groups: list[list[Case]] = []
        tables: tuple[int, int] | None = None
        for case in self._cases:
            own = id(case.scenario.cpu), id(case.scenario.kernel)
            if own != tables or len(groups[-1]) == _TOGETHER:
                groups.append([])
            tables = own
            self._places.append((len(groups) - 1, len(groups[-1])))
            groups[-1].append(case)
        self._packets = _packed(tuple(tuple(map(Itself, group)) for group in groups))


@lru_cache(maxsize=_OPEN)
def _packed(groups: tuple[tuple[Itself[Case], ...], ...]) -> tuple[bytes, ...]:
    """Return cases as they are sent; those of a question are sent again and again."""
    return tuple(pickle.dumps([same.table for same in group]) for group in groups)


def _asked(of: Callable[[Case, Sequence[Given]], Result], packet: bytes, place: int, given: Sequence[Given]) -> Result:
    return of(_opened(packet)[place], given)


@lru_cache(maxsize=_OPEN)
def _opened(packet: bytes) -> list[Case]:
    cases: list[Case] = pickle.loads(packet)
    return cases
