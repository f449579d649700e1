"""The pages of a server and the files that leave them: report, CSV, scenario."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, Response
from nicegui import app as pages
from nicegui import ui

from sim.config import dump_scenario
from sim.config.errors import ConfigError
from sim.live.answers import Known, StagedAnswer, answers
from sim.live.page import Page
from sim.live.questions import Question, ask
from sim.live.server import Server
from sim.live.state import commands, of_query

_TITLE = "vhost-sim explore"
_PRIMARY = "#1f5f88"
#: What a file is served as, so that a browser keeps it instead of showing it.
_KEPT = {"content-disposition": "attachment; filename={}"}


def application(server: Server) -> FastAPI:
    """Return what a server serves: everything stands below its token."""
    whole = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    below = f"/{server.token}"
    known = Known()
    for name, make in _FILES.items():
        whole.add_api_route(f"{below}/{name}", _file(server, known, make), methods=["GET"])
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    script = Path(__file__).with_name("page.js").read_text(encoding="utf-8")

    @ui.page("/", title=_TITLE, dark=None, language="en-US")
    def page(request: Request) -> None:
        ui.colors(primary=_PRIMARY)
        ui.add_css(style)
        ui.add_body_html(f"<script>{script}</script>")
        shown = Page(server.tables, known, lambda: not server.stopping.is_set(), server.executor, server.first)
        ui.context.client.on_delete(shown.close)
        try:
            state = of_query(request.url.query, server.first.scenario) if request.url.query else server.first
        except ConfigError as error:
            shown.refuse_address(error)
        else:
            shown.go(state, is_addressed=True)

    pages.on_startup(server.started)
    if server.workers is not None:
        pages.on_startup(server.workers.executor)
    pages.on_shutdown(server.stopping.set)
    ui.run_with(whole, mount_path=below, language="en-US", dark=None, title=_TITLE, show_welcome_message=False)
    return whole


def _file(
    server: Server, known: Known, make: Callable[[Server, Known, Question], Response]
) -> Callable[[Request], Response]:
    def answer(request: Request) -> Response:
        try:
            return make(server, known, ask(server.tables, of_query(request.url.query, server.first.scenario)))
        except ConfigError as error:
            return PlainTextResponse(f"{error}\n", status_code=400)

    return answer


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

    answer = known.answer(question.state)
    if answer is None:
        *_, answer = answers(question, running, draws=question.state.draws, executor=server.executor(running))
        known.keep(answer)
    return answer


def _scenario(_: Server, __: Known, question: Question) -> Response:
    text = dump_scenario(question.scenario)
    return PlainTextResponse(text, media_type="application/yaml", headers=_named("scenario.yaml"))


def _named(file: str) -> dict[str, str]:
    return {name: value.format(file) for name, value in _KEPT.items()}


_FILES: dict[str, Callable[[Server, Known, Question], Response]] = {
    "report.html": _report,
    "rates.csv": _rates,
    "scenario.yaml": _scenario,
}
