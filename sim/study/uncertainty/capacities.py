"""How sure a capacity is: the search repeated in each draw, so that what bursts and a slow driver cost is drawn too.

A draw is searched less finely than the answer, and from the share of the saturated rate on that the answer has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sim.config.errors import ConfigError
from sim.config.progress import Counted
from sim.study.questions.capacity import Capacities, Capacity, Carried, carried_near
from sim.study.runs.case import Case, Side, one_point, with_values
from sim.study.runs.pool import Job, Outcomes
from sim.study.uncertainty.uncertainty import Uncertainty, uncertainty

#: How finely a draw is searched at least: a share that is small beside the width of any interval of rates.
RESOLUTION = 0.02
#: So many draws unless told otherwise: a search is some twenty runs, none of them short.
USUAL_DRAWS = 20


def capacity_uncertainty(
    capacities: Capacities,
    resolution: float,
    draws: int = USUAL_DRAWS,
    seed: int = 1,
    *,
    with_loss: bool = False,
    configs: Path | None = None,
    executor: Executor | None = None,
    progress: Counted | None = None,
) -> Uncertainty:
    """Search every capacity again in each draw: its rates are the capacities, its gains those of one over another.

    `with_loss` is about the rates with the loss that is allowed. Raises ConfigError below 1 draw, and where nothing is
    carried without loss.
    """
    scenario = capacities.scenario
    known = [_carried(result, with_loss) for result in capacities.results]
    for result, carried in zip(capacities.results, known, strict=True):
        if carried.pps == 0:
            where = f"{result.access} at {result.packet_bytes} B"
            raise ConfigError(f"every rate loses packets, so that no capacity can be drawn: {where}", key="draws")
    sides = [
        Side(result.access, result.packet_bytes, Case(one_point(scenario, result.access, result.packet_bytes)))
        for result in capacities.results
    ]
    shares = [carried.pps / result.saturated.pps for carried, result in zip(known, capacities.results, strict=True)]
    search = _Search(tuple(carried.pps for carried in known), tuple(shares), max(resolution, RESOLUTION), known[0].loss)
    return uncertainty(sides, draws, seed, configs=configs, executor=executor, progress=progress, run=search)


def _carried(result: Capacity, with_loss: bool) -> Carried:
    if not with_loss:
        return result.without_loss
    if result.with_loss is None:
        raise ConfigError("no loss is allowed in this search", key="loss")
    return result.with_loss


@dataclass(frozen=True)
class _Search:
    """Makes capacities of jobs: the known one with the tables as they are, a search in each draw."""

    known_pps: tuple[float, ...]
    shares: tuple[float, ...]
    resolution: float
    loss: float

    def __call__(
        self, cases: Sequence[Case], jobs: Sequence[Job], executor: Executor | None, progress: Counted | None
    ) -> Outcomes:
        """Return the capacity of each job in packets/s, NaN with its error where there is none."""
        figures = np.full(len(jobs), np.nan)
        errors: dict[int, str] = {}
        waiting = {}
        for number, job in enumerate(jobs):
            if not job.values:
                figures[number] = self.known_pps[job.case]
                continue
            asked = cases[job.case], job.values, self.shares[job.case], self.resolution, self.loss
            if executor is None:
                _settle(figures, errors, number, _searched(*asked))
                if progress is not None:
                    progress(number + 1, len(jobs))
            else:
                waiting[executor.submit(_searched, *asked)] = number
        for done, future in enumerate(as_completed(waiting), 1):
            _settle(figures, errors, waiting[future], future.result())
            if progress is not None:
                progress(done, len(waiting))
        return Outcomes(figures, errors)


def _settle(figures: np.ndarray, errors: dict[int, str], number: int, answer: float | str) -> None:
    if isinstance(answer, str):
        errors[number] = answer
    else:
        figures[number] = answer


def _searched(case: Case, values: Mapping[str, float], share: float, resolution: float, loss: float) -> float | str:
    try:
        pps = carried_near(with_values(case.scenario, values), share, resolution, loss)
    except ConfigError as error:
        return str(error)
    return pps or "every rate loses packets"
