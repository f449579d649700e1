"""Serve pages to this machine's user alone: one address of this machine, behind a token that nobody can guess."""

from __future__ import annotations

import hmac
import secrets
import socket
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sim.config.errors import ConfigError, require
from sim.live.questions import Tables
from sim.live.state import State
from sim.live.workers import Workers

if TYPE_CHECKING:
    import uvicorn

ADDRESS = "127.0.0.1"
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Nothing is fetched from elsewhere and nothing is sent there, whatever a text in the page may try. The page's own
#: framework compiles its templates in the browser. A notebook on this machine may frame it.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' {sockets}; form-action 'none'; "
    "base-uri 'none'; object-src 'none'; frame-ancestors 'self' http://127.0.0.1:* http://localhost:*"
)
#: How long a page that is open keeps a server that stops, in seconds.
_GRACE_SECONDS = 1


class Guard:
    """Lets through what knows the token and was sent to this machine by name; all else gets nothing.

    The name is looked at so that no page of a stranger can have its own name lead here.
    """

    def __init__(self, app: App, token: str, port: int) -> None:
        self._app, self._token = app, token
        self._hosts = {f"{name}:{port}" for name in (ADDRESS, "localhost")}
        sockets = " ".join(f"ws://{host}" for host in sorted(self._hosts))
        headers = {
            "content-security-policy": _POLICY.format(sockets=sockets),
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
            "cross-origin-resource-policy": "same-site",
        }
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif self.admits(scope):
            await self._app(scope, receive, self._with_headers(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await send({"type": "http.response.start", "status": 404, "headers": [(b"content-type", b"text/plain")]})
            await send({"type": "http.response.body", "body": b"not found\n"})

    def admits(self, scope: Scope) -> bool:
        """Return whether a request names this machine and the token, and comes from no page of another origin."""
        headers = [(name, value.decode("latin-1")) for name, value in scope["headers"]]
        hosts = [value for name, value in headers if name == b"host"]
        origins = [value for name, value in headers if name == b"origin"]
        token = str(scope["path"]).split("/")[1] if str(scope["path"]).startswith("/") else ""
        return (
            len(hosts) == 1
            and hosts[0] in self._hosts
            and all(origin.removeprefix("http://") in self._hosts for origin in origins)
            and hmac.compare_digest(token.encode("utf-8", "replace"), self._token.encode())
        )

    def _with_headers(self, send: Send) -> Send:
        async def sending(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *self._headers]}
            await send(message)

        return sending


@dataclass
class Server:
    """Pages at one address of this machine; `stopping` is set when it is to end, and so are all answers.

    `workers` are processes that share the work; without them threads of this process do it.
    """

    tables: Tables
    first: State
    workers: Workers | None = None
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    stopping: threading.Event = field(default_factory=threading.Event)
    port: int = 0
    started: Callable[[], None] = lambda: None
    _server: uvicorn.Server | None = None

    def listen(self, port: int = 0) -> socket.socket:
        """Take a port of this machine, a free one unless told otherwise. ConfigError for one that cannot be had."""
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((ADDRESS, port))
            listening.listen()  # who comes before pages are served waits
        except (OSError, OverflowError) as error:
            listening.close()
            problem = error.strerror if isinstance(error, OSError) else "no port has that number"
            raise ConfigError(f"cannot be had: {problem}", key="port", got=port) from None
        self.port = listening.getsockname()[1]
        return listening

    def address(self, state: State | None = None) -> str:
        """Return the address of the page of a state, by default the first one's."""
        return f"http://{ADDRESS}:{self.port}/{self.token}/?{(state or self.first).query()}"

    def serve(self, listening: socket.socket, application: App) -> None:
        """Serve an application until told to stop: by a signal, or by `stop` from elsewhere."""
        uvicorn = framework()[0]
        guarded = Guard(application, self.token, self.port)
        config = uvicorn.Config(
            guarded,
            log_level="critical",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        self._server = uvicorn.Server(config)
        try:
            self._server.run(sockets=[listening])
        finally:
            self.stopping.set()
            listening.close()
            if self.workers is not None:
                self.workers.close()

    def executor(self, wanted: Callable[[], bool], *, is_ahead: bool = False) -> Executor | None:
        """Return what runs jobs as long as they are wanted, small ones `is_ahead`; None: in this process."""
        return self.workers.executor(wanted, is_ahead=is_ahead) if self.workers is not None else None

    def stop(self) -> None:
        """Let the server end, and what it computes."""
        self.stopping.set()
        if self._server is not None:
            self._server.should_exit = True


def framework() -> tuple[Any, Any]:
    """Return the modules that serve and lay out pages. ConfigError where they are not installed."""
    require("nicegui", "a page that answers")
    import nicegui
    import uvicorn

    return uvicorn, nicegui
