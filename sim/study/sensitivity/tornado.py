"""One input at a time: every range swung alone (the tornado), every switch turned over alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sim.config.answer import Answer, Record
from sim.config.errors import ConfigError
from sim.config.progress import Counted
from sim.config.scenario.scenario import Scenario
from sim.costs.recipes import without_effect
from sim.study.runs.case import Case, Floats, Side, gain_or_rate
from sim.study.runs.pool import Job, run_jobs
from sim.study.runs.structures import read_by
from sim.study.uncertainty.distributions import CENTRAL_90, Ranged, at_shares, used_entries
from sim.study.uncertainty.least_counts import least_counts, values_fitted_together
from sim.study.uncertainty.uncertainty import measured_together

Method = Literal["tornado", "morris", "sobol"]

METHODS: tuple[Method, ...] = ("tornado", "morris", "sobol")
#: The number of each method by which inputs are ranked, and the power of it that adds up to the width of the answer.
_RANKED_BY = {"tornado": ("swing", 2), "morris": ("mu_star", 2), "sobol": ("ST", 1)}


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


@dataclass(frozen=True, repr=False)
class Sensitivities(Answer):
    """The inputs of a study, most important first, and sentences on what went wrong or is left out."""

    study: str
    method: Method
    output: str
    unit: str
    nominal: float
    runs: int
    indices: tuple[Index, ...]
    findings: tuple[str, ...]

    def headline(self) -> str:
        """Return the answer whose inputs these are, and the first of them."""
        first = f", moved most by {self.indices[0].key}" if self.indices else ""
        return f"{self.study}, {self.method}: {self.output} {self.nominal:.6g} {self.unit}{first}"

    def records(self) -> list[Record]:
        """Return the inputs, most important first; the unit is that of the answer."""
        rows = []
        for index in self.indices:
            half_widths = {f"{name}_half_width": width for name, width in index.half_widths.items()}
            rows.append({"input": index.key, **index.values, **half_widths, "unit": self.unit, "remark": index.remark})
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form of `vhost-sim sensitivity`."""
        indices = [index.__dict__ for index in self.indices]
        return {"schema": 1, **self.__dict__, "indices": indices, "findings": list(self.findings)}


def swing_of(key: str, answers: Floats, nominal: float, *, choices: bool = False) -> Index | None:
    """Return the swing of an input from its answers at both ends of a range, or at each choice; None if none was run.

    `swing` is the distance between the extreme answers, `nominal` included.
    """
    known = answers[np.isfinite(answers)]
    if not len(known):
        return None
    low, high = (known.min(), known.max()) if choices else (known[0], known[-1])
    swing = max(*known, nominal) - min(*known, nominal)
    return Index(key, {"low": float(low), "high": float(high), "swing": float(swing)}, {})


def widest_first(indices: Iterable[Index]) -> list[Index]:
    """Sort swings, the widest first; those that are equal stay in their order."""
    return sorted(indices, key=lambda index: -index.values["swing"])


def moving_together(cases: Iterable[Case]) -> dict[str, list[Ranged]]:
    """Return the entries that cases read, those that one source gives together under the key of its first."""
    entries = {entry.key: entry for case in cases for entry in used_entries(case.scenario, [read_by(case)])}
    together: dict[str, list[Ranged]] = {}
    for entry in entries.values():
        together.setdefault(entry.quantity.moves_with or entry.key, []).append(entry)
    return together


def at_both_ends(groups: Iterable[Sequence[Ranged]]) -> list[dict[str, float]]:
    """Return, group by group, the values of its entries at the lower and at the upper end of their central 90 %."""
    ends = [np.array(end) for end in CENTRAL_90]
    return [{entry.key: float(at_shares(entry.quantity, end)) for entry in group} for group in groups for end in ends]


def swing_entries(
    sides: Sequence[Side], executor: Executor | None = None, progress: Counted | None = None
) -> Sensitivities:
    """Swing each entry between the ends of its central 90 %, the others as they are; the widest swing stands first.

    The answer is the gain in percent of the second side over the first, or the packets/s of a single side. Entries that
    one source gives together move together. Raises ConfigError when the answer itself cannot be run.
    """
    cases = [side.case for side in sides]
    together: dict[str, list[Ranged]] = {}
    for key, group in moving_together(cases).items():
        together.setdefault(measured_together(key), []).extend(group)
    least = least_counts(cases)
    values = [{}, *(values_fitted_together(row, least) for row in at_both_ends(together.values()))]
    jobs = [Job(number, row) for row in values for number in range(len(cases))]
    outcomes = run_jobs(cases, jobs, executor, progress)
    answers = gain_or_rate(outcomes.figures.reshape(len(values), len(cases)))
    nominal = float(answers[0])
    if not np.isfinite(nominal):
        raise ConfigError(next(iter(outcomes.errors.values())))
    at_ends = dict(zip(together, answers[1:].reshape(-1, len(CENTRAL_90)), strict=True))
    failed = [name for name, ends in at_ends.items() if not np.isfinite(ends).all()]
    swings = (swing_of(name, at_ends[name], nominal) for name in sorted(at_ends) if name not in failed)
    indices = widest_first(index for index in swings if index is not None)
    findings = [f"{', '.join(failed)}: cannot be run at an end of the range and is left out"] if failed else []
    findings += measure_next("tornado", indices)
    output, unit = ("pps", "packets/s of all queues") if len(cases) == 1 else ("gain", "%")
    name = cases[0].scenario.name
    return Sensitivities(name, "tornado", output, unit, nominal, len(jobs), tuple(indices), tuple(findings))


def measure_next(method: Method, indices: Sequence[Index]) -> list[str]:
    """Say which input to measure next: the one whose range makes the answer widest."""
    name, power = _RANKED_BY[method]
    widths = {index.key: index.values[name] ** power for index in indices if index.values[name] > 0}
    if not widths:
        return []
    total = sum(widths.values())
    listed = ", then ".join(f"{key} ({width / total:.0%})" for key, width in list(widths.items())[:3])
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
    """Turn each mitigation and each feature of the CPU over in every side; what moves the answer furthest stands first.

    The answer is the gain in percent of the second side over the first, or the packets/s of a single side. A switch
    that cannot be turned (the scenario refuses it) is left out.
    """
    switches = list(_switches(sides[0].case.scenario))
    cases = [side.case for side in sides]
    cases += [Case(_turned(side.case.scenario, key)) for key, *_ in switches for side in sides]
    outcomes = run_jobs(cases, [Job(number, {}) for number in range(len(cases))], executor, None)
    nominal, *answers = map(float, gain_or_rate(outcomes.figures.reshape(len(switches) + 1, len(sides))))
    turned = [
        Switch(key, is_on, answer, grade, source)
        for (key, is_on, grade, source), answer in zip(switches, answers, strict=True)
        if np.isfinite(answer)
    ]
    return tuple(sorted(turned, key=lambda switch: (-abs(switch.answer - nominal), switch.key)))


def _switches(scenario: Scenario) -> Iterator[tuple[str, bool, str, str]]:
    idle = without_effect(scenario.kernel, scenario.cpu)
    for name in type(scenario.mitigations).model_fields:
        if name in idle:
            continue
        yield f"mitigations.{name}", getattr(scenario.mitigations, name), "", "the scenario"
    for name in type(scenario.cpu.features).model_fields:
        if name in type(scenario.mitigations).model_fields:
            continue  # a CPU without it and a kernel that does not use it give the same
        flag = getattr(scenario.cpu.features, name)
        yield f"cpu.features.{name}", flag.value, flag.grade, flag.source


def _turned(scenario: Scenario, key: str) -> Scenario:
    *_, section, name = key.split(".")
    if section == "mitigations":
        mitigations = scenario.mitigations
        turned = mitigations.model_copy(update={name: not getattr(mitigations, name)})
        return scenario.model_copy(update={section: turned})
    features = scenario.cpu.features
    flag = getattr(features, name)
    other = features.model_copy(update={name: flag.model_copy(update={"value": not flag.value})})
    return scenario.model_copy(update={"cpu": scenario.cpu.model_copy(update={"features": other})})
