"""One input at a time: every range swung alone (the tornado), every switch turned over alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sim.config.errors import ConfigError
from sim.config.scenario.scenario import Scenario
from sim.study.runs.case import Case, Side
from sim.study.runs.pool import Job, Progress, run_jobs
from sim.study.uncertainty.distributions import Ranged, at_shares, used_entries
from sim.study.uncertainty.intervals import measured_together


def swings(sides: Sequence[Side], executor: Executor | None = None, progress: Progress | None = None) -> Sensitivities:
    """Swing each entry between the ends of its central 90 %, the others as they are; the widest swing stands first.

    The answer is the gain in percent of the second side over the first, or the packets/s of a single side. Entries that
    one source gives together move together. Raises ConfigError when the answer itself cannot be run.
    """
    cases = [side.case for side in sides]
    entries = {one.key: one for case in cases for one in used_entries(case.scenario, [case.plan])}
    together: dict[str, list[Ranged]] = {}
    for one in entries.values():
        together.setdefault(measured_together(one.quantity.moves_with or one.key), []).append(one)
    values: list[dict[str, float]] = [{}]
    for group in together.values():
        values += [{one.key: float(at_shares(one.quantity, np.array(end))) for one in group} for end in ENDS]
    outcomes = run_jobs(
        cases, [Job(number, row) for row in values for number in range(len(cases))], executor, progress
    )  # fmt: skip
    rates = outcomes.figures.reshape(len(values), len(cases))
    answers = rates[:, 0] if len(cases) == 1 else 100 * (rates[:, 1] / rates[:, 0] - 1)
    nominal = float(answers[0])
    if not np.isfinite(nominal):
        raise ConfigError(next(iter(outcomes.errors.values())))
    indices, failed = [], []
    for number, name in enumerate(together):
        low, high = (float(answers[1 + 2 * number + end]) for end in (0, 1))
        if not np.isfinite([low, high]).all():
            failed.append(name)
            continue
        indices.append(
            Index(name, {"low": low, "high": high, "swing": max(low, high, nominal) - min(low, high, nominal)}, {})
        )
    indices.sort(key=lambda one: (-one.values["swing"], one.key))
    said = [f"{', '.join(failed)}: cannot be run at an end of the range and is left out"] if failed else []
    output, unit = ("pps", "packets/s") if len(cases) == 1 else ("gain", "%")
    return Sensitivities(
        cases[0].scenario.name, "tornado", output, unit, nominal, len(values) * len(cases), tuple(indices),
        (*said, *measure_next("tornado", indices)),
    )  # fmt: skip


Method = Literal["tornado", "morris", "sobol"]


METHODS: tuple[Method, ...] = ("tornado", "morris", "sobol")


#: Shares of a range between which a tornado swings: its central 90 %.
ENDS = (0.05, 0.95)


@dataclass(frozen=True)
class Index:
    """One input: numbers of the method by name, half widths of their 95 % intervals, remarks on odd ones.

    tornado: `low`, `high` (answer at the ends or for the extreme choices), `swing`. morris: `mu_star`, `mu`, `sigma`.
    sobol: `S1`, `ST`.
    """

    key: str
    values: dict[str, float]
    half_widths: dict[str, float]
    remark: str = ""


@dataclass(frozen=True)
class Sensitivities:
    """The inputs of a study, most important first, and sentences on what went wrong or is left out."""

    study: str
    method: Method
    output: str
    unit: str
    nominal: float
    runs: int
    indices: tuple[Index, ...]
    findings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form of `vhost-sim sensitivity`."""
        return {"schema": 1, **self.__dict__, "indices": [one.__dict__ for one in self.indices],
                "findings": list(self.findings)}  # fmt: skip


def measure_next(method: Method, indices: Sequence[Index]) -> list[str]:
    """Say which input to measure next: the one whose range makes the answer widest."""
    name = {"tornado": "swing", "morris": "mu_star", "sobol": "ST"}[method]
    ranked = [one for one in indices if one.values[name] > 0]
    if not ranked:
        return []
    total = sum(one.values[name] ** (1 if method == "sobol" else 2) for one in ranked)
    shares = [one.values[name] ** (1 if method == "sobol" else 2) / total for one in ranked[:3]]
    listed = ", then ".join(f"{one.key} ({share:.0%})" for one, share in zip(ranked, shares, strict=False))
    return [f"measure this next: {listed} of the width of the answer"]


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
