"""What leaves a page: commands that give the same numbers, and files of what is on the screen."""

from __future__ import annotations

from dataclasses import replace

from nicegui import ui

from sim.config import dump_scenario
from sim.live.answers import StagedAnswer
from sim.live.questions import Question, Tables
from sim.live.state import commands

_FILES = {
    "report.html": "the report page",
    "rates.csv": "the rates as CSV",
    "scenario.yaml": "the scenario as YAML",
}


class Leaving:
    """The links and commands of a page."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._links = ui.element("p").classes("line")
        self._commands = ui.element("div")

    def show(self, answer: StagedAnswer) -> None:
        """Offer what gives the numbers of an answer, with as many draws as it has."""
        question = answer.question
        query = replace(question.state, draws=answer.draws).query()
        self._links.clear()
        with self._links:
            for file, title in _FILES.items():
                ui.link(title, f"{file}?{query}", new_tab=file == "report.html")
            ui.button("copy the YAML", on_click=lambda: _copy_scenario(question)).props("flat dense no-caps")
        self._commands.clear()
        variants = len(question.scenario.access)
        with self._commands:
            for title, command in commands(question.state, answer.draws, variants, self._tables.configs).items():
                with ui.element("div").classes("command"):
                    ui.label(title)
                    copy = ui.button("copy", on_click=lambda _, text=command: ui.clipboard.write(text))
                    copy.props(f'flat dense no-caps aria-label="copy the command: {title}"')
                    ui.element("pre").props["textContent"] = command


def _copy_scenario(question: Question) -> None:
    ui.clipboard.write(dump_scenario(question.scenario))
