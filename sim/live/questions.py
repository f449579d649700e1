"""From the state of a page to a scenario that can be run: tables of one's own, keys that have no effect here."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sim.config.errors import ConfigError
from sim.config.loading.files import write_whole
from sim.config.loading.load import Scenarios, load_of
from sim.config.loading.overrides import Given
from sim.config.loading.paths import FOLDERS, names
from sim.config.scenario.scenario import Scenario
from sim.config.tables.access import Access
from sim.config.tables.calibration import Calibration
from sim.costs.audit import quantities
from sim.live.state import ACCESSOR, SCENARIO, State
from sim.study.runs.asked import Point, Ways, every_point, idle, unread, ways_to_read
from sim.study.runs.case import value_of
from sim.study.uncertainty.distributions import calibration_of

#: Characters of an accessor that somebody types.
_MOST_OF_AN_ACCESSOR = 20_000


class Tables:
    """The tables that pages of one server ask with: shipped ones, those of a folder, accessors typed on a page.

    `opened` are scenarios that may be asked about besides those with a name: paths that the user has given.
    """

    def __init__(self, configs: Path | None = None, opened: Iterable[str] = ()) -> None:
        self.configs, self._opened = configs, set(opened)

    def open(self, scenario: str) -> None:
        """Let a scenario by its path be asked about, too."""
        self._opened.add(scenario)

    @cached_property
    def _own(self) -> tempfile.TemporaryDirectory[str]:
        return tempfile.TemporaryDirectory(prefix="vhost-sim-")

    def names(self, kind: str) -> list[str]:
        """Return the names of the tables of a kind, in order."""
        return sorted(names(kind, self.configs))

    def scenarios(self, state: State) -> Scenarios:
        """Return the scenarios that a state's one gives. ConfigError for one that has no name and was not opened."""
        known = names("scenario", self.configs)
        if state.scenario not in known and state.scenario not in self._opened:
            raise ConfigError(
                f"unknown scenario '{state.scenario}'", key=SCENARIO, got=state.scenario, expected=[*known]
            )
        return Scenarios(state.scenario, self.folder(state))

    def folder(self, state: State) -> Path | None:
        """Return the folder of tables that a state is asked with; ConfigError for an accessor that is none."""
        name = state.accessor_name
        if name is None:
            return self.configs
        if len(state.accessor) > _MOST_OF_AN_ACCESSOR:
            raise ConfigError(f"is longer than {_MOST_OF_AN_ACCESSOR} characters", key=ACCESSOR)
        folder = Path(self._own.name) / hashlib.sha256(state.accessor.encode("utf-8", "replace")).hexdigest()[:16]
        file = folder / FOLDERS["access"] / f"{name}.yaml"
        if not file.exists():
            self._link_tables(folder, file)
            write_whole(file, state.accessor.encode("utf-8", "replace").decode())
        try:
            load_of(Access, name, folder)
        except ConfigError as error:  # where it stands is no business of who has typed it
            where = f"{error.key}: " if error.key else ""
            raise ConfigError(f"{where}{error.message}", key=ACCESSOR, got=error.got, expected=error.expected) from None
        return folder

    def _link_tables(self, folder: Path, but: Path) -> None:
        """Make a folder that has what the user's own has, except one file."""
        for kind in set(FOLDERS.values()) - {"."}:
            (folder / kind).mkdir(parents=True, exist_ok=True)
            for file in (self.configs / kind).glob("*.yaml") if self.configs else ():
                link = folder / kind / file.name
                if link != but and not link.exists():
                    os.symlink(file.resolve(), link)


@dataclass(frozen=True)
class Question:
    """What is run for a state, and which of its changes were taken back since they have no effect in it.

    `calibration` is what its draws are taken from, where the scenario names one.
    """

    state: State
    scenario: Scenario
    folder: Path | None
    dropped: tuple[str, ...] = ()
    calibration: Calibration | None = None

    def asks_alike(self, other: Question) -> bool:
        """Return whether another question of the same state finds tables as they were: no one was edited."""
        return self.scenario == other.scenario and self.calibration == other.calibration


def ask(tables: Tables, state: State, moved: str | None = None, earlier: Collection[str] = ()) -> Question:
    """Return what is run for a state. A change that has no effect is taken back, but for one just `moved`: ConfigError.

    A key moved to what it is without a change, now or `earlier`, is changed no more. ConfigError for whatever else a
    scenario refuses.
    """
    scenarios, folder = tables.scenarios(state), tables.folder(state)
    scenario = scenarios.load({}, state.overrides)
    for key in dict.fromkeys((moved, *sorted(earlier))):
        if key is not None and _is_by_itself(scenarios, state, scenario, key):
            state = state.without([key])
    left = unread([key for key, _ in state.changes], every_point(scenario))
    if moved in left:
        given = Given(moved, text=f"{moved}={state.text(moved)}")
        raise idle(given, ways_to_read(moved, scenarios, scenario, {}, state.overrides, at_ends))
    if left:
        state = state.without(left)
        scenario = scenarios.load({}, state.overrides)
    return Question(state, scenario, folder, tuple(left), calibration_of(scenario, folder))


def _is_by_itself(scenarios: Scenarios, state: State, scenario: Scenario, key: str) -> bool:
    """Return whether a key that is changed would be the same without its change."""
    if state.text(key) is None:
        return False
    try:
        plain = scenarios.load({}, state.without([key]).overrides)
    except ConfigError:
        return False
    return value_of(plain, key) == value_of(scenario, key)


def as_shipped(tables: Tables, state: State) -> Scenario:
    """Return the scenario of a state without any change, to compare with."""
    return tables.scenarios(State(state.scenario)).load({})


def at_ends(scenario: Scenario) -> list[Point]:
    """Return each variant at its first and its last size: what they read stands for what all sizes read."""
    sizes = scenario.traffic.sizes
    ends = dict.fromkeys((sizes[0], sizes[-1]))
    return [(scenario, variant.name, size) for variant in scenario.access for size in ends]


def without_effect(question: Question, keys: Sequence[str]) -> set[str]:
    """Return the keys that nothing in the scenario of a question reads."""
    return set(unread(keys, at_ends(question.scenario)))


def entries_of(question: Question) -> tuple[str, ...]:
    """Return the keys of a question's changes that are entries of tables, in the order of the tables."""
    changed = {key for key, _ in question.state.changes}
    return tuple(key for key, _ in quantities(question.scenario) if key in changed)


def ways(tables: Tables, question: Question) -> Ways:
    """Return what says what keys without effect would need."""
    return Ways(tables.scenarios(question.state), question.scenario, {}, question.state.overrides, at_ends)


def reason(needed: Ways, key: str, looking: Callable[[], object] = bool) -> str:
    """Say why a key has no effect here, and what it would need; `looking` is called before each scenario is built."""
    keys = needed.of(key, looking)
    needs = f"; it would need {' or '.join(keys)}" if keys else ""
    return f"no effect in this scenario{needs}"
