"""The answer of a page, in stages: at once from few draws, then from all that it takes; what is outdated is left.

This is the one place of the page that asks the studies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path

from sim.config.scenario.scenario import Scenario
from sim.config.tables.quantity import Quantity
from sim.live.questions import Question, Tables, as_shipped, reason
from sim.live.state import State
from sim.study.evidence.envelope import outside
from sim.study.questions.limits import limits
from sim.study.questions.run import Result, run
from sim.study.review.ask import compared_in, focus_of, question_of
from sim.study.review.preface import Preface, preface, with_worth
from sim.study.review.ranking import ranking
from sim.study.review.review import Review
from sim.study.runs.case import Side, sides_of, value_of
from sim.study.runs.pool import pool_for
from sim.study.sensitivity.tornado import Sensitivities, swing_entries
from sim.study.uncertainty.intervals import FEW_DRAWS, Uncertainty, uncertainty

#: Returns whether an answer is still waited for.
Wanted = Callable[[], bool]
#: Whole answers that are kept, of all pages together.
_KEPT = 32
#: Runs of a stage that several threads share.
_MANY_RUNS = 1000


class OutdatedError(Exception):
    """Nobody waits for the answer any more."""


@dataclass(frozen=True)
class StagedAnswer:
    """A review as far as it is known, and whether more draws are under way.

    `sure` of the review has the first size alone while `is_first`.
    """

    question: Question
    review: Review
    is_first: bool = False
    is_whole: bool = False

    @property
    def draws(self) -> int:
        """The draws behind its intervals."""
        return self.review.sure.draws


def answers(
    question: Question, wanted: Wanted, few: int = FEW_DRAWS, draws: int | None = None
) -> Iterator[StagedAnswer]:
    """Yield the answer of a question, each time with more of it.

    First rates and the interval of the headline, from `few` draws; then intervals of all sizes, what bounds the answer,
    the ranking and which inputs matter; then the same from `draws` draws (None: until the ends are precise).
    OutdatedError once the answer is not `wanted` any more, ConfigError for what cannot be simulated.
    """
    asked = _Asked(question.scenario, question.folder, wanted)
    review = asked.first(few)
    yield StagedAnswer(question, review, is_first=True)
    review = asked.bounded(review, few)
    yield StagedAnswer(question, review)
    yield StagedAnswer(question, asked.whole(review, draws), is_whole=True)


def nominal(scenario: Scenario, wanted: Wanted) -> Result:
    """Run a scenario with its tables as they are, as long as that is wanted."""
    return _Asked(scenario, None, wanted).run()


class Known:
    """What pages of one server share: whole answers and shipped results, which depend on their questions alone."""

    def __init__(self) -> None:
        self._answers: dict[State, StagedAnswer] = {}
        self._shipped: dict[str, Result] = {}
        self._reasons: dict[tuple[State, str], str] = {}

    def answer(self, state: State) -> StagedAnswer | None:
        """Return the whole answer of a state that was asked before, None where it was not or long ago."""
        return self._answers.get(state)

    def keep(self, answer: StagedAnswer) -> None:
        """Keep a whole answer in the place of the oldest."""
        self._answers[answer.question.state] = answer
        while len(self._answers) > _KEPT:
            self._answers.pop(next(iter(self._answers)), None)

    def reason(self, tables: Tables, question: Question, key: str) -> str:
        """Say why a key has no effect in a question; how large its table entries are does not matter to that."""
        scenario = question.scenario
        entries = (name for name, _ in question.state.changes if isinstance(value_of(scenario, name), Quantity))
        about = (question.state.without(entries), key)
        if about not in self._reasons:
            self._reasons[about] = reason(tables, question, key)
        return self._reasons[about]

    def shipped(self, tables: Tables, state: State, wanted: Wanted) -> Result | None:
        """Return the result of a state's scenario as it is shipped, None where that is the state itself."""
        if not state.changes:
            return None
        if state.scenario not in self._shipped:
            self._shipped[state.scenario] = nominal(as_shipped(tables, state), wanted)
        return self._shipped[state.scenario]


class _Asked:
    """A scenario that stages ask of, each of them as long as the answer is wanted."""

    def __init__(self, scenario: Scenario, configs: Path | None, wanted: Wanted) -> None:
        self._scenario, self._configs, self._wanted = scenario, configs, wanted
        self._sides = sides_of(scenario)
        self._size = scenario.traffic.sizes[0]

    def _check(self, *_: object) -> None:
        if not self._wanted():
            raise OutdatedError

    def run(self) -> Result:
        return run(self._scenario, self._check)

    def first(self, draws: int) -> Review:
        """Return rates at all sizes, and the interval of the headline."""
        result = self.run()
        sure = self._uncertainty([side for side in self._sides if side.packet_bytes == self._size], draws)
        names = [variant.name for variant in self._scenario.access]
        return Review(
            question=question_of(self._scenario),
            focus=focus_of(result),
            result=result,
            comparisons=tuple(compared_in(result, names[0], name) for name in names[1:]),
            sure=sure,
            limits=(),
            tornado=Sensitivities(self._scenario.name, "tornado", "", "", 0.0, 0, (), ()),
            switches=(),
            explanations=(),
            sources=(),
            priors={},
            published=(),
            assumptions=(),
            outside=None,
            preface=Preface(()),
        )

    def bounded(self, review: Review, draws: int) -> Review:
        """Return the review with intervals of all sizes, what bounds it, the ranking, and which inputs matter."""
        scenario, points = self._scenario, review.result.points
        with pool_for(_MANY_RUNS) as pool:
            bounds = limits(scenario, points)
            sure = self._uncertainty(self._sides, draws, pool)
            above = preface(scenario, points, bounds, configs=self._configs)
            tornado = self._tornado(review, pool)
            above = with_worth(above, scenario, tornado, self._configs)
            above = self._ranked(above, review, None, pool)
        beyond = outside([scenario], self._configs)
        return replace(review, sure=sure, limits=bounds, tornado=tornado, preface=above, outside=beyond)

    def whole(self, review: Review, draws: int | None) -> Review:
        """Return the review with as many draws as are asked for, of the ranking too."""
        with pool_for(_MANY_RUNS) as pool:
            sure = review.sure if draws == review.sure.draws else self._uncertainty(self._sides, draws, pool)
            return replace(review, sure=sure, preface=self._ranked(review.preface, review, sure, pool))

    def _uncertainty(self, sides: Sequence[Side], draws: int | None, pool: Executor | None = None) -> Uncertainty:
        self._check()
        seed = self._scenario.run.seed
        return uncertainty(sides, draws, seed, configs=self._configs, executor=pool, progress=self._check)

    def _tornado(self, review: Review, pool: Executor | None) -> Sensitivities:
        self._check()
        pair = dict.fromkeys((self._scenario.access[0].name, review.focus))
        sides = [side for side in sides_of(self._scenario, list(pair)) if side.packet_bytes == self._size]
        return swing_entries(sides, pool, self._check)

    def _ranked(self, above: Preface, review: Review, sure: Uncertainty | None, pool: Executor | None) -> Preface:
        first = self._scenario.access[0].name
        if review.focus == first:
            return above
        self._check()
        ranked = ranking(
            self._scenario,
            first,
            review.focus,
            sure=sure,
            configs=self._configs,
            executor=pool,
            progress=self._check,
        )
        return replace(above, ranking=ranked)
