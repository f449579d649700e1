"""The `vhost-sim` command: parse, call one function, print."""

from __future__ import annotations

import errno
import os
import sys
from typing import Annotated, Any

import typer

# In the order of the help.
# isort: off
from sim.cli import simulate, tables, evidence

# isort: on
from sim.cli.options import app, with_default_draws

__all__ = ["app", "evidence", "main", "simulate", "tables"]


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


#: What says that an output has no room, or is broken; any other failure of the system is no matter of standard output.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


def main() -> None:
    """Run the command; bad input is one line on stderr and exit code 2."""
    try:
        code = app(with_default_draws(sys.argv[1:]), standalone_mode=False)  # a typer.Exit returns its own
        sys.stdout.flush()  # a reader that is gone shows here, and not when Python ends
        sys.exit(code)
    except typer.TyperException as error:
        _fail(error.format_message())
    except typer.Abort:
        sys.exit(130)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        _write_no_more()
        sys.exit(141)
    except OSError as error:
        if error.errno not in _FULL or error.filename is not None:
            raise
        _write_no_more()
        _fail(f"standard output cannot be written: {error.strerror}")
    except ValueError as error:
        if type(error).__name__ != "ConfigError":
            raise
        _fail(_with_flag(error))


#: What an argument of the library is called on the command line.
FLAGS = {
    "draws": "--uncertainty",
    "jobs": "--jobs",
    "packets": "--packets",
    "shuffles": "--tie-fuzz",
    "tolerance": "--tolerance",
    "without": "--without",
}


def _with_flag(error: Any) -> str:
    """Return the line of a ConfigError as the command line words it."""
    return str(error.worded(FLAGS.get(error.key, error.key)) if error.file is None else error)


def _write_no_more() -> None:
    """Let what is still to be written when Python ends go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str) -> None:
    print(f"vhost-sim: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)
