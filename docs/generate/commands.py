"""The page of all commands and options, from the application itself."""

from __future__ import annotations

from typing import Any

import typer

from generate.markdown import code, page, said, table
from sim.cli import app


def commands_page() -> str:
    """Return the page: each command with its arguments and options."""
    group: Any = typer.main.get_command(app)
    parts = [part for name, command in group.commands.items() for part in _section(name, command)]
    whole = table(("option", "what it does"), [_cells(parameter) for parameter in group.params if parameter.opts])
    about = f"{said(group.help)} Bad input is one line on stderr and exit code 2."
    return page("Commands", about, whole, *parts)


def _section(name: str, command: Any) -> list[str]:
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    options = [parameter for parameter in command.params if parameter.param_type_name == "option"]
    usage = " ".join(["vhost-sim", name, *(parameter.metavar for parameter in arguments), "[OPTIONS]"])
    described = "\n\n".join(said(paragraph) for paragraph in command.help.split("\n\n"))
    rows = [(code(parameter.metavar), said(parameter.help or "")) for parameter in arguments]
    rows += [_cells(parameter) for parameter in options]
    return [f"## {name}\n\n{code(usage)}\n\n{described}\n", table(("argument or option", "what it does"), rows)]


def _cells(option: Any) -> tuple[str, str]:
    value = "" if option.is_flag else f" {option.metavar or 'N'}"
    needed = " (required)" if option.required else ""
    given = option.default is not None and not option.is_flag and not option.required and not option.multiple
    default = f" (default: {code(str(option.default))})" if given else ""
    return ", ".join(code(f"{flag}{value}") for flag in option.opts), f"{said(option.help or '')}{needed}{default}"
