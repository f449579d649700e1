"""Runs of one case at many values of its tables: one structure, built once, priced and run draw by draw.

Draws that have another structure (a switch, far more work than the tables say) are parted from the others, and a
draw that goes wrong is run alone, so that it ends as it would have without company.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from sim.config.errors import ConfigError
from sim.config.progress import Counted
from sim.config.scenario.scenario import Scenario
from sim.config.tables.quantity import Flag, Quantity
from sim.costs.audit import Itself, quantities, with_far_outside
from sim.costs.draws import Divided
from sim.engine import Point, simulate
from sim.study.runs.case import SIZE, Case, Floats, check_conceivable, entries, observe, value_of
from sim.study.runs.functions import shares
from sim.study.runs.structures import Structures, Turned, structures_of

if TYPE_CHECKING:
    from sim.engine.drawn import Behind, DrawnRuns

Numbers = npt.NDArray[np.int64]

Values = Mapping[str, float]
#: What is asked of a run.
Answer = TypeVar("Answer")

#: Fewer draws of one structure than these are built one by one in less time.
LEAST_DRAWS = 4


def figures(case: Case, drawn: Sequence[Values]) -> list[float | str]:
    """Return the figure of a case at each of several values of its table entries, or what went wrong there."""
    if case.quantity == "share":
        return _each(case, drawn, lambda behind: shares(behind, case.functions), observe)
    return _each(case, drawn, lambda behind: behind.pps(), observe)


def times_ns(case: Case, drawn: Sequence[Values]) -> list[dict[str, float] | str]:
    """Return the time of a worker core per packet by primitive, at each of several values, or what went wrong there."""
    return _each(case, drawn, lambda behind: behind.times_ns(), _times_ns)


def _times_ns(case: Case) -> dict[str, float]:
    point = simulate(case.plan, case.scenario.run)
    return {name: ps / point.packets / 1e3 for name, ps in point.breakdown_ps.items()}


def _each(
    case: Case, drawn: Sequence[Values], of: Callable[[Behind], list[Answer]], of_one: Callable[[Case], Answer]
) -> list[Answer | str]:
    """Return what is asked of each draw: run together with others, on their structure alone, or built alone."""
    results: dict[int, Answer | str] = {}
    for part, runs in parts(case, drawn):
        known: dict[int, Answer] = {}
        if runs is not None:
            with suppress(Exception):  # which of them it is about shows when each is run alone
                for behind in runs.together():
                    known |= zip(behind.draws.tolist(), of(behind), strict=True)
        for place, number in enumerate(part):
            if place not in known and runs is not None:
                with suppress(Exception):  # what went wrong is worded by the run alone
                    (known[place],) = of(runs.alone(place))
            results[number] = known[place] if place in known else _built_alone(case, drawn[number], of_one)
    return [results[number] for number in range(len(drawn))]


def _built_alone(case: Case, values: Values, of_one: Callable[[Case], Answer]) -> Answer | str:
    try:
        return of_one(case.at(values))
    except Exception as error:  # the error of one point is reported with it, and must not end the study
        return in_words(error)


def in_words(error: Exception) -> str:
    """Return what went wrong with a run, as a study says it that goes on with the others."""
    return str(error) or type(error).__name__


def parts(
    case: Case, drawn: Sequence[Values], least: int = LEAST_DRAWS, *, reading_alike: bool = False
) -> Iterator[tuple[list[int], DrawnRuns | None]]:
    """Yield the numbers of the draws that share a structure, with their runs; None where each is built by itself.

    So are fewer than `least`, unless their structure is known. Where they have to be `reading_alike`, a Plan says what
    each of its draws reads.
    """
    whole = np.arange(len(drawn))
    if case.quantity not in ("pps", "share") or case.scenario.run.engine != "fast":
        yield whole.tolist(), None
        return
    try:
        columns, switches = _columns(case, drawn)
    except (KeyError, ConfigError):  # the draw that it is about says so
        yield whole.tolist(), None
        return
    for turned, numbers in _turned(switches, whole):
        yield from _structured(structures_of(Itself(case), turned), columns, numbers, least, reading_alike)


def on_structure(case: Case) -> DrawnRuns | None:
    """Return the run of a case with its tables as they are on its structure; None where it is built by itself."""
    base = case.based({})
    ((_, runs),) = parts(base.case, [base.values], least=1, reading_alike=True)
    return runs


def ran(case: Case, runs: DrawnRuns | None, progress: Counted | None = None, draw: int = 0) -> Point:
    """Run a case with its tables as they are, as one draw on its structure or on a Plan of its own."""
    if runs is None:
        return simulate(case.plan, case.scenario.run, progress)
    return said_of(runs.point(draw, progress), runs, case.scenario)


def said_of(point: Point, runs: DrawnRuns, scenario: Scenario) -> Point:
    """Return a point of a structure with what is to be said of the scenario's own costs."""
    inputs = runs.plan.inputs
    if runs.plan.ledger.scenario is not scenario:
        inputs = entries(scenario, inputs)
    return replace(point, notes=with_far_outside(point.notes, inputs))


def _columns(case: Case, drawn: Sequence[Values]) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Return the values of all draws by key, of entries and of switches; what a draw does not say is as in the table.

    KeyError for a key that is neither, ConfigError for a value that is not conceivable.
    """
    columns: dict[str, Floats] = {}
    switches: dict[str, Floats] = {}
    known = dict(quantities(case.scenario))
    sizes = [values.get(SIZE, case.scenario.traffic.sizes[0]) for values in drawn]
    columns[SIZE] = np.array(sizes)
    for key in dict.fromkeys(key for values in drawn for key in values if key != SIZE):
        own = known.get(key) or value_of(case.scenario, key)
        if not isinstance(own, Quantity | Flag):
            raise KeyError(key)
        in_table = own.value
        column = np.array([values.get(key, in_table) for values in drawn], dtype=np.float64)
        if isinstance(own, Flag):
            switches[key] = column
        else:
            check_conceivable(key, own, column.min(), column.max())  # either is no number where any is none
            columns[key] = column
    return columns, switches


def _turned(switches: Mapping[str, Floats], whole: Numbers) -> Iterator[tuple[Turned, Numbers]]:
    """Yield how switches stand, and the numbers of the draws in which they do."""
    groups: dict[Turned, list[int]] = {}
    for number in whole.tolist():
        groups.setdefault(tuple((key, bool(column[number])) for key, column in switches.items()), []).append(number)
    for turned, numbers in groups.items():
        yield turned, np.array(numbers)


def _structured(
    structures: Structures, columns: Mapping[str, Floats], whole: Numbers, least: int, reading_alike: bool
) -> Iterator[tuple[list[int], DrawnRuns | None]]:
    """Yield the numbers of the draws that share a structure, with their runs."""
    left = [(whole, 0)]
    while left:
        part, place = left.pop()
        first = {key: column[part[0]].item() for key, column in columns.items()}
        runs = None
        if place < len(structures) or len(part) >= least:
            try:
                structure = structures.get(place, first)
                values = _of_part(columns, part)
                runs = structure.at(values, len(part), reading_alike=reading_alike) if structure else None
            except Divided as divided:
                holds = np.broadcast_to(divided.holds, part.shape)
                left += [(others, n) for others, n in ((part[~holds], place + 1), (part[holds], place)) if len(others)]
                continue
            except Exception:  # which of them it is about shows when each is built by itself
                runs = None
        yield part.tolist(), runs


def _of_part(columns: Mapping[str, Floats], part: Numbers) -> dict[str, Any]:
    """Return the values of some draws by key: one where it is the same in all of them."""
    of_part = {key: column[part] for key, column in columns.items()}
    return {key: column[0].item() if (column == column[0]).all() else column for key, column in of_part.items()}
