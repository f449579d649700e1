"""Ask for a review: load the scenario or study, run what it takes, and put the review together."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path

from sim.config.progress import Counted
from sim.config.scenario.scenario import Scenario
from sim.config.tables.quantity import Quantity
from sim.study.evidence.assumptions import assumed_by
from sim.study.evidence.conditions import applying
from sim.study.evidence.envelope import outside, published_for
from sim.study.questions.compare import Comparison, Difference
from sim.study.questions.explain import Explanation, explain
from sim.study.questions.limits import IDEAL, limits
from sim.study.questions.run import Result, run
from sim.study.review.preface import preface, with_worth
from sim.study.review.ranking import ranking
from sim.study.review.review import Review, SourcedEntry
from sim.study.runs.asked import load_scenario
from sim.study.runs.case import sides_of
from sim.study.sensitivity.study import is_study, load_sensitivity, sensitivity
from sim.study.sensitivity.tornado import Sensitivities, swing_entries, turned_over
from sim.study.uncertainty.distributions import calibration_of
from sim.study.uncertainty.parts import parts_of
from sim.study.uncertainty.uncertainty import uncertainty

#: So many variants are compared in the order in which they are named; of more, the headline is about the best.
_FEW = 3


def review(
    scenario: Scenario,
    draws: int | None = None,
    *,
    question: str = "",
    study_tornado: Sensitivities | None = None,
    configs: Path | None = None,
    executor: Executor | None = None,
    progress: Counted | None = None,
    known: Review | None = None,
) -> Review:
    """Answer a scenario's question: its variants at its sizes, each later one against the first.

    `study_tornado` stands in for the tornado over all entries that the answer depends on. What a review that is `known`
    has of rates, intervals and limits is taken from there. ConfigError below 1 draw, and for what cannot be simulated.
    """
    result = known.result if known else run(scenario)
    accesses = [variant.name for variant in scenario.access]
    every, seed = sides_of(scenario), scenario.run.seed
    if known:
        sure = known.sure
    else:
        sure = uncertainty(every, draws, seed, configs=configs, executor=executor, progress=progress)
    explanations = tuple(explain(scenario, name) for name in accesses)
    focus = focus_of(result)
    size = scenario.traffic.sizes[0]
    pair = dict.fromkeys((accesses[0], focus))
    sides = [side for side in sides_of(scenario, list(pair)) if side.packet_bytes == size]
    tornado = study_tornado or (known.tornado if known else swing_entries(sides, executor, progress))
    bounded = known.limits if known else limits(scenario, result.points)
    ranked, parts = None, None
    if focus != accesses[0]:
        ranked = ranking(
            scenario,
            accesses[0],
            focus,
            sure=sure,
            stressed=True,
            configs=configs,
            executor=executor,
            progress=progress,
        )
        parts = parts_of(every, sure.draws, seed, after=focus, configs=configs, executor=executor, progress=progress)
    above = replace(preface(scenario, result.points, bounded, configs=configs), ranking=ranked)
    return Review(
        question=question or question_of(scenario),
        focus=focus,
        result=result,
        comparisons=tuple(compared_in(result, accesses[0], name) for name in accesses[1:]),
        sure=sure,
        limits=bounded,
        tornado=tornado,
        switches=turned_over(sides, executor),
        explanations=explanations,
        sources=_sources(explanations),
        priors=_priors(scenario, configs),
        published=published_for(scenario, result.points, configs),
        assumptions=assumed_by(scenario),
        outside=outside([scenario], configs),
        preface=with_worth(above, scenario, tornado, configs),
        parts=parts,
    )


def focus_of(result: Result) -> str:
    """Return the variant that the headline is about; a bound is no candidate among many."""
    accesses = [variant.name for variant in result.scenario.access]
    if len(accesses) <= _FEW:
        return accesses[min(1, len(accesses) - 1)]
    candidates = [name for name in accesses[1:] if name != IDEAL]
    return max(candidates, key=lambda name: result.at(name, result.scenario.traffic.sizes[0]).pps)


def _priors(scenario: Scenario, configs: Path | None) -> dict[str, Quantity]:
    """Return what the table says of each entry that the calibration has moved in this scenario."""
    calibration = calibration_of(scenario, configs)
    if calibration is None:
        return {}
    moved = applying(scenario, calibration)
    return {parameter.key: parameter.prior for parameter in calibration.parameters if parameter.key in moved}


def compared_in(result: Result, before: str, after: str) -> Comparison:
    """Return the comparison of two variants, at each size of a result that has both."""
    sizes = result.scenario.traffic.sizes
    pairs = ((result.at(before, size), result.at(after, size)) for size in sizes)
    return Comparison(before, after, tuple(Difference(*pair) for pair in pairs))


def question_of(scenario: Scenario) -> str:
    """Put the question of a scenario that states none in a sentence."""
    first, *others = (variant.name for variant in scenario.access)
    asked = f"What does {others[0]} gain over {first}" if others else f"What does {first} carry"
    if len(others) >= _FEW:
        asked = f"Which of {len(others)} variants gains over {first}"
    return f"{asked}: {(scenario.title or scenario.name).removesuffix('?')}?"


def _sources(explanations: Sequence[Explanation]) -> tuple[SourcedEntry, ...]:
    """Merge the inputs of all variants; what matters most to any of them stands first."""
    sources: dict[str, SourcedEntry] = {}
    for explained in explanations:
        for entry in explained.inputs():
            known = sources.get(entry.key, SourcedEntry(entry.key, entry.quantity, {}))
            cycles = {**known.cycles, explained.plan.access: entry.cycles_per_packet}
            sources[entry.key] = SourcedEntry(entry.key, entry.quantity, cycles)
    most = {key: max((cycles or 0.0) for cycles in entry.cycles.values()) for key, entry in sources.items()}
    return tuple(sources[key] for key in sorted(sources, key=lambda key: -most[key]))


def asked(
    name: str, configs: Path | None, overrides: list[str], executor: Executor | None = None
) -> tuple[Scenario, str, Sensitivities | None]:
    """Load what `report` is asked about, a scenario or a sensitivity study: scenario, question, the study's tornado.

    Raises ConfigError for a name that is neither, and for overrides that would leave a study's own settings behind.
    """
    if not is_study(name, configs, overrides, "a report"):
        return load_scenario(name, overrides=overrides, configs=configs), "", None
    study = load_sensitivity(name, configs)
    scenario = load_scenario(study.scenario, settings={**study.set, "access": study.access}, configs=configs)
    return scenario, study.title, sensitivity(study, "tornado", configs, executor)
