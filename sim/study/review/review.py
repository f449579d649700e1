"""Everything that a design review asks of one question: how much, how sure, why, what would change it, from what."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.config.errors import ConfigError
from sim.config.loading.load import load_scenario
from sim.config.loading.paths import names
from sim.config.loading.yaml_file import read_yaml
from sim.config.scenario.scenario import Scenario
from sim.config.tables.quantity import Quantity
from sim.study.evidence.assumptions import Assumption, assumed_by
from sim.study.evidence.envelope import outside
from sim.study.evidence.published import Published, published_for
from sim.study.questions.compare import Comparison, Difference
from sim.study.questions.explain import Explanation, explain
from sim.study.questions.limits import IDEAL, Limit, limits
from sim.study.questions.run import Result, run
from sim.study.review.sentences import answers
from sim.study.runs import pool as batch
from sim.study.sensitivity.study import Sensitivities, load_sensitivity, sensitivity
from sim.study.sensitivity.switches import Switch, turned_over
from sim.study.sensitivity.tornado import swings
from sim.study.uncertainty.draws import calibration_of
from sim.study.uncertainty.intervals import Gain, Uncertainty, sides_of, uncertainty

#: From so many percent on, a gain is written without a decimal.
_WHOLE_PERCENT = 10
#: So many variants are compared in the order in which they are named; of more, the headline is about the best.
_FEW = 3
_STUDY = "sensitivity"
_OTHER_STUDIES = ("sweep", "calibration-study")


@dataclass(frozen=True)
class Source:
    """One table entry behind the answer, and the cycles per packet that it gives each variant (None: no sum)."""

    key: str
    quantity: Quantity
    cycles: dict[str, float | None]


@dataclass(frozen=True)
class Review:
    """One question and its whole answer; `comparisons` lay each later variant beside the first.

    Headline, tornado and switches are about `focus`: the second variant, or of many the one that gains most.
    Intervals of `sure` are of all variants at all sizes; everything else is at the first size. `priors` are what the
    table says of the entries that the calibration moved.
    """

    question: str
    focus: str
    result: Result
    comparisons: tuple[Comparison, ...]
    sure: Uncertainty
    limits: tuple[Limit, ...]
    tornado: Sensitivities
    switches: tuple[Switch, ...]
    explanations: tuple[Explanation, ...]
    sources: tuple[Source, ...]
    priors: dict[str, Quantity]
    published: tuple[Published, ...]
    assumptions: tuple[Assumption, ...]
    outside: str | None

    @property
    def scenario(self) -> Scenario:
        """The scenario that was asked about."""
        return self.result.scenario

    @property
    def first_size(self) -> int:
        """The size that the answer is given for, in bytes."""
        return self.scenario.traffic.sizes[0]

    @property
    def size_text(self) -> str:
        """The first size in words; of a mix its mean."""
        return f"{self.first_size} B" if self.scenario.traffic.mix is None else f"a mix of mean {self.first_size} B"

    def sentence(self) -> str:
        """Give the answer in one sentence with its 90 % interval."""
        where = f"at {self.size_text} on {_title(self.scenario.cpu)}, {_title(self.scenario.kernel)}"
        gain = self.gain
        if gain is None:
            rate = self.sure.rates[0]
            low, value, high = (one / 1e6 for one in (rate.pps.low, rate.pps.value, rate.pps.high))
            return f"{rate.access} carries {value:.2f} Mpps [{low:.2f}, {high:.2f}] {where}"
        return f"{gained(gain)} {where}; {gain.sentence(self.sure.draws)}"

    def further_sentences(self) -> list[str]:
        """Say the same, in short, of every other variant, the largest gain first."""
        return [
            f"{gained(one)}; {one.sentence(self.sure.draws)}" for one in self.first_gains() if one.after != self.focus
        ]

    def first_gains(self) -> list[Gain]:
        """Return what each later variant gains over the first, at the first size; the largest gain first."""
        found = [one for one in self.sure.gains if one.packet_bytes == self.first_size]
        return sorted(found, key=lambda one: -one.gain_percent.value)

    @property
    def gain(self) -> Gain | None:
        """What the headline is about, None for a single variant."""
        return next((one for one in self.first_gains() if one.after == self.focus), None)

    def ordered(self) -> list[Comparison]:
        """Return the comparisons, that of the headline first."""
        return sorted(self.comparisons, key=lambda one: one.after != self.focus)

    @property
    def comparison(self) -> Comparison | None:
        """The comparison that the headline is about, None for a single variant."""
        return next((one for one in self.comparisons if one.after == self.focus), None)

    def answers(self) -> dict[str, str]:
        """Answer the questions of a review in a sentence or two each, by question."""
        return answers(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form of `vhost-sim report`."""
        return {
            **self.result.to_dict(),
            "question": self.question,
            "focus": self.focus,
            "answer": self.sentence(),
            "answers": self.answers(),
            "comparisons": [one.to_dict() for one in self.comparisons],
            "limits": [one.to_dict() for one in self.limits],
            "uncertainty": self.sure.to_dict(),
            "tornado": self.tornado.to_dict(),
            "switches": [one.to_dict() for one in self.switches],
            "evidence": self.outside,
            "published": [one.to_dict() for one in self.published],
            "assumptions": [one.number for one in self.assumptions],
            "inputs": [
                {"key": one.key, **one.quantity.model_dump(), "cycles_per_packet": one.cycles} for one in self.sources
            ],
        }


def _title(table: Any) -> str:
    return str(table.title or table.name)


def gained(gain: Gain) -> str:
    """Say how much is won or lost; the ends of the interval keep their signs when they differ."""
    one = gain.gain_percent
    digits = 0 if abs(one.value) >= _WHOLE_PERCENT else 1
    if not gain.resolved:
        return f"{gain.after} does not differ from {gain.before}: {one.value:+.1f} % [{one.low:+.1f}, {one.high:+.1f}]"
    if one.value < 0:
        ends = f"[{-one.high:.{digits}f}, {-one.low:.{digits}f}]"
        return f"{gain.after} loses {-one.value:.{digits}f} % {ends} against {gain.before}"
    ends = f"[{one.low:.{digits}f}, {one.high:.{digits}f}]"
    return f"{gain.after} gains {one.value:.{digits}f} % {ends} over {gain.before}"


def review(
    scenario: Scenario,
    draws: int,
    *,
    question: str = "",
    study_tornado: Sensitivities | None = None,
    configs: Path | None = None,
    executor: Executor | None = None,
    progress: batch.Progress | None = None,
) -> Review:
    """Answer a scenario's question: its variants at its sizes, each later one against the first.

    `study_tornado` stands in for the tornado over all entries that the answer depends on. ConfigError below 1 draw, and
    for what cannot be simulated.
    """
    result = run(scenario)
    accesses = [variant.name for variant in scenario.access]
    sure = uncertainty(sides_of(scenario), draws, scenario.run.seed, configs=configs, executor=executor,
                       progress=progress)  # fmt: skip
    explanations = tuple(explain(scenario, name) for name in accesses)
    focus = _focus(result)
    size = scenario.traffic.sizes[0]
    sides = [side for side in sides_of(scenario, [accesses[0], focus][: len(accesses)]) if side.packet_bytes == size]
    return Review(
        question or _question(scenario), focus, result,
        tuple(_comparison(result, accesses[0], name) for name in accesses[1:]), sure, limits(scenario, result.points),
        study_tornado or swings(sides, executor, progress), turned_over(sides, executor), explanations,
        _sources(explanations), _priors(scenario, configs), published_for(scenario, result.points, configs),
        assumed_by(scenario), outside([scenario], configs),
    )  # fmt: skip


def _focus(result: Result) -> str:
    """Return the variant that the headline is about; a bound is no candidate among many."""
    accesses = [variant.name for variant in result.scenario.access]
    if len(accesses) <= _FEW:
        return accesses[min(1, len(accesses) - 1)]
    candidates = [name for name in accesses[1:] if name != IDEAL]
    return max(candidates, key=lambda name: result.at(name, result.scenario.traffic.sizes[0]).pps)


def _priors(scenario: Scenario, configs: Path | None) -> dict[str, Quantity]:
    calibration = calibration_of(scenario, configs)
    return {one.key: one.prior for one in calibration.parameters} if calibration else {}


def _comparison(result: Result, before: str, after: str) -> Comparison:
    sizes = result.scenario.traffic.sizes
    return Comparison(
        before, after, tuple(Difference(result.at(before, size), result.at(after, size)) for size in sizes)
    )


def _question(scenario: Scenario) -> str:
    accesses = [variant.name for variant in scenario.access]
    if len(accesses) > _FEW:
        return f"Which of {len(accesses) - 1} variants gains over {accesses[0]}: {scenario.title or scenario.name}?"
    what = f"What does {accesses[1]} gain over {accesses[0]}" if len(accesses) > 1 else f"What does {accesses[0]} carry"
    return f"{what}: {scenario.title or scenario.name}?"


def _sources(explanations: Sequence[Explanation]) -> tuple[Source, ...]:
    """Merge the inputs of all variants; what matters most to any of them stands first."""
    found: dict[str, Source] = {}
    for explained in explanations:
        for one in explained.inputs():
            known = found.get(one.key, Source(one.key, one.quantity, {}))
            cycles = {**known.cycles, explained.plan.access: one.cycles_per_packet}
            found[one.key] = Source(one.key, one.quantity, cycles)
    most = {key: max((cycles or 0.0) for cycles in one.cycles.values()) for key, one in found.items()}
    return tuple(found[key] for key in sorted(found, key=lambda key: -most[key]))


def _is_study(name: str, configs: Path | None) -> bool:
    if name in names("scenario", configs):
        return False
    kind = _kind(name, configs)
    if kind in _OTHER_STUDIES:
        raise ConfigError(f"{name} is a {kind}: a report is of a scenario or of a sensitivity study")
    return kind == _STUDY


def _kind(name: str, configs: Path | None) -> str | None:
    """Return the kind of study that a name or a file is, None for a scenario's or for what does not exist."""
    if name.endswith((".yaml", ".yml")) and os.path.isfile(name):
        return str(read_yaml(Path(name)).get("kind"))
    return next((kind for kind in (_STUDY, *_OTHER_STUDIES) if name in names(kind, configs)), None)


def asked(
    name: str, configs: Path | None, overrides: list[str], executor: Executor | None = None
) -> tuple[Scenario, str, Sensitivities | None]:
    """Load what `report` is asked about, a scenario or a sensitivity study: scenario, question, the study's tornado.

    Raises ConfigError for a name that is neither, and for overrides that would leave a study's own settings behind.
    """
    if not _is_study(name, configs):
        return load_scenario(name, overrides=overrides, configs=configs), "", None
    if overrides:
        raise ConfigError(f"{name}: a study states its own settings; --set and the other options go with a scenario")
    study = load_sensitivity(name, configs)
    scenario = load_scenario(study.scenario, settings={**study.set, "access": study.access}, configs=configs)
    return scenario, study.title, sensitivity(study, "tornado", configs, executor)
