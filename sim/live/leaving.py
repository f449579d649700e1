"""What leaves a page: commands that give the same numbers, and files of what is on the screen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from fastapi.responses import HTMLResponse, PlainTextResponse, Response
from nicegui import ui

from sim.config import dump_scenario
from sim.live.answers import Known, StagedAnswer, answers
from sim.live.questions import Question, Tables
from sim.live.server import Server
from sim.live.state import commands

#: What a file is served as, so that a browser keeps it instead of showing it.
_KEPT = {"content-disposition": "attachment; filename={}"}
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


def _report(server: Server, known: Known, question: Question) -> Response:
    from sim.report.page.page import page
    from sim.study.review.ask import review
    from sim.study.runs.pool import pool_for

    shown = _whole(server, known, question)
    with pool_for(1000) as pool:
        executor = server.executor(lambda: not server.stopping.is_set()) or pool
        answer = review(question.scenario, configs=question.folder, executor=executor, known=shown.review)
    command = commands(question.state, shown.draws, len(question.scenario.access), server.tables.configs)
    return HTMLResponse(page(answer, command["the report"]))


def _rates(server: Server, known: Known, question: Question) -> Response:
    from sim.report.tables.rows import csv_text, rate_rows

    shown = _whole(server, known, question)
    text = csv_text(rate_rows(shown.review.sure, question.scenario.queues.basis))
    return PlainTextResponse(text, media_type="text/csv", headers=_named("rates.csv"))


def _whole(server: Server, known: Known, question: Question) -> StagedAnswer:
    """Return the answer that a page shows for a question, made now where none is kept."""

    def running() -> bool:
        return not server.stopping.is_set()

    answer = known.answer(question)
    if answer is None:
        *_, answer = answers(question, running, draws=question.state.draws, executor=server.executor(running))
        known.keep(answer)
    return answer


def _scenario(_: Server, __: Known, question: Question) -> Response:
    text = dump_scenario(question.scenario)
    return PlainTextResponse(text, media_type="application/yaml", headers=_named("scenario.yaml"))


def _named(file: str) -> dict[str, str]:
    return {name: value.format(file) for name, value in _KEPT.items()}


#: Makes each file for the state of a page.
MAKES: dict[str, Callable[[Server, Known, Question], Response]] = {
    "report.html": _report,
    "rates.csv": _rates,
    "scenario.yaml": _scenario,
}
