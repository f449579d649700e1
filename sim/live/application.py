"""The pages of a server, and the files that leave them, behind one token."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, Response
from nicegui import app as pages
from nicegui import ui

from sim.config.errors import ConfigError
from sim.live.answers import Known
from sim.live.leaving import MAKES
from sim.live.page import Page
from sim.live.questions import Question, ask
from sim.live.server import Server
from sim.live.state import of_query

_TITLE = "vhost-sim explore"
#: So long a page and its server may not hear of each other on a busy machine before the page is loaded anew.
_RECONNECT_SECONDS = 30.0
_PRIMARY = "#1f5f88"


def application(server: Server) -> FastAPI:
    """Return what a server serves: everything stands below its token."""
    whole = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    below = f"/{server.token}"
    known = Known()
    for name, make in MAKES.items():
        whole.add_api_route(f"{below}/{name}", _file(server, known, make), methods=["GET"])
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    script = Path(__file__).with_name("page.js").read_text(encoding="utf-8")

    @ui.page("/", title=_TITLE, dark=None, language="en-US")
    def page(request: Request) -> None:
        ui.colors(primary=_PRIMARY)
        ui.add_css(style)
        ui.add_body_html(f"<script>{script}</script>")
        client = ui.context.client
        shown = Page(
            server.tables,
            known,
            lambda: not server.stopping.is_set(),
            server.executor,
            server.first,
            lambda: client.has_socket_connection,
        )
        client.on_delete(shown.close)
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
    ui.run_with(
        whole,
        mount_path=below,
        language="en-US",
        dark=None,
        title=_TITLE,
        show_welcome_message=False,
        reconnect_timeout=_RECONNECT_SECONDS,
    )
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
