"""The `vhost-sim` command: parse, call one function, print."""

from __future__ import annotations

import codecs
import errno
import gc
import io
import os
import signal
import sys
from typing import TYPE_CHECKING, Annotated, cast

import typer

# In the order of the help.
# isort: off
from sim.cli import simulate, files, explore, measure, tables, kernels, evidence

# isort: on
from sim.cli import completing
from sim.cli.options import app, with_default_draws
from sim.cli.output import notice

if TYPE_CHECKING:
    from sim.config.errors import ConfigError

__all__ = ["app", "completing", "evidence", "explore", "files", "kernels", "main", "measure", "simulate", "tables"]


def _version(wanted: bool) -> None:
    if wanted:
        from sim.config.loading.provenance import made_by_line

        print(made_by_line())
        raise typer.Exit


@app.callback()
def _main(
    completion: Annotated[
        str | None,
        typer.Option(
            "--completion",
            metavar="|".join(completing.SCRIPTS),
            callback=completing.print_script,
            is_eager=True,
            help="print what a shell needs to complete names, keys and options",
            autocompletion=completing.words(*completing.SCRIPTS),
        ),
    ] = None,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="print the version, and a digest of the shipped tables"
        ),
    ] = False,
) -> None:
    """Hold the options of the command itself."""


#: What says that an output has no room, or is broken; any other failure of the system is no matter of standard output.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


_INTERRUPTED = 128 + signal.SIGINT

#: So many new objects are left before those in circles are looked for among them: to look after 700 of them, as Python
#: does, takes a tenth of the time of a command, and finds little.
YOUNG_OBJECTS = 50_000

#: What stands for the signs of tables where the encoding of an output lacks them.
_STAND_INS = {"\u00b1": "~", "\u2192": ">", "\u2026": ".", "\u2500": "-", "\ufffd": "?"}


def _stand_in(error: UnicodeError) -> tuple[str | bytes, int]:
    """Return what is written instead of signs that an encoding lacks: a sign as wide, or the sign's escape."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_STAND_INS.get(sign, ascii(sign)[1:-1]) for sign in lacking), error.end


def _print_in_any_encoding() -> None:
    """Let no sign end the command where the encoding of its outputs lacks it (PYTHONIOENCODING=ascii, old locales)."""
    codecs.register_error("vhost-sim", _stand_in)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="vhost-sim")


def main() -> None:
    """Run the command; bad input is one line on stderr and exit code 2. SIGTERM ends it as Ctrl-C does."""
    ended_by: list[int] = []

    def terminate(number: int, _: object) -> None:
        ended_by.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, terminate)
    gc.set_threshold(YOUNG_OBJECTS)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # matrices are small: its threads wait longer than they work
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # to look for one reads about every installed package
    _print_in_any_encoding()
    completing.prepare()
    try:
        code = app(with_default_draws(sys.argv[1:]), standalone_mode=False)  # a typer.Exit returns its own
        sys.stdout.flush()  # a reader that is gone shows here, and not when Python ends
        sys.exit(128 + ended_by[0] if ended_by and code == _INTERRUPTED else code)
    except typer.TyperException as error:
        _fail(error.format_message())
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(128 + ended_by[0] if ended_by else _INTERRUPTED)
    except BrokenPipeError:
        _write_no_more()
        sys.exit(141)
    except OSError as error:
        if error.errno not in _FULL or error.filename is not None:
            raise
        _write_no_more()
        _fail(f"standard output cannot be written: {error.strerror}")
    except ValueError as error:
        if type(error).__name__ != "ConfigError":  # imported by what can raise it, not for --help
            raise
        _fail(worded(cast("ConfigError", error)))


#: What the arguments of the library are called on the command line.
_SAME = (
    "access by configs dask high jobs loss low measurements only packets port "
    "resolution ring skip target thread tolerance vary without"
)
FLAGS = {name: f"--{name}" for name in _SAME.split()} | {
    "draws": "--uncertainty",
    "folder": "--out",
    "tap": "--tap",
    "vhost": "--vhost",
    "shuffles": "--tie-fuzz",
}


def worded(error: ConfigError) -> str:
    """Return the line of a ConfigError as the command line words it: an option, with its value, stands first."""
    if error.listed is not None:
        error = error.replace(message=f"{error.message}; see `vhost-sim list {error.listed}`", listed=None)
    if error.given is not None:
        return str(error if error.given.startswith("--") else error.replace(given=f"--set {error.given}"))
    option = FLAGS.get(error.key or "", error.key or "")
    if error.file is not None or not option.startswith("--"):
        return str(error)
    if error.got is None or error.expected is not None:  # the message says what was got
        return str(error.replace(key=option))
    return str(error.replace(key=f"{option} {error.got}", got=None))


def _write_no_more() -> None:
    """Let what is still to be written when Python ends go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str) -> None:
    notice(message)
    sys.exit(2)
