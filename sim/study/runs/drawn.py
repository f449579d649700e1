"""Runs of one case at many values of its tables: one structure, built once, priced and run draw by draw.

Draws that would build another structure (a switch, the cache that a line comes from) are parted from the others, and a
draw that goes wrong is run alone, so that it ends as it would have without company.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from sim.costs.draws import Divided, draws
from sim.engine import simulate
from sim.study.runs.case import Case, Floats, observe, value_of, with_values
from sim.study.runs.functions import shares

if TYPE_CHECKING:
    from sim.engine.drawn import Behind, DrawnRuns

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
        return of_one(replace(case, scenario=with_values(case.scenario, values)) if values else case)
    except Exception as error:  # the error of one point is reported with it, and must not end the study
        return in_words(error)


def in_words(error: Exception) -> str:
    """Return what went wrong with a run, as a study says it that goes on with the others."""
    return str(error) or type(error).__name__


def parts(
    case: Case, drawn: Sequence[Values], least: int = LEAST_DRAWS
) -> Iterator[tuple[list[int], DrawnRuns | None]]:
    """Yield the numbers of the draws that share a structure, with their runs; None where each is built by itself.

    So are fewer than `least`.
    """
    whole = np.arange(len(drawn))
    if case.quantity not in ("pps", "share") or case.scenario.run.engine != "fast":
        yield whole.tolist(), None
        return
    try:
        columns = _columns(case, drawn)
    except KeyError:  # the draw that names a key which is no entry says so
        yield whole.tolist(), None
        return
    left = [whole]
    while left:
        part = left.pop()
        try:
            runs = _together(case, columns, part) if len(part) >= least else None
        except Divided as divided:
            left += [part[divided.holds], part[~divided.holds]]
            continue
        except Exception:  # which of them it is about shows when each is built by itself
            runs = None
        yield part.tolist(), runs


def _columns(case: Case, drawn: Sequence[Values]) -> dict[str, Floats]:
    """Return the values of all draws by key; what a draw does not say is what the table has. KeyError: no entry."""
    keys = dict.fromkeys(key for values in drawn for key in values)
    own = {key: value_of(case.scenario, f"{key}.value") for key in keys}
    if unknown := [key for key, value in own.items() if not isinstance(value, float | int)]:
        raise KeyError(unknown[0])
    return {key: np.array([values.get(key, own[key]) for values in drawn], dtype=np.float64) for key in keys}


def _together(case: Case, columns: Mapping[str, Floats], part: npt.NDArray[np.int64]) -> DrawnRuns:
    from sim.engine.drawn import DrawnRuns  # machine code is loaded only when it is needed

    values: dict[str, Any] = {}
    for key, column in columns.items():
        of_part = column[part]
        values[key] = float(of_part[0]) if (of_part == of_part[0]).all() else draws(of_part)
    with np.errstate(divide="raise", invalid="raise", over="raise"):
        return DrawnRuns(replace(case, scenario=with_values(case.scenario, values)).plan, case.scenario.run, len(part))
