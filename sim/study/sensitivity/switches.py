"""The yes-or-no settings behind an answer, each turned over alone: mitigations, and features of the CPU."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np

from sim.config.scenario.scenario import Scenario
from sim.study.evidence.figures import Case
from sim.study.runs.pool import Job, run_jobs
from sim.study.uncertainty.intervals import Side


@dataclass(frozen=True)
class Switch:
    """A setting, as it is, and the answer when it alone is turned over (gain in percent, or packets/s of one side)."""

    key: str
    is_on: bool
    answer: float
    grade: str
    source: str

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return dict(self.__dict__)


def turned_over(sides: Sequence[Side], executor: Executor | None = None) -> tuple[Switch, ...]:
    """Turn each switch over in every side; what moves the answer furthest stands first.

    The answer is the gain in percent of the second side over the first, or the packets/s of a single side. A switch
    that cannot be turned (the scenario refuses it) is left out.
    """
    scenario = sides[0].case.scenario
    found = list(_switches(scenario))
    cases = [side.case for side in sides]
    cases += [Case(_turned(side.case.scenario, key)) for key, *_ in found for side in sides]
    outcomes = run_jobs(cases, [Job(number, {}) for number in range(len(cases))], executor, None)
    rates = outcomes.figures.reshape(len(found) + 1, len(sides))
    answers = rates[:, 0] if len(sides) == 1 else 100 * (rates[:, 1] / rates[:, 0] - 1)
    turned = [
        Switch(key, is_on, float(answer), grade, source)
        for (key, is_on, grade, source), answer in zip(found, answers[1:], strict=True)
        if np.isfinite(answer)
    ]
    return tuple(sorted(turned, key=lambda one: (-abs(one.answer - float(answers[0])), one.key)))


def _switches(scenario: Scenario) -> Iterator[tuple[str, bool, str, str]]:
    for name in type(scenario.mitigations).model_fields:
        yield f"mitigations.{name}", getattr(scenario.mitigations, name), "", "the scenario"
    for name in type(scenario.cpu.features).model_fields:
        if name in type(scenario.mitigations).model_fields:
            continue  # a CPU without it and a kernel that does not use it give the same
        flag = getattr(scenario.cpu.features, name)
        yield f"cpu.features.{name}", flag.value, flag.grade, flag.source


def _turned(scenario: Scenario, key: str) -> Scenario:
    *_, section, name = key.split(".")
    if section == "mitigations":
        one = scenario.mitigations
        return scenario.model_copy(update={section: one.model_copy(update={name: not getattr(one, name)})})
    features = scenario.cpu.features
    flag = getattr(features, name)
    turned = features.model_copy(update={name: flag.model_copy(update={"value": not flag.value})})
    return scenario.model_copy(update={"cpu": scenario.cpu.model_copy(update={"features": turned})})
