"""What answers about one question stand on whatever its costs are: sides that are run in the place of others.

A cost that is moved changes prices and no structure. So long as nothing else moves, the sides with none of the costs
changed are run at other values: processes know them, and have built their Plans.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from math import inf

from sim.config.errors import ConfigError
from sim.config.loading.kept import keep_latest
from sim.config.scenario.scenario import Scenario
from sim.costs.audit import quantities
from sim.datapath.host.interference import period_ps
from sim.live.questions import Question, Tables, entries_of
from sim.live.state import State
from sim.study.runs.case import Side, entry, sides_of

#: Grounds that are kept: those of late, and those that a step of a control would lead to. Kinds of which it is known
#: how long they take.
_KEPT, _KINDS = 64, 32
#: What takes no longer is answered before it is asked for; and is answered at all sizes at once, in seconds.
_QUICK_SECONDS, _PROMPT_SECONDS = 1.0, 0.5
#: Entries whose draws depend on each other in ways that their value decides: one that is set is another question.
_APART = "kernel.steps."


class Ground:
    """The sides of a question with none of its costs changed; `is_known` once their Plans are built."""

    def __init__(self, scenario: Scenario, seconds_by_kind: dict[str, float]) -> None:
        self.scenario, self._sides = scenario, sides_of(scenario)
        self._seconds_by_kind, self._kind, self.is_known = seconds_by_kind, _kind(scenario), False

    @property
    def is_quick(self) -> bool:
        """Whether all sizes are likely to be answered soon enough to be answered before they are asked about."""
        return self._seconds <= _QUICK_SECONDS

    @property
    def is_prompt(self) -> bool:
        """Whether all sizes are likely to be answered about as soon as one."""
        return self.is_known or self._seconds <= _PROMPT_SECONDS

    @property
    def _seconds(self) -> float:
        """How long all sides would take, by others of their kind whose Plans had to be built."""
        return self._seconds_by_kind.get(self._kind, inf) * len(self._sides)

    def took(self, seconds: float) -> None:
        """Note how long all sizes took to be answered."""
        if not self.is_known:
            keep_latest(self._seconds_by_kind, self._kind, seconds / len(self._sides), _KINDS)
        self.is_known = True

    def sides(self, scenario: Scenario, costs: tuple[str, ...]) -> list[Side]:
        """Return the sides of a scenario that differs in some costs alone, each to be run as one of these."""
        values = {key: entry(scenario, key).value for key in costs}
        return [
            replace(side, case=replace(side.case, base=own.case.based(values)))
            for side, own in zip(sides_of(scenario), self._sides, strict=True)
        ]

    def carries(self, scenario: Scenario, costs: tuple[str, ...]) -> bool:
        """Return whether a scenario has the values of these sides but for some costs."""
        own, others = (
            [(key, known.value) for key, known in quantities(either) if key not in costs]
            for either in (self.scenario, scenario)
        )
        return own == others


def _kind(scenario: Scenario) -> str:
    """Return what says about how long each side of a scenario takes: its name, its load, how long it is run.

    A run lasts for several periods of what the host does: some 50 million packets where that comes once a second.
    """
    load = scenario.traffic.model_dump_json(exclude={"packet_bytes"})
    queues, run = scenario.queues.model_dump_json(), scenario.run.model_dump_json()
    return "\0".join((scenario.name, load, queues, run, str(period_ps(scenario))))


@dataclass(frozen=True)
class Grounded:
    """The sides of a question, and what they stand on."""

    ground: Ground
    sides: tuple[Side, ...]


class Grounds:
    """The grounds of the last questions, by what else than costs they ask for."""

    def __init__(self) -> None:
        self._known: dict[State, Ground] = {}
        self._seconds_by_kind: dict[str, float] = {}  # of each side, where its Plans had to be built

    def of(self, tables: Tables, question: Question) -> Grounded:
        """Return the sides of a question on what they stand on."""
        costs = costs_of(question)
        state = replace(question.state.without(costs), draws=None)
        scenario = _without_costs(tables, state, question) if costs else question.scenario
        ground = self._known.get(state)
        if ground is None or ground.scenario != scenario:  # its tables were edited
            ground = self._new(scenario)
        if not ground.carries(question.scenario, costs):
            return Grounded(self._new(question.scenario), tuple(sides_of(question.scenario)))
        keep_latest(self._known, state, ground, _KEPT)
        return Grounded(ground, tuple(ground.sides(question.scenario, costs)))

    def _new(self, scenario: Scenario) -> Ground:
        return Ground(scenario, self._seconds_by_kind)


def _without_costs(tables: Tables, state: State, question: Question) -> Scenario:
    """Return the scenario of a question without its costs; what cannot be had without them stands on itself."""
    with suppress(ConfigError):
        return tables.scenarios(state).load({}, state.overrides)
    return question.scenario


def costs_of(question: Question) -> tuple[str, ...]:
    """Return the keys of a question's changes that are costs, in the order of the tables: prices depend on them."""
    return tuple(key for key in entries_of(question) if not key.startswith(_APART))
