"""The sections of a page's answer: its charts, tables and sentences, and what leaves the page."""

from __future__ import annotations

from typing import Any

from nicegui import ui

from sim.live import show
from sim.live.answers import Stage, StagedAnswer
from sim.live.leaving import Leaving
from sim.live.questions import Tables
from sim.study.questions.run import Result


class Sections:
    """What a page shows of an answer below its headline: each stage draws what it has made new."""

    def __init__(self, tables: Tables) -> None:
        with _section("packets per second against packet size") as self._of_all_sizes:
            self._rates = _chart("packets per second against packet size, with 90 % bands and the rates of full links")
            with _folded("the numbers"):
                self._rates_table = ui.html("", sanitize=False).classes("rates")
        with _section("what bounds it"):
            self._sentences = ui.html("", sanitize=False).classes("said")
        with _section("every variant that applies, ranked"):
            self._ranking = ui.html("", sanitize=False)
            with _folded("what is held against them") as self._held:
                self._objections = ui.html("", sanitize=False)
        with _section("what makes up the difference"):
            self._fall = _chart("nanoseconds per packet from the first variant to another, by what saves them")
            self._fall_table = ui.html("", sanitize=False)
        with _section("where the cycles go"):
            self._stack = _chart("worker cycles per packet of each variant, by layer")
        with _section("what the evidence is worth"):
            self._grades = ui.html("", sanitize=False)
        with _section("take it along"):
            self._leaving = Leaving(tables)

    def draw_rates(self, answer: StagedAnswer, shipped: Result | None) -> None:
        """Draw the rates of all sizes, where they are known, beside those that are shipped."""
        self._of_all_sizes.classes(add="" if answer.has_bands else "stale", remove="stale" if answer.has_bands else "")
        if answer.stage in (Stage.BANDS, Stage.WHOLE):
            self._rates.update_figure(show.rates_figure(answer, shipped))
            self._rates_table.set_content(show.rates_table(answer))

    def draw_parts(self, answer: StagedAnswer, *, is_first: bool) -> None:
        """Draw what rates are made up of and what bounds them, as far as this stage knows more than the one before."""
        if answer.stage is not Stage.BANDS or is_first:
            self._fall.update_figure(show.waterfall_figure(answer))
            self._fall_table.set_content(show.parts_table(answer))
        if is_first or answer.is_whole:
            self._stack.update_figure(show.stack_figure(answer))
        if answer.has_bounds:
            self._sentences.set_content(show.sentences(answer))
            self._ranking.set_content(show.ranking_table(answer))
            self._objections.set_content(show.objections_table(answer))
            self._held.set_visibility(answer.review.ranking is not None)
            self._grades.set_content(show.grades(answer))
        self._leaving.show(answer)


def _section(title: str) -> Any:
    """Make a part of the answer."""
    section = ui.element("section")
    with section:
        ui.html(title, tag="h2", sanitize=False)
    return section


def _folded(title: str) -> Any:
    """Make a place for what opens on demand."""
    details = ui.element("details")
    with details:
        ui.html(title, tag="summary", sanitize=False)
    return details


def _chart(says: str) -> Any:
    """Make a place for a chart, with what it says to those who do not see it."""
    with ui.element("div").classes("chart").props(f'role=group aria-label="{says}"'):
        return ui.plotly({"data": [], "layout": {"height": 300}})
