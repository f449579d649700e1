"""The controls as a browser has them: each with a label, a value as a text, and a place for what is said about it."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from html import escape
from typing import Any

from nicegui import background_tasks, ui

from sim.live.controls import OWN_MIX, Control, MovableInput, half_up, nearest, plain
from sim.live.show import grade_class

#: Milliseconds without a further key before a number that is typed counts.
_TYPING_MS = 350
#: So long a control may take to stand where it was moved to.
_ECHO_SECONDS = 0.05
#: Called with the text that a control was moved to.
Moved = Callable[[str], None]


class Echo:
    """What a page says of a move before it is answered: at once, or together with an answer that comes soon.

    A browser draws all of a page anew for each message, and has little left of a core that it shares. What can be moved
    again at once cannot wait: the browser would count from where it stood.
    """

    def __init__(self) -> None:
        self._left: list[Callable[[], object]] = []

    def later(self, say: Callable[[], object]) -> None:
        """Say something soon, or with the answer."""
        self._left.append(say)
        if len(self._left) == 1:
            background_tasks.create(self._soon())

    def now(self) -> None:
        """Say what is left to be said, in its order."""
        left, self._left = self._left, []
        for say in left:
            say()

    async def _soon(self) -> None:
        await asyncio.sleep(_ECHO_SECONDS)
        self.now()


class Widget(ABC):
    """A control on the page. `show` sets its value and is no move of it."""

    def __init__(self, label: str, moved: Moved, echo: Echo) -> None:
        self.label, self._moved, self._echo, self._is_quiet = label, moved, echo, False
        self.box = ui.element("div").classes("control")
        with self.box:
            self.elements = self._build()
            self._note = ui.label("").classes("note")
        self.idle = False

    @property
    def spoken(self) -> str:
        """What a screen reader calls what is moved."""
        return self.label

    @abstractmethod
    def _build(self) -> list[Any]:
        """Make the elements that are moved."""

    @abstractmethod
    def _set(self, text: str) -> None:
        """Let the elements show a value."""

    def show(self, text: str) -> None:
        """Let the control stand where the text says, without remarks."""
        with self._quiet():
            self._set(text)
        self.say("")

    def choice(self, name: str) -> str | None:
        """Return the text that somebody chooses who looks at a name; None for no choice.

        At the control itself that is "", at a slider the part of its length that the pointer is at, 0 to 1.
        """
        return None

    def move(self, text: str) -> None:
        """Tell the page where the control was moved to, and let it stand there."""
        if not self._is_quiet:
            self._moved(text)
            self._echo.now()

    def say(self, text: str, *, refused: bool = False) -> None:
        """Say something beside the control: why it was refused, or why it has no effect."""
        self._note.set_text(text)
        self._note.set_visibility(bool(text))
        self._note.props("role=alert" if refused else "", remove="" if refused else "role")
        self.box.classes(add="refused" if refused else "", remove="" if refused else "refused")

    def enable(self, wanted: bool, reason: str = "") -> None:
        """Let the control be moved, or not, for a reason that is said."""
        self.idle = not wanted
        for element in self.elements:
            element.set_enabled(wanted)
        if not wanted:
            self.say(reason)

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        self._is_quiet = True
        try:
            yield
        finally:
            self._is_quiet = False


class Pick(Widget):
    """One of some names, or several of them in the order in which they are chosen."""

    def __init__(self, control: Control, moved: Moved, echo: Echo) -> None:
        self._control = control
        super().__init__(control.label, moved, echo)

    def _build(self) -> list[Any]:
        several = self._control.kind == "several"
        self._select = ui.select(
            _options(self._control.choices),
            label=self.label,
            value=[] if several else None,
            multiple=several,
            on_change=lambda event: self.move(",".join(event.value) if several else event.value),
        )
        self._select.props("outlined dense options-dense" + (" use-chips" if several else ""))
        if not several:
            self._select.LOOPBACK = None  # it says back by itself nothing of what it was told: see `move`
        return [self._select]

    def move(self, text: str) -> None:
        """Tell the page what was chosen: of one choice it stands there soon, its list is closed."""
        if self._control.kind == "several":
            super().move(text)
        elif not self._is_quiet:
            self._echo.later(self._select.update)
            self._moved(text)

    def choice(self, name: str) -> str | None:
        """Return the text of a name; None where several are chosen: one more or less of them."""
        if self._control.kind == "several":
            return None
        return next((text for text, shown in _options(self._control.choices).items() if shown == name), None)

    def _set(self, text: str) -> None:
        chosen = text.split(",") if self._control.kind == "several" else [text]
        lacking = [name for name in chosen if name not in self._control.choices]
        self._select.set_options(
            _options((*self._control.choices, *lacking)), value=chosen if self._control.kind == "several" else text
        )


def _options(choices: tuple[str, ...]) -> dict[str, str]:
    return {name: {"null": "none", OWN_MIX: OWN_MIX}.get(name, name) for name in choices}


class Toggle(Widget):
    """Off or on."""

    def __init__(self, control: Control, moved: Moved, echo: Echo) -> None:
        self._control = control
        super().__init__(control.label, moved, echo)

    def _build(self) -> list[Any]:
        self._switch = ui.switch(
            self.label, on_change=lambda event: self.move(self._control.choices[bool(event.value)])
        )
        return [self._switch.props(f"dense {_named(self.label)}")]

    def choice(self, name: str) -> str | None:
        """Return the other text: a switch has no names."""
        return None if name else self._control.choices[not self._switch.value]

    def _set(self, text: str) -> None:
        self._switch.set_value(text == self._control.choices[1])


class Slide(Widget):
    """A slider between some stops, and a field for any other number."""

    def __init__(self, control: Control, moved: Moved, echo: Echo) -> None:
        self._stops, self._unit = control.stops, control.unit
        super().__init__(control.label, moved, echo)

    @property
    def _title(self) -> str:
        return f"{self.label}, {self._unit}" if self._unit else self.label

    @property
    def spoken(self) -> str:
        """What a screen reader calls the slider."""
        return f"{self._title}, slider"

    def _build(self) -> list[Any]:
        self._heading = ui.label(self._title).classes("heading")
        with ui.element("div").classes("slide"):
            self._slider = ui.slider(
                min=0, max=len(self._stops) - 1, step=1, on_change=lambda event: self._slid(event.value)
            ).props(_named(self.spoken))
            self._number = _number(self._title, lambda number: self._typed(number))
        return [self._slider, self._number]

    def choice(self, name: str) -> str | None:
        """Return the text of the stop that the pointer is at."""
        part = _part(name)
        return None if part is None else plain(self._stops[half_up(part * (len(self._stops) - 1))])

    def _slid(self, place: Any) -> None:
        if not self._is_quiet and place is not None:
            text = plain(self._stops[int(place)])
            with self._quiet():
                self._set(text)
            self.move(text)

    def _typed(self, number: float) -> None:
        if not self._is_quiet:
            with self._quiet():
                self._place(plain(number))
            self.move(plain(number))

    def _set(self, text: str) -> None:
        self._number.set_value(float(text))
        self._place(text)

    def _place(self, text: str) -> None:
        """Put the slider at the stop that is nearest to a number, and let it say the number itself."""
        self._slider.set_value(nearest(self._stops, float(text)))
        self._slider.props(f'aria-valuetext="{plain(float(text))}"')


class EntrySlider(Widget):
    """A table entry: a slider with its range marked in the colour of its grade, a field, and the way back."""

    def __init__(self, known: MovableInput, moved: Moved, reset: Callable[[], None], echo: Echo) -> None:
        self.known, self._reset = known, reset
        self._number: Any = None
        super().__init__(known.label, moved, echo)

    @property
    def _title(self) -> str:
        return f"{self.label}, {self.known.entry.unit}"

    @property
    def spoken(self) -> str:
        """What a screen reader calls the slider."""
        return f"{self._title}, slider, {self.known.range_text}"

    def _build(self) -> list[Any]:
        known = self.known
        with ui.element("div").classes("heading"):
            ui.label(self._title)
            ui.label(known.grade).classes(f"grade {grade_class(known.grade)}")
            self._back = ui.button("as in the table", on_click=lambda: self._reset())
            self._back.props(f"flat dense no-caps size=sm {_named(f'{self.label} as in the table')}")
            self.settle(known)
        with ui.element("div").classes("slide"):
            with ui.element("div").classes("ranged"):
                ui.html(_range_mark(known), sanitize=False)
                self._slider = ui.slider(
                    min=known.least,
                    max=known.most,
                    step=known.step,
                    value=known.entry.value,
                    on_change=lambda event: self._follow(self._number, event.value),
                ).props(_named(self.spoken))
            self._number = _number(self._title, lambda number: self._follow(self._slider, number))
            with self._quiet():
                self._number.set_value(float(f"{known.entry.value:.6g}"))
        ui.label(f"table: {known.range_text}").classes("small")
        return [self._slider, self._number]

    def choice(self, name: str) -> str | None:
        """Return the text of the step that the pointer is at."""
        part = _part(name)
        return None if part is None else plain(self.known.at(part))

    def settle(self, known: MovableInput) -> None:
        """Offer the way back where the entry is set."""
        self._back.set_visibility(known.entry.table_range is not None)

    def _follow(self, other: Any, number: float | None) -> None:
        if not self._is_quiet and number is not None:
            with self._quiet():
                other.set_value(number)
            self.move(plain(number))

    def _set(self, text: str) -> None:
        self._number.set_value(float(text))
        self._slider.set_value(float(text))


def _number(title: str, typed: Callable[[float], None]) -> Any:
    def changed(event: Any) -> None:
        if event.value is not None:
            typed(float(event.value))

    field = ui.number(on_change=changed).classes("number")
    return field.props(f"outlined dense debounce={_TYPING_MS} step=any {_named(title)}")


def _named(title: str) -> str:
    """Return the property that names an element to those who do not see it."""
    text = title.replace("\\", "").replace('"', "'")
    return f'aria-label="{text}"'


def _part(name: str) -> float | None:
    """Return the part of its length that the pointer is at on a slider; None where it is on none."""
    with suppress(ValueError):
        part = float(name)
        return part if 0 <= part <= 1 else None
    return None


def _range_mark(known: MovableInput) -> str:
    width = known.most - known.least or 1.0
    left = 100 * (known.low - known.least) / width
    reach = max(100 * (known.high - known.low) / width, 1.0)
    colour = escape(grade_class(known.grade))
    return f'<div class="range"><span class="{colour}" style="left:{left:.1f}%;width:{reach:.1f}%"></span></div>'
