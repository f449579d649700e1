"""Cases with their tables as they are: what each gives, and what its draws rest on.

Both need the Plan of a case, which takes as long to build as to run: it is built once, in any process.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import lru_cache

from sim.config.progress import Counted
from sim.config.tables.calibration import Path as PathClass
from sim.costs.audit import Itself, with_far_outside
from sim.datapath import Plan
from sim.engine import Point
from sim.study.runs.case import SIZE, Case, entries
from sim.study.runs.drawn import Values, in_words, parts, ran
from sim.study.runs.pool import Job, answers
from sim.study.runs.structures import read_by
from sim.study.uncertainty.distributions import used_entries
from sim.study.uncertainty.least_counts import LeastCount, least_counts
from sim.study.uncertainty.measured import path_class

#: Cases whose basis is kept. Runs of draws that a whole Point takes as long as.
_KEPT, _RUNS_OF_A_POINT = 160, 10


@dataclass(frozen=True)
class Basis:
    """What draws of a case rest on, as its Plan says.

    Attributes
    ----------
    keys
        Keys of the entries with a range that the case depends on, in the order of the tables.
    read
        Keys of all entries that it has read.
    least
        The least that counts of steps can be.
    path
        The class of the path that the case runs: executed, or by analogy.
    """

    keys: tuple[str, ...]
    read: tuple[str, ...]
    least: tuple[LeastCount, ...]
    path: PathClass


@dataclass(frozen=True)
class Nominal:
    """A case with its tables as they are: what it gives, and what its draws rest on."""

    point: Point
    basis: Basis


def basis_of(case: Case, plan: Plan | None = None) -> Basis:
    """Return what draws of a case rest on; with values that need another Plan, this one."""
    plan = plan or read_by(case)
    keys = tuple(entry.key for entry in used_entries(case.scenario, [plan]))
    return Basis(keys, tuple(plan.inputs), least_counts([case], [plan]), path_class([case], [plan]))


def nominals(cases: Sequence[Case], executor: Executor | None = None, progress: Counted | None = None) -> list[Nominal]:
    """Return what each case gives with its tables as they are. Raises what goes wrong with any of them."""
    given = answers(_nominal, cases, _once(cases), executor, progress, _RUNS_OF_A_POINT)
    return [_said_of(case, nominal) for case, nominal in zip(cases, given, strict=True) if not isinstance(nominal, str)]


def tried(
    cases: Sequence[Case], executor: Executor | None = None, progress: Counted | None = None
) -> list[Nominal | str]:
    """Return what each case gives with its tables as they are, or what goes wrong with it."""
    given = answers(_tried, cases, _once(cases), executor, progress, _RUNS_OF_A_POINT)
    return [
        nominal if isinstance(nominal, str) else _said_of(case, nominal)
        for case, nominal in zip(cases, given, strict=True)
    ]


def _once(cases: Sequence[Case]) -> list[Job]:
    return [Job(number, {}) for number in range(len(cases))]


def _said_of(case: Case, nominal: Nominal) -> Nominal:
    """Return what a case gives that another one was run for: with what is to be said of its own costs."""
    if case.base is None or case.base.values.keys() <= {SIZE}:
        return nominal
    point, basis = nominal.point, nominal.basis
    read = entries(case.scenario, basis.read)
    own = {key: read[key] for key in case.base.values if key in read}
    return Nominal(
        replace(point, notes=with_far_outside(point.notes, read)),
        Basis(
            tuple(key for key in basis.keys if key not in own or own[key].drawn_from != "fixed"),
            basis.read,
            tuple(count.with_parts(case.base.values) for count in basis.least),
            basis.path,
        ),
    )


def _nominal(case: Case, runs: Sequence[Values]) -> list[Nominal | str]:
    """Run a case on its structures, which draws will ask for, too."""
    given: dict[int, Nominal] = {}
    for numbers, drawn in parts(case, runs, least=1, reading_alike=True):
        for draw, number in enumerate(numbers):
            if drawn is None:
                changed = case.at(runs[number])
                given[number] = Nominal(ran(changed, None), basis_of(changed))
            else:
                given[number] = Nominal(ran(case, drawn, draw=draw), _known_basis(Itself(case), Itself(drawn.plan)))
    return [given[number] for number in range(len(runs))]


@lru_cache(maxsize=_KEPT)
def _known_basis(same: Itself[Case], plan: Itself[Plan]) -> Basis:
    return basis_of(same.wrapped, plan.wrapped)


def _tried(case: Case, runs: Sequence[Values]) -> list[Nominal | str]:
    try:
        return _nominal(case, runs)
    except Exception as error:  # that of one does not end the others
        return [in_words(error)] if len(runs) == 1 else [each for values in runs for each in _tried(case, [values])]
