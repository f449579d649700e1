"""One page in one browser: its controls, its answer, and what happens between them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import replace

from nicegui import background_tasks, ui
from nicegui.events import GenericEventArguments

from sim.config.errors import ConfigError
from sim.live import controls as catalogue
from sim.live import show
from sim.live.answers import Known, OutdatedError, Stage, StagedAnswer, answers, prepare
from sim.live.controls import Control, MovableInput, keys_of, moved, shown
from sim.live.questions import Question, Tables, ask
from sim.live.sections import Sections
from sim.live.state import ACCESSOR, DRAWS, SCENARIO, State, named_in, of_query
from sim.live.widgets import EntrySlider, Pick, Slide, Toggle, Widget, group
from sim.live.workers import EndedError
from sim.study.runs.pool import WorkerDiedError

#: A slider has settled when it has not moved for so long: on its way it asks for nothing.
_SETTLE_SECONDS = 0.03
#: So long a browser draws rates before it is given what they are made up of.
_RATES_SECONDS = 0.05
#: So long a browser that draws has the machine for itself before all its cores go on to the next stage.
_DRAW_SECONDS = 0.12
#: When nothing has moved for so long, what a switch would ask for is built; and, later, it is looked for what controls
#: without effect would need: a move would wait for that.
_PAUSE_SECONDS, _REST_SECONDS = 0.3, 1.0
#: What threads say where the program ends.
_ENDING = "cannot schedule new futures after"
#: So often an answer is begun where a process dies: then the scenario itself may be at fault.
_TIMES = 3
_NO_EFFECT = "no effect in this scenario"

_EXAMPLE = """\
schema: 1
kind: access
name: one-window
title: descriptor read without the speculation barrier
source: my patch
metadata:
  recipes:
    descriptor_read: [branch, stac, load, store, load, store, clac, test]
"""


class Page:
    """A page: its last good state and answer, its controls, and the number of the move that is answered."""

    def __init__(
        self,
        tables: Tables,
        known: Known,
        running: Callable[[], bool],
        executor: Callable[[Callable[[], bool]], Executor | None],
        first: State,
    ) -> None:
        self._tables, self._known, self._running, self._executor = tables, known, running, executor
        self._first, self._wrong_address = first, ""
        self._move = 0
        self._question: Question | None = None
        self._pushed: str | None = None
        self._widgets: dict[str, tuple[Control, Widget]] = {}
        self._entries: dict[str, EntrySlider] = {}
        self._build()

    def close(self) -> None:
        """Let what is computed for the page end."""
        self._move += 1

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
            with (
                ui.element("form").classes("controls").props('aria-label="controls"').on("submit.prevent", lambda: None)
            ):
                self._build_controls()
            with ui.element("div").classes("answers") as self._answers:
                self._sections = Sections(self._tables)
        ui.on("address", self._addressed)

    def _build_controls(self) -> None:
        scenario = Control(SCENARIO, "scenario", "pick", tuple(self._tables.names("scenario")))
        groups: dict[str, Iterable[Control]] = {
            "question": (scenario, *catalogue.tables_of(self._tables), catalogue.PRECISION),
            "mitigations": catalogue.MITIGATIONS,
            "ring": catalogue.RING,
            "host": catalogue.HOST,
            "traffic": catalogue.TRAFFIC,
        }
        for title, members in groups.items():
            with group(title, is_open=title in ("question", "mitigations")):
                for control in members:
                    self._widgets[control.key] = (control, self._widget(control))
        with group("inputs that matter most here", is_open=True):
            self._inputs = ui.element("div")
            with self._inputs:
                ui.label("not known yet").classes("small")
        with group("an access variant of your own", is_open=False):
            self._accessor = ui.textarea("YAML of an access variant", value=_EXAMPLE)
            self._accessor.props("outlined input-class=yaml autogrow spellcheck=false")
            self._accessor_note = ui.label("").classes("note").props("role=alert")
            with ui.element("div").classes("line"):
                ui.button("add as a variant", on_click=self._add_accessor).props("outline dense no-caps")
                ui.button("take it away", on_click=self._drop_accessor).props("flat dense no-caps")

    def _widget(self, control: Control) -> Widget:
        kinds: dict[str, Callable[[Control, Callable[[str], None]], Widget]] = {
            "pick": Pick,
            "several": Pick,
            "switch": Toggle,
            "slide": Slide,
        }
        widget: Widget = kinds[control.kind](control, lambda text: self._moved(control, text))
        return widget

    # What moves.

    def _moved(self, control: Control, text: str) -> None:
        if control.key == SCENARIO:
            self.go(State(text, draws=self._chosen_draws), control.key, control.key)
        elif self._question is not None:
            try:
                state = moved(control, self._question.state, self._question.scenario, text)
            except ConfigError as error:
                self._refused(control.key, error)
                return
            self.go(state, control.key, keys_of(control)[0])

    def _reset(self) -> None:
        if self._question is not None:
            self.go(State(self._question.state.scenario, draws=self._chosen_draws))

    @property
    def _chosen_draws(self) -> int | None:
        return self._question.state.draws if self._question is not None else None

    def _add_accessor(self) -> None:
        question, text = self._question, self._accessor.value or ""
        if question is None:
            return
        try:
            name = named_in(text)
        except ConfigError as error:
            self._refused(ACCESSOR, error)
            return
        old = question.state.accessor_name
        names = [variant.name for variant in question.scenario.access if variant.name not in (name, old)]
        state = replace(question.state, accessor=text)
        self.go(state.changed(catalogue.ACCESS, ",".join((*names, name))), ACCESSOR)

    def _drop_accessor(self) -> None:
        question = self._question
        if question is not None and question.state.accessor:
            self.go(replace(question.state.without([catalogue.ACCESS]), accessor=""), ACCESSOR)

    def _addressed(self, event: GenericEventArguments) -> None:
        """Show what the address says now: the reader went back or forward."""
        try:
            state = of_query(str(event.args).removeprefix("?"), self._question.state.scenario if self._question else "")
        except ConfigError as error:
            self._refused(SCENARIO, error)
            return
        self.go(state, is_addressed=True)

    def go(self, state: State, place: str = "", key: str | None = None, *, is_addressed: bool = False) -> None:
        """Answer another state; `place` is the control that was moved, `key` the key that it changes."""
        self._move += 1
        self._status.set_text("computing")
        background_tasks.create(self._answer(self._move, state, place, key, is_addressed))

    # What follows.

    async def _answer(
        self, move: int, state: State, place: str, key: str | None, is_addressed: bool, times: int = 1
    ) -> None:
        def wanted() -> bool:
            return move == self._move and self._running()

        with self._answers:
            try:
                if self._slides(place):
                    await asyncio.sleep(_SETTLE_SECONDS)
                if wanted():
                    await self._stages(state, place, key, is_addressed, wanted)
            except (OutdatedError, EndedError):
                return
            except WorkerDiedError as error:
                if wanted() and times < _TIMES:
                    await self._answer(move, state, place, key, is_addressed, times + 1)
                elif wanted():
                    self._refused(place or SCENARIO, error)
            except ConfigError as error:
                if wanted() and self._question is None and state != self._first:
                    self.refuse_address(error)
                elif wanted():
                    self._refused(place or SCENARIO, error)
            except Exception as error:
                if _ENDING in str(error):
                    return
                self._status.set_text("an error in the program ended this answer; its terminal says which")
                raise

    def _slides(self, place: str) -> bool:
        """Return whether a control is a slider: others are where they are asked to be."""
        return place in self._entries or (place in self._widgets and self._widgets[place][0].kind == "slide")

    async def _stages(
        self, state: State, place: str, key: str | None, is_addressed: bool, wanted: Callable[[], bool]
    ) -> None:
        has_key = key is not None and state.text(key) is not None
        question = await asyncio.to_thread(ask, self._tables, state, key if has_key else None)
        whole = self._known.answer(question.state)
        executor = self._executor(wanted)
        if whole is None:
            grounded = await asyncio.to_thread(self._known.grounded, self._tables, question)
            stages = answers(question, wanted, draws=state.draws, executor=executor, grounded=grounded)
        else:
            stages = iter([whole])
        upcoming = _ahead(stages)
        try:
            answer = await upcoming
            if not wanted() or answer is None:
                return
            upcoming = _ahead(stages, answer)  # it goes on while this one is drawn
            await self._show(answer, executor, wanted, is_first=True)
            idle = await asyncio.to_thread(self._known.without_effect, question, _effects(self._widgets))
            if not wanted():
                return
            self._settle(question, idle, place, is_addressed)
            while wanted() and answer is not None:
                if answer.has_bounds:
                    self._show_inputs(answer, place)
                if answer.is_whole:
                    self._known.keep(answer)
                answer = await upcoming
                upcoming = _ahead(stages, answer)
                if wanted() and answer is not None:
                    await self._show(answer, executor, wanted)
        finally:
            upcoming.cancel()
        await asyncio.sleep(_PAUSE_SECONDS)
        await self._prepare(question, idle, executor, wanted)
        await asyncio.sleep(_REST_SECONDS)
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
        self._headline.set_text(show.headline(answer))
        self._status.set_text(
            f"90 % intervals of {answer.draws} draws" + ("" if answer.is_whole else ", more are under way")
        )
        self._sections.draw_rates(answer, shipped)
        if is_first and answer.stage is Stage.BANDS:  # what is asked for stands there before all of it is drawn
            await asyncio.sleep(_RATES_SECONDS)
        if wanted():
            self._sections.draw_parts(answer, is_first=is_first)

    def _settle(self, question: Question, idle: set[str], place: str, is_addressed: bool) -> None:
        """Let the controls and the address say what is answered."""
        self._question = question
        self._answers.classes(remove="stale")
        self._accessor_note.set_text("")
        for control, widget in self._widgets.values():
            is_scenario = control.key == SCENARIO
            widget.show(question.state.scenario if is_scenario else shown(control, question.state, question.scenario))
            widget.enable(control.key not in idle, _NO_EFFECT)
        if question.state.accessor:
            self._accessor.set_value(question.state.accessor)
        if question.dropped and place in self._widgets:
            self._widgets[place][1].say(f"without effect now, and taken back: {', '.join(question.dropped)}")
        if self._wrong_address:
            self._widgets[SCENARIO][1].say(self._wrong_address, refused=True)
            self._wrong_address = ""
        address = f"?{question.state.query()}"
        if not is_addressed:
            if place and place == self._pushed:
                ui.navigate.history.replace(address)
            else:
                ui.navigate.history.push(address)
        self._pushed = place

    def refuse_address(self, error: ConfigError) -> None:
        """Say what is wrong with the address that the page was opened with, and answer what a plain one says."""
        self._wrong_address = f"the address is left: {error}"
        self.go(self._first, is_addressed=True)

    async def _prepare(
        self, question: Question, idle: set[str], executor: Executor | None, wanted: Callable[[], bool]
    ) -> None:
        """Let the Plans that a switch asks for be there before it is turned."""

        def build(state: State) -> None:
            with suppress(ConfigError):  # it is refused when it is turned
                prepare(self._known.grounded(self._tables, ask(self._tables, state)), wanted, executor)

        for control, _ in self._widgets.values():
            if control.kind == "switch" and control.key not in idle and wanted():
                now = shown(control, question.state, question.scenario)
                other = next(text for text in control.choices if text != now)
                await asyncio.to_thread(build, moved(control, question.state, question.scenario, other))

    async def _explain_idle(self, question: Question, idle: set[str], wanted: Callable[[], bool]) -> None:
        """Say of each control without effect what it would need: that takes a while to find."""
        for key in sorted(idle):
            if not wanted():
                return
            text = await asyncio.to_thread(self._known.reason, self._tables, question, key)
            if wanted():
                self._widgets[key][1].say(text)

    def _refused(self, place: str, error: ConfigError) -> None:
        """Say beside a control what is wrong with what it asks for; the last good answer stays, greyed."""
        self._answers.classes(add="stale")
        self._status.set_text("refused: the answer is that of the last settings that fit together")
        text = str(error)
        if place == ACCESSOR or error.key == ACCESSOR:
            self._accessor_note.set_text(text)
        elif place in self._entries:
            self._entries[place].say(text, refused=True)
        else:
            self._widgets.get(place, self._widgets[SCENARIO])[1].say(text, refused=True)

    # What is shown.

    def _show_inputs(self, answer: StagedAnswer, place: str) -> None:
        """Show sliders of the inputs that matter; those that are there stay, so that one can be held."""
        question = answer.question
        known = catalogue.inputs(question.state, question.scenario, answer.review.tornado, self._tables)
        if place in self._entries and {entry.key for entry in known} >= {place}:
            for entry in known:
                if entry.key in self._entries:
                    self._entries[entry.key].settle(entry)
                if entry.key in self._entries and entry.key != place:
                    self._entries[entry.key].show(f"{entry.entry.value:.6g}")
            return
        self._inputs.clear()
        with self._inputs:
            self._entries = {entry.key: self._entry(entry) for entry in known}
            if not known:
                ui.label("no input that it depends on has a range").classes("small")

    def _entry(self, known: MovableInput) -> EntrySlider:
        key = known.key

        def reset() -> None:
            if self._question is not None:
                self.go(self._question.state.changed(key, None))

        def slid(text: str) -> None:
            if self._question is not None:
                self.go(self._question.state.changed(key, text), key, key)

        return EntrySlider(known, slid, reset)


def _effects(widgets: dict[str, tuple[Control, Widget]]) -> list[str]:
    """Return the keys whose effect is looked at."""
    return [key for key in widgets if key not in (SCENARIO, DRAWS)]


def _ahead(stages: Iterator[StagedAnswer], shown: StagedAnswer | None = None) -> asyncio.Task[StagedAnswer | None]:
    """Begin the next stage of an answer in a thread; a browser of this machine draws numbers of all sizes first."""

    async def begin() -> StagedAnswer | None:
        if shown is not None and shown.has_bands:
            await asyncio.sleep(_DRAW_SECONDS)
        return await asyncio.to_thread(next, stages, None)

    return asyncio.create_task(begin())
