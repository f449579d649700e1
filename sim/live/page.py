"""One page in one browser: which move is answered, in which stages, and what its address says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from math import inf
from time import monotonic

from nicegui import background_tasks, ui
from nicegui.events import GenericEventArguments

from sim.config.errors import ConfigError
from sim.config.scenario.scenario import Scenario
from sim.live import show
from sim.live.answers import Known, OutdatedError, Stage, StagedAnswer
from sim.live.controls import ACCESS, Control, beside, keys_of, moved
from sim.live.form import Form
from sim.live.questions import Question, Tables, ask
from sim.live.sections import Sections
from sim.live.state import ACCESSOR, SCENARIO, State, named_in, of_query
from sim.live.widgets import Echo
from sim.live.workers import EndedError, Executing
from sim.study.runs.pool import WorkerDiedError

#: A slider that moves again so soon is on its way: it asks for something once it has not moved for so long.
_SLIDING_SECONDS, _SETTLE_SECONDS = 0.2, 0.03
#: So long a browser draws rates before it is given what they are made up of.
_RATES_SECONDS = 0.05
#: So long a browser that draws has the machine for itself before all its cores go on to the next stage.
_DRAW_SECONDS = 0.12
#: So long controls wait for all sizes, which come first, before it is looked for what has no effect now.
_SIZES_SECONDS = 1.0
#: When nothing has moved for so long, what a step of each control would ask for is answered; and, later, it is looked
#: for what controls without effect would need: a move would wait for that.
_PAUSE_SECONDS, _REST_SECONDS = 0.3, 1.0
#: So long a reader who looks at something is likely to move it next: the machine is left to that.
_ATTENTION_SECONDS = 1.0
#: What threads say where the program ends.
_ENDING = "cannot schedule new futures after"
#: So often an answer is begun where a process dies: then the scenario itself may be at fault.
_TIMES = 3


@dataclass(frozen=True)
class _Move:
    """A state that is asked for, the control that was moved, and the key that it changes; no place: no control.

    `before` is the one that it started from, as long as it is not known whether that fits; `earlier` are the keys that
    were moved since controls last said what is answered.
    """

    state: State
    place: str = ""
    key: str | None = None
    is_addressed: bool = False
    before: _Move | None = None
    earlier: frozenset[str] = frozenset()

    @property
    def moved(self) -> frozenset[str]:
        """The keys that were moved, its own among them."""
        return self.earlier if self.key is None else self.earlier | {self.key}


@dataclass
class _Look:
    """What somebody looks at would ask for: answered until something else than that is moved, a `move` by number."""

    state: State
    move: int
    task: asyncio.Task[bool] | None = None


class Page:
    """A page: its last good state and answer, its controls, and the number of the move that is answered.

    What is moved starts from what was asked for last, which controls say, be it answered or not. A move ends the answer
    of the one before once it is known to fit.

    Of one that no browser shows (`is_seen`), since it was left or cannot be reached, nothing more is begun.
    """

    def __init__(
        self,
        tables: Tables,
        known: Known,
        running: Callable[[], bool],
        executor: Executing,
        first: State,
        is_seen: Callable[[], bool],
    ) -> None:
        self._tables, self._known, self._running, self._executor = tables, known, running, executor
        self._is_seen = is_seen
        self._first = first
        self._numbers = count(1)
        self._move, self._answered, self._moved_at = 0, 0, -inf
        self._look: _Look | None = None  # that is being answered
        self._looked_at = -inf  # when somebody did so last
        self._last = _Move(first)  # that is not refused
        self._at: _Move | None = None  # that is answered, if so far nothing is wrong with it
        self._scenario: Scenario | None = None  # of the last one that has one
        self._question: Question | None = None  # that is answered
        self._is_settled = False  # controls and rates of all sizes are those of the question
        self._said: tuple[str, str] | None = None  # what is said beside a control once they are
        self._pushed: str | None = None
        self._echo = Echo()
        self._build()

    def close(self) -> None:
        """Let what is computed for the page end."""
        self._move = self._answered = 0

    # The layout.

    def _build(self) -> None:
        with ui.element("div").classes("top"):
            ui.html("what if", tag="h1", sanitize=False)
            self._headline = ui.label("").classes("answer").props("aria-live=polite tabindex=0")
            with ui.element("div").classes("line"):
                self._status = ui.label("starting").classes("status").props("role=status")
                ui.button("as shipped", on_click=self._reset).props("flat dense no-caps")
                to_controls = ui.button("to the controls").props("flat dense no-caps").classes("to-controls")
                to_controls.on("click", js_handler="() => document.querySelector('.controls').scrollIntoView()")
        with ui.element("div").classes("columns"):
            self._form = Form(
                self._tables, self._moved, self._input_moved, self._add_accessor, self._drop_accessor, self._echo
            )
            with ui.element("div").classes("answers") as self._answers:
                self._sections = Sections(self._tables)
        ui.on("address", self._addressed)
        ui.on("looked", self._looked)

    # What moves.

    def _moved(self, control: Control, text: str) -> None:
        try:
            asked = self._asked(control, text)
        except ConfigError as error:
            self._refuse(control.key, error)
        else:
            if asked is not None:
                self.go(asked[0], control.key, asked[1])

    def _asked(self, control: Control, text: str) -> tuple[State, str] | None:
        """Return the state that a control asks for at a text, and the key that moves; None before the first answer."""
        if control.key == SCENARIO:
            return State(text, draws=self._chosen_draws), control.key
        if self._question is None or self._scenario is None:
            return None
        return moved(control, self._last.state, self._scenario, text), keys_of(control)[0]

    def _reset(self) -> None:
        if self._question is not None:
            self.go(State(self._last.state.scenario, draws=self._chosen_draws))

    def _input_moved(self, key: str, text: str | None) -> None:
        if self._question is not None:
            state = self._last.state.changed(key, text)
            if text is None:
                self.go(state)
            else:
                self.go(state, key, key)

    @property
    def _chosen_draws(self) -> int | None:
        return self._last.state.draws if self._question is not None else None

    def _add_accessor(self, text: str) -> None:
        if self._question is None or self._scenario is None:
            return
        try:
            name = named_in(text)
        except ConfigError as error:
            self._refuse(ACCESSOR, error)
            return
        old = self._last.state.accessor_name
        names = [variant.name for variant in self._scenario.access if variant.name not in (name, old)]
        state = replace(self._last.state, accessor=text)
        self.go(state.changed(ACCESS, ",".join((*names, name))), ACCESSOR)

    def _drop_accessor(self) -> None:
        state = self._last.state
        if self._question is not None and state.accessor:
            self.go(replace(state.without([ACCESS]), accessor=""), ACCESSOR)

    def _addressed(self, event: GenericEventArguments) -> None:
        """Show what the address says now: the reader went back or forward."""
        try:
            state = of_query(str(event.args).removeprefix("?"), self._question.state.scenario if self._question else "")
        except ConfigError as error:
            self._refuse(SCENARIO, error)
            return
        self.go(state, is_addressed=True)

    def _looked(self, event: GenericEventArguments) -> None:
        """Answer a control's move while somebody looks at it, or at a part of it: it is likely to come."""
        self._looked_at = monotonic()
        if self._is_under_way:
            return
        spoken, name = map(str, event.args)
        choice = self._form.looked_at(spoken, name)
        with suppress(ConfigError):  # it is refused when it is moved
            asked = self._asked(*choice) if choice else None
            if asked is not None and (self._look is None or self._look.state != asked[0]):
                self._answer_ahead(*asked)

    def _answer_ahead(self, state: State, key: str) -> None:
        look = self._look = _Look(state, self._move)

        def wanted() -> bool:
            return self._look is look and look.move == self._move and self._running()

        async def answer() -> bool:
            try:
                return await self._likely(state, key, wanted)
            finally:
                if self._look is look:
                    self._look = None

        look.task = background_tasks.create(answer())

    def go(self, state: State, place: str = "", key: str | None = None, *, is_addressed: bool = False) -> None:
        """Answer another state; `place` is the control that was moved, `key` the key that it changes."""
        self._said = None
        last = self._last
        before = last.before if last.place == place and last is not self._at else last  # a slider on its way
        earlier = last.moved
        if not self._is_under_way:
            before, earlier = None, frozenset()
        self._begin(_Move(state, place, key, is_addressed, before, earlier))

    # What follows.

    @property
    def _is_looked_at(self) -> bool:
        """Whether somebody looks at a control, or did so just now."""
        return self._look is not None or monotonic() - self._looked_at < _ATTENTION_SECONDS

    @property
    def _is_left_alone(self) -> bool:
        """Whether a browser shows the page, and its reader moves nothing soon."""
        return self._is_seen() and not self._is_looked_at

    @property
    def _is_under_way(self) -> bool:
        """Whether what was asked for last is not what the whole page says."""
        return self._question is None or not self._is_settled or self._question.state != self._last.state

    def _begin(self, move: _Move) -> None:
        now = monotonic()
        is_sliding = self._form.slides(move.place) and now - self._moved_at < _SLIDING_SECONDS
        self._move, self._moved_at, self._last = next(self._numbers), now, move
        if self._look is not None and self._look.state == move.state:
            self._look.move = self._move
        self._echo.later(partial(self._status.set_text, "computing"))
        background_tasks.create(self._answer(self._move, move, is_sliding=is_sliding))

    async def _answer(self, number: int, move: _Move, *, is_sliding: bool) -> None:
        def is_last() -> bool:
            return number == self._move and self._running()

        with self._answers:
            try:
                if is_sliding:
                    await asyncio.sleep(_SETTLE_SECONDS)
                if is_last():
                    question = await asyncio.to_thread(ask, self._tables, move.state, move.key, move.earlier)
                if is_last():
                    self._answered, self._scenario = number, question.scenario
                    self._last = self._at = replace(move, state=question.state, before=None)
                    await self._tries(question, move, lambda: number == self._answered and self._running())
            except (OutdatedError, EndedError):
                return
            except ConfigError as error:
                if number == self._answered:
                    self._at = None
                if is_last() and self._question is None and move.state != self._first:
                    self.refuse_address(error)
                elif is_last():
                    self._refused(move, error)
            except Exception as error:
                if _ENDING in str(error):
                    return
                self._move = self._answered if is_last() else self._move
                self._echo.now()
                self._status.set_text("an error in the program ended this answer; its terminal says which")
                raise

    async def _tries(self, question: Question, move: _Move, wanted: Callable[[], bool]) -> None:
        """Answer a question, anew where a process dies."""
        for left in reversed(range(_TIMES)):
            try:
                await self._stages(question, move, wanted)
            except WorkerDiedError:
                if wanted() and not left:
                    raise
            else:
                return
            if not wanted():
                return

    async def _stages(self, question: Question, move: _Move, wanted: Callable[[], bool]) -> None:
        look, executor = self._look, self._executor(wanted)
        if look is not None and look.task is not None and look.state == move.state:
            if await asyncio.to_thread(self._known.is_prompt, self._tables, question):
                await asyncio.wait([look.task])
            else:
                self._look = None  # its headline comes first
        stages = await asyncio.to_thread(self._known.stages, self._tables, question, wanted, executor)
        upcoming, drawn = asyncio.create_task(asyncio.to_thread(next, stages, None)), asyncio.Event()
        settling: asyncio.Task[set[str]] | None = None
        try:
            answer = await upcoming
            while wanted() and answer is not None:
                upcoming = asyncio.create_task(self._ahead(stages, answer, wanted))  # while this one is drawn
                await self._show(answer, executor, wanted, is_first=settling is None)
                if settling is None and wanted():
                    self._accept(question, move)
                    settling = asyncio.create_task(self._settle(question, move.place, drawn, wanted))
                if answer.has_bands:
                    drawn.set()
                if answer.has_bounds:
                    await self._until_asked(wanted)
                    if wanted():
                        self._form.show_inputs(answer, move.place)
                if answer.is_whole:
                    self._known.keep(answer)
                answer = await upcoming
            if settling is None or not wanted():
                return
            idle = await settling
            self._is_settled = True
        finally:
            upcoming.cancel()
            if settling is not None:
                settling.cancel()
        await self._prepare(question, idle, wanted)
        await self._explain_idle(question, idle, wanted)

    async def _show(
        self, answer: StagedAnswer, executor: Executor | None, wanted: Callable[[], bool], *, is_first: bool = False
    ) -> None:
        """Draw an answer, that of all sizes beside what is shipped."""
        shipped = None
        if answer.has_bands:
            shipped = await asyncio.to_thread(self._known.shipped, self._tables, answer, wanted, executor)
        if not wanted():
            return
        self._echo.now()
        self._headline.set_text(show.headline(answer))
        if is_first or "stale" not in self._answers.classes:  # else something is refused
            self._status.set_text(
                f"90 % intervals of {answer.draws} draws" + ("" if answer.is_whole else ", more are under way")
            )
        self._sections.draw_rates(answer, shipped)
        if is_first and answer.stage is Stage.BANDS:  # what is asked for stands there before all of it is drawn
            await asyncio.sleep(_RATES_SECONDS)
        if wanted():
            self._sections.draw_parts(answer, is_first=is_first)

    def _accept(self, question: Question, move: _Move) -> None:
        """Let the address say what is answered."""
        self._question, self._is_settled = question, False
        self._answers.classes(remove="stale")
        address = f"?{question.state.query()}"
        if not move.is_addressed:
            if move.place and move.place == self._pushed:
                ui.navigate.history.replace(address)
            else:
                ui.navigate.history.push(address)
        self._pushed = move.place

    async def _settle(
        self, question: Question, place: str, drawn: asyncio.Event, wanted: Callable[[], bool]
    ) -> set[str]:
        """Let the controls say what is answered once rates of all sizes are drawn; return those without effect."""
        with suppress(TimeoutError):
            await asyncio.wait_for(drawn.wait(), _SIZES_SECONDS)
        idle = await asyncio.to_thread(self._known.without_effect, question, self._form.keys)
        await self._until_asked(wanted)
        if wanted():
            self._form.settle(question, idle, place)
            if self._said is not None:
                self._form.refuse(*self._said)
            self._is_settled, self._said = drawn.is_set(), None
        return idle

    def refuse_address(self, error: ConfigError) -> None:
        """Say what is wrong with the address that the page was opened with, and answer what a plain one says."""
        self.go(self._first, is_addressed=True)
        self._said = SCENARIO, f"the address is left: {error}"

    async def _prepare(self, question: Question, idle: set[str], wanted: Callable[[], bool]) -> None:
        """Let rates of all sizes be there before a switch is turned, or a slider moved by one stop.

        What somebody looks at comes first.
        """
        await asyncio.sleep(_PAUSE_SECONDS)
        state, scenario = question.state, question.scenario
        moves = [
            (moved(control, state, scenario, text), keys_of(control)[0])
            for control in self._form.controls
            if control.key not in idle
            for text in beside(control, state, scenario)
        ]
        while moves:
            await self._until_left_alone(wanted)
            if not wanted():
                return
            if await self._likely(*moves[0], lambda: wanted() and not self._is_looked_at, is_ahead=True):
                moves.pop(0)

    async def _likely(self, state: State, key: str, wanted: Callable[[], bool], *, is_ahead: bool = False) -> bool:
        """Answer at all sizes what is likely to be asked, a state and the key that moves; return whether to the end.

        Where it `is_ahead`, nobody looks at it yet: its jobs are small, so that what is asked waits for few of them.
        """

        def prepare() -> None:
            question = ask(self._tables, state, key)
            self._known.prepare(self._tables, question, wanted, self._executor(wanted, is_ahead=is_ahead))

        with suppress(ConfigError):  # it is refused when it is moved; also where a process dies
            try:
                await asyncio.to_thread(prepare)
            except (OutdatedError, EndedError):
                return False
        return True

    async def _explain_idle(self, question: Question, idle: set[str], wanted: Callable[[], bool]) -> None:
        """Say of each control without effect what it would need: that takes a while to find."""
        await asyncio.sleep(_REST_SECONDS)
        left = sorted(idle)
        while left:
            await self._until_left_alone(wanted)
            if not wanted():
                return
            with suppress(OutdatedError):  # the page is not left alone any more: what was found is known later
                text = await asyncio.to_thread(
                    self._known.reason, self._tables, question, left[0], lambda: wanted() and self._is_left_alone
                )
                if wanted():
                    self._form.explain(left.pop(0), text)

    async def _ahead(
        self, stages: Iterator[StagedAnswer], shown: StagedAnswer, wanted: Callable[[], bool]
    ) -> StagedAnswer | None:
        """Return the stage behind one that is shown; a browser of this machine draws numbers of all sizes first."""
        if shown.has_bands:
            await asyncio.sleep(_DRAW_SECONDS)
        await self._until_seen(wanted)
        return await asyncio.to_thread(next, stages, None)

    async def _until_asked(self, wanted: Callable[[], bool]) -> None:
        """Wait while it is looked whether a later move fits."""
        while wanted() and self._move != self._answered:
            await asyncio.sleep(_SETTLE_SECONDS)

    async def _until_left_alone(self, wanted: Callable[[], bool]) -> None:
        """Wait while no browser shows the page, or its reader looks at something: only then there is time to spare."""
        while wanted() and not self._is_left_alone:
            await asyncio.sleep(_SETTLE_SECONDS if self._is_seen() else _PAUSE_SECONDS)

    async def _until_seen(self, wanted: Callable[[], bool]) -> None:
        """Wait while no browser shows the page: it may come back."""
        while wanted() and not self._is_seen():
            await asyncio.sleep(_PAUSE_SECONDS)

    def _refuse(self, place: str, error: ConfigError) -> None:
        """Refuse what a control asks for, which is no state: what is under way goes on."""
        self._say(place, error, self._is_under_way)

    def _say(self, place: str, error: ConfigError, goes_on: bool) -> None:
        """Say beside a control why it is refused: also behind what goes on, which sets it back; else in grey."""
        self._echo.now()
        place, text = ACCESSOR if error.key == ACCESSOR else place or SCENARIO, str(error)
        self._form.refuse(place, text)
        if goes_on:
            self._said = place, text
        else:
            self._answers.classes(add="stale")
            self._status.set_text("refused: the answer is that of the last settings that fit together")

    def _refused(self, move: _Move, error: ConfigError) -> None:
        """Say beside a control what is wrong with what it asks for; the last good answer stays, greyed.

        Where what was asked for before is not answered yet, it is now.
        """
        before, question = move.before, self._question
        if before is not None and before is not self._at:
            is_there = question is not None and question.state == before.state
            self._begin(replace(before, is_addressed=before.is_addressed or is_there))
            self._say(move.place, error, True)
            return
        self._move = self._answered
        if self._at is not None:
            self._last = self._at
        elif question is not None:
            self._last, self._scenario = _Move(question.state), question.scenario
        self._say(move.place, error, self._at is not None and self._is_under_way)
