"""Load a scenario to ask something of it: a key that was set and that no Plan of the question reads is refused.

What a Plan has read stands in its ledger, so nobody lists which key goes with what. A key that comes from a shipped
file may be idle; one that the user has set may not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import islice, product
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from sim.config.errors import ConfigError
from sim.config.loading import paths
from sim.config.loading.files import Table
from sim.config.loading.load import Scenarios, as_table
from sim.config.loading.overrides import TABLES, Given, as_assignments
from sim.config.scenario.scenario import Scenario
from sim.config.tables.quantity import Quantity, noting_reads
from sim.costs.audit import Ledger, fields, is_near
from sim.datapath import build_plan
from sim.study.runs.case import variants_and_sizes
from sim.study.runs.structures import ledger_of

#: Keys that say what a table is called and how long to run, not what is asked.
NOT_ASKED = ("schema", "kind", "extends", "name", "title", "source", "calibration", "run")
_LABELS = ("name", "title", "source")
#: Keys that say in which functions time is spent: they are read where that is asked for, in any question.
_OF_FUNCTIONS = ("kernel.functions", "kernel.routines")
#: Combinations of a study's values that are looked at, before a key that none has read is refused.
_MOST_COMBINATIONS = 256
#: So many ways in which a key would be read are named.
_NAMED_WAYS = 3

#: A scenario, an access variant and a packet size.
Point = tuple[Scenario, str, int]
#: Says which points of a scenario a question looks at.
Asks = Callable[[Scenario], Sequence[Point]]


def every_point(scenario: Scenario) -> list[Point]:
    """Return each access variant at each packet size."""
    return [(scenario, access, size) for access, size in variants_and_sizes(scenario)]


def no_point(scenario: Scenario) -> list[Point]:
    """Return nothing: what is set has been looked at, or is not a user's."""
    return []


def first_point(scenario: Scenario) -> list[Point]:
    """Return the first access variant at the first packet size."""
    return every_point(scenario)[:1]


class Changes(Scenarios):
    """The scenarios that one that is loaded gives under different settings."""

    def __init__(self, scenario: Scenario, configs: str | Path | None = None) -> None:
        super().__init__(scenario.name, configs)
        self._scenario = scenario

    def layers(self) -> list[tuple[Path, Table]]:
        """Return the table that the scenario is."""
        return [(Path(f"{self._scenario.name}.yaml"), as_table(self._scenario))]


def scenarios_of(reference: str | Path | Scenario, configs: str | Path | None = None) -> Scenarios:
    """Return the scenarios that a name, a file or a loaded scenario gives."""
    return Changes(reference, configs) if isinstance(reference, Scenario) else Scenarios(reference, configs)


def load_scenario(
    reference: str | Path | Scenario,
    *,
    overrides: Sequence[str] | Mapping[str, Any] = (),
    settings: Mapping[str, Any] | None = None,
    configs: str | Path | None = None,
    asks: Asks = every_point,
) -> Scenario:
    """Load a scenario, resolve every name in it, apply its calibration, then settings and overrides in order.

    Parameters
    ----------
    reference
        Name of a scenario (`sim.list_tables("scenarios")`), path of a YAML file, or a loaded scenario to be changed.
    overrides
        `KEY=VALUE` texts, applied in order; the value is YAML: `traffic.packet_bytes=[64, 128]`. Or a mapping of
        values or mappings: `{"cpu.core_ghz": 3.2, "mitigations": {"smap": False}}`.
    settings
        Values by key, applied before the overrides; a table may be given whole: `{"cpu": {...}}`.
    configs
        A folder with the shape of `configs/`, whose tables are added to the shipped ones.
    asks
        Which of the scenario's points are looked at (default: each access variant at each packet size).

    Returns
    -------
    Scenario
        The scenario with all its tables inside.

    Raises
    ------
    ConfigError
        For anything that is wrong, in one line: an unknown name or key, a value of the wrong type or out of bounds, a
        key that was set and that the model does not read in this scenario.

    Examples
    --------
    >>> scenario = load_scenario("virtio-user-xdp1-tap", overrides=["kernel=v6.12", "mitigations.smap=false"])
    >>> scenario.kernel.name, scenario.mitigations.smap
    ('v6.12', False)
    >>> load_scenario(scenario, overrides={"cpu": "zen4"}).cpu.name
    'zen4'
    >>> load_scenario("virtio-user-xdp1-tap", settings={"cpu": "zen9"})
    Traceback (most recent call last):
    sim.config.errors.ConfigError: ...unknown cpu 'zen9'; did you mean 'zen5'?
    >>> load_scenario("virtio-user-xdp1-tap", overrides=["driver.stack_cost=300"])
    Traceback (most recent call last):
    sim.config.errors.ConfigError: ...is not read in this scenario; it would need driver.kind=virtio-net
    """
    (scenario,), _ = load_sides([(scenarios_of(reference, configs), settings or {})], as_assignments(overrides), asks)
    return scenario


def load_sides(
    sides: Sequence[tuple[Scenarios, Mapping[str, Any]]], overrides: Sequence[str] = (), asks: Asks = every_point
) -> tuple[list[Scenario], list[str]]:
    """Load scenarios that are compared, each under its settings, all under the same overrides.

    Returns them, and a sentence for each key that only some of them read. ConfigError for one that none of them reads.
    """
    loaded = [scenarios.load(settings, overrides) for scenarios, settings in sides]
    given = [scenarios.given(settings, overrides) for scenarios, settings in sides]
    left = [unread(keys, asks(scenario)) for keys, scenario in zip(given, loaded, strict=True)]
    left = [
        _of_themselves(idle_keys, keys, *side, overrides, asks)
        for idle_keys, keys, side in zip(left, given, sides, strict=True)
    ]
    remarks = []
    for number, (scenarios, settings) in enumerate(sides):
        elsewhere = {key for other, keys in enumerate(given) if other != number for key in keys.keys() - left[other]}
        refused = [key for key in left[number] if key not in elsewhere]
        if refused:
            ways = ways_to_read(refused[0], scenarios, loaded[number], settings, overrides, asks)
            raise idle(given[number][refused[0]], ways, refused[1:])
        remarks += [
            f"{key} is not read in {loaded[number].name}, only in what it is compared with" for key in left[number]
        ]
    return loaded, remarks


def _of_themselves(
    left: list[str],
    given: Mapping[str, Given],
    scenarios: Scenarios,
    settings: Mapping[str, Any],
    overrides: Sequence[str],
    asks: Asks,
) -> list[str]:
    """Return the idle keys without those that a file says and that only an override has made idle."""
    of_file = [key for key in left if given[key].file is not None and given[key].text is None]
    if not of_file or not overrides:
        return left
    alone = unread(of_file, asks(scenarios.load(settings)))
    return [key for key in left if key not in of_file or key in alone]


def refuse_unread(keys: Mapping[str, Given], points: Iterable[Point]) -> None:
    """Raise ConfigError for a key that no Plan of some points reads."""
    left = unread(keys, points)
    if left:
        raise idle(keys[left[0]], [], left[1:])


def refuse_unread_axes(
    file: Path, scenario: str, settings: Mapping[str, Any], axes: Mapping[str, Sequence[Any]], configs: Path | None
) -> None:
    """Raise ConfigError for a key of a study, set or varied, that no Plan of its points reads.

    Parameters
    ----------
    file
        The study.
    scenario, settings
        The scenario that it is of, and what it sets in all points.
    axes
        The values of each key that it varies: all of its names, the ends of a range; none stays as it is.
    configs
        A folder with tables of your own.
    """
    scenarios = Scenarios(scenario, configs)

    def points() -> Iterator[Point]:
        for values in _combinations(axes):
            with suppress(ConfigError):
                yield from every_point(scenarios.load({**settings, **values}))

    left = unread([*settings, *axes], points())
    if left:
        others = f", nor is {', '.join(left[1:])}" if left[1:] else ""
        raise ConfigError(f"is not read in any point of this study{others}", file=file, key=left[0])


def _combinations(axes: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    """Yield the first value of each axis together, then those with one other value, then all, up to a bound."""
    first = {key: values[0] for key, values in axes.items() if values}
    yield first
    yield from ({**first, key: value} for key, values in axes.items() for value in values[1:])
    every = product(*(axes[key] for key in first))
    yield from (dict(zip(first, values, strict=True)) for values in islice(every, _MOST_COMBINATIONS))


def idle(given: Given, ways: Sequence[str], others: Sequence[str] = ()) -> ConfigError:
    """Return the error for a key that was set and that nothing reads; `others` are more such keys."""
    needs = f"; it would need {' or '.join(ways)}" if ways else ""
    more = f"; nor is {', '.join(others)}" if others else ""
    named = given.text is None or given.text.partition("=")[0].strip() == given.key
    subject = "" if named else f"{given.key} "
    return ConfigError(
        f"{subject}is not read in this scenario{more}{needs}",
        given=given.text,
        file=given.file,
        key=given.key if given.text is None else None,
    )


def unread(keys: Iterable[str], points: Iterable[Point]) -> list[str]:
    """Return the keys, in order, that no Plan of some points reads; points that cannot be built read nothing.

    All are read if no point can be built: what is wrong with those is said when they are run.
    """
    left = [key for key in keys if _is_asked(key)]
    looked_at: list[tuple[Scenario, str, Callable[[int], bool]]] = []
    built = False
    for scenario, access, size in points:
        if not left:
            break
        if any(of is scenario and variant == access and is_alike(size) for of, variant, is_alike in looked_at):
            continue
        functions = any(key.startswith(_OF_FUNCTIONS) for key in left)
        with suppress(ConfigError):
            if built:  # most often the first point has read all
                ledger, is_alike = ledger_of(scenario, access, size, functions=functions)
                looked_at.append((scenario, access, is_alike))
            else:
                ledger = build_plan(scenario, access, size, functions=functions).ledger
            read = _reading(scenario, ledger)
            left = [key for key in left if not read(key)]
            built = True
    return left if built else []


def _is_asked(key: str) -> bool:
    section, _, below = key.partition(".")
    return key not in TABLES and section not in NOT_ASKED and below.rpartition(".")[2] not in _LABELS


def _reading(scenario: Scenario, ledger: Ledger) -> Callable[[str], bool]:
    """Return what says whether a Plan of a scenario reads a key, by its ledger.

    A key is read where it is, or what is below it, or the list or table of plain values that it is in.
    """
    with noting_reads() as noted:
        variants_and_sizes(scenario)  # the Plan of one size does not read which there are
    sizes = {key for key, table, name in fields(scenario.traffic, "traffic.") if (id(table), name) in noted}
    return lambda key: bool(ledger.keys_read(near=key)) or any(is_near(key, name) for name in sizes)


def ways_to_read(
    key: str,
    scenarios: Scenarios,
    scenario: Scenario,
    settings: Mapping[str, Any],
    overrides: Sequence[str],
    asks: Asks = first_point,
) -> list[str]:
    """Return what a scenario would need so that a key is read: one other key, else what shipped scenarios have."""
    return Ways(scenarios, scenario, settings, overrides, asks).of(key)


class Ways:
    """What a scenario would need so that keys are read; each of its changes is built once for all keys."""

    def __init__(
        self,
        scenarios: Scenarios,
        scenario: Scenario,
        settings: Mapping[str, Any],
        overrides: Sequence[str],
        asks: Asks = first_point,
    ) -> None:
        self._scenarios, self._scenario, self._settings = scenarios, scenario, settings
        self._overrides, self._asks = overrides, asks
        self._read: dict[tuple[str, bool], Callable[[str], bool] | None] = {}
        self._looking: Callable[[], object] = bool

    def of(self, key: str, looking: Callable[[], object] = bool) -> list[str]:
        """Return what a key would need: one other key, else what shipped scenarios have.

        `looking` is called before each scenario that is built: what it raises ends the search, which knows what it has
        found when it is asked again.
        """
        self._looking = looking
        changes = (change for change in _changes(self._scenario) if self._is_read(change[0]))
        texts = (f"{other}={_spelled(value)}" for other, value in changes)
        ways = [*islice((text for text in texts if self._reads(key, text, self._changed)), _NAMED_WAYS)]
        if ways:
            return ways
        named = (name for name in sorted(paths.names("scenario")) if self._reads(key, name, self._shipped))
        return [f"what {name} has" for name in islice(named, _NAMED_WAYS)]

    def _is_read(self, other: str) -> bool:
        """Return whether the scenario reads a key as it is: where it does not, another value changes nothing.

        For a Plan depends on nothing that it does not read, and what checks read can only refuse.
        """
        return self._as_it_is is None or self._as_it_is(other)

    @cached_property
    def _as_it_is(self) -> Callable[[str], bool] | None:
        """What says whether the scenario reads a key with nothing changed; None where it has no Plan."""
        self._looking()
        with suppress(ConfigError):
            return self._read_by_first(self._scenario, False)
        return None

    def _changed(self, text: str) -> Scenario:
        return self._scenarios.load(self._settings, [*self._overrides, text])

    def _shipped(self, name: str) -> Scenario:
        return Scenarios(name).load({})

    def _reads(self, key: str, way: str, load: Callable[[str], Scenario]) -> bool:
        """Return whether the first point that is asked for reads a key in a scenario; what cannot be had reads none."""
        functions = key.startswith(_OF_FUNCTIONS)
        if (way, functions) not in self._read:
            self._looking()
            read = None
            with suppress(ConfigError):
                read = self._read_by_first(load(way), functions)
            self._read[way, functions] = read
        read = self._read[way, functions]
        return read is not None and read(key)

    def _read_by_first(self, scenario: Scenario, functions: bool) -> Callable[[str], bool] | None:
        """Return what says whether the first point that is asked for reads a key; ConfigError where it has no Plan."""
        for of, access, size in self._asks(scenario)[:1]:
            return _reading(of, build_plan(of, access, size, functions=functions).ledger)
        return None


def _spelled(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _changes(scenario: Scenario) -> Iterator[tuple[str, Any]]:
    """Yield other values of single keys, those that choose among names first, then switches, then numbers."""
    named: list[tuple[str, Any]] = [("access", variant.name) for variant in scenario.access[1:]]
    switched: list[tuple[str, Any]] = []
    counted: list[tuple[str, Any]] = []
    for key, table, name in fields(scenario):
        section, value = key.partition(".")[0], getattr(table, name)
        if section in (*NOT_ASKED, *TABLES, "schema_"):
            continue
        if key == "traffic.mix.bytes":
            named.append(("traffic.mix", "null"))
        if isinstance(table, Quantity):
            counted += [(key, end) for end in (table.high, table.low) if end != value]
        elif isinstance(value, str):
            annotation = type(table).model_fields[name].annotation
            others = get_args(annotation) if get_origin(annotation) is Literal else ()
            named += [(key, other) for other in others if other != value]
        elif isinstance(value, bool):
            switched.append((key, not value))
        elif isinstance(value, int | float):
            counted.append((key, 2 * value or 1000))
    yield from (*named, *switched, *counted)
