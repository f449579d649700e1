"""Every key of a scenario moves something, or is refused when a user sets it, or stands there inherited."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import Literal, get_args, get_origin

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from sim.config import ConfigError
from sim.config.loading import paths
from sim.config.loading.load import Scenarios
from sim.config.tables.quantity import Flag, Quantity
from sim.costs.audit import fields
from sim.datapath import build_plan
from sim.study.runs import asked
from sim.study.runs.asked import NOT_ASKED, every_point, load_scenario

NAMES = sorted(paths.names("scenario"))
#: Sections of a scenario that are not tables with a hundred entries of one kind each.
TABLES = ("access", "cpu", "kernel")
#: Keys that move something beyond a threshold only, and settings beyond it, of which a scenario may take one.
BEYOND = {
    "memory.guest_pages": [{"memory.other_pages": 1500}],
    "driver.scatter_bytes": [{"traffic.packet_bytes": [3000]}, {"traffic.message_bytes": 1400}],
    "receive.buffer_bytes": [{"traffic.packet_bytes": [3000]}, {"traffic.packet_bytes": [1514]}],
    "backend.mtu_bytes": [{"traffic.packet_bytes": [3000]}, {"traffic.packet_bytes": [1500]}],
    "device.max_pending": [{"traffic.packet_bytes": [1518]}],
    "queues.cores": [{"queues.pairs": 2, "queues.workers": "each"}],
    "sockets.reads": [{"traffic.message_bytes": 64}],
}
#: What a key stands for that is left out: said in so many words, it moves nothing and is no mistake.
LEFT_OUT = {"queues.cores": lambda scenario: scenario.queues.lanes}


def points(scenario):
    """The first two variants at the first size."""
    return [point for point in every_point(scenario) if point[2] == scenario.traffic.sizes[0]][:2]


@cache
def scenarios(name):
    return Scenarios(name)


def plans(name, changes):
    """The plans of a scenario under changes, arrivals by their times; ConfigError when it refuses them."""
    built = [build_plan(*point) for point in points(scenarios(name).load(changes))]
    return [
        (replace(plan, arrivals=None), None if plan.arrivals is None else plan.arrivals.block(0).tobytes())
        for plan in built
    ]


@cache
def unchanged(name):
    return plans(name, {})


def others(table, name):
    """Other values of a key, of its type."""
    value = getattr(table, name)
    if isinstance(table, Quantity):
        return [other for other in (table.high, table.low, 3 * value, value / 3, 1e-3, 1e5) if other != value]
    annotation = type(table).model_fields[name].annotation
    choices = [
        choice
        for option in (annotation, *get_args(annotation))
        if get_origin(option) is Literal
        for choice in get_args(option)
    ]
    if isinstance(table, Flag) or isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [2 * value or 1000, value // 2, value + 1, 1, 0, 16000, value // 8, *choices]
    if value is None:
        return [0, 1, 300, True, False]
    if isinstance(value, list):
        return [[300]]
    return [choice for choice in choices if choice != value]


def keys(name):
    """The keys of a scenario that a user may set, with their table."""
    return {
        key: (table, field)
        for key, table, field in fields(scenarios(name).load({}))
        if key.partition(".")[0] not in (*NOT_ASKED, *TABLES, "schema_")
    }


def check(name, key, value):
    """Set a key: the loader refuses it and the plans are the same, or it moves them, with another value if need be."""
    try:
        load_scenario(name, settings={key: value}, asks=points)
    except ConfigError as error:
        if "is not read in this scenario" not in str(error):
            return "refused for its value"
        assert plans(name, {key: value}) == unchanged(name), "a key that moves something is refused"
        return "refused as idle"
    table, field = keys(name)[key]
    for other in (value, *others(table, field)):
        for more in ({}, *BEYOND.get(key, ())):
            with suppress(ConfigError):  # says what is wrong with what goes with that value
                before = plans(name, more)
                try:
                    if plans(name, {**more, key: other}) != before:
                        return "moves"
                except ConfigError as error:
                    if str(error).startswith(f"{key}: "):
                        return "decides what can be simulated"
    raise AssertionError(f"{key} is read in {name} and moves nothing")


def takes_no_other_value(name, key):
    """Whether a scenario refuses every other value of a key, aloud."""
    table, field = keys(name)[key]
    scenario = scenarios(name).load({})
    stands = LEFT_OUT.get(key, lambda _: getattr(table, field))(scenario)
    for other in others(table, field):
        try:
            plans(name, {key: other})
        except ConfigError:
            continue
        if other != stands:
            return False
    return True


@pytest.fixture(autouse=True)
def without_ways(monkeypatch):
    """A refusal also says what would make the key read, which takes a hundred plans and is tested by itself."""
    monkeypatch.setattr(asked, "ways_to_read", lambda *_: [])


@st.composite
def settings_of_a_user(draw):
    name = draw(st.sampled_from(NAMES))
    key = draw(st.sampled_from(sorted(keys(name))))
    values = others(*keys(name)[key])
    return name, key, draw(st.sampled_from(values or [None]))


@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(settings_of_a_user())
def test_a_key_moves_something_or_is_refused(setting):
    note(setting)
    if not takes_no_other_value(*setting[:2]):
        check(*setting)


@pytest.mark.deep
@pytest.mark.parametrize("name", NAMES)
def test_every_key_of_a_shipped_scenario_moves_something_or_is_refused(name):
    seen = {}
    for key, place in keys(name).items():
        if not takes_no_other_value(name, key):
            for value in others(*place)[:3]:
                seen[check(name, key, value)] = key
    assert {"moves", "refused as idle"} <= seen.keys()


@pytest.mark.parametrize("name", ["virtio-user-xdp1-tap", "virtio-net-xdp1-tap", "af-xdp-tx", "tap-write"])
def test_what_a_shipped_file_says_beside_the_question_is_inherited(name):
    scenario = load_scenario(name)
    read = {key for plan, _ in unchanged(name) for key in plan.ledger.keys_read()}
    assert set(keys(name)) - read, "every shipped scenario holds keys that it does not need"
    assert scenario.name == name
