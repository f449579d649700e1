"""The answer of a page, in stages: at once from few draws, then from all that it takes; what is outdated is left.

This is the one place of the page that asks the studies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path
from time import perf_counter, sleep

from sim.config.loading.kept import keep_latest
from sim.config.scenario.scenario import Scenario
from sim.live.ground import Grounded, Grounds
from sim.live.questions import Question, Tables, as_shipped, entries_of, reason, ways, without_effect
from sim.live.state import State
from sim.study.evidence.envelope import outside
from sim.study.questions.limits import limits
from sim.study.questions.run import Result
from sim.study.review.ask import compared_in, focus_of, question_of
from sim.study.review.preface import Preface, preface, with_worth
from sim.study.review.ranking import ranking
from sim.study.review.review import Review
from sim.study.runs.asked import Ways
from sim.study.runs.case import Side, sides_of
from sim.study.runs.pool import pool_for
from sim.study.sensitivity.tornado import Sensitivities, swing_entries
from sim.study.uncertainty.intervals import FEW_DRAWS
from sim.study.uncertainty.nominal import Nominal, nominals
from sim.study.uncertainty.parts import DrawnParts, parts_of
from sim.study.uncertainty.uncertainty import Uncertainty, uncertainty

#: Returns whether an answer is still waited for.
Wanted = Callable[[], bool]
#: Whole answers that are kept, and begun ones, of all pages together.
_KEPT, _BEGUN = 32, 64
#: States of which it is kept which controls have no effect; and reasons why.
_STATES, _REASONS = 256, 2048
#: About as long as a Plan takes to build.
_LEFT_SECONDS = 0.01
#: Runs of a stage that several threads share.
_MANY_RUNS = 1000


class OutdatedError(Exception):
    """Nobody waits for the answer any more."""


def _check(wanted: Wanted, *_: object) -> None:
    if not wanted():
        raise OutdatedError


class Stage(IntEnum):
    """How much of an answer is known."""

    HEADLINE = 0  #: rates and intervals at the first size
    BANDS = 1  #: at all sizes
    BOUNDS = 2  #: what bounds the answer, the ranking, and which inputs matter
    WHOLE = 3  #: all draws


@dataclass(frozen=True)
class StagedAnswer:
    """A review as far as it is known: of the first size alone while its stage is that of the headline."""

    question: Question
    review: Review
    stage: Stage

    @property
    def draws(self) -> int:
        """The draws behind its intervals."""
        return self.review.sure.draws

    @property
    def has_bands(self) -> bool:
        """Whether intervals of all sizes are known."""
        return self.stage >= Stage.BANDS

    @property
    def has_bounds(self) -> bool:
        """Whether it is known what bounds it, how variants rank, and which inputs matter."""
        return self.stage >= Stage.BOUNDS

    @property
    def is_whole(self) -> bool:
        """Whether all draws are made."""
        return self.stage is Stage.WHOLE


@dataclass(frozen=True)
class Begun:
    """An answer of all sizes, and what each side of it gives with its tables as they are: further stages need both."""

    answer: StagedAnswer
    nominals: Mapping[int, Nominal]


def answers(
    question: Question,
    wanted: Wanted,
    few: int = FEW_DRAWS,
    draws: int | None = None,
    executor: Executor | None = None,
    grounded: Grounded | None = None,
    begun: Begun | None = None,
) -> Iterator[StagedAnswer]:
    """Yield the answer of a question, each time with more of it.

    First the rates of the first size, with intervals from `few` draws, unless all sizes of what it is `grounded` on are
    there almost as soon. Then those of all sizes, which may be `begun`; then what bounds the answer, the ranking and
    which inputs matter; then the same from `draws` draws (None: until the ends are precise). Runs are made on an
    executor, or by threads of this process. OutdatedError once the answer is not `wanted` any more, ConfigError for
    what cannot be simulated.
    """
    few = _few(few, draws)
    sides = grounded.sides if grounded else None
    asked = _Asked(question.scenario, question.folder, wanted, executor, sides, begun.nominals if begun else None)
    if begun is None:
        if grounded is None or not grounded.ground.is_prompt:
            yield StagedAnswer(question, asked.headline(few), Stage.HEADLINE)
        begun = asked.begun(question, few, grounded)
    yield begun.answer
    review = asked.bounded(begun.answer.review)
    yield StagedAnswer(question, review, Stage.BOUNDS)
    yield StagedAnswer(question, asked.whole(review, draws), Stage.WHOLE)


def _few(few: int, draws: int | None) -> int:
    """Return the draws of the first stages: not more than are asked for."""
    return few if draws is None else min(few, draws)


def nominal(scenario: Scenario, wanted: Wanted, executor: Executor | None = None) -> Result:
    """Run a scenario with its tables as they are, as long as that is wanted."""
    return _Asked(scenario, None, wanted, executor).run()


class Known:
    """What pages of one server share: whole answers and shipped results, which depend on their questions alone."""

    def __init__(self) -> None:
        self._answers: dict[State, StagedAnswer] = {}
        self._shipped: dict[str, Result] = {}
        self._reasons: dict[tuple[State, str], str] = {}
        self._ways: tuple[State | None, Ways | None] = None, None
        self._idle: dict[tuple[State, tuple[str, ...]], set[str]] = {}
        self._grounds = Grounds()
        self._begun: dict[State, Begun] = {}

    def stages(
        self, tables: Tables, question: Question, wanted: Wanted, executor: Executor | None = None
    ) -> Iterator[StagedAnswer]:
        """Return the answer of a question in stages, from what is known of it on."""
        whole = self.answer(question)
        if whole is not None:
            return iter([whole])
        grounded, begun = self._grounds.of(tables, question), self._begun_of(question)
        return answers(question, wanted, draws=question.state.draws, executor=executor, grounded=grounded, begun=begun)

    def prepare(self, tables: Tables, question: Question, wanted: Wanted, executor: Executor | None) -> None:
        """Answer a question at all sizes before it is asked: not where that takes long, nor in this process.

        OutdatedError once that is not `wanted` any more.
        """
        if executor is None or self._begun_of(question) is not None or self.answer(question) is not None:
            return
        grounded = self._grounds.of(tables, question)
        if grounded.ground.is_quick:
            asked = _Asked(question.scenario, question.folder, wanted, executor, grounded.sides)
            begun = asked.begun(question, _few(FEW_DRAWS, question.state.draws), grounded)
            keep_latest(self._begun, question.state, begun, _BEGUN)

    def is_prompt(self, tables: Tables, question: Question) -> bool:
        """Return whether a question is likely to be answered at all sizes about as soon as at one."""
        return self._grounds.of(tables, question).ground.is_prompt

    def _begun_of(self, question: Question) -> Begun | None:
        """Return what is begun of a question; not where its tables were edited since then."""
        begun = self._begun.get(question.state)
        return begun if begun is not None and begun.answer.question.asks_alike(question) else None

    def answer(self, question: Question) -> StagedAnswer | None:
        """Return the whole answer of a question that was asked before, None where it was not or long ago.

        A state whose tables were edited since then is another question.
        """
        answer = self._answers.get(question.state)
        return answer if answer is not None and answer.question.asks_alike(question) else None

    def keep(self, answer: StagedAnswer) -> None:
        """Keep a whole answer in the place of the oldest, also for who names the draws that it has."""
        state = answer.question.state
        for asked in (state, replace(state, draws=answer.draws)):
            keep_latest(self._answers, asked, answer, 2 * _KEPT)

    def reason(self, tables: Tables, question: Question, key: str, wanted: Wanted = lambda: True) -> str:
        """Say why a key has no effect in a question; how large its table entries are does not matter to that.

        It takes seconds, of which it leaves every other to whoever else runs in this process. OutdatedError once it is
        not `wanted` any more.
        """

        def looking() -> None:
            _check(wanted)
            sleep(_LEFT_SECONDS)

        about = (_but_for_entries(question), key)
        text = self._reasons.get(about)
        if text is None:
            state, known = self._ways
            if known is None or state != about[0]:
                known = ways(tables, question)
                self._ways = about[0], known
            text = reason(known, key, looking)
            keep_latest(self._reasons, about, text, _REASONS)
        return text

    def without_effect(self, question: Question, keys: Sequence[str]) -> set[str]:
        """Return the keys without effect in a question; how large its table entries are does not matter to that."""
        about = (_but_for_entries(question), tuple(keys))
        idle = self._idle.get(about)
        if idle is None:
            idle = without_effect(question, keys)
            keep_latest(self._idle, about, idle, _STATES)
        return idle

    def shipped(
        self, tables: Tables, answer: StagedAnswer, wanted: Wanted, executor: Executor | None = None
    ) -> Result | None:
        """Return the result of a scenario as it is shipped, None where an answer of all sizes is about that."""
        state = answer.question.state
        scenario = as_shipped(tables, state) if state.changes else answer.question.scenario
        known = self._shipped.get(state.scenario)
        if known is not None and known.scenario != scenario:  # its tables were edited
            known = None
            self._reasons.clear()
            self._idle.clear()
            self._ways = None, None
        if known is None:
            known = nominal(scenario, wanted, executor) if state.changes else answer.review.result
            self._shipped[state.scenario] = known
        return known if state.changes else None


def _but_for_entries(question: Question) -> State:
    """Return the state of a question with the entries of tables as they are."""
    return replace(question.state.without(entries_of(question)), draws=None)


class _Asked:
    """A scenario that stages ask of, each of them as long as the answer is wanted."""

    def __init__(
        self,
        scenario: Scenario,
        configs: Path | None,
        wanted: Wanted,
        executor: Executor | None = None,
        sides: Sequence[Side] | None = None,
        nominals: Mapping[int, Nominal] | None = None,
    ) -> None:
        self._scenario, self._configs, self._wanted, self._executor = scenario, configs, wanted, executor
        self._sides = sides or sides_of(scenario)
        self._size = scenario.traffic.sizes[0]
        self._known = {**(nominals or {})}

    def _check(self, *_: object) -> None:
        _check(self._wanted)

    @contextmanager
    def _pool(self) -> Iterator[Executor | None]:
        """Give what runs jobs: that of all pages, or threads of this process."""
        if self._executor is not None:
            yield self._executor
            return
        with pool_for(_MANY_RUNS) as pool:
            yield pool

    def run(self, size: int | None = None) -> Result:
        """Run every variant with the tables as they are, at every size or at one."""
        self._check()
        numbers = self._numbers(size)
        missing = [number for number in numbers if number not in self._known]
        with self._pool() as pool:
            points = nominals([self._sides[number].case for number in missing], pool, self._check)
        self._known |= zip(missing, points, strict=True)
        scenario = self._scenario
        if size is not None:
            traffic = scenario.traffic.model_copy(update={"packet_bytes": [size]})
            scenario = scenario.model_copy(update={"traffic": traffic})
        return Result(scenario, tuple(self._known[number].point for number in numbers))

    def headline(self, draws: int) -> Review:
        """Return rates and intervals at the first size."""
        return self._reviewed(self._size, draws)

    def begun(self, question: Question, draws: int, grounded: Grounded | None) -> Begun:
        """Return rates and intervals at all sizes; note what a question is `grounded` on for the next ones."""
        start = perf_counter()
        review = self._reviewed(None, draws)
        if grounded is not None:
            grounded.ground.took(perf_counter() - start)
        return Begun(StagedAnswer(question, review, Stage.BANDS), self._known)

    def _reviewed(self, size: int | None, draws: int) -> Review:
        result = self.run(size)
        with self._pool() as pool:
            sure = self._uncertainty(draws, pool, size)
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

    def _numbers(self, size: int | None) -> list[int]:
        """Return the numbers of all sides, or of those of one size."""
        return [number for number, side in enumerate(self._sides) if size is None or side.packet_bytes == size]

    def bounded(self, review: Review) -> Review:
        """Return the review with what bounds it, the ranking, and which inputs matter."""
        scenario, points = self._scenario, review.result.points
        self._check()
        with self._pool() as pool:
            tornado = self._tornado(review, pool)
            bounds = limits(scenario, points)
            above = preface(scenario, points, bounds, configs=self._configs)
            above = with_worth(above, scenario, tornado, self._configs)
            above = self._ranked(above, review, None, pool)
            parts = self._parts(review, review.sure.draws, pool)
        beyond = outside([scenario], self._configs)
        return replace(review, limits=bounds, tornado=tornado, preface=above, outside=beyond, parts=parts)

    def whole(self, review: Review, draws: int | None) -> Review:
        """Return the review with as many draws as are asked for, of the ranking too."""
        with self._pool() as pool:
            above = review.preface
            if draws == review.sure.draws:
                return replace(review, preface=self._ranked(above, review, review.sure, pool))
            sure = self._uncertainty(draws, pool)
            above, parts = self._ranked(above, review, sure, pool), self._parts(review, sure.draws, pool)
            return replace(review, sure=sure, preface=above, parts=parts)

    def _uncertainty(self, draws: int | None, pool: Executor | None, size: int | None = None) -> Uncertainty:
        """Return intervals of all sides, or of those of one size."""
        self._check()
        chosen = self._numbers(size)
        return uncertainty(
            [self._sides[number] for number in chosen],
            draws,
            self._scenario.run.seed,
            configs=self._configs,
            executor=pool,
            progress=self._check,
            known=[self._known[number] for number in chosen],
        )

    def _tornado(self, review: Review, pool: Executor | None) -> Sensitivities:
        self._check()
        pair = dict.fromkeys((self._scenario.access[0].name, review.focus))
        sides = [side for side in self._sides if side.label in pair and side.packet_bytes == self._size]
        return swing_entries(sides, pool, self._check)

    def _parts(self, review: Review, draws: int, pool: Executor | None) -> DrawnParts | None:
        """Return what makes up the difference of the headline, with intervals; None where nothing is compared."""
        if review.focus == self._scenario.access[0].name:
            return None
        self._check()
        return parts_of(
            self._sides,
            draws,
            self._scenario.run.seed,
            after=review.focus,
            bases=[self._known[number].basis for number in self._numbers(None)],
            configs=self._configs,
            executor=pool,
            progress=self._check,
        )

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
