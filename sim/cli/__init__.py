"""The `vhost-sim` command: parse, call one function, print."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

# In the order of the help.
# isort: off
from sim.cli import simulate, show, many, host, tables, evidence

# isort: on
from sim.cli.options import app, with_default_draws

__all__ = ["app", "evidence", "host", "main", "many", "show", "simulate", "tables"]


def _version(wanted: bool) -> None:
    if wanted:
        from sim import __version__

        print(f"vhost-sim {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    """Hold the options of the command itself."""


def main() -> None:
    """Run the command; bad input is one line on stderr and exit code 2."""
    try:
        sys.exit(
            app(with_default_draws(sys.argv[1:]), standalone_mode=False)
        )  # the code of a typer.Exit comes back as a value
    except typer.TyperException as error:
        _fail(error.format_message())
    except typer.Abort:
        sys.exit(130)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
    except ValueError as error:
        if type(error).__name__ != "ConfigError":
            raise
        _fail(str(error))


def _fail(message: str) -> None:
    print(f"vhost-sim: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)
