"""What a shell offers behind a TAB: names of tables, keys of `--set` and their values.

The scripts in `completion/` send the line up to the cursor in the environment, and get one word a line, with its
meaning behind a tab; Typer reads the line and asks the functions here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from typer import Context, Exit

if TYPE_CHECKING:
    from sim.config import Scenario

#: The file of each shell's script.
SCRIPTS = {"bash": "vhost-sim.bash", "zsh": "_vhost-sim", "fish": "vhost-sim.fish"}
#: Set by the scripts.
_ASKED = "_VHOST_SIM_COMPLETE"
#: The scenario whose keys are offered where the line names none that can be loaded.
_USUAL = "virtio-user-xdp1-tap"
#: Keys that take names of tables, and the kinds of these.
_NAMED = {
    "cpu": ("cpu",),
    "kernel": ("kernel", "implementation"),
    "calibration": ("calibration",),
    "access": ("access",),
}

#: A word, and what it means.
Word = tuple[str, str]
Completer = Callable[[Context, str], Iterable[Word]]


def prepare() -> None:
    """Let Typer answer the scripts, where one of them asks."""
    if _ASKED in os.environ:
        from typer.completion import completion_init  # type: ignore[attr-defined]

        completion_init()
        os.environ["COLUMNS"] = "10000"  # a meaning stays on the line of its word


def print_script(shell: str | None) -> None:
    """Print the script of a shell and end the command; nothing without a shell. ConfigError for another shell."""
    if shell is None:
        return
    if shell not in SCRIPTS:
        from sim.config.errors import ConfigError

        raise ConfigError(f"unknown shell '{shell}'", key="--completion", got=shell, expected=SCRIPTS)
    print((Path(__file__).parent / "completion" / SCRIPTS[shell]).read_text(encoding="utf-8"), end="")
    raise Exit


def tables(*kinds: str, several: bool = False) -> Completer:
    """Offer names of tables of some kinds, shipped ones and those of `--configs`; `several`: separated by commas."""

    def offer(context: Context, incomplete: str) -> list[Word]:
        before, comma, _ = incomplete.rpartition(",") if several else ("", "", incomplete)
        taken, named = before.split(","), dict(_names(kinds, context))
        return [(f"{before}{comma}{name}", title) for name, title in named.items() if name not in taken]

    return offer


def words(*choices: str, several: bool = False) -> Completer:
    """Offer fixed words; `several`: separated by commas."""

    def offer(context: Context, incomplete: str) -> list[Word]:
        before, comma, _ = incomplete.rpartition(",") if several else ("", "", incomplete)
        return [(f"{before}{comma}{choice}", "") for choice in choices if choice not in before.split(",")]

    return offer


def keys(context: Context, incomplete: str) -> list[Word]:
    """Offer keys of the scenario on the line, one level at a time."""
    return [(word.removesuffix("="), meaning) for word, meaning in _levels(_described(context), incomplete)]


def settings(context: Context, incomplete: str) -> list[Word]:
    """Offer `KEY=`, one level at a time, then what the key can be."""
    key, equals, begun = incomplete.partition("=")
    if not equals:
        return list(_levels(_described(context), incomplete))
    return [(f"{key}={value}", meaning) for value, meaning in _values(key, begun, context)]


def _configs(context: Context) -> Path | None:
    given = context.params.get("configs")
    return Path(given) if given and os.path.isdir(given) else None


def _names(kinds: Iterable[str], context: Context) -> Iterator[Word]:
    from sim.config.errors import ConfigError
    from sim.config.loading import paths
    from sim.config.loading.reading import read_yaml

    for kind in kinds:
        for name, file in sorted(paths.names(kind, _configs(context)).items()):
            try:
                yield name, " ".join(str(read_yaml(file).get("title", "")).split())
            except ConfigError:  # what is wrong with it is said when it is used
                yield name, ""


def _scenario(context: Context) -> Scenario:
    from sim.config.errors import ConfigError
    from sim.config.loading.load import load_scenario

    # An option without its value ends the parsing before arguments have their names.
    named = context.params.get("scenario") or next(iter(context.args), _USUAL)
    try:
        return load_scenario(str(named), configs=_configs(context))
    except ConfigError:
        return load_scenario(_USUAL)


def _described(context: Context) -> dict[str, str]:
    """Return each key of the scenario on the line with what stands there, and the names that stand for whole tables."""
    from sim.config.tables.quantity import Flag, Headed, Quantity
    from sim.costs.audit import fields

    described = {key: f"one of the tables of kind {kinds[0]}" for key, kinds in _NAMED.items()}
    for key, table, name in fields(_scenario(context)):
        if isinstance(table, Quantity):
            described[key] = f"{table.value:g} {table.unit} [{table.low:g}, {table.high:g}], {table.grade}"
        elif isinstance(table, Flag):
            described[key] = f"{str(table.value).lower()}, {table.grade}"
        elif not key.startswith("access") and not (isinstance(table, Headed) and name in ("schema_", "kind")):
            described.setdefault(key, type(table).model_fields[name].description or "")
    return described


def _levels(described: Mapping[str, str], incomplete: str) -> Iterator[Word]:
    """Yield the keys that begin so as `KEY=`, cut at the next point behind what is there: a level is offered once."""
    seen = set()
    for key, meaning in described.items():
        if not key.startswith(incomplete):
            continue
        name, point, _ = key[len(incomplete) :].partition(".")
        word = f"{incomplete}{name}{point or '='}"
        if word not in seen:
            seen.add(word)
            yield word, "" if point else meaning


def _values(key: str, incomplete: str, context: Context) -> Iterable[Word]:
    """Return what a key can be, where that is a name or a choice."""
    if key in _NAMED:
        return tables(*_NAMED[key], several=key == "access")(context, incomplete)
    from sim.config.tables.quantity import Flag
    from sim.costs.audit import fields

    for name, table, attribute in fields(_scenario(context), near=key):
        if name == key:
            annotation: Any = bool if isinstance(table, Flag) else type(table).model_fields[attribute].annotation
            choices = ("true", "false") if annotation is bool else get_args(annotation)
            return [(choice, "") for choice in choices if isinstance(choice, str)]
    return []
