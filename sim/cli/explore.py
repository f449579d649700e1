"""The command that serves a page: explore."""

from __future__ import annotations

import sys
import threading
import webbrowser
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from typer import Option

from sim.cli import options as opt
from sim.cli import output

#: What is asked about where no scenario is named: the seed's.
_FIRST = "virtio-user-xdp1-tap"
#: So long a thread has the interpreter while another waits for it: what answers waits often, for what only prepares.
_SWITCH_SECONDS = 0.0005
_Port = Annotated[int | None, Option("--port", metavar="N", help="port of 127.0.0.1 (default: a free one)")]
_NoBrowser = Annotated[bool, Option("--no-browser", help="only print the address")]


@opt.command(
    "explore",
    "explore virtio-user-receive-skb --set cpu=sapphire-rapids",
    "explore virtio-user-xdp1-tap --configs mine --no-browser",
)
def explore(
    scenario: opt.OptionalName = _FIRST,
    sets: opt.Sets = None,
    access: opt.Accesses = None,
    sizes: opt.Sizes = None,
    seed: opt.Seed = None,
    draws: opt.ChosenDraws = None,
    port: _Port = None,
    no_browser: _NoBrowser = False,
    configs: opt.Configs = None,
) -> None:
    """Serve a page on this machine that answers "what if" while its controls are moved, and open it in the browser.

    The page is served at 127.0.0.1 alone, behind a token in its address that is a new one each time; nothing is fetched
    from elsewhere. Its address holds all that was moved, and it shows the command that gives the same numbers. Ctrl-C
    ends it. It needs the packages of the extra `explore`.
    """
    from sim.live.questions import Tables, ask
    from sim.live.server import Server, framework
    from sim.live.state import of_command
    from sim.live.workers import Workers

    opt.at_least("--draws", 1, draws)
    framework()
    short: dict[str, Any] = {"access": access, "sizes": sizes, "seed": seed}
    opt.load(scenario, sets, configs, None, **short)  # in the words of every command, before anything is served
    state = of_command(scenario, opt.overrides(sets, **short), draws=draws)
    tables = Tables(Path(configs) if configs else None, opened=[scenario])
    server = Server(tables, ask(tables, state).state, Workers())

    def started() -> None:
        output.show_line("address", server.address())
        sys.stdout.flush()
        if not no_browser:
            threading.Thread(target=webbrowser.open, args=(server.address(),), daemon=True).start()

    server.started = started
    listening = server.listen(port or 0)
    output.notice("Ctrl-C ends it")
    with suppress(KeyboardInterrupt):  # there is none where a shell has told its jobs to ignore interrupts
        from sim.live.application import application  # only now, so that a mistake is said at once

        sys.setswitchinterval(_SWITCH_SECONDS)
        server.serve(listening, application(server))
    output.notice("stopped")
