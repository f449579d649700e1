"""The same page in a cell of a notebook: one server per process, which ends with the kernel."""

from __future__ import annotations

import html
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sim.config.errors import ConfigError
from sim.config.loading.files import write_whole
from sim.config.loading.load import dump_scenario
from sim.config.scenario.scenario import Scenario
from sim.live.questions import Tables, ask
from sim.live.state import State

if TYPE_CHECKING:
    from sim.live.server import Server

#: Pixels that a cell has room for.
_HEIGHT = 900
#: Seconds that a server may take to start.
_START_SECONDS = 60
_STARTING = threading.Lock()
_running: Server | None = None
_written = tempfile.TemporaryDirectory(prefix="vhost-sim-")


@dataclass(frozen=True)
class Explored:
    """A page in a cell, and its address for a window of its own."""

    address: str

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Mapping[str, str]:
        link = html.escape(self.address)
        frame = f'<iframe src="{link}" title="what if" width="100%" height="{_HEIGHT}" style="border:0"></iframe>'
        beside = (
            f'<p><a href="{link}" target="_blank" rel="noreferrer">in a window of its own</a>. An empty cell: this '
            "browser runs on another machine than the kernel, and the page is served to the kernel's own alone.</p>"
        )
        return {"text/html": frame + beside, "text/plain": self.address}


def explore(scenario: Scenario | str = "virtio-user-xdp1-tap", *, draws: int | None = None) -> Explored:
    """Show a page in a cell that answers "what if" while its controls are moved.

    The page is served at 127.0.0.1 alone, so the browser has to run on the machine of the kernel. It needs
    `pip install 'vhost-sim[explore]'`.

    Parameters
    ----------
    scenario
        What the page begins with: the name of a scenario, or one that was loaded.
    draws
        Draws of each 90 % interval (default: until its ends are good to 5 % of its width).

    Returns
    -------
    Explored
        What a notebook shows as the page; its `address` opens in any browser on this machine.

    Raises
    ------
    ConfigError
        When a scenario is unknown, the extra is not installed, or no port of this machine can be had.

    Examples
    --------
    >>> import sim
    >>> page = sim.explore("virtio-user-xdp1-tap")  # doctest: +SKIP
    """
    if draws is not None and draws < 1:
        raise ConfigError("at least 1 draw is needed", key="draws", got=draws)
    state = State(_reference(scenario), draws=draws)
    ask(Tables(opened=[state.scenario]), state)
    server = _server(state)
    server.tables.open(state.scenario)
    return Explored(server.address(state))


def _reference(scenario: Scenario | str) -> str:
    """Return the name of a scenario; one that was loaded is written to a file that the page can name."""
    if isinstance(scenario, str):
        return scenario
    text = dump_scenario(scenario)
    file = Path(_written.name) / f"{abs(hash(text)):x}.yaml"
    write_whole(file, text)
    return str(file)


def _server(state: State) -> Server:
    """Return the server of this process, started when there is none yet."""
    from sim.live.server import Server, framework

    global _running
    with _STARTING:
        if _running is None:
            framework()
            from sim.live.workers import Workers

            started = threading.Event()
            # A process begins by running the file of the program again, which a notebook has not.
            workers = None if hasattr(sys.modules["__main__"], "__file__") else Workers()
            server = Server(Tables(), state, workers, started=started.set)
            listening = server.listen()
            from sim.live.application import application

            threading.Thread(target=server.serve, args=(listening, application(server)), daemon=True).start()
            if not started.wait(_START_SECONDS):
                server.stop()
                raise ConfigError("the page's server did not start")
            _running = server
    return _running
