"""What a page of `explore` asks: one value, which an address, a command line and a scenario say alike."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

import yaml

from sim.config.errors import ConfigError
from sim.config.loading.files import NotYamlError, parsed_yaml
from sim.config.loading.overrides import split_assignment

#: Names in an address that are no keys of a scenario.
SCENARIO, ACCESSOR, DRAWS = "scenario", "accessor", "draws"
_NO_KEYS = (SCENARIO, ACCESSOR, DRAWS)
#: Draws that an interval may have: more of them take minutes.
MOST_DRAWS = 10_000
#: Characters of an address behind the question mark.
MOST_OF_A_QUERY = 16_384
#: What a table may be called: its name becomes that of a file.
_TABLE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
#: The folder that a command reads an accessor of one's own from, where no other one is in use.
_FOLDER = "mine"


@dataclass(frozen=True)
class State:
    """A scenario by name or path, the texts that its keys are set to, in the order of the keys, and an own accessor.

    Texts are YAML, as behind `--set KEY=`. `accessor` is the YAML of an access variant, empty where there is none.
    `draws` are those of each interval (None: until its ends are precise).
    """

    scenario: str
    changes: tuple[tuple[str, str], ...] = ()
    accessor: str = ""
    draws: int | None = None

    @property
    def overrides(self) -> list[str]:
        """The changes as texts `KEY=VALUE`."""
        return [f"{key}={text}" for key, text in self.changes]

    @property
    def accessor_name(self) -> str | None:
        """The name that the own accessor gives itself; None where there is none. ConfigError where it has no name."""
        return named_in(self.accessor) if self.accessor.strip() else None

    def text(self, key: str) -> str | None:
        """Return the text that a key is set to, None where the scenario's own value stands."""
        return dict(self.changes).get(key)

    def changed(self, key: str, text: str | None) -> State:
        """Return the state with another text of a key; None takes the change back."""
        changes = {**dict(self.changes), key: text}
        return replace(self, changes=_in_order((name, kept) for name, kept in changes.items() if kept is not None))

    def without(self, keys: Iterable[str]) -> State:
        """Return the state with some keys as the scenario has them."""
        dropped = set(keys)
        return replace(self, changes=tuple(change for change in self.changes if change[0] not in dropped))

    def query(self) -> str:
        """Return the part of an address behind the question mark."""
        draws = [(DRAWS, str(self.draws))] if self.draws is not None else []
        own = [(ACCESSOR, self.accessor)] if self.accessor else []
        return urlencode([(SCENARIO, self.scenario), *self.changes, *draws, *own], safe=",.:[]{}")


def of_command(scenario: str, overrides: Sequence[str] = (), accessor: str = "", draws: int | None = None) -> State:
    """Return the state of a scenario under texts `KEY=VALUE`, the last of each key; ConfigError for other texts."""
    changes: dict[str, str] = {}
    for text in overrides:
        parts, _ = split_assignment(text)
        key = ".".join(parts)
        if key in _NO_KEYS:
            raise ConfigError(f"unknown key '{key}'", given=text)
        changes[key] = text.partition("=")[2].strip()
    return State(scenario, _in_order(changes.items()), accessor, draws)


def of_query(query: str, scenario: str) -> State:
    """Return the state that an address says, of `scenario` where it names none. ConfigError for what is no state."""
    if len(query) > MOST_OF_A_QUERY:
        raise ConfigError(f"the address is longer than {MOST_OF_A_QUERY} characters")
    pairs = parse_qsl(query, keep_blank_values=True)
    named = dict(pairs)
    keys = [f"{key}={text}" for key, text in pairs if key not in _NO_KEYS]
    return of_command(named.get(SCENARIO, scenario), keys, named.get(ACCESSOR, ""), draws_in(named.get(DRAWS, "")))


def draws_in(text: str) -> int | None:
    """Return the number of draws that a text says, None for an empty one. ConfigError for what is none."""
    if not text.strip():
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST_DRAWS and len(text) < 9):
        raise ConfigError(f"a number of draws from 1 to {MOST_DRAWS} is needed", key=DRAWS, got=text[:20])
    return int(text)


def _in_order(changes: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(changes))


def named_in(accessor: str) -> str:
    """Return the name that the YAML of an access variant gives itself. ConfigError where it is no table with one."""
    try:
        table = parsed_yaml(accessor)
    except NotYamlError as error:
        raise ConfigError(f"not readable as YAML: {error.problem}", key=ACCESSOR) from None
    if not isinstance(table, dict):
        raise ConfigError("a table is needed, which begins with 'schema: 1' and 'kind: access'", key=ACCESSOR)
    name = table.get("name")
    if not isinstance(name, str) or not _TABLE_NAME.fullmatch(name):
        raise ConfigError("name: letters, digits, '_', '-' and '.' are needed", key=ACCESSOR, got=name)
    return name


def commands(state: State, draws: int, variants: int, configs: Path | None = None) -> dict[str, str]:
    """Return the commands that give what a page shows, by what they do; `draws` are those behind its numbers.

    An accessor of one's own is written to a folder first.
    """
    folder = configs
    written = ""
    if name := state.accessor_name:
        folder = configs or Path(_FOLDER)
        written = _writes(folder / "access", name, state.accessor)
    changes = [word for change in state.overrides for word in ("--set", change)]
    tables = ["--configs", str(folder)] if folder else []
    sure = ["--uncertainty", str(draws)]
    chosen = ["--draws", str(state.draws)] if state.draws else []

    def line(command: str, *more: str) -> str:
        return written + shlex.join(["vhost-sim", command, state.scenario, *changes, *tables, *more])

    first = ("compare", *sure) if variants > 1 else ("run", *sure)
    return {
        "the numbers in a terminal": line(*first),
        "the report": line("report", "--draws", str(draws), "-o", "report.html"),
        "this page": line("explore", *chosen),
    }


def _writes(folder: Path, name: str, accessor: str) -> str:
    """Return the lines of a shell that write a table; the mark that ends it stands in no line of it."""
    text, mark = accessor.rstrip("\n"), "END"
    while mark in text.splitlines():
        mark += "_"
    place = shlex.quote(str(folder))
    file = shlex.quote(str(folder / f"{name}.yaml"))
    return f"mkdir -p {place} && cat > {file} <<'{mark}'\n{text}\n{mark}\n"


def as_yaml(value: object) -> str:
    """Return a value as a text behind `KEY=`: YAML in one line."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...").strip()
