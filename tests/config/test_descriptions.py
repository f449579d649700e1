"""Every key of every kind of table says in one line what it is; so do the words that tables are made of."""

from __future__ import annotations

from typing import get_args

import pytest
from pydantic import BaseModel

from sim.config import load_scenario
from sim.config.loading import paths
from sim.config.loading.load import MODELS
from sim.config.scenario.scenario import Scenario
from sim.config.tables import vocabulary
from sim.config.tables.kernel import RECIPE_WORDS
from sim.config.tables.vocabulary import PRIMITIVES
from sim.datapath import build_plan
from sim.datapath.plan.step import OPERATIONS

#: Keys that say which table a file is, not what is in it.
PLAIN = {"schema_", "kind"}
TABLES = {"scenario": Scenario, **MODELS}


def models(annotation):
    """Models that an annotation holds, however deep."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models(part)


def described(model, seen):
    """Each key of a model and of those inside it, once: (model's name, key) and what it says."""
    if model in seen:
        return
    seen.add(model)
    for name, field in model.model_fields.items():
        if name not in PLAIN or model not in TABLES.values():
            yield f"{model.__name__}.{name}", field.description
        for inner in models(field.annotation):
            yield from described(inner, seen)


SEEN: set[type[BaseModel]] = set()
KEYS = {key: said for table in TABLES.values() for key, said in described(table, SEEN)}


def test_the_test_goes_through_every_kind_of_table_and_what_is_inside():
    assert set(TABLES.values()) <= SEEN
    assert {"Quantity.low", "Flag.grade", "StepCount.instructions", "Accessor.parts", "Behaviour.round_bytes"} <= set(
        KEYS
    )
    assert {"Virtqueue.iotlb_cache", "Source.queue", "Memory.invalidation_stall", "Mapping.torn_down"} <= set(KEYS)
    assert {"Fitted.pull", "Parameter.key", "CountTable.table", "Axis.count", "MachineState.smt"} <= set(KEYS)


@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_described_in_one_line(key):
    said = KEYS[key]
    assert said, key
    assert "\n" not in said
    assert said == said.strip()
    assert not said.endswith(".")


@pytest.mark.parametrize("kind", TABLES)
def test_the_schema_of_a_kind_carries_the_descriptions(kind):
    schema = TABLES[kind].model_json_schema()
    places = [schema, *schema.get("$defs", {}).values()]
    keys = [(name, key) for place in places for name, key in place.get("properties", {}).items()]
    assert keys
    for name, key in keys:
        assert name in PLAIN or key["description"], name


def test_every_accessor_and_step_is_explained_and_every_explanation_is_of_one():
    assert set(vocabulary.REACHES) == {*vocabulary.METADATA_ACCESSORS, *vocabulary.PAYLOAD_ACCESSORS}
    assert set(vocabulary.REACHES) == {*vocabulary.ACCESSORS, *vocabulary.OPTIONAL_ACCESSORS}
    assert len(vocabulary.STEP_MEANINGS) == len(vocabulary.STEPS) + len(vocabulary.OPTIONAL_STEPS)
    accessors = {name: reach.meaning for name, reach in vocabulary.REACHES.items()}
    for table in (accessors, vocabulary.STEP_MEANINGS, OPERATIONS, RECIPE_WORDS):
        assert len(set(table.values())) == len(table)  # nothing is said of two
        assert all(said and "\n" not in said for said in table.values())
    assert all(one.meaning for one in PRIMITIVES.values())


def test_every_operation_of_a_row_is_explained_and_every_explanation_is_of_one():
    found = set()
    for name in paths.names("scenario"):
        scenario = load_scenario(name)
        for variant in scenario.access:
            rows = build_plan(scenario, variant.name, scenario.traffic.sizes[0]).rows
            found |= {row.operation for row in rows}
    assert found == set(OPERATIONS)
