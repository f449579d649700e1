"""The man page of the command, from the application itself: `vhost-sim.1`, which is installed with it.

`PYTHONPATH=docs python -m generate.man` writes it again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from sim import __version__
from sim.cli import app

PAGE = Path(__file__).parents[1] / "vhost-sim.1"
_SPAN = re.compile(r"`([^`]+)`")

#: What the command gives back.
EXITS = (
    ("0", "The answer is printed or written."),
    ("1", "A sweep has a point that failed, or all of its points were refused."),
    ("2", "Bad input: one line on standard error says what is wrong, where, and what would be right."),
    ("128+N", "Ended by signal N."),
    ("141", "Who read the output is gone."),
)
#: Where things are kept.
PLACES = (
    ("DIR/cpus, kernels, access, scenarios, studies, measurements, calibrations",
     "Tables of your own, where --configs DIR names the folder; `vhost-sim init` begins one."),
    ("$XDG_CACHE_HOME/vhost-sim, or ~/.cache/vhost-sim",
     "Compiled programs of `vhost-sim measure`, and what `vhost-sim count` has fetched."),
)  # fmt: skip


def man_page() -> str:
    """Return the page in the language of man(7)."""
    group: Any = typer.main.get_command(app)
    listed = [(name, _first_sentence(command.help)) for name, command in group.commands.items()]
    return "\n".join(
        [
            r".\" Written by docs/generate/man.py.",
            f'.TH VHOST\\-SIM 1 "" "vhost\\-sim {__version__}" "User Commands"',
            ".SH NAME",
            "vhost\\-sim \\- cost\\-model simulator of the Linux vhost_net datapath",
            ".SH SYNOPSIS",
            ".B vhost\\-sim",
            ".RI [ OPTIONS ] \\ COMMAND \\ [ ARGUMENTS ]",
            ".SH DESCRIPTION",
            _text(group.help),
            *_described("COMMANDS", listed),
            ".SH OPTIONS",
            *(".TP", r"\fB\-\-help\fR, \fB\-h\fR", "show what the command, or one of its commands, takes and does"),
            *(line for option in group.params for line in _option(option)),
            *(line for name, command in group.commands.items() for line in _section(name, command)),
            *_described("EXIT STATUS", EXITS),
            *_described("FILES", PLACES),
            "",
        ]
    )


def _described(title: str, rows: Any) -> Iterator[str]:
    """Yield a section of terms, each with what it is."""
    yield f".SH {title}"
    for term, text in rows:
        yield from (".TP", f".B {_text(term)}", _text(text))


def _section(name: str, command: Any) -> Iterator[str]:
    """Yield what a command takes and does, with its examples."""
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    usage = " ".join([_text(f"vhost-sim {name}"), *(_text(parameter.metavar) for parameter in arguments)])
    yield from (f".SH VHOST\\-SIM {_text(name).upper()}", f".B {usage} [OPTIONS]", ".PP")
    for number, paragraph in enumerate(command.help.split("\n\n")):
        yield from (*([".PP"] if number else []), _text(paragraph))
    for parameter in arguments:
        yield from (".TP", f".I {_text(parameter.metavar)}", _text(parameter.help or ""))
    for option in command.params:
        if option.param_type_name == "option":
            yield from _option(option)
    examples = (command.epilog or "").splitlines()[1:]
    yield from (".PP", "Examples:", ".PP", ".nf", *(_text(line) for line in examples), ".fi")


def _option(option: Any) -> Iterator[str]:
    value = "" if option.is_flag else f" \\fI{_text(option.metavar or 'N')}\\fR"
    flags = ", ".join(f"\\fB{_text(flag)}\\fR{value}" for flag in sorted(option.opts, key=len, reverse=True))
    yield from (".TP", flags, _text(option.help or "") + (" (required)" if option.required else ""))


def _first_sentence(text: str) -> str:
    return " ".join(text.split("\n\n")[0].split())


def _text(text: str) -> str:
    """Return a text as it is shown, on one line; what stands in backticks is bold."""
    escaped = " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    shown = _SPAN.sub(r"\\fB\1\\fR", escaped)
    return f"\\&{shown}" if shown.startswith(".") else shown


if __name__ == "__main__":
    PAGE.write_text(man_page(), encoding="utf-8")
