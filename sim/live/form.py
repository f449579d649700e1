"""The form of a page: its controls, the inputs that matter most, and what is said beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from nicegui import ui

from sim.live import controls as catalogue
from sim.live.answers import StagedAnswer
from sim.live.controls import Control, MovableInput, shown
from sim.live.questions import Question, Tables
from sim.live.state import ACCESSOR, DRAWS, SCENARIO
from sim.live.widgets import Echo, EntrySlider, Moved, Pick, Slide, Toggle, Widget

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


class Form:
    """The controls of a page. What moves them is told to the page: a control, an input, a variant of the reader's own.

    `input_moved` is told the key of a table entry and a text, None for the way back; `accessor_added` the variant.
    Controls stand where they were moved to once `echo` says so.
    """

    def __init__(
        self,
        tables: Tables,
        moved: Callable[[Control, str], None],
        input_moved: Callable[[str, str | None], None],
        accessor_added: Callable[[str], None],
        accessor_dropped: Callable[[], None],
        echo: Echo,
    ) -> None:
        self._tables, self._moved, self._input_moved, self._echo = tables, moved, input_moved, echo
        self._widgets: dict[str, tuple[Control, Widget]] = {}
        self._entries: dict[str, EntrySlider] = {}
        with ui.element("form").classes("controls").props('aria-label="controls"').on("submit.prevent", lambda: None):
            self._build_controls()
            with _group("inputs that matter most here", is_open=True):
                self._inputs = ui.element("div")
                with self._inputs:
                    ui.label("not known yet").classes("small")
            with _group("an access variant of your own", is_open=False):
                self._accessor = ui.textarea("YAML of an access variant", value=_EXAMPLE)
                self._accessor.props("outlined input-class=yaml autogrow spellcheck=false")
                self._accessor_note = ui.label("").classes("note").props("role=alert")
                with ui.element("div").classes("line"):
                    add = ui.button("add as a variant", on_click=lambda: accessor_added(self._accessor.value or ""))
                    add.props("outline dense no-caps")
                    ui.button("take it away", on_click=accessor_dropped).props("flat dense no-caps")

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
            with _group(title, is_open=title in ("question", "mitigations")):
                for control in members:
                    self._widgets[control.key] = (control, self._widget(control))

    def _widget(self, control: Control) -> Widget:
        kinds: dict[str, Callable[[Control, Moved, Echo], Widget]] = {
            "pick": Pick,
            "several": Pick,
            "switch": Toggle,
            "slide": Slide,
        }
        widget: Widget = kinds[control.kind](control, lambda text: self._moved(control, text), self._echo)
        return widget

    @property
    def keys(self) -> list[str]:
        """The keys whose effect is looked at."""
        return [key for key in self._widgets if key not in (SCENARIO, DRAWS)]

    @property
    def controls(self) -> list[Control]:
        """The controls that are there whatever is answered, switches first."""
        return sorted((control for control, _ in self._widgets.values()), key=lambda control: control.kind != "switch")

    def looked_at(self, spoken: str, name: str) -> tuple[Control, str] | None:
        """Return the control that somebody looks at, and the text of the name there; None for no choice."""
        inputs = ((Control(key, slider.label, "slide"), slider) for key, slider in self._entries.items())
        for control, widget in (*self._widgets.values(), *inputs):
            if widget.spoken == spoken and not widget.idle and (text := widget.choice(name)) is not None:
                return control, text
        return None

    def slides(self, place: str) -> bool:
        """Return whether a control is a slider: others are where they are asked to be."""
        return place in self._entries or (place in self._widgets and self._widgets[place][0].kind == "slide")

    def settle(self, question: Question, idle: set[str], place: str) -> None:
        """Let the controls say what is answered; `place` is the one that was moved, `idle` are those without effect."""
        self._accessor_note.set_text("")
        for control, widget in self._widgets.values():
            is_scenario = control.key == SCENARIO
            widget.show(question.state.scenario if is_scenario else shown(control, question.state, question.scenario))
            widget.enable(control.key not in idle, _NO_EFFECT)
        if question.state.accessor:
            self._accessor.set_value(question.state.accessor)
        if question.dropped and place in self._widgets:
            self._widgets[place][1].say(f"without effect now, and taken back: {', '.join(question.dropped)}")

    def show_inputs(self, answer: StagedAnswer, place: str) -> None:
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
        return EntrySlider(
            known,
            lambda text: self._input_moved(known.key, text),
            lambda: self._input_moved(known.key, None),
            self._echo,
        )

    def explain(self, key: str, text: str) -> None:
        """Say of a control without effect what it would need."""
        self._widgets[key][1].say(text)

    def refuse(self, place: str, text: str) -> None:
        """Say beside a control what is wrong with what it asks for; beside the scenario where no control has asked."""
        if place == ACCESSOR:
            self._accessor_note.set_text(text)
        elif place in self._entries:
            self._entries[place].say(text, refused=True)
        else:
            self._widgets.get(place, self._widgets[SCENARIO])[1].say(text, refused=True)


def _group(title: str, *, is_open: bool) -> Any:
    """Make a part of the controls that can be folded away."""
    details = ui.element("details").classes("group")
    if is_open:
        details.props("open")
    with details:
        ui.html(title, tag="summary", sanitize=False)
    return details
